// sgd: stochastic gradient descent, plain, with momentum and with Nesterov's look-ahead.
//
//   g <- g + decay w
//   sgd_update            w <- w - scale g
//   sgd_momentum_update   b <- keep b + take g;   w <- w - scale b   (NESTEROV: w - scale (g + momentum b))
//
// The row of the step makes torch's momentum, its first step, "velocity" and "average" one kernel:
// src/optim/sgd.rs says which numbers stand for which.
//
// shapes: every arena [LENGTH] vec4, padding included; table [steps of the window, 2]
// grid:   one invocation a vec4, workgroups folded from x into y
// source: torch.optim.SGD, single-tensor path, in its order of operations

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // [0] steps done, [1] step open, and the loss scale
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<vec4<f32>>;

override LENGTH: u32;

//#import scaling
override NESTEROV: bool = false;

struct Row {
    scale: f32,
    keep: f32,
    take: f32,
    decay: f32,
    momentum: f32,
}

fn open_row() -> Row {
    let at = 2u * step_row();
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x);
}

@compute @workgroup_size(64)
fn sgd_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    param[i] = w - row.scale * g;
    if i == 0u {
        state[0] = state[1];
    }
}

@compute @workgroup_size(64)
fn sgd_momentum_update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) n: vec3<u32>) {
    let i = id.y * (n.x * 64u) + id.x;
    if i >= LENGTH || step_skipped() {
        return;
    }
    let row = open_row();
    let w = param[i];
    let g = gradient(i) + row.decay * w;
    let b = row.keep * momentum_buffer[i] + row.take * g;
    momentum_buffer[i] = b;
    var direction = b;
    if NESTEROV {
        direction = g + row.momentum * b;
    }
    param[i] = w - row.scale * direction;
    if i == 0u {
        state[0] = state[1];
    }
}
