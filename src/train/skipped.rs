//! Steps that the device skips because their gradients are not finite. The host learns of them some steps later.

use crate::engine::GradientCheck;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A run ends after this many steps in a row without finite gradients: none will come.
const PATIENCE: u64 = 100;

/// The count of skipped steps among the steps whose results the host has received.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct SkippedSteps {
    /// Steps received.
    received: u64,
    /// Those of them that were skipped.
    skipped: u64,
    /// The number of skipped steps in a row up to the last one received.
    in_a_row: u64,
}

impl SkippedSteps {
    /// Observes a step whose result was received.
    ///
    /// # Errors
    /// [`Error::Config`] where a step overflowed in f16 at the least scale: all later steps would too. `Ok(false)`
    /// where the run ends, because too many steps in a row were skipped.
    pub fn observe(&mut self, step: u64, check: GradientCheck) -> Result<bool> {
        self.received = step;
        self.skipped = check.skipped_steps + u64::from(check.skipped);
        self.in_a_row = if check.skipped { self.in_a_row + 1 } else { 0 };
        if check.skipped && check.loss_scale == Some(1.0) {
            return Err(Error::Config(format!(
                "step {step}: gradients are not finite in f16 even without loss scaling; train with train.precision = \
                 \"f32\", or a lower learning rate"
            )));
        }
        Ok(self.in_a_row < PATIENCE)
    }

    /// After `done` steps: the rows of the optimizer's table before that of the next step, if no step in flight was
    /// skipped; and the updates done before the table's first row.
    pub fn table(&self, done: u64) -> (usize, u64) {
        let unknown = done - self.received;
        (unknown as usize, self.received - self.skipped)
    }

    /// [`Clock::Lead`](crate::graph::Clock::Lead) after `done` steps.
    pub fn skipped_offset(&self, done: u64) -> u32 {
        (done - self.received + self.skipped) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(skipped_steps: u64, skipped: bool) -> GradientCheck {
        GradientCheck { loss_scale: None, skipped_steps, skipped, grad_norm: 1.0 }
    }

    #[test]
    fn the_device_finds_the_row_of_its_count_whatever_was_skipped() {
        // Steps 1 to 10 were received, and 3 of them were skipped; 4 more are in flight.
        let mut skipped = SkippedSteps::default();
        skipped.observe(10, row(2, true)).unwrap();
        let (unknown, updates) = skipped.table(14);
        assert_eq!((unknown, updates), (4, 7));
        // Two of the four were skipped too: the device has 14 - 5 = 9 updates behind it, and opens its first here.
        let (skipped_by_device, opened) = (5, 0);
        let row = opened + skipped.skipped_offset(14) - skipped_by_device;
        assert_eq!(updates + u64::from(row) + 1, 10);
    }

    #[test]
    fn a_run_ends_after_a_hundred_steps_without_gradients() {
        let mut skipped = SkippedSteps::default();
        for step in 1..PATIENCE {
            assert!(skipped.observe(step, row(step - 1, true)).unwrap());
        }
        assert!(!skipped.observe(PATIENCE, row(PATIENCE - 1, true)).unwrap());
        assert!(skipped.observe(PATIENCE + 1, row(PATIENCE, false)).unwrap());
        let stuck = GradientCheck { loss_scale: Some(1.0), ..row(PATIENCE, true) };
        assert!(skipped.observe(PATIENCE + 2, stuck).is_err());
    }
}
