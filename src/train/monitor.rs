//! A number of an epoch that decides which epoch is the best.

use super::records::EpochRecord;
use crate::compile::EarlyStopping;
pub use crate::optim::schedule::Mode;
use serde::{Deserialize, Serialize};

/// Names whose smaller values are better. For every other number larger values are better.
const LOWER_IS_BETTER: [&str; 7] =
    ["loss", "mae", "rmse", "mse", "perplexity", "bits_per_character", "data_wait"];

/// One of an epoch's numbers, and the direction in which it is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// As [`EpochRecord::value`] takes it.
    pub metric: String,
    /// Less or more.
    pub mode: Mode,
}

impl Monitor {
    /// A metric by its name. Smaller is better where the name ends in `loss`, `mae`, `mse`, `rmse`, `perplexity`,
    /// `bits_per_character` or `data_wait`; larger is better for every other.
    pub fn new(metric: impl Into<String>) -> Monitor {
        let metric = metric.into();
        let less = LOWER_IS_BETTER.iter().any(|word| metric.ends_with(word));
        Monitor { mode: if less { Mode::Min } else { Mode::Max }, metric }
    }

    /// The named metric. Default: the evaluation's loss, or the training's without an evaluation part.
    pub(crate) fn or_loss(metric: Option<&str>, evaluates: bool) -> Monitor {
        Monitor::new(metric.unwrap_or(if evaluates { "eval_loss" } else { "train_loss" }))
    }

    /// Its value in an epoch, if it is a finite number.
    pub fn value(&self, epoch: &EpochRecord) -> Option<f64> {
        epoch.value(&self.metric).filter(|value| value.is_finite())
    }

    /// True where `value` is better than `best` by more than `margin`.
    pub fn better(&self, value: f64, best: f64, margin: f64) -> bool {
        match self.mode {
            Mode::Min => value < best - margin,
            Mode::Max => value > best + margin,
        }
    }

    /// The number that early stopping monitors, in a run with or without an evaluation part.
    pub fn for_early_stopping(rule: &EarlyStopping, evaluates: bool) -> Monitor {
        let monitor = Monitor::or_loss(rule.metric.as_deref(), evaluates);
        Monitor { mode: rule.mode.unwrap_or(monitor.mode), ..monitor }
    }
}
