//! One recording for training and evaluation: samples in, dispatches, results out.

use super::loader::SampleLoader;
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Recorder, Submission};
use crate::plan::Memory;

/// A copy of the first bytes of a named buffer into another one.
pub(super) struct Copy<'b> {
    pub from: &'static str,
    pub into: &'b Buffer,
    pub bytes: u64,
}

/// Submits one window: the copy of its streamed samples, the dispatches that `body` records, and the copies of results.
pub(super) fn submit_window(
    gpu: &Gpu,
    memory: &Memory,
    loader: &mut SampleLoader,
    body: impl FnOnce(&mut Recorder<'_>),
    copies: &[Copy<'_>],
) -> Result<Submission> {
    let mut recorder = gpu.recorder();
    loader.copy_to_device(&mut recorder, memory);
    body(&mut recorder);
    for copy in copies {
        recorder.copy(memory.get(copy.from), 0, copy.into, 0, copy.bytes);
    }
    let submission = recorder.submit()?;
    loader.reclaim();
    Ok(submission)
}
