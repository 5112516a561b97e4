// Says whether the step may be taken: state[11] becomes 1 where a gradient is infinite or no number, grad[i],
// i < LENGTH vec4s. Every invocation that writes writes the same, so the order is of no matter.
// Grid: one invocation a vec4, 64 a workgroup, folded into y.

@group(0) @binding(0) var<storage, read> grad: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> state: array<atomic<u32>>;

override LENGTH: u32;

@compute @workgroup_size(64)
fn gradients_check(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i >= LENGTH) { return; }
    let exponent = vec4<u32>(0x7f800000u);
    if (any((grad[i] & exponent) == exponent)) { atomicStore(&state[11], 1u); }
}
