//! The progress of a run: everything that the host must know to resume it. A checkpoint holds this and the device's
//! buffers, and nothing else.

use super::early_stopping::EarlyStoppingState;
use super::lr::LearningRate;
use super::skipped::SkippedSteps;
use crate::engine::{BufferContents, StepResult, Window};
use serde::{Deserialize, Serialize};

/// The progress of a run, as the host counts it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Steps submitted.
    pub step: u64,
    /// Epochs whose steps are all submitted.
    pub epoch: u64,
    /// Steps submitted of the current epoch.
    pub step_in_epoch: usize,
    /// Epochs reported to observers.
    pub epochs_reported: u64,
    /// Batches and micro-batches submitted.
    pub micro_batches: u64,
    /// Batches that the weights had seen in training before this run, modulo 2⁶⁴: weights of an epoch before the last have
    /// seen fewer than the run has submitted.
    pub batches_before_run: u64,
    pub(super) epoch_totals: EpochTotals,
    pub(super) skipped: SkippedSteps,
    pub(super) lr: LearningRate,
    pub(super) early_stopping: EarlyStoppingState,
}

impl Progress {
    /// The beginning of a run whose steps file this many numbers.
    pub(super) fn new(lr: LearningRate, columns: usize) -> Progress {
        Progress {
            step: 0,
            epoch: 0,
            step_in_epoch: 0,
            epochs_reported: 0,
            micro_batches: 0,
            batches_before_run: 0,
            epoch_totals: EpochTotals::new(columns),
            skipped: SkippedSteps::default(),
            lr,
            early_stopping: EarlyStoppingState::default(),
        }
    }

    /// Batches that the weights have seen in training, those before this run included.
    pub fn batches_seen(&self) -> u64 {
        self.batches_before_run.wrapping_add(self.micro_batches)
    }

    /// The weights have seen this many batches from now on.
    pub(super) fn set_batches_seen(&mut self, batches: u64) {
        self.batches_before_run = batches.wrapping_sub(self.micro_batches);
    }

    /// True where an epoch, or the part of one that the run ends in, is trained and not reported.
    pub fn has_unreported_epoch(&self, total_steps: u64) -> bool {
        let ends_within = self.step_in_epoch > 0 && self.step >= total_steps;
        self.epoch + u64::from(ends_within) > self.epochs_reported
    }

    /// The next `steps` steps, which lie in the current epoch.
    pub(super) fn window(&self, steps: usize) -> Window {
        Window { epoch: self.epoch, step_in_epoch: self.step_in_epoch, steps_done: self.step, steps }
    }

    /// Adds time that its steps took to that of the epoch. `waited`: the time of it that the device waited for samples.
    pub(super) fn count_time(&mut self, seconds: f64, waited: Option<f64>) {
        self.epoch_totals.seconds += seconds;
        self.epoch_totals.data_wait += waited.unwrap_or(0.0);
    }

    /// The time that the steps of the epoch took, and the time of it that the device waited for samples.
    pub(super) fn time(&self) -> [f64; 2] {
        [self.epoch_totals.seconds, self.epoch_totals.data_wait]
    }

    /// Sets the time that the steps of the epoch took, as [`Progress::time`] gives it.
    pub(super) fn set_time(&mut self, [seconds, data_wait]: [f64; 2]) {
        (self.epoch_totals.seconds, self.epoch_totals.data_wait) = (seconds, data_wait);
    }

    /// Counts a window that was submitted, in `passes` passes through the model.
    pub(super) fn advance(&mut self, window: &Window, passes: usize, steps_per_epoch: usize) {
        self.micro_batches += passes as u64;
        self.step += window.steps as u64;
        self.step_in_epoch += window.steps;
        if self.step_in_epoch == steps_per_epoch {
            self.step_in_epoch = 0;
            self.epoch += 1;
        }
    }
}

/// Sums over the steps received of an epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EpochTotals {
    /// Counted from 1; 0 before the first step.
    epoch: u64,
    pub samples: usize,
    /// Loss and metrics, summed over the samples.
    #[serde(with = "exact")]
    sums: Vec<f64>,
    /// Time trained.
    pub seconds: f64,
    /// Time of it that the device waited for samples.
    pub data_wait: f64,
}

impl EpochTotals {
    fn new(columns: usize) -> Self {
        EpochTotals { epoch: 0, samples: 0, sums: vec![0.0; columns], seconds: 0.0, data_wait: 0.0 }
    }

    /// Restarts the sums where they belong to another epoch.
    pub fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            *self = EpochTotals { epoch, ..EpochTotals::new(self.sums.len()) };
        }
    }

    /// Adds a step.
    pub fn add(&mut self, step: &StepResult) {
        self.sums.iter_mut().zip(&step.sums).for_each(|(total, sum)| *total += sum);
        self.samples += step.samples;
    }

    /// The means over the samples.
    pub fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.samples.max(1) as f64).collect()
    }
}

/// The weights of the best epoch, where early stopping keeps them.
#[derive(Debug, Clone)]
pub(crate) struct BestWeights {
    pub buffers: BufferContents,
    /// Batches that they had seen.
    pub batches_seen: u64,
}

/// The state of a run between two steps: weights, buffers, the optimizer's slots, averages, the loss scale, and the progress
/// of the host.
///
/// Taken by [`Trainer::snapshot`](super::Trainer::snapshot). A trainer of the same model, data and options that is restored
/// from it makes the same steps, to the bit, as the one it was taken from.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) buffers: BufferContents,
    pub(crate) best: Option<BestWeights>,
    pub(crate) progress: Progress,
}

impl Snapshot {
    /// Steps done when it was taken.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    /// The device's buffers that outlive a step, by name.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.buffers.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]))
    }

    /// Bytes that it holds of the device's buffers.
    pub fn bytes(&self) -> usize {
        let best = self.best.iter().flat_map(|best| &best.buffers);
        self.buffers.iter().chain(best).map(|(_, bytes)| bytes.len()).sum()
    }
}

/// Numbers in JSON that are read back as they were written, NaN and the infinities too.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        // Rust prints as many digits as tell a number from its neighbours.
        serializer.collect_seq(numbers.iter().map(|number| format!("{number:?}")))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
    }
}
