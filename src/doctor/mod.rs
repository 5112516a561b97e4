//! `downhill doctor`: describes the adapter, tests every kernel on it, and gives advice.
//!
//! Kernels run on small problems and are compared with loops in f64, which are written from the equations and share only
//! the graph with the kernels. Each number of the reference carries a bound for rounding in f32, so no tolerance is
//! chosen.

mod about;
mod advice;
mod case;
mod cases;
mod graph;
mod report;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Instant;

pub use about::{Adapter, Feature, Limit};
pub use advice::{Advice, Level};
pub use report::Report;
pub use verdict::{KernelReport, Verdict};

use crate::error::Result;
use crate::gpu::{Family, Gpu, GpuOptions, adapters};
use crate::kernel::Target;

/// Options of an examination.
#[derive(Debug, Clone)]
pub struct Options {
    /// The adapter and how it is opened; the family is that of its kind.
    pub device: GpuOptions,
    /// Test the kernels of both families, where the adapter can run both.
    pub all: bool,
    /// Receives the name of the next test.
    pub progress: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Options { device: GpuOptions::default(), all: false, progress: |_| {} }
    }
}

/// Examines an adapter and its kernels. The report also covers a missing adapter and wrong kernels.
///
/// # Errors
/// A test that cannot be planned, which is a bug of the doctor.
pub fn examine(options: &Options) -> Result<Report> {
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        adapter: None,
        missing: None,
        kernels: Vec::new(),
        seconds: 0.0,
        advice: Vec::new(),
    };
    let open = |family| Gpu::open(&GpuOptions { family, ..options.device.clone() });
    let gpu = match open(None) {
        Ok(gpu) => gpu,
        Err(err) => {
            report.missing = Some(err.to_string());
            report.advice = advice::without_adapter();
            return Ok(report);
        }
    };
    let start = Instant::now();
    report.kernels = test(&gpu, options.progress)?;
    let other = match gpu.family() {
        Family::Subgroup => Family::Tiled,
        Family::Tiled => Family::Subgroup,
    };
    // The subgroup kernels need subgroups of eight, which not every adapter has.
    if options.all
        && let Ok(gpu) = open(Some(other))
    {
        report.kernels.extend(test(&gpu, options.progress)?);
    }
    report.seconds = start.elapsed().as_secs_f64();
    let adapter = about::adapter(&gpu);
    report.advice = advice::of(&adapter, &pollster::block_on(adapters()), &report.kernels);
    report.adapter = Some(adapter);
    Ok(report)
}

/// Tests every kernel of a device's family.
fn test(gpu: &Gpu, progress: fn(&str)) -> Result<Vec<KernelReport>> {
    let cases = cases::all(Target::for_gpu(gpu), gpu.has_f16())?;
    let alone = verdict::judge(gpu, &cases, progress);
    Ok(alone.into_iter().chain(verdict::judge_replicas(gpu, &cases, progress)).collect())
}
