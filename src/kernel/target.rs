//! What a plan is made for: the kernel family, the precision, and how much memory there is.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::gpu::{Family, Gpu};

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
pub struct MemoryBudget {
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

impl Default for MemoryBudget {
    fn default() -> Self {
        MemoryBudget {
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
    pub memory: MemoryBudget,
    /// Statistics are taken of some steps: there is room for the weights before them.
    pub statistics: bool,
}

impl Target {
    /// A family of kernels, in f32.
    pub fn new(family: Family) -> Self {
        let (precision, rounding) = (Precision::F32, Rounding::Nearest);
        Target { family, precision, rounding, memory: MemoryBudget::default(), statistics: false }
    }

    /// The target of an open device, in f32, with the memory that its ledger has left.
    pub fn for_gpu(gpu: &Gpu) -> Self {
        let left = gpu.ledger().budget().map(|budget| budget.saturating_sub(gpu.ledger().total()));
        let memory =
            MemoryBudget { budget: left, largest_buffer: gpu.largest_buffer(), ..MemoryBudget::default() };
        Self::new(gpu.family()).with_memory(memory)
    }

    /// The same with another memory budget.
    pub fn with_memory(self, memory: MemoryBudget) -> Self {
        Target { memory, ..self }
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
