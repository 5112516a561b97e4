// Closes a step that no optimizer closes (evaluation): the steps done become the step that was open.
// Grid: one invocation.

@group(0) @binding(0) var<storage, read_write> state: array<u32>;

@compute @workgroup_size(1)
fn step_close() {
    state[0] = state[1];
}
