// The gradients of a whole net in memory, where statistics of them are taken: the sums over samples that the update computes
// for itself (kernel/mlp/update.rs), in the same order.
// Shapes: grad [numbers / 4], the values of the step; gradients [LENGTH], laid out as the parameters.
// Grid: one invocation a vec4, 64 a workgroup, folded into y.

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> state: array<u32>;

override LENGTH: u32;

//#slot raw_gradient
fn raw_gradient(i: u32) -> vec4<f32> { return grad[i] + f32(state[1] - state[1]); }
//#end

@compute @workgroup_size(64)
fn mlp_gradients(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < LENGTH) { gradients[i] = raw_gradient(i); }
}
