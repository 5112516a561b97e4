// schedule_free: AdamW and SGD on a sequence z whose running mean x is the result; gradients are taken at y between
// them, which is what the parameters hold.
//
//   adamw:  v <- beta2 v + (1 - beta2) g^2;   d <- g / (sqrt(v) unbias + eps) + decay y
//   sgd:    d <- g + decay y
//   y <- y + take (z - y) - back d                 take = c_t = weight_t / sum of the weights up to t
//   z <- z - step d                                step = lr at warm-up's share, back = step (1 - beta (1 - c_t))
//   schedule_free_average: averaged = x = y + X_WEIGHT (z - y), X_WEIGHT = 1 - 1 / beta
//
// beta: beta1 or momentum. z starts at the weights.
//
// shapes: every arena [LENGTH] vec4, padding included; table: rows of shared/update.wgsl
// grid:   shared/pass_blocks.wgsl, or shared/pass_ahead.wgsl
// source: Defazio et al. 2024, "The Road Less Scheduled", and their package schedulefree 1.4.1

@group(0) @binding(0) var<storage, read> grad: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // the words of Clock
@group(0) @binding(3) var<storage, read_write> param: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<vec4<f32>>;

override LENGTH: u32;

//#import update

struct Row {
    step: f32,
    back: f32,
    take: f32,
    decay: f32,
    beta2: f32,
    one_minus_beta2: f32,
    unbias: f32,
    eps: f32,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

// A step reads this of a vec4: its gradient, its weights, its slots.
struct Old {
    g: vec4<f32>,
    w: vec4<f32>,
    z: vec4<f32>,
    v: vec4<f32>,
}

fn schedule_free_adamw_old(i: u32) -> Old { return Old(raw_gradient(i), param[i], z[i], exp_avg_sq[i]); }

fn schedule_free_adamw_step(at: u32, row: Row, i: u32, old: Old) {
    let y = old.w;
    let g = clipped(at, old.g);
    let v = row.beta2 * old.v + row.one_minus_beta2 * g * g;
    exp_avg_sq[i] = v;
    let d = g / (sqrt(v) * row.unbias + row.eps) + row.decay * y;
    z[i] = old.z - row.step * d;
    put(at, i, blend(y, old.z, row.take) - row.back * d);
}

@compute @workgroup_size(LANES)
fn schedule_free_adamw_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

// The same without a second moment.
struct SgdOld {
    g: vec4<f32>,
    w: vec4<f32>,
    z: vec4<f32>,
}

fn schedule_free_sgd_old(i: u32) -> SgdOld { return SgdOld(raw_gradient(i), param[i], z[i]); }

fn schedule_free_sgd_step(at: u32, row: Row, i: u32, old: SgdOld) {
    let y = old.w;
    let d = clipped(at, old.g) + row.decay * y;
    z[i] = old.z - row.step * d;
    put(at, i, blend(y, old.z, row.take) - row.back * d);
}

@compute @workgroup_size(LANES)
fn schedule_free_sgd_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    //#slot pass
    //#end
}

@group(0) @binding(0) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> base: array<vec4<f32>>; // z
@group(0) @binding(2) var<storage, read_write> averaged: array<vec4<f32>>;

override X_WEIGHT: u32 = 0u; // the bits of an f32

@compute @workgroup_size(64)
fn schedule_free_average(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if i >= LENGTH {
        return;
    }
    averaged[i] = y[i] + bitcast<f32>(X_WEIGHT) * (base[i] - y[i]);
}
