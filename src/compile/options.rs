//! The options of a run beside model, loss, optimizer and data.

use crate::data::{BatchPlan, BatchSize, Dataset, Sampling};
use crate::error::Result;
use crate::kernel::{MemoryBudget, Precision, Residence, Rounding, Target};
use crate::metrics::Metric;
use crate::optim::schedule::Mode;
use serde::{Deserialize, Serialize};

/// The options of a run beside model, loss, optimizer and data.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Samples in a batch. Default: 32.
    pub batch_size: BatchSize,
    /// The samples of each epoch, and their order. Default: every sample once, in a new order for each epoch.
    pub sampling: Sampling,
    /// Leave out a short last batch. Default: false.
    pub drop_last: bool,
    /// Passes over the training part. Default: 10.
    pub epochs: u64,
    /// Stops after this many steps, whatever `epochs` says. Default: none.
    pub steps: Option<u64>,
    /// Seed of initial weights, orders and random numbers. Default: 0.
    pub seed: u64,
    /// Seeds of one of the three alone, in place of `seed`. Default: none.
    pub seeds: Seeds,
    /// Format of activations and weights in memory. Default: f32.
    pub precision: Precision,
    /// Rounding of f16 weights. Default: to the nearest.
    pub weight_rounding: Rounding,
    /// Samples that go through the model at once. Gradients of micro-batches are added. Default: whole batches.
    pub micro_batch: MicroBatch,
    /// Shards of a batch, a power of 2, whose gradients are added in a fixed tree: the run has the same bits on every number
    /// of [`ranks`](crate::ranks) that divides it. Default: 1.
    pub shards: usize,
    /// Place of the samples. Default: on the device where they fit, else streamed.
    pub residence: Residence,
    /// Threads that read streamed samples. Default: one less than there are processors, at most 8.
    pub workers: Option<usize>,
    /// Ends the run when its epochs get no better. Default: none.
    pub early_stopping: Option<EarlyStopping>,
    /// Metrics that evaluation computes beside the loss. Default: none.
    pub metrics: Vec<Metric>,
    /// Samples evaluated at once, whatever memory there is: the order in which losses are added, and so their last bits,
    /// depends on it. Default: as many as keep activations as small as those of a training batch, at most 512.
    pub eval_batch: Option<usize>,
    /// Reports the statistics of every tensor after each step whose number this divides, to
    /// [`Observer::statistics`](crate::train::Observer::statistics). Default: never.
    pub statistics: Option<u64>,
}

/// Seeds of what is random in a run, each the run's own where it is `None`: to vary one, and hold the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seeds {
    /// Initial weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<u64>,
    /// Orders of samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Dropout, augmentation, stochastic rounding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<u64>,
}

impl Seeds {
    /// True where none is given.
    pub(crate) fn are_the_runs(&self) -> bool {
        *self == Seeds::default()
    }
}

/// The number of samples that go through the model at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MicroBatch {
    /// The whole batch.
    #[default]
    Whole,
    /// At most this many samples at once.
    Rows(usize),
    /// As few micro-batches as fit the memory budget.
    Auto,
}

impl TrainOptions {
    /// The batches of an epoch over `data`.
    ///
    /// # Errors
    /// As [`BatchPlan::new`], [`BatchPlan::with_micro`] and [`BatchPlan::with_shards`].
    pub fn batches(&self, data: &Dataset) -> Result<BatchPlan> {
        let micro = match self.micro_batch {
            MicroBatch::Rows(rows) => Some(rows),
            MicroBatch::Whole | MicroBatch::Auto => None,
        };
        let batches =
            BatchPlan::new(data.train().len(), self.batch_size, self.drop_last)?.with_micro(micro)?;
        if self.shards == 1 { Ok(batches) } else { batches.with_shards(self.shards) }
    }

    /// The seed of initial weights.
    pub(crate) fn init_seed(&self) -> u64 {
        self.seeds.init.unwrap_or(self.seed)
    }

    /// The seed of orders of samples.
    pub(crate) fn order_seed(&self) -> u64 {
        self.seeds.order.unwrap_or(self.seed)
    }

    /// The seed of what is random in a step.
    pub(crate) fn chance_seed(&self) -> u64 {
        self.seeds.chance.unwrap_or(self.seed)
    }

    /// A device's target with what these options ask of it.
    pub fn target(&self, device: Target) -> Target {
        let may_split = self.micro_batch == MicroBatch::Auto;
        let eval_batch = device.memory.eval_batch.or(self.eval_batch);
        let room = MemoryBudget { residence: self.residence, may_split, eval_batch, ..device.memory };
        let target =
            device.with_precision(self.precision).with_rounding(self.weight_rounding).with_memory(room);
        target.with_statistics(self.statistics.is_some_and(|every| every > 0))
    }
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            batch_size: BatchSize::Rows(32),
            sampling: Sampling::Epoch,
            drop_last: false,
            epochs: 10,
            steps: None,
            seed: 0,
            seeds: Seeds::default(),
            precision: Precision::F32,
            weight_rounding: Rounding::Nearest,
            micro_batch: MicroBatch::Whole,
            shards: 1,
            residence: Residence::Auto,
            workers: None,
            early_stopping: None,
            metrics: Vec::new(),
            eval_batch: None,
            statistics: None,
        }
    }
}

/// Ends a run after `patience` epochs in a row without a better value of a metric, as Keras' callback of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    /// The number that is monitored, as [`EpochRecord::value`](crate::train::EpochRecord::value) takes it. Default: the
    /// evaluation's loss, or the training's without an evaluation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The direction in which it is better. Default: by its name, as [`Monitor::new`](crate::train::Monitor::new) says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Epochs in a row that may be no better than the best. Default: 10.
    pub patience: u64,
    /// A value is better where it improves by more than this. Default: 0.
    pub min_delta: f64,
    /// The weights at the end are those of the best epoch, also where the run ends for another reason. Default: true.
    pub restore_best: bool,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping { metric: None, mode: None, patience: 10, min_delta: 0.0, restore_best: true }
    }
}
