//! A run, planned: model, loss, optimizer, data and memory budget become a [`TrainPlan`]. No GPU is touched.
//!
//! `builder` takes the parts, `budget` searches the first choice that fits, `assemble` makes the plans of one choice, `step`
//! those of one batch; `inputs` puts the feed before a step, `update` the optimizer behind it.

mod assemble;
mod budget;
mod builder;
mod checks;
mod dead_units;
#[cfg(feature = "diagnostics")]
mod equal_tensors;
mod inputs;
mod objective;
mod optimizer_passes;
mod options;
mod replicas;
mod staging;
mod statistics;
mod step;
mod structure;
mod train_plan;
mod update;

pub use builder::TrainPlanBuilder;
pub(crate) use checks::IndexedTable;
#[cfg(feature = "diagnostics")]
pub(crate) use equal_tensors::of_equal_tensors;
pub(crate) use inputs::{check as check_sources, sources};
pub use objective::{Batch, BatchLoss, Loss, Model, Objective};
pub(crate) use optimizer_passes::dispatches_of_a_shape;
pub use options::{EarlyStopping, MicroBatch, Seeds, TrainOptions};
pub use replicas::{Orders, ReplicaBytes};
pub(crate) use staging::SLOTS;
pub use staging::StagingLayout;
pub(crate) use statistics::{STATISTICS_READBACK, Statistics};
pub use step::StepPlan;
pub use train_plan::{BudgetChoice, Recomputation, TrainPlan};
pub(crate) use train_plan::{EXCHANGED, READBACK, TALLIED};
pub(crate) use update::table_updates;
