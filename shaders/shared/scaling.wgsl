// Which row of the table a step takes, and its gradients as they are. With loss scaling a step whose gradients are not
// finite is left out, and what depends on the count of updates does not go on: state[6] rows lie before that of the
// window's first step, state[8] is the scale, state[10] counts the steps left out, state[11] says that this is one.
override SCALED: bool = false;

fn step_row() -> u32 {
    if (SCALED) { return state[1] - 1u + state[6] - state[10]; }
    return state[1] - 1u;
}
fn step_skipped() -> bool {
    if (SCALED) { return state[11] != 0u; }
    return false;
}
fn gradient(i: u32) -> vec4<f32> {
    if (SCALED) { return grad[i] / f32(state[8]); }
    return grad[i];
}
