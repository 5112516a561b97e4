// lars: SGD with momentum, each tensor's gradient brought to the length of its weights, times a small number.
//
//   g <- g + decay w
//   d <- trust |w| / (|g| + eps) g                 norms over the tensor; g itself where either is 0
//   b <- keep b + take d;   w <- w - lr b          NESTEROV: w - lr (d + momentum b)
//
// Three dispatches: lars_sums (sums of squares of each block), tensor_norms (norms of each tensor), lars_update.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 vec4s, folded from x into y
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

fn decayed(row: Row, at: u32, i: u32, w: vec4<f32>) -> vec4<f32> {
    return gradient(at, i) + row.decay * w;
}

@compute @workgroup_size(64)
fn lars_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let i = block * 64u + lane;
    let at = row_at(block);
    let row = open_row(at);
    var own = vec2<f32>(0.0);
    if i < LENGTH && !step_skipped() {
        let w = param[i];
        let g = decayed(row, at, i, w);
        own = vec2<f32>(dot(w, w), dot(g, g));
    }
    let sum = added(lane, own);
    if lane == 0u && block * 64u < LENGTH { block_sums[block] = sum; }
}

@compute @workgroup_size(64)
fn lars_update(
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
    let w = param[i];
    let norm = norms[block];
    var local = 1.0;
    if norm.x > 0.0 && norm.y > 0.0 { local = row.trust * norm.x / (norm.y + row.eps); }
    let d = local * decayed(row, at, i, w);
    let b = row.keep * momentum_buffer[i] + row.take * d;
    momentum_buffer[i] = b;
    var direction = b;
    if NESTEROV { direction = d + row.momentum * b; }
    put(at, i, w - row.lr * direction);
}
