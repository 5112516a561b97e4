//! Where the samples of a window lie on their way to the device, where the data set does not lie there whole.

use super::blueprint::WINDOW;
use crate::data::{BatchPlan, BatchSize, Field, Part};
use crate::error::Result;
use crate::plan::{ALIGNMENT, BufferPlan};

/// Buffers that are filled in turn: one that the device copies from, one that is full, one that is being filled.
pub(super) const SLOTS: usize = 3;
/// A slot is made about so large, where there is room.
const SLOT_BYTES: u64 = 8 << 20;

/// The layout of a slot: field by field, the samples of each pass one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `train` or `eval`.
    pub(super) name: &'static str,
    /// Steps it holds.
    pub(super) steps: usize,
    /// Rows of the order table it holds.
    pub(super) passes: usize,
    /// Samples of a row.
    pub(super) stride: usize,
    /// The first byte of each field.
    pub(super) offsets: Vec<u64>,
    /// Bytes of the whole.
    pub(super) bytes: u64,
}

impl Stage {
    /// A slot of `steps` steps of `part`.
    pub(super) fn of(name: &'static str, part: &Part, batches: &BatchPlan, steps: usize) -> Stage {
        let (passes, stride) = (steps * batches.parts(batches.rows).count(), batches.micro);
        let mut bytes = 0;
        let mut offsets = Vec::new();
        for (_, field) in part.fields() {
            offsets.push(bytes);
            bytes += region(field, passes * stride).next_multiple_of(ALIGNMENT);
        }
        Stage { name, steps, passes, stride, offsets, bytes }
    }

    /// The most steps that a slot should hold.
    pub(super) fn most_steps(part: &Part, batches: &BatchPlan) -> usize {
        let passes = batches.parts(batches.rows).count();
        let one = Stage::of("", part, batches, 1).bytes.max(1);
        let fit = (SLOT_BYTES / one) as usize;
        fit.min(WINDOW / passes).min(batches.steps()).max(1)
    }

    /// The buffer on the device that a slot is copied to.
    pub(super) fn landed(&self) -> String {
        format!("streamed {}", self.name)
    }

    /// Bytes of host and device together.
    pub(super) fn total(&self) -> u64 {
        self.bytes * (SLOTS as u64 + 1)
    }

    /// The slots, with their names.
    pub(super) fn slots(&self) -> impl Iterator<Item = BufferPlan> {
        (0..SLOTS).map(|i| BufferPlan { name: format!("staging {} {i}", self.name), bytes: self.bytes })
    }
}

/// What a run streams: nothing where the data set lies on the device whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stages {
    pub train: Option<Stage>,
    /// Samples to evaluate on are streamed as well.
    pub eval: bool,
}

impl Stages {
    /// Slots of `steps` training steps; and others for evaluation, if so.
    pub fn streamed(part: &Part, batches: &BatchPlan, steps: usize, eval: bool) -> Stages {
        Stages { train: Some(Stage::of("train", part, batches, steps)), eval }
    }

    /// True where samples of `train` or `eval` are streamed.
    pub fn streams(&self, part: &str) -> bool {
        self.train.is_some() && (self.eval || part == "train")
    }

    /// The stage of an evaluation in batches of `rows` samples: as many as are no larger than training's, one at least.
    pub fn of_eval(&self, part: &Part, rows: usize) -> Result<Option<Stage>> {
        let Some(train) = self.train.as_ref().filter(|_| self.eval) else { return Ok(None) };
        let batches = BatchPlan::new(part.len(), BatchSize::Rows(rows), false)?;
        let one = Stage::of("eval", part, &batches, 1).bytes.max(1);
        let steps = ((train.bytes / one) as usize).clamp(1, Stage::most_steps(part, &batches));
        Ok(Some(Stage::of("eval", part, &batches, steps)))
    }
}

/// Bytes of `samples` samples of a field.
pub(super) fn region(field: &Field, samples: usize) -> u64 {
    (field.sample_bytes() * samples).next_multiple_of(4) as u64
}
