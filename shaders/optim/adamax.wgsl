// adamax: Adam with the largest gradient of late in place of their root mean square.
//
//   g <- g + decay w
//   m <- m + (1 - beta1) (g - m)
//   u <- max(beta2 u, |g| + eps)
//   w <- w - step_size m / u,   step_size = lr / (1 - beta1^t)
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
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

@compute @workgroup_size(64)
fn adamax_update(
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
        let m = blend(exp_avg[i], g, row.one_minus_beta1);
        let u = max(row.beta2 * exp_inf[i], abs(g) + row.eps);
        exp_avg[i] = m;
        exp_inf[i] = u;
        put(at, i, w - row.step_size * m / u);
    }
}
