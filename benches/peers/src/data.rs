//! The data and the starting weights that all engines share, made anew from formulas by each.

/// The first `count` numbers in [0, 1): the high bits of s <- a s + c mod 2^64.
pub fn uniform(count: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        })
        .collect()
}

/// Numbers in [0, 1) to integers below `end`.
pub fn integers(uniform: &[f32], end: usize) -> Vec<i32> {
    uniform.iter().map(|u| (u * end as f32) as i32).collect()
}

/// Starting weights, base + 0.1 sin(0.37 · product of the indices, counted from 1): a transposed weight is the same,
/// so engines that store it transposed start alike.
pub fn weights(shape: &[usize], base: f64) -> Vec<f32> {
    let mut products = vec![1.0];
    for &size in shape {
        products = products.iter().flat_map(|p| (1..=size).map(move |i| p * i as f64)).collect::<Vec<f64>>();
    }
    products.iter().map(|p| (base + 0.1 * (0.37 * p).sin()) as f32).collect()
}
