// adadelta: steps as large as the steps of late, by the gradient over its root mean square.
//
//   g <- g + decay w
//   s <- rho s + (1 - rho) g^2
//   delta <- sqrt(a + eps) / sqrt(s + eps) g
//   a <- rho a + (1 - rho) delta^2
//   w <- w - lr delta
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   one workgroup a block of 64 EACH vec4s, folded from x into y
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

@compute @workgroup_size(64)
fn adadelta_update(
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
        let s = row.rho * square_avg[i] + row.one_minus_rho * g * g;
        let a = acc_delta[i];
        let delta = sqrt(a + row.eps) / sqrt(s + row.eps) * g;
        square_avg[i] = s;
        acc_delta[i] = row.rho * a + row.one_minus_rho * delta * delta;
        put(at, i, w - row.lr * delta);
    }
}
