// adamax: Adam with the largest gradient of late in place of their root mean square.
//
//   g <- g + decay w
//   m <- m + (1 - beta1) (g - m)
//   u <- max(beta2 u, |g| + eps)
//   w <- w - step_size m / u,   step_size = lr / (1 - beta1^t)
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.Adamax, single-tensor path, in its order of operations

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> exp_avg: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_inf: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    step_size: f32,
    one_minus_beta1: f32,
    beta2: f32,
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
    m: vec4<f32>,
    u: vec4<f32>,
}

fn adamax_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], exp_avg[i], exp_inf[i]); }

fn adamax_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let m = blend(old.m, g, row.one_minus_beta1);
    let u = max(row.beta2 * old.u, abs(g) + row.eps);
    exp_avg[i] = m;
    exp_inf[i] = u;
    put(at, i, w - row.step_size * m / u);
}

@compute @workgroup_size(LANES)
fn adamax_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
