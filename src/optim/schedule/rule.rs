//! The trait of every schedule, and the checks that several share.

use crate::error::Result;
use crate::optim::{at_least_zero_of, refuse_of};

/// The rule of one schedule. [`Schedule`](super::Schedule) passes its calls on.
///
/// The methods with a default are for the few schedules that differ there; tests over the table find one that is forgotten.
pub(super) trait Rule {
    /// Checks every number.
    fn validate(&self) -> Result<()>;

    /// The learning rate after `k` steps, `base` being the optimizer's. Computed in f64, from `k` alone.
    fn lr(&self, base: f64, k: u64) -> f64;

    /// Sets a length that was left out to `total` steps.
    fn set_length(&mut self, _total: u64) {}

    /// The momentum after `k` steps, where the schedule cycles it.
    fn momentum(&self, _k: u64) -> Option<f64> {
        None
    }

    /// True where it ever cycles momentum.
    fn cycles_momentum(&self) -> bool {
        self.momentum(0).is_some()
    }

    /// True where it can be a part of a sequence.
    fn fits_a_sequence(&self) -> bool {
        true
    }
}

/// Checks a number above 0 under the key `schedule.KEY`.
pub(super) fn above_zero(key: &str, value: f64, what: &str) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(refuse_of(&format!("schedule.{key}"), value, &format!("{what} is finite and above 0")))
}

/// Checks a finite number from 0 on under the key `schedule.KEY`.
pub(super) fn at_least_zero(key: &str, value: f64, what: &str) -> Result<()> {
    at_least_zero_of(&format!("schedule.{key}"), value, what)
}

/// Checks a count of at least 1 under the key `schedule.KEY`.
pub(super) fn at_least_one(key: &str, value: u64) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(refuse_of(&format!("schedule.{key}"), value, "a whole number from 1 on is needed"))
}
