//! The records of a run, as plain data: steps, epochs, checkpoints, its beginning and end.

use crate::engine::GradientCheck;
use crate::metrics::{Metrics, matches_name};
use serde::{Deserialize, Serialize};

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
    /// The check of its gradients, where they are checked. Its keys stand beside the others in `metrics.jsonl`.
    #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
    pub gradient_check: Option<GradientCheck>,
}

/// An epoch, or the part of one that a limit of steps leaves.
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
    /// The objective's metrics, as `eval_loss`; then those of
    /// [`TrainOptions::metrics`](crate::compile::TrainOptions::metrics), over all targets of the part.
    #[serde(skip_serializing_if = "Metrics::is_empty", default)]
    pub eval_metrics: Metrics<f64>,
    /// Counts of each true class, a row, predicted as each class, a column, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_confusion: Option<Vec<Vec<u64>>>,
    /// Samples trained a second; evaluation is not counted.
    pub samples_per_second: f64,
    /// The share of training time in which the device waited for samples, where they are streamed. Evaluation is not
    /// counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_wait: Option<f64>,
}

/// The sizes of a run, before its first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunStart {
    /// Steps done before: above 0 where it resumes from a checkpoint.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Samples of a batch.
    pub batch_size: usize,
    /// Elements of all parameters.
    pub parameters: usize,
    /// Bytes of the device's buffers.
    pub memory: u64,
    /// Bytes that they may take.
    pub budget: Option<u64>,
}

/// A checkpoint that is complete on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointRecord {
    /// Steps done when it was taken.
    pub step: u64,
    /// Its folder.
    pub path: std::path::PathBuf,
    /// Time that writing took, beside the steps.
    pub seconds: f64,
}

/// The reason that a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// All its steps are done.
    Finished,
    /// Its epochs got no better.
    EarlyStopped,
    /// It was stopped, and can be resumed.
    Stopped,
}

impl RunEnd {
    /// The reason in words.
    pub fn name(self) -> &'static str {
        match self {
            RunEnd::Finished => "finished",
            RunEnd::EarlyStopped => "early stopped",
            RunEnd::Stopped => "stopped",
        }
    }
}

/// The end of a run that did not fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The reason: a run that was stopped can be run again, and goes on from there.
    pub end: RunEnd,
    /// Steps done.
    pub step: u64,
    /// The last epoch that it reported; of a session, in this process or before.
    pub last: Option<EpochRecord>,
}

impl EpochRecord {
    /// Every number with its name: `train_loss`, `samples_per_second`, `steps`, `eval_loss` and `eval_accuracy` where there
    /// are, and the metrics, as `eval_metrics.f1` and `train_metrics.kl`.
    pub fn values(&self) -> Vec<(String, f64)> {
        let mut values = vec![
            ("train_loss".to_owned(), self.train_loss),
            ("samples_per_second".into(), self.samples_per_second),
            ("steps".into(), self.step as f64),
        ];
        values.extend(self.eval_loss.map(|loss| ("eval_loss".into(), loss)));
        values.extend(self.eval_accuracy.map(|accuracy| ("eval_accuracy".into(), accuracy)));
        for (room, metrics) in [("eval_metrics", &self.eval_metrics), ("train_metrics", &self.train_metrics)]
        {
            values.extend(metrics.iter().map(|(name, value)| (format!("{room}.{name}"), *value)));
        }
        values
    }

    /// A number by its name; a metric also by its own alone, as `f1`, which is that of the evaluation part where both have
    /// it.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values().into_iter().find(|(other, _)| matches_name(name, other)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_step_with_metrics_reads_itself_back() {
        let names: Arc<[String]> = ["b".to_owned(), "a".to_owned()].into();
        let metrics = Metrics::new(&names, [0.1, 2.5]);
        let step = StepRecord { step: 1, epoch: 1, loss: 0.5, lr: 0.25, metrics, gradient_check: None };
        let text = serde_json::to_string(&step).unwrap();
        assert_eq!(text, r#"{"step":1,"epoch":1,"loss":0.5,"lr":0.25,"metrics":{"b":0.1,"a":2.5}}"#);
        let again: StepRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(again, step);
        assert_eq!((again.metrics.get("a"), again.metrics.get("c")), (Some(2.5), None));
        let plain = StepRecord { metrics: Metrics::default(), ..step };
        let text = serde_json::to_string(&plain).unwrap();
        assert!(!text.contains("metrics"), "{text}");
        assert_eq!(serde_json::from_str::<StepRecord>(&text).unwrap(), plain);
    }
}
