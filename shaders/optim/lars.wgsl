// lars: SGD with momentum, each tensor's gradient brought to the length of its weights, times a small number.
//
//   g <- g + decay w
//   d <- trust |w| / (|g| + eps) g                 norms over the tensor; g itself where either is 0
//   b <- keep b + take d;   w <- w - lr b          NESTEROV: w - lr (d + momentum b)
//
// Three dispatches: lars_sums (sums of squares of each block), tensor_norms (norms of each tensor), lars_update.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/block_sums_*.wgsl and shared/pass_*.wgsl
// source: You et al. 2017, "Large Batch Training of Convolutional Networks"; momentum as torch.optim.SGD's, whose first
//         step is b = d

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> block_sums: array<vec2<f32>>; // of the sums pass, a block each
@group(0) @binding(6) var<storage, read_write> norms: array<vec2<f32>>; // of the update, |w| and the step's for a block's tensor

override LENGTH: u32;
override NESTEROV: bool = false;

//#import update
//#import added

struct Row {
    lr: f32,
    keep: f32,
    take: f32,
    decay: f32,
    momentum: f32,
    trust: f32,
    eps: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z);
}

// What the sums read of a vec4.
struct SumsOld {
    g: vec4<f32>,
    w: vec4<f32>,
}

fn decayed(at: u32, row: Row, w: vec4<f32>, g: vec4<f32>) -> vec4<f32> { return clipped(at, g) + row.decay * w; }

fn lars_sums_old(i: u32) -> SumsOld { return SumsOld(raw_gradient(i), param[i]); }

fn lars_sums_row(at: u32, block: u32) -> Row { return open_row(at); }

// The squares of w and g.
fn lars_sums_step(at: u32, row: Row, i: u32, old: SumsOld) -> vec2<f32> {
    let w = old.w;
    let g = decayed(at, row, w, old.g);
    return vec2<f32>(dot(w, w), dot(g, g));
}

@compute @workgroup_size(LANES)
fn lars_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot sums
    //#end
}

// What the update reads of a vec4.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    b: vec4<f32>,
}

// The row of a block, and the length of its tensor's step relative to its gradient.
struct BlockRow {
    row: Row,
    local: f32,
}

fn lars_row(at: u32, block: u32) -> BlockRow {
    let row = open_row(at);
    let norm = norms[block];
    var local = 1.0;
    if norm.x > 0.0 && norm.y > 0.0 { local = row.trust * norm.x / (norm.y + row.eps); }
    return BlockRow(row, local);
}

fn lars_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], momentum_buffer[i]); }

fn lars_step(at: u32, of_block: BlockRow, i: u32, old: Old) {
    let row = of_block.row;
    let d = of_block.local * decayed(at, row, old.w, old.g);
    let b = row.keep * old.b + row.take * d;
    momentum_buffer[i] = b;
    var direction = b;
    if NESTEROV { direction = d + row.momentum * b; }
    put(at, i, old.w - row.lr * direction);
}

@compute @workgroup_size(LANES)
fn lars_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
