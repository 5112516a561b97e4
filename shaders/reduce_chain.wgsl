// Reductions over the same axes whose values may depend on each other, and what is computed from them, in one kernel: a
// normalisation, a softmax, the gradient of either. With o < OUTPUTS over the axes that stay and r < LENGTH over the others:
//   s_j = fold_j over r of value_j(o, r, s_0 .. s_{j-1}),   out_k[o, r] = f_k(o, r, s)
// Reductions that do not wait for each other share a pass over r. Values of a row, such as a mean or 1 / sqrt(var), are
// computed once for it.
// Grid: one workgroup of WIDTH a row, folded into y. Each invocation strides by WIDTH; then a fixed tree.
// The text of this example: out[o, r] = in[o, r] - sum over r of in[o, r].

//#slot bindings
@group(0) @binding(0) var<storage, read> in0: array<f32>;
@group(0) @binding(1) var<storage, read_write> out0: array<f32>;
//#end

override OUTPUTS: u32;
override LENGTH: u32;
override WIDTH: u32 = 64u;

//#import math
//#import random

//#slot values
var<private> s0: f32;
var<workgroup> tree0: array<f32, WIDTH>;
fn value0(o: u32, r: u32) -> f32 { return in0[o * LENGTH + r]; }
fn fold0(a: f32, b: f32) -> f32 { return a + b; }
fn write0(o: u32, r: u32) { out0[o * LENGTH + r] = in0[o * LENGTH + r] - s0; }
//#end

@compute @workgroup_size(WIDTH)
fn reduce_chain_fold(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    let inside = row < OUTPUTS;
    let o = min(row, OUTPUTS - 1u);
    //#slot levels
    var a0 = 0.0;
    for (var r = lane; r < LENGTH; r += WIDTH) { a0 = fold0(a0, value0(o, r)); }
    tree0[lane] = a0;
    for (var half = WIDTH / 2u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if (lane < half) { tree0[lane] = fold0(tree0[lane], tree0[lane + half]); }
    }
    workgroupBarrier();
    s0 = tree0[0];
    //#end
    if (!inside) { return; }
    //#slot writes
    for (var r = lane; r < LENGTH; r += WIDTH) { write0(o, r); }
    //#end
}
