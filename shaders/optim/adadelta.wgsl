// adadelta: steps as large as the steps of late, by the gradient over its root mean square.
//
//   g <- g + decay w
//   s <- rho s + (1 - rho) g^2
//   delta <- sqrt(a + eps) / sqrt(s + eps) g
//   a <- rho a + (1 - rho) delta^2
//   w <- w - lr delta
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.Adadelta, single-tensor path, in its order of operations

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> square_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> acc_delta: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    lr: f32,
    rho: f32,
    one_minus_rho: f32,
    eps: f32,
    decay: f32,
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
    s: vec4<f32>,
    a: vec4<f32>,
}

fn adadelta_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], square_avg[i], acc_delta[i]); }

fn adadelta_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let s = row.rho * old.s + row.one_minus_rho * g * g;
    let a = old.a;
    let delta = sqrt(a + row.eps) / sqrt(s + row.eps) * g;
    square_avg[i] = s;
    acc_delta[i] = row.rho * a + row.one_minus_rho * delta * delta;
    put(at, i, w - row.lr * delta);
}

@compute @workgroup_size(LANES)
fn adadelta_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
