//! `gradients.wgsl` and `accumulate.wgsl`: a step is settled before its update.
//!
//! A step is settled where it may be skipped, where its gradients are clipped by norm, or where a batch goes in
//! micro-batches. `gradients_norm` sums squares in a fixed order. `gradients_settle` (one dispatch with it where the arena
//! is small) writes into the step state whether the step is skipped, the factor of its gradients (clipping and loss scale
//! in one number) and the row of its update in the table. Every update kernel reads these words. The host reads nothing
//! back for it; it learns of skipped steps with the losses.
//!
//! Micro-batches add their gradients, each times its share of the batch's samples, in an arena of their own. The update is
//! a plan that follows the last one.

use super::feed::STATE;
use super::update::GRADIENTS;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// Partial sums of squares of the gradients.
pub const PARTIAL_NORMS: &str = "partial norms";
/// The ring of metrics.
pub const RING: &str = "metrics";
/// The sum of the gradients of a batch's micro-batches.
pub const TOTAL_GRADIENTS: &str = "gradients of the batch";
/// The share of each micro-batch of a window, and a flag for the first one of its batch.
pub const SHARES: &str = "shares";
/// Columns of the ring that [`settle`] writes: the loss scale, the steps skipped before, a flag for this one, the norm.
pub const COLUMNS: usize = 4;

/// Steps without an overflow after which the loss scale doubles.
const GROWTH: u32 = 2_000;
/// The most partial sums.
const MAX_PARTS: usize = 1_024;
/// The most vec4s that one workgroup reads in less time than a dispatch takes to start.
const ALONE: usize = 16_384;

/// Options of settling a step.
#[derive(Debug, Clone, Copy)]
pub struct Settle {
    /// The loss is scaled.
    pub scaled: bool,
    /// The norm of the whole gradient is at most that of [`Clock::MaxNorm`](crate::graph::Clock::MaxNorm).
    pub clipped: bool,
    /// Columns of the ring.
    pub columns: usize,
    /// The first column that is written here.
    pub column: usize,
}

/// The number of partial sums of an arena of `bytes`.
fn parts(bytes: u64) -> usize {
    (bytes as usize / 16).div_ceil(64 * 8).clamp(1, MAX_PARTS)
}

/// Bytes of [`PARTIAL_NORMS`]: none where one workgroup reads the whole arena.
pub fn partial_bytes(bytes: u64) -> u64 {
    if bytes as usize / 16 <= ALONE { 0 } else { parts(bytes) as u64 * 8 }
}

/// Reads the arena `gradients` of `bytes` and settles the step, in one dispatch where it is small, else in two.
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
        ("CLIPPED", u32::from(how.clipped)),
    ];
    let flops = 2 * bytes / 4;
    let kernel = |entry, constants, operands, groups, flops, iterations| Kernel {
        entry,
        wgsl: wgsl::compose("gradients", &[]),
        constants,
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
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
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(fours.div_ceil(64)),
        flops: 2 * bytes / 4,
        iterations: 1,
    }
}
