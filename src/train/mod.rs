//! Training: the loop, its progress, learning rate and records. No file is touched here: [`run`](crate::run) saves.

mod checkpointing;
mod early_stopping;
#[cfg(not(target_arch = "wasm32"))]
mod fleet;
mod halving;
mod handle;
mod lr;
mod lr_curve;
#[cfg(not(target_arch = "wasm32"))]
mod lr_find;
mod monitor;
mod observer;
#[cfg(not(target_arch = "wasm32"))]
mod profile;
mod progress;
mod records;
mod results;
mod rule;
mod run_loop;
mod skipped;
mod snapshot_bytes;
#[cfg(not(target_arch = "wasm32"))]
mod trace;
mod trainer;

pub use checkpointing::{CheckpointOptions, Checkpointing};
#[cfg(not(target_arch = "wasm32"))]
pub use fleet::{Fleet, FleetEnd, FleetObserver, FleetOptions, FleetPlan, ReplicaEnd, Variant};
pub use halving::{Halving, Judgement};
pub use handle::{RunHandle, RunProgress};
pub use lr_curve::{LrEnd, LrPoint, LrSuggestion, LrSweep, NoDescent};
#[cfg(not(target_arch = "wasm32"))]
pub use lr_find::LrFinder;
pub use monitor::{Mode, Monitor};
pub use observer::Observer;
#[cfg(not(target_arch = "wasm32"))]
pub use profile::{KernelTimes, Profile};
pub use progress::Snapshot;
pub(crate) use progress::{BestWeights, Progress};
pub use records::{CheckpointRecord, EpochRecord, Outcome, RunEnd, RunStart, StepRecord};
#[cfg(not(target_arch = "wasm32"))]
pub use trace::Trace;
pub use trainer::Trainer;
