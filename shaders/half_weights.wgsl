// The weights as the kernels of a step read them: half[i] = param[i] rounded to f16, i < LENGTH vec4s.
// Grid: one invocation a vec4, 64 a workgroup, folded into y.
enable f16;

@group(0) @binding(0) var<storage, read> param: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> half: array<vec4<f16>>;

override LENGTH: u32;

@compute @workgroup_size(64)
fn half_weights(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < LENGTH) { half[i] = vec4<f16>(param[i]); }
}
