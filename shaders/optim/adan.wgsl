// adan: a step along the gradient and its change, over the root of the mean square of both.
//
//   d <- g - g_old                                   0 in the first step
//   m <- m + (1 - beta1) (g - m)                     exp_avg
//   v <- v + (1 - beta2) (d - v)                     exp_avg_diff
//   n <- beta3 n + (1 - beta3) (g + beta2 d)^2       exp_avg_sq
//   w <- w - (shrink w + (step m + step_diff v) / (sqrt(n) unbias + eps))
//   neg_pre_grad <- -g
//   step = s lr / (1 - beta1^t),   step_diff = s lr beta2 / (1 - beta2^t),   unbias = 1 / sqrt(1 - beta3^t)
//   proximal decay: s = 1 / (1 + lr weight_decay),   shrink = s lr weight_decay
//   no_prox:        s = 1,                           shrink = lr weight_decay
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: Xie et al. 2022, "Adan: Adaptive Nesterov Momentum Algorithm", and the authors' package adan, single-tensor path,
//         but for one rounding of w, as in adam.wgsl

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> exp_avg_diff: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> neg_pre_grad: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    step: f32,
    step_diff: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    beta3: f32,
    one_minus_beta3: f32,
    unbias: f32,
    eps: f32,
    shrink: f32,
    has_old: f32, // 0 in the first step, then 1
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    let c = table[at + 2u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z);
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    m: vec4<f32>,
    n: vec4<f32>,
    v: vec4<f32>,
    neg_g: vec4<f32>,
}

fn adan_old(i: u32) -> Old {
    return Old(raw_gradient(i), param[i], exp_avg[i], exp_avg_sq[i], exp_avg_diff[i], neg_pre_grad[i]);
}

fn adan_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g);
    let d = row.has_old * (g + old.neg_g);
    let m = blend(old.m, g, row.one_minus_beta1);
    let v = blend(old.v, d, row.one_minus_beta2);
    let u = g + row.beta2 * d;
    let n = row.beta3 * old.n + row.one_minus_beta3 * u * u;
    exp_avg[i] = m;
    exp_avg_sq[i] = n;
    exp_avg_diff[i] = v;
    neg_pre_grad[i] = -g;
    let root = sqrt(n) * row.unbias + row.eps;
    put(at, i, w - (row.shrink * w + (row.step * m + row.step_diff * v) / root));
}

@compute @workgroup_size(LANES)
fn adan_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
