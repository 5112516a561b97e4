// The weights as the kernels of a step read them: half[i] = param[i] rounded to f16, i < LENGTH vec4s.
//
// half_weights             to the nearest
// half_weights_stochastic  to one of both neighbours, up in size with the probability of the part below: right on average
//
// A number of 11 bits and fewer stays as it is. What is past 65504, the largest f16, and no numbers go to the nearest.
//
// grid:   one invocation a vec4, 64 a workgroup, folded into y
// source: Gupta et al. 2015, "Deep Learning with Limited Numerical Precision"
enable f16;

@group(0) @binding(0) var<storage, read> param: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> half: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> state: array<u32>; // the words of Clock

override LENGTH: u32;

//#import random

@compute @workgroup_size(64)
fn half_weights(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < LENGTH) { half[i] = vec4<f16>(param[i]); }
}

// A stream that no layer draws from.
const STREAM: u32 = 0xffffffffu;

@compute @workgroup_size(64)
fn half_weights_stochastic(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i >= LENGTH) { return; }
    let w = param[i];
    let drawn = pcg4d(vec4<u32>(i, state[2] + state[1], state[3], state[4] ^ (STREAM * 2654435769u)));
    let bits = bitcast<vec4<u32>>(w);
    let size = bits & vec4<u32>(0x7fffffffu);
    // 13 bits of the fraction go: what is drawn carries into those that stay as often as they say.
    var rounded = bitcast<vec4<f32>>((bits + (drawn >> vec4<u32>(19u))) & vec4<u32>(0xffffe000u));
    // Below 2^-14 neighbours are 2^-24 apart.
    let parts = bitcast<vec4<f32>>(size) * 16777216.0;
    let low = floor(parts);
    let up = vec4<f32>(drawn >> vec4<u32>(8u)) * 5.9604645e-8 < parts - low;
    let least = select(low, low + 1.0, up) * 5.9604645e-8;
    rounded = select(rounded, select(least, -least, bits != size), size < vec4<u32>(0x38800000u));
    half[i] = vec4<f16>(select(rounded, w, size > vec4<u32>(0x477fe000u)));
}
