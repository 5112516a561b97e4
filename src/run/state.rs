//! The state of a run on disk.

use crate::error::Error;
use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// A process trains it.
    Running,
    /// Its weights are written.
    Finished,
    /// It was stopped or killed, and can be resumed.
    Stopped,
    /// An error ended it; it can be resumed where the cause is gone.
    Failed,
    /// Its loss became infinite or NaN.
    Diverged,
}

impl RunState {
    /// The name of the state.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Finished => "finished",
            RunState::Stopped => "stopped",
            RunState::Failed => "failed",
            RunState::Diverged => "diverged",
        }
    }

    /// The state of a run that this error ended.
    pub(super) fn after(error: &Error) -> RunState {
        match error {
            Error::Diverged { .. } => RunState::Diverged,
            _ => RunState::Failed,
        }
    }
}
