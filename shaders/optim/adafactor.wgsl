// adafactor: the gradient over the root of a second moment that a matrix keeps as one number a row and one a column.
//
//   R, C <- running means of the mean of g^2 along each row and each column
//   v  = R C / max(mean of R, eps1)                no matrix: v <- running mean of g^2
//   u  = g / sqrt(max(v, eps1^2))
//   w <- w - shrink w - rho max(eps2, rms(w)) / max(1, rms(u) / d) u        rms over the tensor
//   rho = min(lr, 1 / sqrt(t)),   shrink = lr weight_decay,   the running means keep 1 - t^beta2_decay
//
// Five dispatches: adafactor_lines (R and C), adafactor_means (of R, for each matrix), adafactor_sums (sums of squares of
// each block), tensor_norms, adafactor_update, which computes u again in place of storing it.
//
// A tensor of more than two axes is a batch of matrices; a vector is one row of columns with one element each.
//
// shapes: grad, param [LENGTH] vec4, padding included; variance: for each tensor R, C and the means of R;
//         places: for each block its tensor, from SHAPES the words of Shape for each tensor, from LINES [tensor, kind,
//         first line] for each workgroup of adafactor_lines, from MEANS [tensor, matrix] for each matrix
// grid:   lines: one workgroup an entry; means: one a matrix; folded from x into y; the others: shared/block_sums_*.wgsl and
//         shared/pass_*.wgsl
// source: Shazeer and Stern 2018, as torch.optim.Adafactor has it

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> variance: array<f32>;
@group(0) @binding(5) var<storage, read> places: array<u32>;
@group(0) @binding(6) var<storage, read_write> block_sums: array<vec2<f32>>; // of the sums pass, a block each
@group(0) @binding(6) var<storage, read_write> norms: array<vec2<f32>>; // of the update, |w| and |u| for a block's tensor

override LENGTH: u32;
override SHAPES: u32;
override LINES: u32;
override MEANS: u32;
override LINE_GROUPS: u32;
override MATRICES: u32;
override BATCHES: bool = true; // a tensor has more than one matrix
override WHOLE_FOURS: bool = false; // four elements that are loaded together are of one line

//#import update
//#import added

// The kind of an entry of LINES: columns or rows, long or short lines; then the logarithm of the number of its lines.
const COLUMNS: u32 = 1u;
const LONG: u32 = 2u;
const LINES_FROM: u32 = 2u;

struct Shape {
    first: u32, // element
    count: u32, // of elements
    height: u32,
    width: u32,
    rows: u32, // of all matrices
    columns: u32,
    at: u32, // where its variance begins
    block: u32, // its first
}

struct Row {
    rho: f32,
    one_minus_beta2: f32,
    eps1: f32,
    least: f32, // eps1^2
    eps2: f32,
    d: f32,
    shrink: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z);
}

fn shape_of(tensor: u32) -> Shape {
    let s = SHAPES + 8u * tensor;
    return Shape(
        places[s], places[s + 1u], places[s + 2u], places[s + 3u],
        places[s + 4u], places[s + 5u], places[s + 6u], places[s + 7u],
    );
}

// The square of a gradient's element.
fn square(at: u32, g: f32) -> f32 {
    let own = clipped(at, vec4<f32>(g)).x;
    return own * own;
}

//#slot lines
@group(0) @binding(0) var<storage, read> numbers: array<f32>; // grad

// The sums of squares of the workgroup's lines, each to its first invocation: the lines' elements go round the others.
fn line_sum(lane: u32, at: u32, kind: u32, base: u32, stride: u32, length: u32) -> f32 {
    let lines = 1u << (kind >> LINES_FROM);
    var own = 0.0;
    for (var k = lane / lines; k < length; k += LANES / lines) { own += square(at, numbers[base + k * stride]); }
    sums[lane] = vec2<f32>(own);
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half >>= 1u) {
        if half >= lines && lane < half { sums[lane] += sums[lane + half]; }
        workgroupBarrier();
    }
    return sums[lane].x;
}

// The sum of the means of a matrix's rows.
fn means_sum(lane: u32, first: u32, height: u32) -> f32 {
    var own = 0.0;
    for (var k = lane; k < height; k += LANES) { own += variance[first + k]; }
    return added_among(lane, LANES, vec2<f32>(own)).x;
}
//#end

@compute @workgroup_size(LANES)
fn adafactor_lines(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = group.y * groups.x + group.x;
    if work >= LINE_GROUPS { return; }
    let entry = LINES + 3u * work;
    let shape = shape_of(places[entry]);
    let kind = places[entry + 1u];
    let at = row_at(shape.block);
    let own = lane % (1u << (kind >> LINES_FROM));
    // A row's elements are neighbours, a column's a row apart.
    let line = places[entry + 2u] + own;
    var lines = shape.rows;
    var base = shape.first + line * shape.width;
    var stride = 1u;
    var length = shape.width;
    var place = shape.at + line;
    if (kind & COLUMNS) != 0u {
        lines = shape.columns;
        base = shape.first + line / shape.width * shape.height * shape.width + line % shape.width;
        stride = shape.width;
        length = shape.height;
        place += shape.rows;
    }
    let inside = line < lines;
    let sum = line_sum(lane, at, kind, base, stride, select(0u, length, inside));
    if inside && lane == own && !step_skipped() {
        let mean = sum / f32(length);
        let weight = table[at].y;
        variance[place] = blend(vec4<f32>(variance[place]), vec4<f32>(mean), weight).x;
    }
}

@compute @workgroup_size(LANES)
fn adafactor_means(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = group.y * groups.x + group.x;
    if work >= MATRICES { return; }
    let shape = shape_of(places[MEANS + 2u * work]);
    let matrix = places[MEANS + 2u * work + 1u];
    let sum = means_sum(lane, shape.at + matrix * shape.height, shape.height);
    if lane == 0u { variance[shape.at + shape.rows + shape.columns + matrix] = sum / f32(shape.height); }
}

// What a block's vec4s have in common: the row of the step, the tensor, and where the block begins in it.
struct BlockRow {
    row: Row,
    shape: Shape,
    element: u32, // of the tensor
    line: u32,
    column: u32,
    matrix: u32,
    line_in_matrix: u32,
    rate: f32, // of the update
}

fn block_row(at: u32, block: u32) -> BlockRow {
    let shape = shape_of(places[block]);
    let element = 256u * block - shape.first;
    let line = element / shape.width;
    var matrix = 0u;
    if BATCHES { matrix = line / shape.height; }
    let column = element - line * shape.width;
    return BlockRow(open_row(at), shape, element, line, column, matrix, line - matrix * shape.height, 0.0);
}

// n / d for n < d + 256, without integer divisions, which software adapters do one by one. With a small d the quotient is
// below 512 and half an element or more from a whole number, and so exact in f32.
fn quotient(n: vec4<u32>, d: u32) -> vec4<u32> {
    return select(vec4<u32>((vec4<f32>(n) + 0.5) / f32(d)), vec4<u32>(n >= vec4<u32>(d)), d >= 256u);
}

// v of four neighbours, the first of which is element `first` of the block; past the tensor's end any number.
fn second_moments(own: BlockRow, first: u32) -> vec4<f32> {
    let shape = own.shape;
    let last = shape.count - 1u - own.element;
    let four = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(last));
    let along = own.column + four;
    let lines = quotient(along, shape.width);
    var line = own.line + lines;
    var matrix = vec4<u32>(0u);
    if BATCHES { matrix = own.matrix + quotient(own.line_in_matrix + lines, shape.height); }
    var column = shape.at + shape.rows + matrix * shape.width + along - lines * shape.width;
    var mean = shape.at + shape.rows + shape.columns + matrix;
    // A tensor that is no matrix has no rows: what stands for them is its first number, and not used.
    if shape.rows == 0u {
        line = vec4<u32>(0u);
        mean = vec4<u32>(shape.at);
        column = shape.at + own.element + four;
    }
    let c = vec4<f32>(variance[column.x], variance[column.y], variance[column.z], variance[column.w]);
    var r = vec4<f32>(variance[shape.at + line.x]);
    var of_matrix = vec4<f32>(variance[mean.x]);
    if !WHOLE_FOURS {
        r = vec4<f32>(r.x, variance[shape.at + line.y], variance[shape.at + line.z], variance[shape.at + line.w]);
        of_matrix = vec4<f32>(of_matrix.x, variance[mean.y], variance[mean.z], variance[mean.w]);
    }
    return select(r * c / max(of_matrix, vec4<f32>(own.row.eps1)), c, shape.rows == 0u);
}

// What both passes read of a vec4.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
}

// u; 0 past the tensor's end.
fn direction(own: BlockRow, at: u32, i: u32, old: Old) -> vec4<f32> {
    let first = 4u * (i % 64u);
    let element = own.element + first;
    let u = clipped(at, old.g) / sqrt(max(second_moments(own, first), vec4<f32>(own.row.least)));
    let inside = vec4<u32>(element, element + 1u, element + 2u, element + 3u) < vec4<u32>(own.shape.count);
    return select(vec4<f32>(0.0), u, inside);
}

fn adafactor_sums_old(i: u32) -> Old { return Old(raw_gradient(i), param[i]); }

fn adafactor_sums_row(at: u32, block: u32) -> BlockRow { return block_row(at, block); }

// The squares of w and u.
fn adafactor_sums_step(at: u32, row: BlockRow, i: u32, old: Old) -> vec2<f32> {
    let w = old.w;
    let u = direction(row, at, i, old);
    return vec2<f32>(dot(w, w), dot(u, u));
}

@compute @workgroup_size(LANES)
fn adafactor_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot sums
    //#end
}

fn adafactor_row(at: u32, block: u32) -> BlockRow {
    var own = block_row(at, block);
    let row = own.row;
    let rms = norms[block] / sqrt(f32(own.shape.count));
    own.rate = row.rho * max(row.eps2, rms.x) / max(1.0, rms.y / row.d);
    return own;
}

fn adafactor_old(i: u32) -> Old { return Old(raw_gradient(i), param[i]); }

fn adafactor_step(at: u32, own: BlockRow, i: u32, old: Old) {
    let row = own.row;
    let w = old.w;
    put(at, i, w - (row.shrink * w + own.rate * direction(own, at, i, old)));
}

@compute @workgroup_size(LANES)
fn adafactor_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
