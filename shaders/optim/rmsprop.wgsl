// rmsprop: the gradient over the root of its running mean square.
//
//   g <- g + decay w
//   s <- alpha s + (1 - alpha) g^2
//   d <- sqrt(s unbias) + eps                      unbias: 1, or 1 / (1 - alpha^t) with bias_correction
//   centered:  m <- m + (1 - alpha) (g - m);   d <- sqrt(max(s - m^2, 0)) + eps
//   plain:     w <- w - lr g / d
//   momentum:  b <- momentum b + g / d;   w <- w - lr b
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.RMSprop, single-tensor path, in its order of operations. Where rounding makes
//         s - m^2 negative torch's step is NaN; here the variance is 0. bias_correction is not torch's

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> square_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
// The centred entry points have the mean here, and the momentum after it.
@group(0) @binding(5) var<storage, read_write> grad_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> centered_momentum_buffer: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    lr: f32,
    alpha: f32,
    one_minus_alpha: f32,
    eps: f32,
    decay: f32,
    momentum: f32,
    unbias: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z);
}

// The running mean square with g in it.
fn next_square(row: Row, i: u32, old: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let s = row.alpha * old + row.one_minus_alpha * g * g;
    square_avg[i] = s;
    return s;
}

// The running variance with g in it, never negative.
fn next_variance(row: Row, i: u32, old: vec4<f32>, mean: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    let s = next_square(row, i, old, g);
    let m = blend(mean, g, row.one_minus_alpha);
    grad_avg[i] = m;
    return max(s - m * m, vec4<f32>(0.0));
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    s: vec4<f32>,
}

fn rmsprop_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], square_avg[i]); }

fn rmsprop_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let d = sqrt(next_square(row, i, old.s, g) * row.unbias) + row.eps;
    put(at, i, w - row.lr * g / d);
}

@compute @workgroup_size(LANES)
fn rmsprop_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// The same with momentum.
struct MomentumOld {
    g: vec4<f32>,
    w: vec4<f32>,
    s: vec4<f32>,
    b: vec4<f32>,
}

fn rmsprop_momentum_old(i: u32) -> MomentumOld {
    return MomentumOld(raw_gradient(i), param[i], square_avg[i], momentum_buffer[i]);
}

fn rmsprop_momentum_step(at: u32, row: Row, i: u32, old: MomentumOld) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let d = sqrt(next_square(row, i, old.s, g) * row.unbias) + row.eps;
    let b = row.momentum * old.b + g / d;
    momentum_buffer[i] = b;
    put(at, i, w - row.lr * b);
}

@compute @workgroup_size(LANES)
fn rmsprop_momentum_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// The same with the mean.
struct CenteredOld {
    g: vec4<f32>,
    w: vec4<f32>,
    s: vec4<f32>,
    m: vec4<f32>,
}

fn rmsprop_centered_old(i: u32) -> CenteredOld {
    return CenteredOld(raw_gradient(i), param[i], square_avg[i], grad_avg[i]);
}

fn rmsprop_centered_step(at: u32, row: Row, i: u32, old: CenteredOld) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let d = sqrt(next_variance(row, i, old.s, old.m, g)) + row.eps;
    put(at, i, w - row.lr * g / d);
}

@compute @workgroup_size(LANES)
fn rmsprop_centered_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// The same with both.
struct CenteredMomentumOld {
    g: vec4<f32>,
    w: vec4<f32>,
    s: vec4<f32>,
    m: vec4<f32>,
    b: vec4<f32>,
}

fn rmsprop_centered_momentum_old(i: u32) -> CenteredMomentumOld {
    return CenteredMomentumOld(raw_gradient(i), param[i], square_avg[i], grad_avg[i], centered_momentum_buffer[i]);
}

fn rmsprop_centered_momentum_step(at: u32, row: Row, i: u32, old: CenteredMomentumOld) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let d = sqrt(next_variance(row, i, old.s, old.m, g)) + row.eps;
    let b = row.momentum * old.b + g / d;
    centered_momentum_buffer[i] = b;
    put(at, i, w - row.lr * b);
}

@compute @workgroup_size(LANES)
fn rmsprop_centered_momentum_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
