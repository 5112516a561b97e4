// A perceptron's step but for its gradients of weights, in one dispatch: a workgroup takes ROWS samples, gathers them,
// computes every layer, the loss and the gradient of every layer's output, and leaves all of them in `values` for
// mlp_update. Rows depend on no other rows, so a barrier of the workgroup stands where kernels would begin and end.
// Grid: one workgroup of 256 for ROWS samples.
// The stages are printed: products over slabs of K in workgroup memory, chains, cross-entropy (kernel/mlp/rows.rs).
// The text of this example: values[row] = 2 values[row].

//#import unpack
//#slot bindings
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
//#end

const ROWS = 8u;
override BATCH: u32;

//#import math
//#import random

var<workgroup> slab: array<vec4<f32>, 648>;  // of weights, [columns, K] with a vec4 of padding a column
var<workgroup> rows: array<vec4<f32>, 128>;  // of inputs, [ROWS, K]
var<workgroup> tree: array<f32, 256>;

//#slot stages
fn stages(row0: u32, lane: u32) {
    if (lane < ROWS && row0 + lane < BATCH) { values[row0 + lane] = 2.0 * values[row0 + lane]; }
}
//#end

@compute @workgroup_size(256)
fn mlp_rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    stages(group.x * ROWS, lane);
}
