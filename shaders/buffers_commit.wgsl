// Ends a step for the running buffers: current[i] = next[i], i < LENGTH vec4s.
// Grid: one invocation a vec4, 64 a workgroup, folded into y.

@group(0) @binding(0) var<storage, read> next: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> current: array<vec4<f32>>;

override LENGTH: u32;

@compute @workgroup_size(64)
fn buffers_commit(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < LENGTH) { current[i] = next[i]; }
}
