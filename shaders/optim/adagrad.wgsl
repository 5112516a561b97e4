// adagrad: the gradient over the root of the sum of all squares so far.
//
//   g <- g + decay w
//   s <- s + g^2                                   at the first step from first, else first is 0
//   w <- w - step_size g / (sqrt(s) + eps),   step_size = lr / (1 + (t - 1) lr_decay)
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: torch.optim.Adagrad, single-tensor path, in its order of operations

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> sum: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    step_size: f32,
    eps: f32,
    decay: f32,
    first: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    return Row(a.x, a.y, a.z, a.w);
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    s: vec4<f32>,
}

fn adagrad_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], sum[i]); }

fn adagrad_step(at: u32, row: Row, i: u32, old: Old) {
    let w = old.w;
    let g = clipped(at, old.g) + row.decay * w;
    let s = old.s + row.first + g * g;
    sum[i] = s;
    put(at, i, w - row.step_size * g / (sqrt(s) + row.eps));
}

@compute @workgroup_size(LANES)
fn adagrad_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}
