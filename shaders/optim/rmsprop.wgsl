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
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
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
fn next_square(row: Row, i: u32, g: vec4<f32>) -> vec4<f32> {
    let s = row.alpha * square_avg[i] + row.one_minus_alpha * g * g;
    square_avg[i] = s;
    return s;
}

// The running variance with g in it, never negative.
fn next_variance(row: Row, i: u32, g: vec4<f32>) -> vec4<f32> {
    let s = next_square(row, i, g);
    let m = blend(grad_avg[i], g, row.one_minus_alpha);
    grad_avg[i] = m;
    return max(s - m * m, vec4<f32>(0.0));
}

@compute @workgroup_size(64)
fn rmsprop_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if step_skipped() { return; }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += 64u) {
        let w = param[i];
        let g = gradient(at, i) + row.decay * w;
        let d = sqrt(next_square(row, i, g) * row.unbias) + row.eps;
        put(at, i, w - row.lr * g / d);
    }
}

@compute @workgroup_size(64)
fn rmsprop_momentum_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if step_skipped() { return; }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += 64u) {
        let w = param[i];
        let g = gradient(at, i) + row.decay * w;
        let d = sqrt(next_square(row, i, g) * row.unbias) + row.eps;
        let b = row.momentum * momentum_buffer[i] + g / d;
        momentum_buffer[i] = b;
        put(at, i, w - row.lr * b);
    }
}

@compute @workgroup_size(64)
fn rmsprop_centered_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if step_skipped() { return; }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += 64u) {
        let w = param[i];
        let g = gradient(at, i) + row.decay * w;
        let d = sqrt(next_variance(row, i, g)) + row.eps;
        put(at, i, w - row.lr * g / d);
    }
}

@compute @workgroup_size(64)
fn rmsprop_centered_momentum_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if step_skipped() { return; }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += 64u) {
        let w = param[i];
        let g = gradient(at, i) + row.decay * w;
        let d = sqrt(next_variance(row, i, g)) + row.eps;
        let b = row.momentum * centered_momentum_buffer[i] + g / d;
        centered_momentum_buffer[i] = b;
        put(at, i, w - row.lr * b);
    }
}
