// lion: the sign of a blend of momentum and gradient.
//
//   w <- w - (shrink w + lr sign(beta1 m + (1 - beta1) g)),   shrink = lr weight_decay
//   m <- beta2 m + (1 - beta2) g
//
// The sign of NaN is NaN here, so that a gradient of NaN is seen in the loss; WGSL leaves it open.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
// source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", program 1

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    lr: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    shrink: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y);
}

@compute @workgroup_size(64)
fn lion_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    if step_skipped() { return; }
    let at = row_at(block);
    let row = open_row(at);
    close(block, lane);
    for (var i = first_of(block, lane); i < end_of(block); i += 64u) {
        let w = param[i];
        let g = gradient(at, i);
        let m = exp_avg[i];
        let c = row.beta1 * m + row.one_minus_beta1 * g;
        exp_avg[i] = row.beta2 * m + row.one_minus_beta2 * g;
        let direction = select(sign(c), c, not_numbers(c));
        put(at, i, w - (row.shrink * w + row.lr * direction));
    }
}
