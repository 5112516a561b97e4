// adam: Adam, and AdamW where the decay is decoupled; with AMSGrad.
//
//   g <- g + decay w                               decay: weight_decay (Adam), else 0
//   m <- m + (1 - beta1) (g - m)
//   v <- beta2 v + (1 - beta2) g^2                 amsgrad: peak <- max(peak, v), in place of v from here on
//   w <- w - (shrink w + step_size m / (sqrt(v) unbias + eps))
//   shrink: lr weight_decay (AdamW), else 0
//   step_size = lr / (1 - beta1^t),   unbias = 1 / sqrt(1 - beta2^t)
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
// source: torch.optim.Adam and AdamW, single-tensor path, in its order of operations but for the decoupled
//         decay: torch first multiplies w by 1 - lr weight_decay, whose own rounding biases w by up to 3e-8
//         of itself a step; here decay and step are subtracted as one number, with one rounding of w

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> max_exp_avg_sq: array<vec4<f32>>;

override LENGTH: u32;

//#import update
//#import adam

// Both moments with the gradient in them.
fn moved_moments(row: Row, i: u32, g: vec4<f32>) -> Moments {
    let next = next_moments(row, Moments(exp_avg[i], exp_avg_sq[i]), g);
    exp_avg[i] = next.m;
    exp_avg_sq[i] = next.v;
    return next;
}

@compute @workgroup_size(64)
fn adam_update(
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
        let next = moved_moments(row, i, gradient(at, i) + row.decay * w);
        put(at, i, next_weight(row, w, next.m, next.v));
    }
}

@compute @workgroup_size(64)
fn adam_amsgrad_update(
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
        let next = moved_moments(row, i, gradient(at, i) + row.decay * w);
        let peak = max(max_exp_avg_sq[i], next.v);
        max_exp_avg_sq[i] = peak;
        put(at, i, next_weight(row, w, next.m, peak));
    }
}
