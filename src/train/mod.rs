//! Training: the plans of a run, its loop, what it tells and what it leaves behind.

mod agree;
mod batch;
mod blueprint;
mod draft;
mod ending;
mod evaluate;
mod feed;
mod fit;
mod lr_curve;
mod lr_find;
mod metrics;
mod observer;
mod pace;
mod passes;
mod profile;
mod rows;
mod run_dir;
mod scaling;
mod snapshot;
mod stage;
mod state;
mod stream;
mod streams;
mod text;
mod trainer;
mod weights;
mod window;

pub use batch::Batch;
pub use blueprint::{BatchLoss, Blueprint, Build, Checkpointing, Loss, Model, WINDOW};
pub use fit::Fit;
pub use lr_curve::{LrEnd, LrPoint, LrSuggestion, LrSweep, NoDescent};
pub use lr_find::LrFinder;
pub use metrics::{Metrics, Objective};
pub use observer::{EpochRecord, Evaluation, Observer, StepRecord};
pub(crate) use passes::{dispatches_of_a_shape, of_equal_tensors};
pub use run_dir::{RunDir, write_whole};
pub use scaling::Checks;
pub use snapshot::Snapshot;
pub use stage::Stage;
pub use text::{Sampling, TextModel, Writing};
pub use trainer::{MicroBatch, TrainOptions, Trainer};
pub use weights::{load, save};

pub use crate::kernel::{Precision, Residence, Rounding};
pub use crate::plan::NamedTensor;
