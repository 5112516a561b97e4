//! `half_weights.wgsl`: the weights of a step in f16.

use super::update::PARAMETERS;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// The parameter arena rounded to f16: each tensor at half its offset.
pub const HALF_PARAMETERS: &str = "parameters (f16)";
/// The loss scale of a run's first step.
pub const FIRST_SCALE: u32 = 65_536;

/// Rounds a parameter arena of `bytes`.
pub fn weights(bytes: u64) -> Kernel {
    let fours = bytes as usize / 16;
    Kernel {
        entry: "half_weights",
        wgsl: wgsl::compose("half_weights", &[]),
        constants: vec![("LENGTH", fours as u32)],
        operands: vec![
            (0, Access::Read, Operand::Named(PARAMETERS)),
            (1, Access::Write, Operand::Named(HALF_PARAMETERS)),
        ],
        grid: grid(fours.div_ceil(64)),
        flops: 0,
        iterations: 1,
    }
}
