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
// grid:   lines: one workgroup an entry; means: one a matrix; the others: one a block of 64 vec4s; folded from x into y
// source: Shazeer and Stern 2018, as torch.optim.Adafactor has it

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> numbers: array<f32>; // the same, of the lines
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

//#import update
//#import added

// Kinds of an entry of LINES, added up.
const COLUMNS: u32 = 1u; // columns, not rows
const TOGETHER: u32 = 2u; // one line by all lanes, not a line a lane

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

@compute @workgroup_size(64)
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
    let together = (kind & TOGETHER) != 0u;
    let at = row_at(shape.block);
    // A row's elements are neighbours, a column's a row apart.
    var line = places[entry + 2u];
    if !together { line += lane; }
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
    var sum = 0.0;
    if inside {
        for (var k = select(0u, lane, together); k < length; k += select(1u, 64u, together)) {
            let g = clipped(at, vec4<f32>(numbers[base + k * stride])).x;
            sum += g * g;
        }
    }
    let all = added(lane, vec2<f32>(sum)).x;
    if inside && !step_skipped() && (!together || lane == 0u) {
        let mean = select(sum, all, together) / f32(length);
        let weight = table[at].y;
        variance[place] = blend(vec4<f32>(variance[place]), vec4<f32>(mean), weight).x;
    }
}

@compute @workgroup_size(64)
fn adafactor_means(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = group.y * groups.x + group.x;
    if work >= MATRICES { return; }
    let shape = shape_of(places[MEANS + 2u * work]);
    let matrix = places[MEANS + 2u * work + 1u];
    var own = 0.0;
    for (var k = lane; k < shape.height; k += 64u) { own += variance[shape.at + matrix * shape.height + k]; }
    let sum = added(lane, vec2<f32>(own)).x;
    if lane == 0u { variance[shape.at + shape.rows + shape.columns + matrix] = sum / f32(shape.height); }
}

// v of an element of the tensor, counted from its first.
fn second_moment(shape: Shape, row: Row, element: u32) -> f32 {
    if shape.rows == 0u { return variance[shape.at + element]; }
    let line = element / shape.width;
    let matrix = line / shape.height;
    let column = variance[shape.at + shape.rows + matrix * shape.width + element % shape.width];
    let mean = variance[shape.at + shape.rows + shape.columns + matrix];
    return variance[shape.at + line] * column / max(mean, row.eps1);
}

// u; 0 past the tensor's end.
fn direction(shape: Shape, row: Row, at: u32, i: u32) -> vec4<f32> {
    let g = gradient(at, i);
    var u = vec4<f32>(0.0);
    for (var c = 0u; c < 4u; c++) {
        let element = 4u * i + c - shape.first;
        if element < shape.count { u[c] = g[c] / sqrt(max(second_moment(shape, row, element), row.least)); }
    }
    return u;
}

@compute @workgroup_size(64)
fn adafactor_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let i = block * 64u + lane;
    var own = vec2<f32>(0.0);
    if i < LENGTH && !step_skipped() {
        let at = row_at(block);
        let w = param[i];
        let u = direction(shape_of(places[block]), open_row(at), at, i);
        own = vec2<f32>(dot(w, w), dot(u, u));
    }
    let sum = added(lane, own);
    if lane == 0u && block * 64u < LENGTH { block_sums[block] = sum; }
}

@compute @workgroup_size(64)
fn adafactor_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let i = block * 64u + lane;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    let shape = shape_of(places[block]);
    let rms = norms[block] / sqrt(f32(shape.count));
    let rate = row.rho * max(row.eps2, rms.x) / max(1.0, rms.y / row.d);
    let w = param[i];
    put(at, i, w - (row.shrink * w + rate * direction(shape, row, at, i)));
}
