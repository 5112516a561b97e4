// Fold over some axes, an invocation for each part of an output element:
//   out[o PARTS + p] = epilogue(fold of value(o, r) over r in part p of [0, LENGTH)), o < OUTPUTS.
// With PARTS > 1 the partial results are folded by a second reduction, in order.
// Grid: one invocation an output, 64 a workgroup, folded into y. Four accumulators, joined in fixed order.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32; alias T7 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(4) var<storage, read> in4: array<T4>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<T6>;
@group(0) @binding(7) var<storage, read_write> out2: array<T7>; // a value on the way to out, where it is wanted too

override OUTPUTS: u32;
override LENGTH: u32;
override PARTS: u32 = 1u;
override CHUNK: u32; // elements a part
override COLUMNS: u32 = 0u;
override COLUMN: u32 = 0u;

//#import math
//#import random

//#slot fold
fn fold(a: f32, b: f32) -> f32 { return a + b; }
//#end

//#slot value
fn value(o: u32, r: u32) -> f32 { return in0[o * LENGTH + r]; }
//#end

//#slot epilogue
fn epilogue(acc: f32, i: u32) -> f32 { return acc; }
//#end

//#slot place
fn place(i: u32) -> u32 { return i; }
//#end

@compute @workgroup_size(64)
fn reduce_fold(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i >= OUTPUTS * PARTS) { return; }
    let o = i / PARTS;
    let start = (i % PARTS) * CHUNK;
    let n = min(LENGTH - start, CHUNK);
    var a0 = value(o, start);
    var acc = a0;
    if (n >= 4u) {
        var a1 = value(o, start + 1u);
        var a2 = value(o, start + 2u);
        var a3 = value(o, start + 3u);
        for (var r = 4u; r + 3u < n; r += 4u) {
            a0 = fold(a0, value(o, start + r));
            a1 = fold(a1, value(o, start + r + 1u));
            a2 = fold(a2, value(o, start + r + 2u));
            a3 = fold(a3, value(o, start + r + 3u));
        }
        acc = fold(fold(a0, a1), fold(a2, a3));
        for (var r = n & ~3u; r < n; r++) { acc = fold(acc, value(o, start + r)); }
    } else {
        for (var r = 1u; r < n; r++) { acc = fold(acc, value(o, start + r)); }
    }
    out[place(i)] = T6(epilogue(acc, i));
}
