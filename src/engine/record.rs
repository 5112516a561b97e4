//! One recording for training and evaluation: samples in, dispatches, results out.

use super::loader::SampleLoader;
use crate::compile::TrainPlan;
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Recorder, Submission};
use crate::plan::Memory;

/// A copy of the first bytes of a named buffer into another one.
#[derive(Clone, Copy)]
pub(super) struct Copy<'b> {
    pub from: &'static str,
    pub into: &'b Buffer,
    pub bytes: u64,
}

/// [`Copy`] for each of several nets: from its part of the buffer to its place among the others.
pub(super) struct CopyOfEach<'b> {
    copy: Copy<'b>,
    nets: usize,
    /// Bytes from a net's part to the next one's, in the buffer that is read.
    stride: u64,
}

impl<'b> Copy<'b> {
    /// The copy for the first `nets` nets, one after the other, and the bytes of them all.
    pub fn of_each(self, plan: &TrainPlan, nets: usize) -> (CopyOfEach<'b>, u64) {
        let stride = plan.replicas.as_ref().map_or(0, |replicas| replicas.stride(self.from));
        (CopyOfEach { copy: self, nets, stride }, self.bytes * nets as u64)
    }
}

/// The numbers of each net, of those that [`CopyOfEach`] copied.
pub(super) fn parts_read_back(bytes: &[u8], each: u64) -> impl Iterator<Item = Vec<f32>> {
    bytes.chunks_exact((each as usize).max(1)).map(bytemuck::pod_collect_to_vec)
}

/// Submits one window: the copy of its streamed samples, the dispatches that `body` records, and the copies of results.
pub(super) fn submit_window(
    gpu: &Gpu,
    memory: &Memory,
    loader: &mut SampleLoader,
    body: impl FnOnce(&mut Recorder<'_>),
    copies: &[CopyOfEach<'_>],
) -> Result<Submission> {
    let mut recorder = gpu.recorder();
    loader.copy_to_device(&mut recorder, memory);
    body(&mut recorder);
    for CopyOfEach { copy, nets, stride } in copies {
        for net in 0..*nets as u64 {
            recorder.copy(memory.get(copy.from), net * stride, copy.into, net * copy.bytes, copy.bytes);
        }
    }
    let submission = recorder.submit()?;
    loader.reclaim();
    Ok(submission)
}
