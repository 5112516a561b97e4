//! `statistics.wgsl`: statistics of the weights, gradients and updates of each tensor after a step.

use super::feed::STATE;
use super::gradients::RING;
use super::update::PARAMETERS;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// The trained parameters before the step.
pub const PREVIOUS: &str = "parameters before the step";
/// The table that assigns numbers to chunks, and chunks to tensors.
pub const LAYOUT: &str = "layout of statistics";
/// The records of chunks.
pub const CHUNKS: &str = "statistics of chunks";
/// The records of tensors.
pub const TENSORS: &str = "statistics of tensors";

/// Weights, gradients, updates.
pub const KINDS: usize = 3;
/// Bins of a record.
pub const BINS: usize = 64;
/// Words of a record: eight, and the bins.
pub const WORDS: usize = 8 + BINS;
/// Words of a record, in order. The one after them is free, then come the bins.
pub const ZEROS: usize = 0;
/// Numbers that are not finite.
pub const NONFINITE: usize = 1;
/// The smallest finite number.
pub const MIN: usize = 2;
/// The largest finite number.
pub const MAX: usize = 3;
/// Their mean.
pub const MEAN: usize = 4;
/// The sum of their squared distances from the mean.
pub const SPREAD: usize = 5;
/// The sum of their squares.
pub const SQUARES: usize = 6;

/// The most numbers of a chunk.
const CHUNK: usize = 16_384;
/// 2 to this power is the smallest magnitude outside the innermost bins.
const LEAST: i32 = -26;

/// The upper limit of each bin but the last, which has none; a bin begins at the limit of the one before it. A limit below 0
/// is in the bin below it, 0 and those above it in the bin above.
pub fn limits() -> [f64; BINS - 1] {
    let half = (BINS / 2) as i32;
    std::array::from_fn(|i| {
        let from_zero = i as i32 + 1 - half;
        let magnitude = 2f64.powi(LEAST + from_zero.abs() - 1);
        if from_zero == 0 { 0.0 } else { magnitude.copysign(f64::from(from_zero)) }
    })
}

/// The division of tensors into chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    chunks: usize,
    tensors: usize,
    numbers: usize,
    /// The words of [`LAYOUT`].
    pub words: Vec<u32>,
}

impl Layout {
    /// The chunks of tensors, each given by its first byte in the arena and its length in numbers.
    pub fn new(tensors: impl IntoIterator<Item = (u64, usize)>) -> Layout {
        let (mut chunks, mut ranges, mut numbers) = (Vec::new(), Vec::new(), 0);
        for (offset, count) in tensors {
            let first = chunks.len() as u32 / 2;
            for from in (0..count).step_by(CHUNK) {
                chunks.extend([(offset / 4) as u32 + from as u32, CHUNK.min(count - from) as u32]);
            }
            ranges.extend([first, chunks.len() as u32 / 2]);
            numbers += count;
        }
        let (of_chunks, of_tensors) = (chunks.len() / 2, ranges.len() / 2);
        Layout { chunks: of_chunks, tensors: of_tensors, numbers, words: [chunks, ranges].concat() }
    }

    /// Bytes of [`CHUNKS`] and of [`TENSORS`].
    pub fn bytes(&self) -> [u64; 2] {
        [self.chunks, self.tensors].map(|count| (count * KINDS * WORDS * 4) as u64)
    }

    /// The kernels, for gradients in the buffer of this name. `scale` is the column of the loss scale in a row of the ring,
    /// and the length of a row.
    pub fn kernels(&self, gradients: &'static str, scale: Option<(usize, usize)>) -> [Kernel; 2] {
        let read = |slot, name| (slot, Access::Read, Operand::Named(name));
        let (column, columns) = scale.unwrap_or((0, 1));
        let kernel = |entry, constants, operands, groups, flops, iterations| {
            let [x, y, _] = grid(groups);
            let wgsl = wgsl::compose("statistics", &[]);
            Kernel {
                entry,
                wgsl,
                constants,
                operands,
                reads_old: false,
                parts: vec![],
                waits: None,
                grid: [x, y, KINDS as u32],
                flops,
                iterations,
            }
        };
        let longest = self.words[2 * self.chunks..].chunks_exact(2).map(|of| of[1] - of[0]).max();
        let longest = longest.unwrap_or(0) as usize;
        [
            kernel(
                "statistics_chunks",
                vec![
                    ("CHUNKS", self.chunks as u32),
                    ("SCALED", u32::from(scale.is_some())),
                    ("COLUMNS", columns as u32),
                    ("COLUMN", column as u32),
                ],
                vec![
                    read(0, PARAMETERS),
                    read(1, PREVIOUS),
                    read(2, gradients),
                    read(3, LAYOUT),
                    read(4, RING),
                    read(5, STATE),
                    (6, Access::Write, Operand::Named(CHUNKS)),
                ],
                self.chunks,
                (8 * KINDS * self.numbers) as u64,
                2 * CHUNK / 64,
            ),
            kernel(
                "statistics_tensors",
                vec![("CHUNKS", self.chunks as u32), ("TENSORS", self.tensors as u32)],
                vec![read(3, LAYOUT), read(6, CHUNKS), (7, Access::Write, Operand::Named(TENSORS))],
                self.tensors,
                (12 * KINDS * self.chunks) as u64,
                longest + longest.div_ceil(64),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_cut_in_chunks() {
        let layout = Layout::new([(0, 3), (256, CHUNK + 1), (131_072, CHUNK)]);
        let chunk = CHUNK as u32;
        assert_eq!(layout.words, [0, 3, 64, chunk, 64 + chunk, 1, 32_768, chunk, 0, 1, 1, 3, 3, 4]);
        assert_eq!(layout.bytes(), [4, 3].map(|n| n * 3 * 72 * 4));
    }

    #[test]
    fn limits_double_from_zero_outward() {
        let limits = limits();
        assert_eq!((limits[31], limits[32], limits[62]), (0.0, 2f64.powi(-26), 16.0));
        assert_eq!((limits[30], limits[0]), (-(2f64.powi(-26)), -16.0));
        assert!(limits.windows(2).all(|two| two[0] < two[1]));
    }
}
