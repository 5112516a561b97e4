//! What a run ran on, and the choices that follow from it: `machine.json`.

use serde::Serialize;

use crate::gpu::{Gpu, threads};
use crate::train::Trainer;

/// The adapter of a run, and the choices that follow from it. None of them changes a bit of the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Machine {
    version: &'static str,
    adapter: String,
    driver: String,
    backend: String,
    /// The family of kernels: `Tiled` or `Subgroup`.
    kernels: String,
    /// The way in which kernels read buffers.
    reads: String,
    /// `None` where the driver chooses.
    software_threads: Option<usize>,
    dispatches_per_step: usize,
    peak_bytes: u64,
}

impl Machine {
    pub fn new(gpu: &Gpu, trainer: &Trainer) -> Machine {
        let (adapter, plan) = (gpu.adapter(), trainer.plan());
        Machine {
            version: env!("CARGO_PKG_VERSION"),
            adapter: adapter.name.clone(),
            driver: adapter.driver.clone(),
            backend: adapter.backend.clone(),
            kernels: format!("{:?}", gpu.family()),
            reads: plan.reads.to_string(),
            software_threads: threads::were_left_out().then_some(0),
            dispatches_per_step: plan.dispatches(),
            peak_bytes: plan.peak_bytes(),
        }
    }
}
