//! `half_weights.wgsl`, `gradients_check.wgsl`, `scale_adjust.wgsl`: what a step in f16 has besides.

use super::feed::STATE;
use super::update::{GRADIENTS, PARAMETERS};
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// The parameter arena rounded to f16: each tensor at half its offset.
pub const HALF_PARAMETERS: &str = "parameters (f16)";
/// The loss scale of a run's first step.
pub const FIRST_SCALE: u32 = 65_536;
/// Steps without an overflow after which the scale doubles.
const GROWTH: u32 = 2_000;

fn over_arena(entry: &'static str, bytes: u64, operands: [(u32, Access, Operand); 2]) -> Kernel {
    let fours = bytes as usize / 16;
    Kernel {
        entry,
        wgsl: wgsl::compose(entry, &[]),
        constants: vec![("LENGTH", fours as u32)],
        operands: operands.into(),
        grid: grid(fours.div_ceil(64)),
        flops: 0,
        iterations: 1,
    }
}

/// Rounds a parameter arena of `bytes`.
pub fn weights(bytes: u64) -> Kernel {
    let operands =
        [(0, Access::Read, Operand::Named(PARAMETERS)), (1, Access::Write, Operand::Named(HALF_PARAMETERS))];
    over_arena("half_weights", bytes, operands)
}

/// Looks through a gradient arena of `bytes` for what is not finite.
pub fn check(bytes: u64) -> Kernel {
    let operands = [(0, Access::Read, Operand::Named(GRADIENTS)), (1, Access::Write, Operand::Named(STATE))];
    over_arena("gradients_check", bytes, operands)
}

/// Moves the loss scale, and closes the step.
pub fn adjust() -> Kernel {
    Kernel {
        entry: "scale_adjust",
        wgsl: wgsl::compose("scale_adjust", &[]),
        constants: vec![("GROWTH", GROWTH)],
        operands: vec![(0, Access::Write, Operand::Named(STATE))],
        grid: [1, 1, 1],
        flops: 0,
        iterations: 1,
    }
}
