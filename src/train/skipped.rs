//! Steps that the device leaves out because their gradients are not finite, as the host sees them: some steps later.

use serde::{Deserialize, Serialize};

use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::graph::Clock;
use crate::kernel::feed::STATE;
use crate::kernel::gradients::COLUMNS;

/// After so many steps in a row without finite gradients a run ends: none will come.
const PATIENCE: u64 = 100;

/// What a step's gradients were found to be, where they are looked at: in f16, under clipping by norm, with
/// `skip_nonfinite`, and in micro-batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// In f16: what the loss is multiplied with before it is differentiated, and the gradients divided by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss_scale: Option<f32>,
    /// Steps of the run skipped before this one, their gradients not being finite.
    pub skipped_steps: u64,
    /// This one is skipped.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub skipped: bool,
    /// The norm of the whole gradient, before it is clipped.
    pub grad_norm: f32,
}

impl Checks {
    /// From the last numbers of a step's row.
    pub(super) fn of_row(row: &[f32], scaled: bool) -> Option<Self> {
        let [scale, before, skipped, grad_norm] = *row.last_chunk::<COLUMNS>()?;
        let loss_scale = scaled.then_some(scale);
        Some(Checks { loss_scale, skipped_steps: before as u64, skipped: skipped != 0.0, grad_norm })
    }
}

/// How many of the first `of` steps were skipped, as far as the host knows.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Known {
    of: u64,
    skipped: u64,
    /// Of those, the last ones without a step between them.
    in_a_row: u64,
}

impl Known {
    /// Learns from a step that landed.
    ///
    /// # Errors
    /// [`Error::Config`] where a step overflowed in f16 at the least scale: so would all that follow. `Ok(false)` where
    /// so many steps in a row were skipped that the run is at its end.
    pub fn learn(&mut self, step: u64, row: Checks) -> Result<bool> {
        self.of = step;
        self.skipped = row.skipped_steps + u64::from(row.skipped);
        self.in_a_row = if row.skipped { self.in_a_row + 1 } else { 0 };
        if row.skipped && row.loss_scale == Some(1.0) {
            return Err(Error::Config(format!(
                "step {step}: gradients are not finite in f16 even without loss scaling; train with train.precision = \
                 \"f32\", or a lower learning rate"
            )));
        }
        Ok(self.in_a_row < PATIENCE)
    }

    /// After `done` steps: how many rows the optimizer's table holds before the one of the next step if none was skipped,
    /// and the updates done before its first row.
    pub fn table(&self, done: u64) -> (usize, u64) {
        let unknown = done - self.of;
        (unknown as usize, self.of - self.skipped)
    }

    /// [`Clock::Lead`] after `done` steps.
    pub fn lead(&self, done: u64) -> u32 {
        (done - self.of + self.skipped) as u32
    }
}

impl Trainer {
    /// Steps skipped so far, their gradients not being finite: the update was left out, and the count that the optimizer's
    /// bias corrections and the schedule go by did not advance. 0 where steps are not checked: none is skipped.
    ///
    /// # Errors
    /// A lost device.
    pub fn skipped_steps(&self) -> Result<u64> {
        if !self.blueprint.checked {
            return Ok(0);
        }
        let at = 4 * Clock::Skipped as u64;
        let bytes = pollster::block_on(self.gpu.read_by(&self.saving, self.memory.get(STATE), at, 4))?;
        Ok(u64::from(bytemuck::pod_read_unaligned::<u32>(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(skipped_steps: u64, skipped: bool) -> Checks {
        Checks { loss_scale: None, skipped_steps, skipped, grad_norm: 1.0 }
    }

    #[test]
    fn the_device_finds_the_row_of_its_count_whatever_was_skipped() {
        // Steps 1 to 10 have landed, of which 3 were skipped; 4 more are in flight.
        let mut known = Known::default();
        known.learn(10, row(2, true)).unwrap();
        let (unknown, updates) = known.table(14);
        assert_eq!((unknown, updates), (4, 7));
        // Two of the four were skipped too: the device has 14 - 5 = 9 updates behind it, and opens its first here.
        let (skipped, opened) = (5, 0);
        let row = opened + known.lead(14) - skipped;
        assert_eq!(updates + u64::from(row) + 1, 10);
    }

    #[test]
    fn a_run_ends_after_a_hundred_steps_without_gradients() {
        let mut known = Known::default();
        for step in 1..PATIENCE {
            assert!(known.learn(step, row(step - 1, true)).unwrap());
        }
        assert!(!known.learn(PATIENCE, row(PATIENCE - 1, true)).unwrap());
        assert!(known.learn(PATIENCE + 1, row(PATIENCE, false)).unwrap());
        let stuck = Checks { loss_scale: Some(1.0), ..row(PATIENCE, true) };
        assert!(known.learn(PATIENCE + 2, stuck).is_err());
    }
}
