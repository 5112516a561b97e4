//! The slots that streamed samples pass on their way to the device.

use crate::data::{BatchPlan, BatchSize, Field, Part};
use crate::error::Result;
use crate::kernel::feed::MAX_WINDOW_STEPS;
use crate::plan::{ALIGNMENT, BufferPlan};

/// Buffers that are filled in turn: one that the device copies from, one that is full, one that is being filled.
pub(crate) const SLOTS: usize = 3;
/// Approximate bytes of a slot, where memory allows it.
const SLOT_BYTES: u64 = 8 << 20;

/// The layout of a slot: field by field, the samples of each pass one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingLayout {
    /// `train` or `eval`.
    pub(crate) name: &'static str,
    /// Steps it holds.
    pub(crate) steps: usize,
    /// Rows of the order table it holds.
    pub(crate) passes: usize,
    /// Samples of a row.
    pub(crate) stride: usize,
    /// The first byte of each field.
    pub(crate) offsets: Vec<u64>,
    /// Bytes of the whole.
    pub(crate) bytes: u64,
}

impl StagingLayout {
    /// A slot of `steps` steps of `part`.
    pub(crate) fn new(name: &'static str, part: &Part, batches: &BatchPlan, steps: usize) -> StagingLayout {
        let (passes, stride) = (steps * batches.parts(batches.rows).count(), batches.micro);
        let mut bytes = 0;
        let mut offsets = Vec::new();
        for (_, field) in part.fields() {
            offsets.push(bytes);
            bytes += region(field, passes * stride).next_multiple_of(ALIGNMENT);
        }
        StagingLayout { name, steps, passes, stride, offsets, bytes }
    }

    /// The steps that a slot holds at most.
    pub(super) fn most_steps(part: &Part, batches: &BatchPlan) -> usize {
        let passes = batches.parts(batches.rows).count();
        let one = StagingLayout::new("", part, batches, 1).bytes.max(1);
        let fit = (SLOT_BYTES / one) as usize;
        fit.min(MAX_WINDOW_STEPS / passes).min(batches.steps()).max(1)
    }

    /// The buffer on the device that a slot is copied to.
    pub(crate) fn staged(&self) -> String {
        format!("streamed {}", self.name)
    }

    /// Bytes of host and device together.
    pub(super) fn total(&self) -> u64 {
        self.bytes * (SLOTS as u64 + 1)
    }

    /// The slots, with their names.
    pub(crate) fn slots(&self) -> impl Iterator<Item = BufferPlan> {
        (0..SLOTS).map(|i| BufferPlan { name: format!("staging {} {i}", self.name), bytes: self.bytes })
    }
}

/// The parts of the data that a run streams. None where the whole data set lies on the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Streaming {
    pub train: Option<StagingLayout>,
    /// Evaluation samples are streamed as well.
    pub eval: bool,
}

impl Streaming {
    /// Slots of `steps` training steps. `eval`: others for evaluation.
    pub fn streamed(part: &Part, batches: &BatchPlan, steps: usize, eval: bool) -> Streaming {
        Streaming { train: Some(StagingLayout::new("train", part, batches, steps)), eval }
    }

    /// True where samples of `train` or `eval` are streamed.
    pub fn streams(&self, part: &str) -> bool {
        self.train.is_some() && (self.eval || part == "train")
    }

    /// The slot of an evaluation in batches of `rows` samples: no larger than training's, one step at least.
    pub fn for_eval(&self, part: &Part, rows: usize) -> Result<Option<StagingLayout>> {
        let Some(train) = self.train.as_ref().filter(|_| self.eval) else { return Ok(None) };
        let batches = BatchPlan::new(part.len(), BatchSize::Rows(rows), false)?;
        let one = StagingLayout::new("eval", part, &batches, 1).bytes.max(1);
        let steps = ((train.bytes / one) as usize).clamp(1, StagingLayout::most_steps(part, &batches));
        Ok(Some(StagingLayout::new("eval", part, &batches, steps)))
    }
}

/// Bytes of `samples` samples of a field.
pub(super) fn region(field: &Field, samples: usize) -> u64 {
    (field.sample_bytes() * samples).next_multiple_of(4) as u64
}
