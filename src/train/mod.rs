//! Training: the loop, its progress, learning rate and records. No file is touched here: [`run`](crate::run) saves.

mod checkpointing;
mod early_stopping;
mod fleet;
mod handle;
mod lr;
mod lr_curve;
mod lr_find;
mod monitor;
mod observer;
mod profile;
mod progress;
mod records;
mod results;
mod rule;
mod run_loop;
mod skipped;
mod trace;
mod trainer;

pub use checkpointing::{CheckpointOptions, Checkpointing};
pub use fleet::{
    Fleet, FleetEnd, FleetObserver, FleetOptions, FleetPlan, Halving, Judgement, ReplicaEnd, Variant,
};
pub use handle::{RunHandle, RunProgress};
pub use lr_curve::{LrEnd, LrPoint, LrSuggestion, LrSweep, NoDescent};
pub use lr_find::LrFinder;
pub use monitor::{Mode, Monitor};
pub use observer::Observer;
pub use profile::{KernelTimes, Profile};
pub use progress::Snapshot;
pub(crate) use progress::{BestWeights, Progress};
pub use records::{CheckpointRecord, EpochRecord, Outcome, RunEnd, RunStart, StepRecord};
pub use trace::Trace;
pub use trainer::Trainer;
