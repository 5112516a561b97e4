//! Numbers to check with.

/// Numbers in [low, high), the same for the same seed. The generator is fast enough for gigabytes.
pub(crate) fn noise(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * ((state >> 40) as f32 / (1u64 << 24) as f32)
    };
    (0..count).map(|_| next()).collect()
}
