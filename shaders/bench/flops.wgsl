// flops: the highest arithmetic throughput of an adapter. Chains of x <- x scale + shift in registers, none waiting for another,
// without any memory between the first and the last.
//
//   12 chains (three vec4s), 8 links of each a turn: 192 operations an invocation and turn
//
// shapes: out [invocations]: the sum of its chains; seed [2]: scale and shift, unknown to the compiler, so that nothing
//         is computed ahead
// grid:   64 invocations a workgroup
// source: as the roofline toolkit's (Lo et al. 2014). More chains, or fewer, were slower on a software adapter

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read> seed: array<f32>;

override TURNS: u32; // under 20,000: software adapters cut long loops

@compute @workgroup_size(64)
fn flops_chain(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = seed[0];
    let b = seed[1];
    let first = vec4<f32>(f32(id.x & 15u) * 0.01);
    var p = first;
    var q = first + 0.1;
    var r = first + 0.2;
    for (var i = 0u; i < TURNS; i++) {
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
        p = p * a + b; q = q * a + b; r = r * a + b;
    }
    let sum = p + q + r;
    out[id.x] = (sum.x + sum.y) + (sum.z + sum.w);
}
