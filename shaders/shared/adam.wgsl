// Adam, however its moments are kept: the row of a step, the moments and the weight after it.
struct Row {
    step_size: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    unbias: f32,
    eps: f32,
    decay: f32,
    shrink: f32,
}

struct Moments {
    m: vec4<f32>,
    v: vec4<f32>,
}

fn open_row(at: u32) -> Row {
    let a = table[at];
    let b = table[at + 1u];
    return Row(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

// The moments with the gradient in them.
fn next_moments(row: Row, old: Moments, g: vec4<f32>) -> Moments {
    let m = blend(old.m, g, row.one_minus_beta1);
    let v = row.beta2 * old.v + row.one_minus_beta2 * g * g;
    return Moments(m, v);
}

// The weight after the step; v is the second moment or its peak.
fn next_weight(row: Row, w: vec4<f32>, m: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    let d = sqrt(v) * row.unbias + row.eps;
    return w - (row.shrink * w + row.step_size * m / d);
}
