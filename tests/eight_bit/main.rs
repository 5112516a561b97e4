//! Moments in 8 bits: the kernel against its meaning in f64, and whole runs.

#[path = "../adapter/mod.rs"]
mod adapter;
mod kernel;
mod runs;

/// Numbers in [-1, 1), the same for the same place.
fn noise(seed: u64, i: usize) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i as u64 + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..3 {
        x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}
