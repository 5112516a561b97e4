// Adds the gradients of a micro-batch to those of its batch, weighted by its share of the samples:
//   total <- share g + (total, but for the first of a batch)
// and closes the micro-batch.
//
// shapes: grad and total [LENGTH] vec4; shares [micro-batches of the window, 2]: share, and 0 for the first, else 1
// grid:   one workgroup a block of 64 vec4s, folded from x into y

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> shares: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> total: array<vec4<f32>>;

override LENGTH: u32;

@compute @workgroup_size(64)
fn accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if (i >= LENGTH) { return; }
    let share = shares[state[1] - 1u];
    var sum = share.x * grad[i];
    if (share.y != 0.0) { sum += total[i]; }
    total[i] = sum;
    if (i == 0u) { state[0] = state[1]; }
}
