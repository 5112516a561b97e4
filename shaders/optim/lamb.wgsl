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
// grid:   shared/block_sums_*.wgsl and shared/pass_*.wgsl
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

// What the sums read of a vec4.
struct SumsOld {
    g: vec4<f32>,
    w: vec4<f32>,
    m: vec4<f32>,
    v: vec4<f32>,
}

fn lamb_sums_old(i: u32) -> SumsOld { return SumsOld(raw_gradient(i), param[i], exp_avg[i], exp_avg_sq[i]); }

fn lamb_sums_row(at: u32, block: u32) -> Row { return open_row(at); }

// The moments; the squares of w and u.
fn lamb_sums_step(at: u32, row: Row, i: u32, old: SumsOld) -> vec2<f32> {
    let w = old.w;
    let g = clipped(at, old.g);
    let m = blend(old.m, g, row.one_minus_beta1);
    let v = row.beta2 * old.v + row.one_minus_beta2 * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    let u = direction(row, w, m, v);
    return vec2<f32>(dot(w, w), dot(u, u));
}

@compute @workgroup_size(LANES)
fn lamb_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot sums
    //#end
}

// What the update reads of a vec4.
struct Old {
    w: vec4<f32>,
    m: vec4<f32>,
    v: vec4<f32>,
}

// The row of a block, its rate times the quotient of its tensor's norms.
fn lamb_row(at: u32, block: u32) -> Row {
    let norm = norms[block];
    var ratio = 1.0;
    if norm.x > 0.0 && norm.y > 0.0 { ratio = norm.x / norm.y; }
    var row = open_row(at);
    row.lr *= ratio;
    return row;
}

fn lamb_old(i: u32) -> Old { return Old(param[i], exp_avg[i], exp_avg_sq[i]); }

fn lamb_step(at: u32, row: Row, i: u32, old: Old) {
    put(at, i, old.w - row.lr * direction(row, old.w, old.m, old.v));
}

@compute @workgroup_size(LANES)
fn lamb_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
