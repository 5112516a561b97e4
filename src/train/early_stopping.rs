//! A run that ends when its epochs get no better.

use serde::{Deserialize, Serialize};

use super::observer::EpochRecord;
use super::watched::{Mode, Watched};

/// Ends a run after `patience` epochs in a row without a better value of a metric, as Keras' callback of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    /// Which number, as [`EpochRecord::value`] takes it; the evaluation's loss where there is an evaluation part, else the
    /// training's, unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Whether less or more of it is better; by its name, as [`Watched::new`] says, unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Epochs in a row that may be no better than the best. 10 unless said otherwise.
    pub patience: u64,
    /// A value is better where it is so by more than this. 0 unless said otherwise.
    pub min_delta: f64,
    /// At the end the weights are those of the best epoch, also where the run ends for another reason. True unless said
    /// otherwise.
    pub restore_best: bool,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping { metric: None, mode: None, patience: 10, min_delta: 0.0, restore_best: true }
    }
}

impl EarlyStopping {
    /// What is watched in a run with or without an evaluation part.
    pub fn watched(&self, evaluates: bool) -> Watched {
        let watched = Watched::or_loss(self.metric.as_deref(), evaluates);
        Watched { mode: self.mode.unwrap_or(watched.mode), ..watched }
    }
}

/// What early stopping remembers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Patience {
    /// The best value, and its epoch.
    pub best: Option<(f64, u64)>,
    /// Epochs since then.
    waited: u64,
    /// They were too many.
    pub over: bool,
}

impl Patience {
    /// Learns of an epoch; true where it is the best so far. A value that is not finite is no better.
    pub fn observe(&mut self, rule: &EarlyStopping, watched: &Watched, epoch: &EpochRecord) -> bool {
        let value = watched.value(epoch);
        let better =
            |value: &f64| self.best.is_none_or(|(best, _)| watched.better(*value, best, rule.min_delta));
        match value.filter(better) {
            Some(value) => {
                self.best = Some((value, epoch.epoch));
                self.waited = 0;
                true
            }
            None => {
                self.waited += 1;
                self.over = self.waited >= rule.patience.max(1);
                false
            }
        }
    }
}
