//! What a run ran on, and the choices that follow from it: `machine.json`.

use serde::Serialize;

use crate::gpu::{Gpu, threads};
use crate::train::Trainer;

/// The adapter of a run, and the choices that follow from it. Only the family of kernels and
/// the tiles of products change bits of the results.
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
    /// The driver checks each access to a buffer.
    robust_buffers: bool,
    /// Threads of Mesa's software adapter as the environment or this program set them; 0 is the thread that submits. `None`
    /// where the driver chooses.
    software_threads: Option<usize>,
    /// Products of all plans whose tile the config's `[tune]` names.
    tuned_products: usize,
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
            reads: plan.read_as(),
            robust_buffers: gpu.has_robust_buffers(),
            software_threads: adapter.mesa_version().and_then(|_| threads::given()),
            tuned_products: plan.tuned_products(),
            dispatches_per_step: plan.dispatches(),
            peak_bytes: plan.peak_bytes(),
        }
    }
}
