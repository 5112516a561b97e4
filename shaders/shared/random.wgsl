// Random numbers from counters alone: nothing is stored, and any element can be drawn again.
// pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020.
fn pcg4d(seed: vec4<u32>) -> vec4<u32> {
    var v = seed * 1664525u + 1013904223u;
    v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
    v = v ^ (v >> vec4<u32>(16u));
    v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
    return v;
}
// Uniform in [0, 1), a multiple of 2^-24.
fn uniform_(index: u32, stream: u32, step: u32, seed_low: u32, seed_high: u32) -> f32 {
    let v = pcg4d(vec4<u32>(index, step, seed_low, seed_high ^ (stream * 2654435769u)));
    return f32(v.x >> 8u) * 5.9604645e-8;
}
