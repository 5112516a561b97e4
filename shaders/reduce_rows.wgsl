// Fold over some axes, a workgroup for each output element: for GPUs, where outputs are few and rows long.
//   out[o PARTS + p] = epilogue(fold of value(o, r) over r in part p of [0, LENGTH)), o < OUTPUTS.
// Grid: one workgroup of 64 an output, folded into y. Each invocation strides by 64; then a fixed tree.

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
override CHUNK: u32;
override COLUMNS: u32 = 0u;
override COLUMN: u32 = 0u;

var<workgroup> partial: array<f32, 64>;

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
fn reduce_rows_fold(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = group.y * groups.x + group.x;
    let inside = i < OUTPUTS * PARTS;
    let o = min(i / PARTS, OUTPUTS - 1u);
    let start = (i % PARTS) * CHUNK;
    let n = min(LENGTH - start, CHUNK);
    var acc = 0.0;
    if (lane < n) { acc = value(o, start + lane); }
    for (var r = lane + 64u; r < n; r += 64u) { acc = fold(acc, value(o, start + r)); }
    partial[lane] = acc;
    // Entries past n hold nothing: the tree folds only pairs whose right half is inside.
    for (var half = 32u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if (lane < half && lane + half < n) {
            partial[lane] = fold(partial[lane], partial[lane + half]);
        }
    }
    if (lane == 0u && inside) { out[place(i)] = T6(epilogue(partial[0], i)); }
}
