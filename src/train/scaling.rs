//! Loss scaling as the host sees it: which steps the device has left out, some steps after it did.

use serde::{Deserialize, Serialize};

use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::graph::Clock;
use crate::kernel::Precision;
use crate::kernel::feed::STATE;

/// The loss scale of a training step in f16.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// What the loss is multiplied with before it is differentiated, and the gradients divided by.
    pub loss_scale: f32,
    /// Steps of the run skipped before this one, their gradients not being finite.
    pub skipped_steps: u64,
}

impl LossScale {
    /// From the last two numbers of a step's row.
    pub(super) fn of_row(row: &[f32]) -> Option<Self> {
        let [.., loss_scale, skipped] = *row else { return None };
        Some(LossScale { loss_scale, skipped_steps: skipped as u64 })
    }
}

/// How many of the first `of` steps were skipped, as far as the host knows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    of: u64,
    skipped: u64,
    /// The last row there was.
    last: Option<LossScale>,
}

impl Known {
    /// Learns from a step that landed: how many before it were skipped. Whether it was itself, its row cannot tell.
    ///
    /// # Errors
    /// [`Error::Config`] where the step before it overflowed at the least scale: so would all that follow.
    pub fn learn(&mut self, step: u64, row: LossScale) -> Result<()> {
        let stuck = self.last.is_some_and(|l| l.loss_scale == 1.0 && row.skipped_steps > l.skipped_steps);
        *self = Known { of: step - 1, skipped: row.skipped_steps, last: Some(row) };
        if !stuck {
            return Ok(());
        }
        Err(Error::Config(format!(
            "step {}: gradients are not finite in f16 even without loss scaling; train with train.precision = \"f32\", \
             or a lower learning rate",
            step - 1
        )))
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
    /// Steps skipped so far, their gradients not being finite in f16: the update was left out, and the count that the
    /// optimizer's bias corrections go by did not advance. 0 in f32, which skips none.
    ///
    /// # Errors
    /// A lost device.
    pub fn skipped_steps(&self) -> Result<u64> {
        if self.blueprint.precision == Precision::F32 {
            return Ok(0);
        }
        let at = 4 * Clock::Skipped as u64;
        let bytes = pollster::block_on(self.gpu.read(self.memory.get(STATE), at, 4))?;
        Ok(u64::from(bytemuck::pod_read_unaligned::<u32>(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_finds_the_row_of_its_count_whatever_was_skipped() {
        // Steps 1 to 10 have landed, of which 3 were skipped before the tenth; 4 more are in flight.
        let mut known = Known::default();
        known.learn(10, LossScale { loss_scale: 2.0, skipped_steps: 3 }).unwrap();
        let (unknown, updates) = known.table(14);
        assert_eq!((unknown, updates), (5, 6));
        // Two of the five were skipped too: the device has 14 - 5 = 9 updates behind it.
        let skipped = 5;
        let open = 1;
        let row = open - 1 + known.lead(14) - skipped;
        assert_eq!(updates + u64::from(row) + 1, 10);
    }
}
