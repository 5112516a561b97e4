//! `shards.wgsl`: the gradients of a batch, added over its shards in a fixed tree.
//!
//! A batch is shared between ranks by shards, each of which is the same micro-batches whatever the number of ranks. A rank
//! adds its own shards here; the sums of the ranks are gathered, and added here too. Powers of two make the second tree the
//! upper part of the first, and additions all happen on the device, so that the bits are those of one rank.

use super::feed::{BUFFERS, NEXT_BUFFERS, STATE};
use super::gradients::{SHARES, TOTAL_GRADIENTS};
use super::update::GRADIENTS;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};

/// The gradients of each shard; then, where ranks share the batch, of each rank.
pub const SHARD_GRADIENTS: &str = "gradients of shards";
/// The changes of running statistics in each shard; then in each rank.
pub const SHARD_BUFFERS: &str = "changes of running buffers";
/// The changes of running statistics in the batch.
pub const TOTAL_BUFFERS: &str = "change of running buffers";

/// Bytes of a row of [`SHARES`] where batches go in shards.
pub const SHARES_ROW: usize = 16;

/// The source of the slots that are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// Shards of this rank: those that the step has filled.
    Own(usize),
    /// The sums of so many ranks.
    Gathered(usize),
}

fn kernel(
    entry: &'static str,
    constants: Vec<(&'static str, u32)>,
    operands: &[(u32, Access, &'static str)],
    bytes: u64,
    flops: u64,
    iterations: usize,
) -> Kernel {
    let fours = bytes as usize / 16;
    Kernel {
        entry,
        wgsl: wgsl::compose("shards", &[]),
        constants: [vec![("LENGTH", fours as u32)], constants].concat(),
        operands: operands.iter().map(|&(slot, access, name)| (slot, access, Operand::Named(name))).collect(),
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(fours.div_ceil(64)),
        flops: flops * bytes / 4,
        iterations,
    }
}

/// Adds the gradients of a micro-batch to those of its shard, and closes it.
pub fn weigh(bytes: u64) -> Kernel {
    let operands = [
        (0, Access::Read, GRADIENTS),
        (1, Access::Read, SHARES),
        (2, Access::Write, STATE),
        (3, Access::Write, SHARD_GRADIENTS),
    ];
    kernel("shards_weigh", vec![], &operands, bytes, 2, 1)
}

/// Adds what a micro-batch changes in running statistics to the changes of its shard.
pub fn change(bytes: u64) -> Kernel {
    let operands = [
        (0, Access::Read, NEXT_BUFFERS),
        (1, Access::Read, SHARES),
        (2, Access::Write, STATE),
        (3, Access::Write, SHARD_BUFFERS),
        (4, Access::Read, BUFFERS),
    ];
    kernel("shards_move", vec![], &operands, bytes, 3, 1)
}

/// Adds slots of `from`, each of `bytes`, in a fixed tree.
pub fn add(from: &'static str, into: &'static str, bytes: u64, slots: Slots) -> Kernel {
    let (count, gathered) = match slots {
        Slots::Own(count) => (count, 0),
        Slots::Gathered(count) => (count, 1),
    };
    let operands = [
        (0, Access::Read, from),
        (1, Access::Read, SHARES),
        (2, Access::Write, STATE),
        (3, Access::Write, into),
    ];
    let constants = vec![("COUNT", count as u32), ("GATHERED", gathered)];
    kernel("shards_add", constants, &operands, bytes, count as u64, 2 * count)
}

/// Adds the changes of a batch to the running statistics.
pub fn apply(bytes: u64) -> Kernel {
    let operands = [(1, Access::Read, TOTAL_BUFFERS), (3, Access::Write, BUFFERS)];
    kernel("shards_apply", vec![], &operands, bytes, 1, 1)
}

/// The gradients of all shards or ranks, added.
pub fn add_gradients(bytes: u64, slots: Slots) -> Kernel {
    add(SHARD_GRADIENTS, TOTAL_GRADIENTS, bytes, slots)
}

/// The changes of running statistics of all shards or ranks, added.
pub fn add_buffers(bytes: u64, slots: Slots) -> Kernel {
    add(SHARD_BUFFERS, TOTAL_BUFFERS, bytes, slots)
}
