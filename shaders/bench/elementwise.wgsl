// elementwise: one op of a tensor library, over whole arrays. An update made of these is the unfused one.
//
//   x is what the op changes, a and b what it reads besides, s its number. OP says which:
//    0 x s          1 x + s        2 x + s (a - x)    3 x + s a      4 x + s a b    5 x + s a / b
//    6 sqrt(x)      7 x a          8 x / a            9 max(x, a)   10 abs(a)      11 sign(x)
//   12 s / x       13 a + s b     14 sqrt(a)         15 a + s       16 a s         17 a + s (b - a)
//   18 a / b       19 x / s       20 max(x, s)       21 1 / sqrt(x)   22 x x
//
// shapes: x, a, b [length of x's binding] vec4; s [1]. What an op does not read is bound to something else of any size
// grid:   one invocation a vec4, workgroups folded from x into y
// source: the in-place ops of torch's single-tensor optimizers: mul_, add_, lerp_, addcmul_, addcdiv_, ...

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> s: array<f32>;

override OP: u32;

@compute @workgroup_size(64)
fn elementwise_op(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= arrayLength(&x) {
        return;
    }
    if OP == 0u { x[i] *= s[0]; }
    if OP == 1u { x[i] += s[0]; }
    if OP == 2u { let was = x[i]; x[i] = was + s[0] * (a[i] - was); }
    if OP == 3u { x[i] += s[0] * a[i]; }
    if OP == 4u { x[i] += s[0] * a[i] * b[i]; }
    if OP == 5u { x[i] += s[0] * a[i] / b[i]; }
    if OP == 6u { x[i] = sqrt(x[i]); }
    if OP == 7u { x[i] *= a[i]; }
    if OP == 8u { x[i] /= a[i]; }
    if OP == 9u { x[i] = max(x[i], a[i]); }
    if OP == 10u { x[i] = abs(a[i]); }
    if OP == 11u { x[i] = sign(x[i]); }
    if OP == 12u { x[i] = s[0] / x[i]; }
    if OP == 13u { x[i] = a[i] + s[0] * b[i]; }
    if OP == 14u { x[i] = sqrt(a[i]); }
    if OP == 15u { x[i] = a[i] + s[0]; }
    if OP == 16u { x[i] = a[i] * s[0]; }
    if OP == 17u { x[i] = a[i] + s[0] * (b[i] - a[i]); }
    if OP == 18u { x[i] = a[i] / b[i]; }
    if OP == 19u { x[i] /= s[0]; }
    if OP == 20u { x[i] = max(x[i], vec4<f32>(s[0])); }
    if OP == 21u { x[i] = inverseSqrt(x[i]); }
    if OP == 22u { x[i] *= x[i]; }
}
