//! The state of early stopping.

use super::monitor::Monitor;
use super::records::EpochRecord;
use crate::compile::EarlyStopping;
use serde::{Deserialize, Serialize};

/// The best epoch so far, and the epochs since then.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct EarlyStoppingState {
    /// The best value, and its epoch.
    best: Option<(f64, u64)>,
    /// Epochs since then.
    waited: u64,
    /// Too many epochs have passed since then.
    is_over: bool,
}

impl EarlyStoppingState {
    /// Observes an epoch; true where it is the best so far. A value that is not finite is no better.
    pub fn observe(&mut self, rule: &EarlyStopping, monitor: &Monitor, epoch: &EpochRecord) -> bool {
        let value = monitor.value(epoch);
        let is_better =
            |value: &f64| self.best.is_none_or(|(best, _)| monitor.better(*value, best, rule.min_delta));
        match value.filter(is_better) {
            Some(value) => {
                self.best = Some((value, epoch.epoch));
                self.waited = 0;
                true
            }
            None => {
                self.waited += 1;
                self.is_over = self.waited >= rule.patience.max(1);
                false
            }
        }
    }

    /// The best value, and its epoch.
    pub fn best(&self) -> Option<(f64, u64)> {
        self.best
    }

    /// True where the run is to end.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}
