//! Training: the plans of a run, its loop, what it tells and what it leaves behind.

mod batch;
mod blueprint;
mod feed;
mod metrics;
mod observer;
mod run_dir;
mod state;
mod trainer;
mod weights;

pub use batch::Batch;
pub use blueprint::{BatchLoss, Blueprint, Build, Checkpointing, Loss, Model, WINDOW};
pub use metrics::{Metrics, Objective};
pub use observer::{EpochRecord, Evaluation, Observer, StepRecord};
pub use run_dir::{RunDir, write_whole};
pub use state::NamedTensor;
pub use trainer::{TrainOptions, Trainer};
pub use weights::{load, save};
