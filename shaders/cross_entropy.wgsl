// Softmax cross-entropy of each row, its gradient, or both in one pass over the logits [ROWS, CLASSES]:
//   loss = (1 - s) (log Z - y_t) + s (log Z - mean y), y = x - max x, Z = sum exp y; 0 where the target is ignored
//   dx   = upstream (exp y / Z - s / CLASSES), and of the target upstream (s - s / CLASSES - others / Z)
// The largest logit and log Z are never added: a shift of all logits changes nothing. others is Z without the target, so
// that a row of dx adds up to 0 to a rounding of its own size, not of 1. Probabilities are never stored. Loops run over
// addresses, not classes: drivers unroll loops with a known count, which takes them long.
// Grid: one invocation a row, 64 a workgroup, folded into y.
// Source: torch.nn.functional.cross_entropy.

//#slot types
alias T0 = f32; alias T1 = f32; alias T2 = f32; alias T3 = f32; alias T4 = f32;
alias T6 = f32; alias T7 = f32; alias T8 = f32;
//#end
@group(0) @binding(0) var<storage, read> in0: array<T0>;
@group(0) @binding(1) var<storage, read> in1: array<T1>;
@group(0) @binding(2) var<storage, read> in2: array<T2>;
@group(0) @binding(3) var<storage, read> in3: array<T3>;
@group(0) @binding(6) var<storage, read_write> loss: array<T6>;   // [ROWS]
@group(0) @binding(7) var<storage, read_write> dlogits: array<T7>; // [ROWS, CLASSES]
@group(0) @binding(8) var<storage, read> logits: array<T8>;      // [ROWS, CLASSES]
@group(0) @binding(9) var<storage, read> targets: array<i32>;     // [ROWS]

override ROWS: u32;
override CLASSES: u32;
override SMOOTHING_BITS: u32 = 0u;
override HAS_IGNORE: bool = false;
override IGNORE_BITS: u32 = 0u;

//#import math
//#import random

//#slot upstream
fn upstream(i: u32) -> f32 { return 1.0; }
//#end

// sum is Z.
struct Row { index: u32, kept: bool, target_class: u32, largest: f32, sum: f32, others: f32 }

fn open_row(row: u32) -> Row {
    let t = targets[row];
    let kept = !(HAS_IGNORE && t == bitcast<i32>(IGNORE_BITS));
    let target_class = u32(clamp(t, 0, i32(CLASSES) - 1));
    let base = row * CLASSES;
    let hit = base + target_class;
    var largest = f32(logits[base]);
    for (var i = base + 1u; i < base + CLASSES; i++) { largest = maximum(largest, f32(logits[i])); }
    var others = 0.0;
    for (var i = base; i < base + CLASSES; i++) {
        others += select(exp_(f32(logits[i]) - largest), 0.0, i == hit);
    }
    return Row(row, kept, target_class, largest, others + exp_(f32(logits[hit]) - largest), others);
}

fn write_loss(row: Row) {
    let s = bitcast<f32>(SMOOTHING_BITS);
    let base = row.index * CLASSES;
    let log_sum = log_(row.sum);
    var value = log_sum - (f32(logits[base + row.target_class]) - row.largest);
    if (SMOOTHING_BITS != 0u) {
        var mean = 0.0;
        for (var i = base; i < base + CLASSES; i++) { mean += f32(logits[i]) - row.largest; }
        value = (1.0 - s) * value + s * (log_sum - mean / f32(CLASSES));
    }
    loss[row.index] = T6(select(0.0, value, row.kept));
}

fn write_gradient(row: Row) {
    let s = bitcast<f32>(SMOOTHING_BITS);
    let base = row.index * CLASSES;
    let up = select(0.0, upstream(row.index), row.kept);
    let by = 1.0 / row.sum;
    for (var i = base; i < base + CLASSES; i++) {
        var d = exp_(f32(logits[i]) - row.largest) * by - s / f32(CLASSES);
        if (i == base + row.target_class) { d = s - s / f32(CLASSES) - row.others * by; }
        dlogits[i] = T7(select(0.0, up * d, row.kept));
    }
}

@compute @workgroup_size(64)
fn cross_entropy_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < ROWS) { write_loss(open_row(i)); }
}

@compute @workgroup_size(64)
fn cross_entropy_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < ROWS) { write_gradient(open_row(i)); }
}

@compute @workgroup_size(64)
fn cross_entropy_both(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.y * (groups.x * 64u) + id.x;
    if (i < ROWS) {
        let row = open_row(i);
        write_loss(row);
        write_gradient(row);
    }
}
