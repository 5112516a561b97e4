// Settles a step before its update: reads its gradients, and decides whether the update is skipped.
//
//   norm = |grad| / scale,   factor = min(1, max_norm / (norm + 1e-6)) / scale
//   the step is skipped where a gradient is infinite or no number
//
// gradients_norm         partial[p] = sum of squares of every PARTS-th block of 64 vec4s, and whether all are finite
// gradients_settle       adds the partial sums and settles the step
// gradients_norm_settle  both at once, by one workgroup: for arenas so small that a dispatch costs more
//
// Settling writes the words that shared/update.wgsl reads, closes the step, moves the loss scale where there is one
// (half of it after a skipped step, twice after GROWTH steps that were not), counts skipped steps, and writes
// scale, steps skipped before, a flag for this one, and norm to the ring of metrics.
//
// shapes: grad [LENGTH] vec4, partial [PARTS, 2], metrics [steps of the window, COLUMNS]
// grid:   PARTS workgroups, or one. The order of summation is fixed
// source: torch.nn.utils.clip_grad_norm_ and torch.amp.GradScaler, but for a scale that stays within [1, 2^24]

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> partial_in: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(1) var<storage, read_write> partial: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> metrics: array<f32>;

override LENGTH: u32 = 0u;
override PARTS: u32 = 1u;
override SCALED: bool = false;
override CLIPPED: bool = false;
override GROWTH: u32 = 2000u;
override COLUMNS: u32 = 1u;
override COLUMN: u32 = 0u;

//#import added

// The sum of squares of this invocation's part of the gradients; y is above 0 where one is not finite.
fn squares(block: u32, blocks: u32, lane: u32) -> vec2<f32> {
    let exponent = vec4<u32>(0x7f800000u);
    var sum = vec4<f32>(0.0);
    var bad = 0.0;
    for (var i = block * 64u + lane; i < LENGTH; i += blocks * 64u) {
        let g = grad[i];
        sum += g * g;
        if (any((bitcast<vec4<u32>>(g) & exponent) == exponent)) { bad = 1.0; }
    }
    return vec2<f32>((sum.x + sum.y) + (sum.z + sum.w), bad);
}

fn settle(sum: vec2<f32>) {
    var scale = 1.0;
    if (SCALED) { scale = f32(state[8]); }
    let norm = sqrt(sum.x) / scale;
    let skipped = state[10];
    let bad = sum.y != 0.0;
    let at = (state[1] - 1u) * COLUMNS + COLUMN;
    metrics[at] = scale;
    metrics[at + 1u] = f32(skipped);
    metrics[at + 2u] = select(0.0, 1.0, bad);
    metrics[at + 3u] = norm;
    var factor = 1.0 / scale;
    if (CLIPPED) { factor *= min(1.0, bitcast<f32>(state[14]) / (norm + 1e-6)); }
    state[11] = select(0u, 1u, bad);
    state[12] = bitcast<u32>(factor);
    state[13] = state[7] + state[6] - skipped;
    state[7] += 1u;
    state[10] = skipped + select(0u, 1u, bad);
    state[0] = state[1];
    if (SCALED) {
        if (bad) {
            state[8] = max(state[8] / 2u, 1u);
            state[9] = 0u;
        } else {
            state[9] += 1u;
            if (state[9] == GROWTH) {
                state[8] = min(state[8] * 2u, 16777216u);
                state[9] = 0u;
            }
        }
    }
}

@compute @workgroup_size(64)
fn gradients_norm(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sum = added(lane, squares(group.x, PARTS, lane));
    if (lane == 0u) { partial[group.x] = sum; }
}

@compute @workgroup_size(64)
fn gradients_settle(@builtin(local_invocation_index) lane: u32) {
    var own = vec2<f32>(0.0);
    for (var p = lane; p < PARTS; p += 64u) { own += partial_in[p]; }
    let sum = added(lane, own);
    if (lane == 0u) { settle(sum); }
}

@compute @workgroup_size(64)
fn gradients_norm_settle(@builtin(local_invocation_index) lane: u32) {
    let sum = added(lane, squares(0u, 1u, lane));
    if (lane == 0u) { settle(sum); }
}
