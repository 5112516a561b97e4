//! Runs on disk: a session in its directory, checkpoints, weights, TensorBoard, assertions.

mod assertion;
mod checkpoint;
mod config_diff;
mod dir;
mod init;
mod session;
mod tensorboard;
mod weights;

pub use assertion::Assertion;
pub use checkpoint::{Checkpoint, Checkpointer, Identity};
pub use config_diff::{SettingDifference, config_differences};
pub use dir::{CHECKPOINTS, Claim, RunDir};
pub use init::{InitFate, InitReport, InitTensor, initialise};
pub use session::{OnDeviceLost, Outcome, Session};
pub use tensorboard::{EventFile, Histogram};
pub use weights::{load, save};
