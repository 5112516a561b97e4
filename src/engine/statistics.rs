//! Statistics on a device: recorded around a step, and mapped with its results.

use crate::compile::{STATISTICS_READBACK, Statistics};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu, Pending, Recorder, Submission};
use crate::kernel::statistics::{PREVIOUS, TENSORS};
use crate::kernel::update::PARAMETERS;
use crate::plan::{Memory, Program};

/// The programs that take statistics, compiled at their first use, and the buffer that they come back through.
#[derive(Debug)]
pub(super) struct StatisticsPass {
    tensors: Option<Program>,
    /// For each size of batch.
    units: Vec<Option<Program>>,
    readback: Buffer,
}

impl StatisticsPass {
    /// # Errors
    /// Too little memory.
    pub fn new(gpu: &Gpu, plans: &Statistics) -> Result<StatisticsPass> {
        let readback = gpu.readback(STATISTICS_READBACK, plans.readback().bytes)?;
        let units = plans.units.iter().map(|_| None).collect();
        Ok(StatisticsPass { tensors: None, units, readback })
    }

    /// Compiles the programs that statistics need after a pass by this program of training.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub async fn compile(
        &mut self,
        gpu: &Gpu,
        plans: &Statistics,
        memory: &Memory,
        program: usize,
    ) -> Result<()> {
        if self.tensors.is_none() {
            self.tensors = Some(Program::make(gpu, &plans.plan, memory).await?);
        }
        if let Some(slot @ None) = self.units.get_mut(program) {
            *slot = Some(Program::make(gpu, &plans.units[program].plan, memory).await?);
        }
        Ok(())
    }

    /// Records, before the step, a copy of its weights.
    pub fn record_before(&self, recorder: &mut Recorder<'_>, memory: &Memory) {
        let previous = memory.get(PREVIOUS);
        recorder.copy(memory.get(PARAMETERS), 0, previous, 0, previous.bytes());
    }

    /// Records, after the step, the statistics and their copy.
    pub fn record_after(
        &self,
        recorder: &mut Recorder<'_>,
        plans: &Statistics,
        memory: &Memory,
        program: usize,
    ) {
        let units = self.units.get(program).into_iter().flatten();
        let programs = self.tensors.iter().chain(units).map(|program| &program.dispatches[..]);
        recorder.sequence(&programs.collect::<Vec<_>>());
        let records = plans.records();
        recorder.copy(memory.get(TENSORS), 0, &self.readback, 0, records);
        for (layer, buffer) in plans.dead_unit_buffers().enumerate() {
            let at = records + 4 * layer as u64;
            recorder.copy(memory.get(&buffer), 0, &self.readback, at, 4);
        }
    }

    /// Maps the statistics that were recorded last.
    pub fn map(&self, gpu: &Gpu, after: Submission) -> Pending {
        gpu.map(&self.readback, self.readback.bytes(), after)
    }
}
