//! A number of an epoch that says which epoch is the best.

use serde::{Deserialize, Serialize};

use super::blueprint::Blueprint;
use super::observer::{EpochRecord, Evaluation};
use crate::error::{Error, Result};
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

    /// The metric that is named, or the usual one: the evaluation's loss, or the training's where nothing is evaluated.
    pub(super) fn or_loss(metric: Option<&str>, evaluates: bool) -> Watched {
        Watched::new(metric.unwrap_or(if evaluates { "eval_loss" } else { "train_loss" }))
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

/// Whether `asked` means the number of this whole name: as it is, or a metric without its room.
pub(super) fn means(asked: &str, name: &str) -> bool {
    name == asked || name.split_once('.').is_some_and(|(_, metric)| metric == asked)
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
        self.values().into_iter().find(|(other, _)| means(name, other)).map(|(_, value)| value)
    }
}

impl Evaluation {
    /// Every number with its name, as in [`EpochRecord::values`].
    pub fn values(&self) -> Vec<(String, f64)> {
        let accuracy = self.accuracy.map(|accuracy| ("eval_accuracy".to_owned(), accuracy));
        let metrics = self.metrics.iter().map(|(name, value)| (format!("eval_metrics.{name}"), *value));
        std::iter::once(("eval_loss".to_owned(), self.loss)).chain(accuracy).chain(metrics).collect()
    }
}

impl Blueprint {
    /// The names of [`EpochRecord::values`] in a run of these plans.
    pub fn told(&self) -> Vec<String> {
        let mut names = vec!["train_loss".to_owned(), "samples_per_second".into(), "steps".into()];
        if self.eval_batches.is_some() {
            names.push("eval_loss".into());
            names.extend(self.predictions.map(|_| "eval_accuracy".into()));
            let metrics = self.tally.as_ref().map_or(&self.metrics, |tally| &tally.names);
            names.extend(metrics.iter().map(|name| format!("eval_metrics.{name}")));
        }
        names.extend(self.metrics.iter().map(|name| format!("train_metrics.{name}")));
        names
    }

    /// Refuses `key = "<metric>"` for a number that no epoch of the run will tell.
    ///
    /// # Errors
    /// [`Error::Config`] with the names there are.
    pub fn check_metric(&self, key: &str, metric: &str) -> Result<()> {
        let names = self.told();
        if names.iter().any(|name| means(metric, name)) {
            return Ok(());
        }
        Err(Error::Config(format!(
            "{key} = \"{metric}\": no epoch of this run tells it; there are: {}",
            names.join(", ")
        )))
    }
}
