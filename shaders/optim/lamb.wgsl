// lamb: Adam whose step is as long as the weights of its tensor, times the rate.
//
//   m <- m + (1 - beta1) (g - m)
//   v <- beta2 v + (1 - beta2) g^2
//   u <- m unbias1 / (sqrt(v) unbias2 + eps) + decay w
//   w <- w - lr |w| / |u| u                        the quotient over the tensor; 1 where either norm is 0
//   unbias1 = 1 / (1 - beta1^t),   unbias2 = 1 / sqrt(1 - beta2^t)
//
// Three dispatches: lamb_sums (moments, sums of squares of each block), tensor_norms (norms of each tensor),
// lamb_update, which computes u again in place of storing it.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 vec4s, folded from x into y
// source: You et al. 2020, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", algorithm 2

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> block_sums: array<vec2<f32>>; // of the sums pass, a block each
@group(0) @binding(6) var<storage, read_write> norms: array<vec2<f32>>; // of the update, |w| and the step's for a block's tensor

override LENGTH: u32;

//#import update
//#import added

struct Row {
    lr: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    unbias1: f32,
    unbias2: f32,
    eps: f32,
    decay: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

fn direction(row: Row, w: vec4<f32>, m: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    return m * row.unbias1 / (sqrt(v) * row.unbias2 + row.eps) + row.decay * w;
}

@compute @workgroup_size(64)
fn lamb_sums(
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
        let g = gradient(at, i);
        let m = blend(exp_avg[i], g, row.one_minus_beta1);
        let v = row.beta2 * exp_avg_sq[i] + row.one_minus_beta2 * g * g;
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
        let u = direction(row, w, m, v);
        own = vec2<f32>(dot(w, w), dot(u, u));
    }
    let sum = added(lane, own);
    if lane == 0u && block * 64u < LENGTH { block_sums[block] = sum; }
}

@compute @workgroup_size(64)
fn lamb_update(
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
    var ratio = 1.0;
    if norm.x > 0.0 && norm.y > 0.0 { ratio = norm.x / norm.y; }
    put(at, i, w - row.lr * ratio * direction(row, w, exp_avg[i], exp_avg_sq[i]));
}
