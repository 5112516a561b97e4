//! What a run tells of itself while it goes.

use serde::{Deserialize, Serialize};

use super::metrics::Metrics;
use super::scaling::Checks;
use super::statistics::StatisticsRecord;

/// A training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 1 over the whole run.
    pub step: u64,
    /// Counted from 1.
    pub epoch: u64,
    /// The batch's mean loss under the weights before the update.
    pub loss: f32,
    /// The learning rate.
    pub lr: f64,
    /// The objective's metrics, of the same batch under the same weights.
    #[serde(skip_serializing_if = "Metrics::is_empty", default)]
    pub metrics: Metrics<f32>,
    /// What its gradients were found to be, where they are looked at; its keys stand beside the others in `metrics.jsonl`.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub checks: Option<Checks>,
}

/// An epoch, or the part of one that a limit of steps left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Steps done since the start of the run; not a key of `metrics.jsonl`.
    #[serde(skip)]
    pub step: u64,
    /// Mean over the epoch's samples, each under the weights of its step.
    pub train_loss: f64,
    /// Mean over the evaluation part under the weights at the end of the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_loss: Option<f64>,
    /// Share of right predictions on the evaluation part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_accuracy: Option<f64>,
    /// The objective's metrics, as `train_loss`.
    #[serde(skip_serializing_if = "Metrics::is_empty", default)]
    pub train_metrics: Metrics<f64>,
    /// The objective's metrics, as `eval_loss`; then those that evaluation was asked for, over all targets of the part.
    #[serde(skip_serializing_if = "Metrics::is_empty", default)]
    pub eval_metrics: Metrics<f64>,
    /// How often each class, a row, was predicted to be each, a column, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_confusion: Option<Vec<Vec<u64>>>,
    /// Samples trained a second; evaluation is not counted.
    pub samples_per_second: f64,
    /// Where samples are streamed: the share of the time, evaluation not counted, for which the device waited for them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_wait: Option<f64>,
}

/// What the evaluation part says of the weights: means over its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The loss.
    pub loss: f64,
    /// Share of right predictions, where targets are classes.
    pub accuracy: Option<f64>,
    /// The objective's metrics; then those that were asked for, over all targets of the part.
    pub metrics: Metrics<f64>,
    /// How often each class, a row, is predicted to be each, a column, where that was asked for. Ignored targets are in no
    /// row, and what is predicted by NaN in no column.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// What a run is, before its first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunStart {
    /// Steps done before: above 0 where it goes on from a checkpoint.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Numbers that are trained or kept as parameters.
    pub parameters: usize,
    /// Bytes of the device's buffers.
    pub memory: u64,
    /// Bytes that they may take.
    pub budget: Option<u64>,
}

/// A checkpoint that lies on the disk, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointRecord {
    /// Steps done when it was taken.
    pub step: u64,
    /// Its folder.
    pub path: std::path::PathBuf,
    /// How long writing took, beside the steps.
    pub seconds: f64,
}

/// Why a run is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// All its steps are done.
    Finished,
    /// Its epochs got no better.
    EarlyStopped,
    /// It was stopped, and can go on.
    Stopped,
}

/// Follows a run. Every method may end it by an error; [`crate::Error::Cancelled`] of `steps`, `statistics` and `epoch` does what
/// [`RunHandle::stop`](super::RunHandle::stop) does.
///
/// Two observers in a pair follow a run together.
pub trait Observer {
    /// Before the first step, and again where a run goes on after its device was lost.
    fn start(&mut self, start: &RunStart) -> crate::error::Result<()> {
        let _ = start;
        Ok(())
    }

    /// After some steps are done and their losses read: never on the path of a step.
    fn steps(&mut self, steps: &[StepRecord]) -> crate::error::Result<()> {
        let _ = steps;
        Ok(())
    }

    /// After a step whose statistics are taken ([`TrainOptions::statistics`](super::TrainOptions::statistics)): after the
    /// step itself was told, and before an epoch or a checkpoint that ends with it.
    fn statistics(&mut self, statistics: &StatisticsRecord) -> crate::error::Result<()> {
        let _ = statistics;
        Ok(())
    }

    /// After an epoch and its evaluation.
    fn epoch(&mut self, epoch: &EpochRecord) -> crate::error::Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// After a checkpoint was written, some steps later.
    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> crate::error::Result<()> {
        let _ = checkpoint;
        Ok(())
    }

    /// At the end of a run that did not fail, after `step` steps.
    fn end(&mut self, end: RunEnd, step: u64) -> crate::error::Result<()> {
        let _ = (end, step);
        Ok(())
    }
}

/// Watches nothing.
impl Observer for () {}

/// Both watch, the first first.
impl<A: Observer + ?Sized, B: Observer + ?Sized> Observer for (&mut A, &mut B) {
    fn start(&mut self, start: &RunStart) -> crate::error::Result<()> {
        self.0.start(start)?;
        self.1.start(start)
    }

    fn steps(&mut self, steps: &[StepRecord]) -> crate::error::Result<()> {
        self.0.steps(steps)?;
        self.1.steps(steps)
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> crate::error::Result<()> {
        self.0.statistics(statistics)?;
        self.1.statistics(statistics)
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> crate::error::Result<()> {
        self.0.epoch(epoch)?;
        self.1.epoch(epoch)
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> crate::error::Result<()> {
        self.0.checkpoint(checkpoint)?;
        self.1.checkpoint(checkpoint)
    }

    fn end(&mut self, end: RunEnd, step: u64) -> crate::error::Result<()> {
        self.0.end(end, step)?;
        self.1.end(end, step)
    }
}

/// One that may be left out.
impl<A: Observer> Observer for Option<A> {
    fn start(&mut self, start: &RunStart) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.start(start))
    }

    fn steps(&mut self, steps: &[StepRecord]) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.steps(steps))
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.statistics(statistics))
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.epoch(epoch))
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.checkpoint(checkpoint))
    }

    fn end(&mut self, end: RunEnd, step: u64) -> crate::error::Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.end(end, step))
    }
}
