//! Checkpoints as the loop sees them: when one is due, and the calls that save it.

use super::observer::Observer;
use super::records::EpochRecord;
use super::trainer::Trainer;
use crate::clock::Instant;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Saves checkpoints of a run: see [`Trainer::run_with_checkpoints`]. `()` saves none.
pub trait Checkpointing {
    /// Called before the first step.
    ///
    /// # Errors
    /// Errors of the implementation.
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    /// The step after `step` at which a checkpoint is due.
    fn next_step(&self, step: u64) -> Option<u64> {
        let _ = step;
        None
    }

    /// The time at which a checkpoint is due, whatever the step.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Called when steps were received. A checkpoint that is due at the end of an epoch waits for its evaluation.
    ///
    /// # Errors
    /// Errors of the implementation; a lost device.
    fn after_steps(&mut self, trainer: &Trainer) -> Result<()> {
        let _ = trainer;
        Ok(())
    }

    /// Called when an epoch was reported.
    ///
    /// # Errors
    /// Errors of the implementation; a lost device.
    fn after_epoch(&mut self, trainer: &Trainer, epoch: &EpochRecord) -> Result<()> {
        let _ = (trainer, epoch);
        Ok(())
    }

    /// Reports the checkpoints that were written since the last call.
    ///
    /// # Errors
    /// A checkpoint that could not be written; the observer's.
    fn report(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let _ = observer;
        Ok(())
    }

    /// Saves the state of a run that is stopped.
    ///
    /// # Errors
    /// Errors of the implementation; a lost device.
    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        let _ = trainer;
        Ok(())
    }

    /// Waits until every checkpoint is written.
    ///
    /// # Errors
    /// A checkpoint that could not be written.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Checkpointing for () {}

/// The rule by which a run keeps checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointOptions {
    /// Save after every this many steps, counted over the whole run. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// Save this many minutes after the last checkpoint. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_minutes: Option<f64>,
    /// Save after every this many epochs and their evaluation. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_epochs: Option<u64>,
    /// The number of last checkpoints that are kept, at least 1. Default: 2, so that there is one to go back to.
    pub keep_last: usize,
    /// The number of best checkpoints that are kept besides. An epoch among the best is saved when it ends. Default: 0.
    pub keep_best: usize,
    /// The number that says which are the best, as [`EpochRecord::value`] takes it. Default: the evaluation's loss, or the
    /// training's without an evaluation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
}

impl Default for CheckpointOptions {
    /// Every five minutes, the last two.
    fn default() -> Self {
        CheckpointOptions {
            every_steps: None,
            every_minutes: Some(5.0),
            every_epochs: None,
            keep_last: 2,
            keep_best: 0,
            metric: None,
        }
    }
}

impl CheckpointOptions {
    /// Refuses a rule that cannot be followed.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        if self.every_steps == Some(0) || self.every_epochs == Some(0) {
            return wrong(
                "checkpoint: every 1 step or epoch is the most often; leave the key out for none".into(),
            );
        }
        match self.every_minutes {
            Some(minutes) if !(minutes.is_finite() && minutes > 0.0) => {
                wrong(format!("checkpoint.every_minutes = {minutes}: a number above 0 is needed"))
            }
            _ if self.keep_last == 0 => wrong(
                "checkpoint.keep_last = 0: at least the last one is kept, for resume to go on from".into(),
            ),
            _ => Ok(()),
        }
    }
}
