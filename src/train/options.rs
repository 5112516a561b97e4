//! How a run goes through its data.

use super::early_stopping::EarlyStopping;
use super::metric::Metric;
use crate::data::{BatchPlan, BatchSize, Dataset};
use crate::error::Result;
use crate::kernel::{MemoryBudget, Precision, Residence, Rounding, Target};

/// How a run goes through its data.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Samples in a batch. 32 unless said otherwise.
    pub batch_size: BatchSize,
    /// Draw a new order for each epoch. True unless said otherwise.
    pub shuffle: bool,
    /// Leave out a short last batch. False unless said otherwise.
    pub drop_last: bool,
    /// Passes over the training part. 10 unless said otherwise.
    pub epochs: u64,
    /// Stops after so many steps, whatever `epochs` says.
    pub steps: Option<u64>,
    /// Decides initial weights and orders.
    pub seed: u64,
    /// What activations and weights are in memory. f32 unless said otherwise.
    pub precision: Precision,
    /// How weights are rounded in f16. To the nearest unless said otherwise.
    pub weight_rounding: Rounding,
    /// Samples that go through the model at once: batches may go in micro-batches, whose gradients are added. Whole unless
    /// said otherwise.
    pub micro_batch: MicroBatch,
    /// Where samples lie: on the device where they fit, unless said otherwise.
    pub residence: Residence,
    /// Threads that read samples which are streamed; one less than there are processors, 8 at most, where it is `None`.
    pub workers: Option<usize>,
    /// Ends the run when its epochs get no better.
    pub early_stopping: Option<EarlyStopping>,
    /// What evaluation computes beside the loss. Nothing unless said otherwise.
    pub metrics: Vec<Metric>,
    /// Tells the statistics of every tensor after each step whose number this divides, to
    /// [`Observer::statistics`](super::Observer::statistics). Never unless said otherwise.
    pub statistics: Option<u64>,
}

/// Whether batches go through the model in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MicroBatch {
    /// In one.
    #[default]
    Whole,
    /// So many samples at once, at most.
    Rows(usize),
    /// As few parts as fit the memory budget.
    Auto,
}

impl TrainOptions {
    /// The batches of an epoch over `data`.
    ///
    /// # Errors
    /// As [`BatchPlan::new`] and [`BatchPlan::with_micro`].
    pub fn batches(&self, data: &Dataset) -> Result<BatchPlan> {
        let micro = match self.micro_batch {
            MicroBatch::Rows(rows) => Some(rows),
            MicroBatch::Whole | MicroBatch::Auto => None,
        };
        BatchPlan::new(data.train().len(), self.batch_size, self.drop_last)?.with_micro(micro)
    }

    /// A device's target with what these options ask of it.
    pub fn target(&self, of: Target) -> Target {
        let may_split = self.micro_batch == MicroBatch::Auto;
        let room = MemoryBudget { residence: self.residence, may_split, ..of.memory };
        let of = of.with_precision(self.precision).with_rounding(self.weight_rounding).with_memory(room);
        of.with_statistics(self.statistics.is_some_and(|every| every > 0))
    }
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            batch_size: BatchSize::Rows(32),
            shuffle: true,
            drop_last: false,
            epochs: 10,
            steps: None,
            seed: 0,
            precision: Precision::F32,
            weight_rounding: Rounding::Nearest,
            micro_batch: MicroBatch::Whole,
            residence: Residence::Auto,
            workers: None,
            early_stopping: None,
            metrics: Vec::new(),
            statistics: None,
        }
    }
}
