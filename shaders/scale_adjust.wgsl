// Dynamic loss scaling, after the update of a step: half the scale where its gradients were not finite, twice the
// scale after GROWTH steps on which they were. It also closes the step, which an update that was left out did not.
//   state[8] scale, state[9] steps since it changed, state[10] steps skipped, state[11] this step's overflow
// Grid: one invocation.
// Source: torch.amp.GradScaler's defaults, but for a scale that stays within [1, 2^24].

@group(0) @binding(0) var<storage, read_write> state: array<u32>;

override GROWTH: u32;

@compute @workgroup_size(1)
fn scale_adjust() {
    state[0] = state[1];
    if (state[11] != 0u) {
        state[8] = max(state[8] / 2u, 1u);
        state[9] = 0u;
        state[10] += 1u;
        state[11] = 0u;
    } else {
        state[9] += 1u;
        if (state[9] == GROWTH) {
            state[8] = min(state[8] * 2u, 16777216u);
            state[9] = 0u;
        }
    }
}
