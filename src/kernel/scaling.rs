//! `half_weights.wgsl`: the weights of a step in f16.

use super::feed::STATE;
use super::update::PARAMETERS;
use super::{Kernel, Operand, Rounding, grid};
use crate::gpu::{Access, wgsl};

/// The parameter arena rounded to f16: each tensor at half its offset.
pub const HALF_PARAMETERS: &str = "parameters (f16)";
/// The loss scale of a run's first step.
pub const FIRST_SCALE: u32 = 65_536;

/// Rounds a parameter arena of `bytes` in an open step.
pub fn weights(bytes: u64, rounding: Rounding) -> Kernel {
    let fours = bytes as usize / 16;
    let mut operands = vec![
        (0, Access::Read, Operand::Named(PARAMETERS)),
        (1, Access::Write, Operand::Named(HALF_PARAMETERS)),
    ];
    let entry = match rounding {
        Rounding::Nearest => "half_weights",
        Rounding::Stochastic => {
            operands.push((2, Access::Read, Operand::Named(STATE)));
            "half_weights_stochastic"
        }
    };
    Kernel {
        entry,
        wgsl: wgsl::compose("half_weights", &[]),
        constants: vec![("LENGTH", fours as u32)],
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(fours.div_ceil(64)),
        flops: 0,
        iterations: 1,
    }
}
