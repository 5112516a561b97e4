//! The options of every benchmark.

use std::path::PathBuf;

use super::cache;
use super::timing::Effort;
use crate::gpu::Gpu;

/// Bytes of the arrays in turn in a quick run.
const QUICK: u64 = 8 << 20;

/// The options of every benchmark.
#[derive(Debug, Clone)]
pub struct Options {
    /// Repetitions and their length.
    pub effort: Effort,
    /// Small arrays, few sizes: a check that the benchmark works, not a result to report.
    pub quick: bool,
    /// Called with the name of the next measurement.
    pub progress: fn(&str),
    /// A Python with torch, whose times of the same work stand beside ours. Default: none.
    pub python: Option<PathBuf>,
}

impl Options {
    /// The usual run, or a quick one, without progress.
    pub fn new(quick: bool) -> Options {
        let effort = if quick { Effort::QUICK } else { Effort::FULL };
        Options { effort, quick, progress: |_| {}, python: None }
    }

    pub(super) fn progress(&self, what: &str) {
        (self.progress)(what);
    }

    /// Total bytes of the buffers in turn. None is still in the cache at its next turn.
    pub(super) fn rotation(&self, gpu: &Gpu) -> u64 {
        if self.quick { QUICK } else { cache::rotation(gpu) }
    }
}
