//! The loader of a part: the same calls whether its samples lie on the device or are streamed.

use std::fmt;
use std::time::Duration;

use super::order::{EpochOrder, SampleOrder};
use super::prefetch::Prefetcher;
use crate::data::BatchPlan;
use crate::error::Result;
use crate::gpu::Recorder;
use crate::plan::Memory;

/// Gives the samples of an epoch's steps, as numbers of places that the device gathers them from.
pub(in crate::engine) struct SampleLoader(Source);

enum Source {
    /// The whole part lies on the device.
    Resident { batches: BatchPlan, order: EpochOrder, current: Option<(u64, Vec<u32>)> },
    /// Samples pass slots.
    Streamed(Prefetcher),
}

impl SampleLoader {
    pub(super) fn resident(batches: BatchPlan, order: EpochOrder) -> Self {
        SampleLoader(Source::Resident { batches, order, current: None })
    }

    pub(super) fn streamed(prefetcher: Prefetcher) -> Self {
        SampleLoader(Source::Streamed(prefetcher))
    }

    /// True where [`SampleLoader::take`] does not wait.
    pub fn is_ready(&self, epoch: u64, step: usize) -> bool {
        match &self.0 {
            Source::Resident { .. } => true,
            Source::Streamed(prefetcher) => prefetcher.is_ready(epoch, step),
        }
    }

    /// The samples of up to `count` steps from an epoch's step on, and how many steps that is. Waits until they can be
    /// had.
    ///
    /// # Errors
    /// A sample that cannot be read, at the step it belongs to.
    pub fn take(&mut self, epoch: u64, step: usize, count: usize) -> Result<(SampleOrder, usize)> {
        match &mut self.0 {
            Source::Resident { batches, order, current } => {
                if current.as_ref().is_none_or(|(of, _)| *of != epoch) {
                    *current = Some((epoch, order(epoch)));
                }
                let all = current.as_ref().map_or(&[][..], |(_, all)| all);
                Ok((SampleOrder::new(batches, all, step, count), count))
            }
            Source::Streamed(prefetcher) => prefetcher.take(epoch, step, count),
        }
    }

    /// Records the copy of the samples that were taken last, where they lie in a slot.
    pub fn copy_to_device(&mut self, recorder: &mut Recorder<'_>, memory: &Memory) {
        if let Source::Streamed(prefetcher) = &mut self.0 {
            prefetcher.copy_to_device(recorder, memory);
        }
    }

    /// Asks for the slot back that the last submission copied.
    pub fn reclaim(&mut self) {
        if let Source::Streamed(prefetcher) = &mut self.0 {
            prefetcher.reclaim();
        }
    }

    /// Time that the steps have waited for samples, where they are streamed.
    pub fn waited(&self) -> Option<Duration> {
        match &self.0 {
            Source::Resident { .. } => None,
            Source::Streamed(prefetcher) => Some(prefetcher.waited()),
        }
    }

    /// Threads that read samples, where they are streamed.
    pub fn workers(&self) -> Option<usize> {
        match &self.0 {
            Source::Resident { .. } => None,
            Source::Streamed(prefetcher) => Some(prefetcher.workers()),
        }
    }
}

impl fmt::Debug for SampleLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Resident { batches, .. } => f.debug_tuple("Resident").field(batches).finish(),
            Source::Streamed(prefetcher) => prefetcher.fmt(f),
        }
    }
}
