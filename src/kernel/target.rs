//! The target of a plan: the kernel family, the precision, and the memory budget.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::gpu::{AdapterKind, Family, Gpu, Reads};

/// The type of activations and weights in memory. Arithmetic, gradients of parameters and the optimizer's state are always
/// f32.
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

/// Rounding of weights to f16, once a step. Evaluation always rounds to the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// To the nearest.
    #[default]
    Nearest,
    /// To one of both neighbours at random, up with the probability of the fraction above the lower one, drawn from the seed
    /// and the step. So weights are right on average over steps, and small changes have an effect before they add up to a
    /// rounding. Only for [`Precision::F16`].
    Stochastic,
}

/// The memory of the device that a run may use, and the means it may use to stay within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Bytes of all buffers together; `None` is no limit.
    pub budget: Option<u64>,
    /// Bytes of the largest buffer.
    pub largest_buffer: u64,
    /// The location of samples.
    pub residence: Residence,
    /// True where batches may be split in micro-batches and activations be recomputed.
    pub may_split: bool,
    /// Samples evaluated at once. Default: as many as keep activations as small as those of a training batch.
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

/// The location of a run's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residence {
    /// On the device if they fit beside the plan, else on the host.
    #[default]
    Auto,
    /// All on the device.
    Resident,
    /// On the host; those of the next steps are uploaded ahead.
    Streamed,
}

/// Workgroup memory of kernels side by side, at most.
pub const JOINT_WORKGROUP_BYTES: usize = 32 << 10;
/// Buffers that kernels side by side bind, at most: 16 are there on adapters of Vulkan, Metal and DX12, but for SwiftShader.
pub const JOINT_BUFFERS: usize = 16;

/// The kernels of products in the tiled family, of operands with strides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProductTiles {
    /// `matmul_block`, with the tile that is predicted to be the fastest on the nominal GPU.
    #[default]
    Predicted,
    /// `matmul_block` with one tile for all: for tests and measurements.
    Given {
        /// Its index in `kernel::matmul::TILES`.
        index: usize,
        /// Parts of K, at most; a product that also sums rows has one.
        parts: usize,
    },
    /// `matmul_tiled`, for software adapters that have no kernels of their own: the tiles of GPUs, with their many
    /// invocations and barriers, take two to eight times as long there.
    Plain,
}

/// The device as the planner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The kernel family.
    pub family: Family,
    /// Type of activations and weights in memory.
    pub precision: Precision,
    /// Rounding of weights to f16.
    pub rounding: Rounding,
    /// The memory budget.
    pub memory: MemoryBudget,
    /// The way in which kernels read buffers.
    pub reads: Reads,
    /// True where statistics of some steps are computed, which need a copy of the weights before the step.
    pub statistics: bool,
    /// False where small nets are not trained in two dispatches, but kernel by kernel as others are, and no net's last layer
    /// and loss are one kernel.
    pub whole_nets: bool,
    /// False where no kernels run side by side in a dispatch.
    pub side_by_side: bool,
    /// The kernels of products in the tiled family.
    pub tiles: ProductTiles,
    /// True where the tiled family may pass values between the lanes of a subgroup. The bits are the same without.
    pub subgroups: bool,
    /// Processes that share each batch.
    pub ranks: usize,
}

impl Target {
    /// A family of kernels, in f32.
    pub fn new(family: Family) -> Self {
        let (precision, rounding) = (Precision::F32, Rounding::Nearest);
        let (memory, reads) = (MemoryBudget::default(), Reads::Storage);
        Target {
            family,
            precision,
            rounding,
            memory,
            reads,
            statistics: false,
            whole_nets: true,
            side_by_side: true,
            tiles: ProductTiles::Predicted,
            subgroups: false,
            ranks: 1,
        }
    }

    /// The target of an open device, in f32, with the memory that its ledger has left.
    pub fn for_gpu(gpu: &Gpu) -> Self {
        let left = gpu.ledger().budget().map(|budget| budget.saturating_sub(gpu.ledger().total()));
        let memory =
            MemoryBudget { budget: left, largest_buffer: gpu.largest_buffer(), ..MemoryBudget::default() };
        // Where a software adapter has subgroup kernels and runs the tiled ones all the same, it stands for a GPU.
        let adapter = gpu.adapter();
        let is_plain = adapter.kind == AdapterKind::Software && adapter.family() == Family::Tiled;
        let tiles = if is_plain { ProductTiles::Plain } else { ProductTiles::Predicted };
        let target = Self::new(gpu.family()).with_memory(memory).with_reads(gpu.reads()).with_tiles(tiles);
        Target {
            whole_nets: !is_plain && gpu.has_coherent_buffers(),
            // A software adapter gains nothing: it runs every branch of a kernel for every workgroup.
            side_by_side: adapter.kind != AdapterKind::Software
                && gpu.workgroup_bytes() >= JOINT_WORKGROUP_BYTES
                && gpu.buffers_of_a_kernel() >= JOINT_BUFFERS,
            subgroups: adapter.subgroup_min > 0,
            ranks: gpu.ranks().count(),
            ..target
        }
    }

    /// The same with another memory budget.
    pub fn with_memory(self, memory: MemoryBudget) -> Self {
        Target { memory, ..self }
    }

    /// The same with buffers read in another way.
    pub fn with_reads(self, reads: Reads) -> Self {
        Target { reads, ..self }
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

    /// The same with a dispatch for each kernel: without whole nets in two dispatches, and without kernels side by side.
    pub fn kernel_by_kernel(self) -> Self {
        Target { whole_nets: false, side_by_side: false, ..self }
    }

    /// The same with other kernels of products.
    pub fn with_tiles(self, tiles: ProductTiles) -> Self {
        Target { tiles, ..self }
    }

    /// The same with or without values that pass between the lanes of a subgroup.
    pub fn with_subgroups(self, subgroups: bool) -> Self {
        Target { subgroups, ..self }
    }

    /// Refuses stochastic rounding of f32 weights.
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
