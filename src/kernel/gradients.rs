//! `gradients.wgsl`, `accumulate.wgsl`: what happens to the gradients of a step before its update.

use super::feed::STATE;
use super::update::GRADIENTS;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// Partial sums of [`norm`].
pub const PARTIAL_NORMS: &str = "partial norms";
/// The ring of metrics.
pub const RING: &str = "metrics";
/// The gradients of the micro-batches of a batch, added.
pub const TOTAL_GRADIENTS: &str = "gradients of the batch";
/// What each micro-batch of a window adds, and whether it is the first of its batch.
pub const SHARES: &str = "shares";
/// Columns of the ring that [`settle`] files: the loss scale, the steps left out before, whether this one is, the norm.
pub const COLUMNS: usize = 4;

/// Steps without an overflow after which the loss scale doubles.
const GROWTH: u32 = 2_000;
/// Most partial sums.
const MAX_PARTS: usize = 1_024;
/// vec4s of an arena that one workgroup looks through faster than a dispatch starts.
const ALONE: usize = 16_384;

/// What settling a step needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Settle {
    /// The loss is scaled.
    pub scaled: bool,
    /// The norm of the whole gradient is at most this.
    pub max_norm: Option<f32>,
    /// Numbers in a row of the ring.
    pub columns: usize,
    /// The first that is filed here.
    pub column: usize,
}

/// How many partial sums an arena of `bytes` has.
fn parts(bytes: u64) -> usize {
    (bytes as usize / 16).div_ceil(64 * 8).clamp(1, MAX_PARTS)
}

/// Bytes of [`PARTIAL_NORMS`]: none where one workgroup does it all.
pub fn partial_bytes(bytes: u64) -> u64 {
    if bytes as usize / 16 <= ALONE { 0 } else { parts(bytes) as u64 * 8 }
}

/// Looks through the arena `gradients` of `bytes` and settles the step: one dispatch where it is small, else two.
pub fn settle(gradients: &'static str, bytes: u64, how: Settle) -> Vec<Kernel> {
    let fours = bytes as usize / 16;
    let parts = parts(bytes);
    let named = |slot, access, name| (slot, access, Operand::Named(name));
    let state = [named(1, Access::Write, STATE), named(2, Access::Write, RING)];
    let mut constants = vec![
        ("COLUMNS", how.columns as u32),
        ("COLUMN", how.column as u32),
        ("SCALED", u32::from(how.scaled)),
        ("GROWTH", GROWTH),
        ("CLIPPED", u32::from(how.max_norm.is_some())),
        ("MAX_NORM", how.max_norm.unwrap_or_default().to_bits()),
    ];
    let flops = 2 * bytes / 4;
    let kernel = |entry, constants, operands, groups, flops, iterations| Kernel {
        entry,
        wgsl: wgsl::compose("gradients", &[]),
        constants,
        operands,
        grid: [groups, 1, 1],
        flops,
        iterations,
    };
    let gradients = named(0, Access::Read, gradients);
    if partial_bytes(bytes) == 0 {
        constants.push(("LENGTH", fours as u32));
        let operands = [vec![gradients], state.to_vec()].concat();
        return vec![kernel("gradients_norm_settle", constants, operands, 1, flops, fours.div_ceil(64))];
    }
    constants.push(("PARTS", parts as u32));
    let lengths = vec![("LENGTH", fours as u32), ("PARTS", parts as u32)];
    let into = vec![gradients, named(1, Access::Write, PARTIAL_NORMS)];
    let from = [vec![named(0, Access::Read, PARTIAL_NORMS)], state.to_vec()].concat();
    vec![
        kernel("gradients_norm", lengths, into, parts as u32, flops, fours.div_ceil(64 * parts)),
        kernel("gradients_settle", constants, from, 1, 0, parts.div_ceil(64)),
    ]
}

/// Adds the gradients of a micro-batch to those of its batch.
pub fn accumulate(bytes: u64) -> Kernel {
    let fours = bytes as usize / 16;
    let named = |slot, access, name| (slot, access, Operand::Named(name));
    Kernel {
        entry: "accumulate",
        wgsl: wgsl::compose("accumulate", &[]),
        constants: vec![("LENGTH", fours as u32)],
        operands: vec![
            named(0, Access::Read, GRADIENTS),
            named(1, Access::Read, SHARES),
            named(2, Access::Write, STATE),
            named(3, Access::Write, TOTAL_GRADIENTS),
        ],
        grid: grid(fours.div_ceil(64)),
        flops: 2 * bytes / 4,
        iterations: 1,
    }
}
