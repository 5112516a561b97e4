// lion: the sign of a blend of momentum and gradient.
//
//   w <- w - (shrink w + lr sign(beta1 m + (1 - beta1) g)),   shrink = lr weight_decay
//   m <- beta2 m + (1 - beta2) g
//
// The sign of NaN is NaN here, so that a gradient of NaN is seen in the loss; WGSL leaves it open.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
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

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    m: vec4<f32>,
}

fn lion_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], exp_avg[i]); }

fn lion_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g);
    let m = old.m;
    let c = row.beta1 * m + row.one_minus_beta1 * g;
    exp_avg[i] = row.beta2 * m + row.one_minus_beta2 * g;
    let direction = select(sign(c), c, not_numbers(c));
    put(at, i, w - (row.shrink * w + row.lr * direction));
}

@compute @workgroup_size(LANES)
fn lion_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
