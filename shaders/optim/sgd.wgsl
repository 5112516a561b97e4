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
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
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

@compute @workgroup_size(64)
fn sgd_update(
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
        let g = gradient(at, i) + row.decay * w;
        put(at, i, w - row.scale * g);
    }
}

@compute @workgroup_size(64)
fn sgd_momentum_update(
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
        let g = gradient(at, i) + row.decay * w;
        let b = row.keep * momentum_buffer[i] + row.take * g;
        momentum_buffer[i] = b;
        var direction = b;
        if NESTEROV {
            direction = g + row.momentum * b;
        }
        put(at, i, w - row.scale * direction);
    }
}
