//! A number of an epoch that says which epoch is the best.

use serde::{Deserialize, Serialize};

use super::observer::EpochRecord;
pub use crate::optim::schedule::Mode;

/// Names of which less is better; of all others more is.
const LESS: [&str; 6] = ["loss", "mae", "rmse", "mse", "perplexity", "bits_per_character"];

/// Which of an epoch's numbers, and whether more of it is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// As [`EpochRecord::value`] takes it.
    pub metric: String,
    /// Less or more.
    pub mode: Mode,
}

impl Watched {
    /// A metric by its name. Less is better of one whose name ends in `loss`, `mae`, `mse`, `rmse`, `perplexity` or
    /// `bits_per_character`, more of every other.
    pub fn new(metric: impl Into<String>) -> Watched {
        let metric = metric.into();
        let less = LESS.iter().any(|word| metric.ends_with(word));
        Watched { mode: if less { Mode::Min } else { Mode::Max }, metric }
    }

    /// Its value in an epoch, if it is a finite number.
    pub fn value(&self, epoch: &EpochRecord) -> Option<f64> {
        epoch.value(&self.metric).filter(|value| value.is_finite())
    }

    /// Whether `value` is better than `best` by more than `margin`.
    pub fn better(&self, value: f64, best: f64, margin: f64) -> bool {
        match self.mode {
            Mode::Min => value < best - margin,
            Mode::Max => value > best + margin,
        }
    }
}

impl EpochRecord {
    /// A number by its name: `train_loss`, `eval_loss`, `eval_accuracy`, `samples_per_second`, `data_wait`, or a metric,
    /// as `eval_metrics.f1`, `train_metrics.kl`, or `f1` alone, which is that of the evaluation part where both have it.
    pub fn value(&self, name: &str) -> Option<f64> {
        match name {
            "train_loss" => return Some(self.train_loss),
            "eval_loss" => return self.eval_loss,
            "eval_accuracy" => return self.eval_accuracy,
            "samples_per_second" => return Some(self.samples_per_second),
            "data_wait" => return self.data_wait,
            _ => {}
        }
        let (train, eval) = (&self.train_metrics, &self.eval_metrics);
        match (name.strip_prefix("train_metrics."), name.strip_prefix("eval_metrics.")) {
            (Some(name), _) => train.get(name),
            (_, Some(name)) => eval.get(name),
            _ => eval.get(name).or_else(|| train.get(name)),
        }
    }
}
