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
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
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
fn moved_moments(row: Row, i: u32, old: Moments, g: vec4<f32>) -> Moments {
    let next = next_moments(row, old, g);
    exp_avg[i] = next.m;
    exp_avg_sq[i] = next.v;
    return next;
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    moments: Moments,
}

// The same with the peak of v.
struct AmsgradOld {
    g: vec4<f32>,
    w: vec4<f32>,
    moments: Moments,
    peak: vec4<f32>,
}

fn adam_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], Moments(exp_avg[i], exp_avg_sq[i])); }

fn adam_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let next = moved_moments(row, i, old.moments, clipped(at, old.g) + row.decay * w);
    put(at, i, next_weight(row, w, next.m, next.v));
}

@compute @workgroup_size(LANES)
fn adam_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

fn adam_amsgrad_old(i: u32) -> AmsgradOld {
    return AmsgradOld(raw_gradient(i), param[i], Moments(exp_avg[i], exp_avg_sq[i]), max_exp_avg_sq[i]);
}

fn adam_amsgrad_step(at: u32, row: Row, i: u32, old: AmsgradOld) {
    let w = old.w;
    let next = moved_moments(row, i, old.moments, clipped(at, old.g) + row.decay * w);
    let peak = max(old.peak, next.v);
    max_exp_avg_sq[i] = peak;
    put(at, i, next_weight(row, w, next.m, peak));
}

@compute @workgroup_size(LANES)
fn adam_amsgrad_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
