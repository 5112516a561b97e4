//! Runs on disk: a session in its directory, its workers on other ranks, checkpoints, weights, TensorBoard, assertions.

mod assertion;
mod checkpoint;
mod config_diff;
mod dir;
mod init;
mod numbered;
mod open;
mod present;
mod session;
mod state;
mod summary;
mod sweep;
mod system;
mod tensorboard;
mod tiles;
mod weights;
mod worker;

pub use assertion::Assertion;
pub use checkpoint::{Checkpoint, Checkpointer, Identity};
pub use config_diff::{SettingDifference, Varying, config_differences, varying_settings};
pub use dir::{CHECKPOINTS, Claim, RunDir};
pub use init::{InitFate, InitReport, InitTensor, initialise};
pub use session::{OnDeviceLost, Session};
pub use state::RunState;
pub use summary::{MetricSummary, RunSummary, find_runs};
pub use sweep::{
    Ended, Judged, Row, Sweep, SweepBase, SweepHistory, SweepObserver, SweepSource, SweepStart, ranked,
};
pub use system::{Segment, System};
pub use tensorboard::{EventFile, Histogram};
pub use weights::{load, save};
pub use worker::Worker;

pub use crate::train::Outcome;
