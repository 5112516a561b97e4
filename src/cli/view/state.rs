//! The numbers that a view shows.

use downhill::metrics::Metrics;
use downhill::train::{CheckpointRecord, EpochRecord, RunStart, StepRecord};

use super::curve::Curve;
use super::meter::Rates;

/// The present state of a run.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Steps done before this process.
    pub from: u64,
    pub step: u64,
    /// Steps of the whole run and of an epoch.
    pub total: u64,
    pub per_epoch: u64,
    /// Counts from 1; 0 before the run starts.
    pub epoch: u64,
    /// Samples of a batch.
    pub batch: u64,
    /// Bytes of the buffers on the device, and their limit.
    pub memory: u64,
    pub budget: Option<u64>,
    /// Mean over the steps that completed last.
    pub loss: Option<f64>,
    pub eval_loss: Option<f64>,
    pub accuracy: Option<f64>,
    /// Metrics of the last epoch by name.
    pub metrics: Vec<(String, f64)>,
    /// The step of the last checkpoint.
    pub checkpoint: Option<u64>,
    /// The run is about to stop.
    pub stopping: bool,
    pub rates: Rates,
    pub curve: Curve,
}

impl State {
    /// The state of a run that starts or resumes.
    pub fn new(start: &RunStart) -> State {
        let per_epoch = start.steps_per_epoch.max(1);
        let mut state = State {
            from: start.step,
            step: start.step,
            total: start.total_steps,
            per_epoch,
            batch: start.batch_size as u64,
            memory: start.memory,
            budget: start.budget,
            ..State::default()
        };
        state.epoch = (start.step / per_epoch + 1).min(state.epochs());
        state
    }

    /// Number of epochs of the whole run; the last may be partial.
    pub fn epochs(&self) -> u64 {
        self.total.div_ceil(self.per_epoch.max(1)).max(1)
    }

    /// Steps done in the epoch, and steps of the epoch.
    pub fn steps_in_epoch(&self) -> (u64, u64) {
        let before = self.epoch.saturating_sub(1).saturating_mul(self.per_epoch);
        (self.step.saturating_sub(before), self.per_epoch.min(self.total.saturating_sub(before)))
    }

    pub fn steps(&mut self, steps: &[StepRecord]) {
        let Some(last) = steps.last() else { return };
        (self.step, self.epoch) = (last.step, last.epoch);
        let finite = steps.iter().map(|step| f64::from(step.loss)).filter(|loss| loss.is_finite());
        let (sum, count) = finite.fold((0.0, 0), |(sum, count), loss| (sum + loss, count + 1));
        if count > 0 {
            self.loss = Some(sum / f64::from(count));
        }
        steps.iter().for_each(|step| self.curve.push(step.step, step.loss.into()));
    }

    pub fn epoch(&mut self, epoch: &EpochRecord) {
        self.eval_loss = epoch.eval_loss;
        self.accuracy = epoch.eval_accuracy;
        self.metrics = named_metrics(epoch);
    }

    pub fn checkpoint(&mut self, checkpoint: &CheckpointRecord) {
        self.checkpoint = Some(checkpoint.step);
    }
}

/// The metrics of an epoch: `eval f1`, or those of training by their names where there is no evaluation. The accuracy is a
/// number of its own.
pub fn named_metrics(epoch: &EpochRecord) -> Vec<(String, f64)> {
    let named = |metrics: &Metrics<f64>, prefix: &str| {
        let new = metrics.iter().filter(|(name, _)| *name != "accuracy" || epoch.eval_accuracy.is_none());
        new.map(|(name, value)| (format!("{prefix}{name}"), *value)).collect()
    };
    match epoch.eval_metrics.is_empty() {
        true => named(&epoch.train_metrics, ""),
        false => named(&epoch.eval_metrics, "eval "),
    }
}
