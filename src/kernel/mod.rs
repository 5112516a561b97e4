//! One file a WGSL family: which op it serves, its bindings, variants, grid, and cost.

pub mod attention;
pub mod chain;
pub mod cross_entropy;
pub mod eight_bit;
pub mod expr;
pub mod factored;
pub mod feed;
pub mod functions;
pub mod gradients;
pub mod map;
pub mod matmul;
pub mod orthogonal;
pub mod reduce;
pub mod scaling;
pub mod statistics;

pub mod update;

pub use crate::gpu::Family;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::gpu::{Access, Gpu};
use crate::graph::NodeId;

/// What activations and weights are in memory. Arithmetic, gradients of parameters and what the optimizer keeps are f32
/// in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits for activations and their gradients and for a copy of the weights, under dynamic loss scaling. Statistics,
    /// losses, biases and the factors of norms stay f32. Needs the adapter's `shader-f16`.
    F16,
}

/// How weights are rounded to f16, once a step. Evaluation takes the nearest in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// To the nearest.
    #[default]
    Nearest,
    /// To one of both neighbours, by chance: up with the probability of the part above the lower one, drawn from the seed
    /// and the step. So weights are right on average over steps, and small changes are seen before they add up to a
    /// rounding. Only for [`Precision::F16`].
    Stochastic,
}

/// How much of the device a run may take, and what it may do to take no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of all buffers together; any number where it is `None`.
    pub budget: Option<u64>,
    /// Bytes of the largest buffer.
    pub largest_buffer: u64,
    /// Where samples lie.
    pub residence: Residence,
    /// Batches may go in micro-batches, and activations be computed again.
    pub may_split: bool,
    /// Samples evaluated at once; as many as are cheap where it is `None`.
    pub eval_batch: Option<usize>,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            budget: None,
            largest_buffer: u64::MAX,
            residence: Residence::Auto,
            may_split: false,
            eval_batch: None,
        }
    }
}

/// Where the samples of a run lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residence {
    /// On the device, where they fit beside the plan, and else with the host.
    #[default]
    Auto,
    /// On the device, all of them.
    Resident,
    /// With the host; those of the next steps are on their way.
    Streamed,
}

/// What the planner knows of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The kernel family.
    pub family: Family,
    /// What lies in memory.
    pub precision: Precision,
    /// How weights become f16.
    pub rounding: Rounding,
    /// How much memory there is.
    pub room: Room,
    /// Statistics are taken of some steps: there is room for the weights before them.
    pub statistics: bool,
}

impl Target {
    /// A family of kernels, in f32.
    pub fn new(family: Family) -> Self {
        let (precision, rounding) = (Precision::F32, Rounding::Nearest);
        Target { family, precision, rounding, room: Room::default(), statistics: false }
    }

    /// The target of an open device, in f32, with the room that its ledger has left.
    pub fn of(gpu: &Gpu) -> Self {
        let left = gpu.ledger().budget().map(|budget| budget.saturating_sub(gpu.ledger().total()));
        let room = Room { budget: left, largest_buffer: gpu.largest_buffer(), ..Room::default() };
        Self::new(gpu.family()).with_room(room)
    }

    /// The same with other room.
    pub fn with_room(self, room: Room) -> Self {
        Target { room, ..self }
    }

    /// The same in another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Target { precision, ..self }
    }

    /// The same with weights rounded in another way.
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        Target { rounding, ..self }
    }

    /// The same with or without statistics.
    pub fn with_statistics(self, statistics: bool) -> Self {
        Target { statistics, ..self }
    }

    /// Refuses a rounding of what is not rounded.
    ///
    /// # Errors
    /// [`Error::Config`] that names both keys.
    pub fn check(self) -> Result<()> {
        match (self.rounding, self.precision) {
            (Rounding::Stochastic, Precision::F32) => Err(Error::Config(
                "train.weight_rounding = \"stochastic\": weights in f32 are not rounded; set train.precision = \"f16\", or \
                 leave weight_rounding out"
                    .into(),
            )),
            _ => Ok(()),
        }
    }
}

/// Un-unrolled loop iterations one invocation may make: lavapipe cuts loops at 65,535 without a word.
pub const MAX_ITERATIONS: usize = 20_000;

/// Most workgroups along one dimension of a grid.
const MAX_GROUPS: u32 = 65_535;

/// Bindings of printed inputs; with output, second output and state that is eight storage buffers at most.
pub const MAX_INPUTS: usize = 5;

/// What a binding of a kernel is; the planner knows where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A node's value.
    Node(NodeId),
    /// What the kernel makes.
    Output,
    /// A second thing it makes.
    Second,
    /// A buffer of the engine by name: the step counter, tables, arenas.
    Named(&'static str),
}

/// A kernel of a step, before it is bound to memory.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The entry point, which labels pipeline and profile row.
    pub entry: &'static str,
    /// The composed WGSL.
    pub wgsl: String,
    /// Override constants.
    pub constants: Vec<(&'static str, u32)>,
    /// Binding number, access and operand.
    pub operands: Vec<(u32, Access, Operand)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Floating-point operations.
    pub flops: u64,
    /// Loop iterations of one invocation.
    pub iterations: usize,
}

/// A grid of `n` workgroups, folded into y past the limit of one dimension.
pub fn grid(n: usize) -> [u32; 3] {
    let n = n.max(1) as u32;
    let y = n.div_ceil(MAX_GROUPS);
    [n.div_ceil(y), y, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_fold() {
        assert_eq!(grid(10), [10, 1, 1]);
        let [x, y, _] = grid(200_000);
        assert!(x <= MAX_GROUPS && u64::from(x) * u64::from(y) >= 200_000);
    }
}
