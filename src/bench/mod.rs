//! `downhill bench`: the limits of the adapter, and how near the kernels come to them.
//!
//! Every result is checked against a reference in f64 before it is timed. Every number is a median of runs that take
//! turns with those it is compared with. `docs/benchmarks.md` explains the numbers.

mod arenas;
mod atlas;
mod bench_context;
mod by_tensor;
mod cache;
mod call;
mod chase;
mod launch;
mod list;
mod matmul;
mod nets;
mod ops;
mod optim;
mod options;
mod place;
mod report;
mod roof;
mod sheet;
mod stats;
#[cfg(test)]
mod tests;
mod timing;
mod torch;
mod train;
mod tune;
mod unfused;
mod update;
mod way;

pub use crate::figure::{Axis, Figure, Panel, Series};
pub use atlas::{
    ATLAS_SCHEMA, Atlas, AtlasAdapter, AtlasEntry, AtlasLaunch, AtlasOptimizer, AtlasProduct, AtlasVersions,
    atlas, atlas_figure, atlas_page, atlas_text,
};
pub use launch::LaunchBench;
pub use matmul::MatmulBench;
pub use nets::{Workload, workloads};
pub use optim::OptimBench;
pub use options::Options;
pub use report::{Machine, Report};
pub use roof::{Roof, roof};
pub use sheet::{Cell, Column, Sheet, Unit};
pub use stats::Summary;
pub use timing::Effort;
pub use torch::TorchDevice;
pub use train::{Subject, train};
pub use tune::{Candidate, LEAST_GAIN, StepChange, Tuned, TunedProduct, Tuning, without_tiles};
pub use way::Way;
