// nadam: Adam with Nesterov's momentum, whose momentum grows towards beta1.
//
//   g <- g + decay w                               decay: weight_decay, else 0 where it is decoupled
//   m <- m + (1 - beta1) (g - m)
//   v <- beta2 v + (1 - beta2) g^2
//   w <- w - (shrink w + (take g + go m) / (sqrt(v) unbias + eps))
//   shrink: lr weight_decay where it is decoupled, else 0
//   mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),   P_t = mu_1 .. mu_t
//   take = lr (1 - mu_t) / (1 - P_t),   go = lr mu_(t+1) / (1 - P_(t+1)),   unbias = 1 / sqrt(1 - beta2^t)
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.NAdam, single-tensor path, but for one rounding of w, as in adam.wgsl

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    take: f32,
    go: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    unbias: f32,
    eps: f32,
    decay: f32,
    shrink: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    let c = table[at + 2u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x);
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    m: vec4<f32>,
    v: vec4<f32>,
}

fn nadam_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], exp_avg[i], exp_avg_sq[i]); }

fn nadam_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let m = blend(old.m, g, row.one_minus_beta1);
    let v = row.beta2 * old.v + row.one_minus_beta2 * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    let d = sqrt(v) * row.unbias + row.eps;
    put(at, i, w - (row.shrink * w + (row.take * g + row.go * m) / d));
}

@compute @workgroup_size(LANES)
fn nadam_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
