//! Statistics on a device: what is recorded around a step, and read when it lands.

use super::{READBACK, Statistics, StatisticsRecord, units};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Pending, Recorder, Submission};
use crate::kernel::statistics::{PREVIOUS, TENSORS};
use crate::kernel::update::PARAMETERS;
use crate::plan::{Memory, Program};
use crate::train::blueprint::Blueprint;
use crate::train::trainer::Trainer;

/// What a trainer keeps for statistics.
#[derive(Debug)]
pub(in crate::train) struct Taken {
    /// Taken after steps whose number this divides.
    every: u64,
    /// The next step to take them after.
    due: Option<u64>,
    tensors: Option<Program>,
    /// For each size of batch, as far as it has been needed.
    units: Vec<Option<Program>>,
    readback: Buffer,
    /// What landed and is not told yet.
    record: Option<StatisticsRecord>,
}

impl Taken {
    /// Where the plans have statistics, for every `every` steps.
    pub fn new(gpu: &Gpu, blueprint: &Blueprint, every: Option<u64>) -> Result<Option<Taken>> {
        let (Some(statistics), Some(every)) = (&blueprint.statistics, every.filter(|&every| every > 0))
        else {
            return Ok(None);
        };
        let readback = gpu.readback(READBACK, statistics.readback().bytes)?;
        let units = statistics.units.iter().map(|_| None).collect();
        Ok(Some(Taken { every, due: None, tensors: None, units, readback, record: None }))
    }

    /// Makes the programs that statistics after a batch of `rows` samples need, as `kind` says among those of training.
    pub fn prepare(
        &mut self,
        gpu: &Gpu,
        statistics: &Statistics,
        memory: &Memory,
        kind: usize,
    ) -> Result<()> {
        if self.tensors.is_none() {
            self.tensors = Some(Program::new(gpu, &statistics.plan, memory)?);
        }
        if let Some(slot @ None) = self.units.get_mut(kind) {
            *slot = Some(Program::new(gpu, &statistics.units[kind].plan, memory)?);
        }
        Ok(())
    }

    /// Records, before the step, what keeps its weights.
    pub fn before(&self, recorder: &mut Recorder<'_>, memory: &Memory) {
        let previous = memory.get(PREVIOUS);
        recorder.copy(memory.get(PARAMETERS), 0, previous, 0, previous.bytes());
    }

    /// Records, after the step, what looks at it.
    pub fn after(&self, recorder: &mut Recorder<'_>, statistics: &Statistics, memory: &Memory, kind: usize) {
        let units = self.units.get(kind).into_iter().flatten();
        let programs = self.tensors.iter().chain(units).map(|program| &program.dispatches[..]);
        recorder.sequence(&programs.collect::<Vec<_>>());
        let records = statistics.records();
        recorder.copy(memory.get(TENSORS), 0, &self.readback, 0, records);
        for layer in 0..statistics.layers.len() {
            let at = records + 4 * layer as u64;
            recorder.copy(memory.get(&units::buffer(layer)), 0, &self.readback, at, 4);
        }
    }

    /// Asks for what was recorded last.
    pub fn map(&self, gpu: &Gpu, after: Submission) -> Pending {
        gpu.map(&self.readback, self.readback.bytes(), after)
    }
}

impl Trainer {
    /// Has statistics taken after the next step that they are asked for, and gives its number.
    pub(in crate::train) fn next_statistics(&mut self) -> Option<u64> {
        let done = self.step;
        let taken = self.statistics.as_mut()?;
        taken.due = Some((done / taken.every + 1).saturating_mul(taken.every));
        taken.due
    }

    /// Whether statistics are taken after this step.
    pub(in crate::train) fn takes_statistics(&self, step: u64) -> bool {
        self.statistics.as_ref().is_some_and(|taken| taken.due == Some(step))
    }

    /// Keeps what the device filed after `step`.
    pub(in crate::train) fn keep_statistics(&mut self, step: u64, bytes: &[u8]) {
        if let (Some(taken), Some(planned)) = (&mut self.statistics, &self.blueprint.statistics) {
            taken.record = Some(planned.record(step, &self.blueprint.parameters, bytes));
        }
    }

    /// What landed and was not asked for yet; none is due until the next is.
    pub(in crate::train) fn told_statistics(&mut self) -> Option<StatisticsRecord> {
        let taken = self.statistics.as_mut()?;
        taken.due = None;
        taken.record.take()
    }
}
