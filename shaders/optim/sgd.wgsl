// sgd: stochastic gradient descent, plain, with momentum and with Nesterov's look-ahead.
//
//   g <- g + decay w
//   sgd_update            w <- w - scale g
//   sgd_momentum_update   b <- keep b + take g;   w <- w - scale b   (NESTEROV: w - scale (g + momentum b))
//
// The row of the step makes torch's momentum, its first step, "velocity" and "average" one kernel:
// src/optim/sgd.rs says which numbers stand for which.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.SGD, single-tensor path, in its order of operations

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<vec4<f32>>;

override LENGTH: u32;

//#import update
override NESTEROV: bool = false;

struct Row {
    scale: f32,
    keep: f32,
    take: f32,
    decay: f32,
    momentum: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x);
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
}

fn sgd_old(i: u32) -> Old { return Old(raw_gradient(i), param[i]); }

fn sgd_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    put(at, i, w - row.scale * g);
}

@compute @workgroup_size(LANES)
fn sgd_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// The same with momentum.
struct MomentumOld {
    g: vec4<f32>,
    w: vec4<f32>,
    b: vec4<f32>,
}

fn sgd_momentum_old(i: u32) -> MomentumOld {
    return MomentumOld(raw_gradient(i), param[i], momentum_buffer[i]);
}

fn sgd_momentum_step(at: u32, row: Row, i: u32, old: MomentumOld) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let b = row.keep * old.b + row.take * g;
    momentum_buffer[i] = b;
    var direction = b;
    if NESTEROV {
        direction = g + row.momentum * b;
    }
    put(at, i, w - row.scale * direction);
}

@compute @workgroup_size(LANES)
fn sgd_momentum_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
