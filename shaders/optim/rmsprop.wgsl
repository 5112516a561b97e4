// rmsprop: the gradient over the root of its running mean square.
//
//   g <- g + decay w
//   s <- alpha s + (1 - alpha) g^2
//   d <- sqrt(s unbias) + eps                      unbias: 1, or 1 / (1 - alpha^t) with bias_correction
//   centered:  m <- m + (1 - alpha) (g - m);   d <- sqrt(max(s - m^2, 0)) + eps
//   plain:     w <- w - lr g / d
//   momentum:  b <- momentum b + g / d;   w <- w - lr b
//
// shapes: every arena [LENGTH] vec4, padding included; table [steps of the window, 2]
// grid:   one invocation a vec4, workgroups folded from x into y
// source: torch.optim.RMSprop, single-tensor path, in its order of operations. Where rounding makes
//         s - m^2 negative torch's step is NaN; here the variance is 0. bias_correction is not torch's

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // [0] steps done, [1] step open, and the loss scale
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> square_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> momentum_buffer: array<vec4<f32>>;
// The centred entry points have the mean here, and the momentum after it.
@group(0) @binding(5) var<storage, read_write> grad_avg: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> centered_momentum_buffer: array<vec4<f32>>;

override LENGTH: u32;

//#import scaling

struct Row {
    lr: f32,
    alpha: f32,
    one_minus_alpha: f32,
    eps: f32,
    decay: f32,
    momentum: f32,
    unbias: f32,
}

fn open_row() -> Row {
    let at = 2u * step_row();
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z);
}

// The running mean square with g in it.
fn next_square(row: Row, i: u32, g: vec4<f32>) -> vec4<f32> {
    let s = row.alpha * square_avg[i] + row.one_minus_alpha * g * g;
    square_avg[i] = s;
    return s;
}

// torch.lerp, from the nearer end, so that a weight of 1 gives b to the bit.
fn blend(a: vec4<f32>, b: vec4<f32>, weight: f32) -> vec4<f32> {
    return select(b - (b - a) * (1.0 - weight), a + weight * (b - a), weight < 0.5);
}

// The running variance with g in it, never negative.
fn next_variance(row: Row, i: u32, g: vec4<f32>) -> vec4<f32> {
    let s = next_square(row, i, g);
    let m = blend(grad_avg[i], g, row.one_minus_alpha);
    grad_avg[i] = m;
    return max(s - m * m, vec4<f32>(0.0));
}

@compute @workgroup_size(64)
fn rmsprop_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    let d = sqrt(next_square(row, i, g) * row.unbias) + row.eps;
    param[i] = w - row.lr * g / d;
    if i == 0u {
        state[0] = state[1];
    }
}

@compute @workgroup_size(64)
fn rmsprop_momentum_update(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n: vec3<u32>,
) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    let d = sqrt(next_square(row, i, g) * row.unbias) + row.eps;
    let b = row.momentum * momentum_buffer[i] + g / d;
    momentum_buffer[i] = b;
    param[i] = w - row.lr * b;
    if i == 0u {
        state[0] = state[1];
    }
}

@compute @workgroup_size(64)
fn rmsprop_centered_update(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n: vec3<u32>,
) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    let d = sqrt(next_variance(row, i, g)) + row.eps;
    param[i] = w - row.lr * g / d;
    if i == 0u {
        state[0] = state[1];
    }
}

@compute @workgroup_size(64)
fn rmsprop_centered_momentum_update(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) n: vec3<u32>,
) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    let d = sqrt(next_variance(row, i, g)) + row.eps;
    let b = row.momentum * centered_momentum_buffer[i] + g / d;
    centered_momentum_buffer[i] = b;
    param[i] = w - row.lr * b;
    if i == 0u {
        state[0] = state[1];
    }
}
