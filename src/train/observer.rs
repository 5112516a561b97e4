//! Observers: code that follows a run.

use super::records::{CheckpointRecord, EpochRecord, RunEnd, RunStart, StepRecord};
use crate::error::Result;
use crate::metrics::StatisticsRecord;

/// Follows a run. Every method may end it by an error; [`crate::Error::Cancelled`] of `steps`, `statistics`, `evaluating` and
/// `epoch` does what [`RunHandle::stop`](super::RunHandle::stop) does.
///
/// Two observers in a pair follow a run together.
pub trait Observer {
    /// Before the first step, and again where a run resumes after its device was lost.
    fn start(&mut self, start: &RunStart) -> Result<()> {
        let _ = start;
        Ok(())
    }

    /// After steps whose losses were received. Called between submissions, never on the path of a step.
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        let _ = steps;
        Ok(())
    }

    /// After a step whose statistics are taken ([`TrainOptions::statistics`](crate::compile::TrainOptions::statistics)):
    /// after the step itself is reported, and before an epoch or a checkpoint that ends with it.
    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<()> {
        let _ = statistics;
        Ok(())
    }

    /// Before each window of an evaluation, some tenths of a second after the one before.
    fn evaluating(&mut self) -> Result<()> {
        Ok(())
    }

    /// After an epoch and its evaluation.
    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// After a checkpoint was written, some steps later.
    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        let _ = checkpoint;
        Ok(())
    }

    /// At the end of a run that did not fail, after `step` steps.
    fn end(&mut self, end: RunEnd, step: u64) -> Result<()> {
        let _ = (end, step);
        Ok(())
    }
}

/// Observes nothing.
impl Observer for () {}

/// Both observe, the first before the second.
impl<A: Observer + ?Sized, B: Observer + ?Sized> Observer for (&mut A, &mut B) {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        self.0.start(start)?;
        self.1.start(start)
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.0.steps(steps)?;
        self.1.steps(steps)
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<()> {
        self.0.statistics(statistics)?;
        self.1.statistics(statistics)
    }

    fn evaluating(&mut self) -> Result<()> {
        self.0.evaluating()?;
        self.1.evaluating()
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.0.epoch(epoch)?;
        self.1.epoch(epoch)
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        self.0.checkpoint(checkpoint)?;
        self.1.checkpoint(checkpoint)
    }

    fn end(&mut self, end: RunEnd, step: u64) -> Result<()> {
        self.0.end(end, step)?;
        self.1.end(end, step)
    }
}

/// An observer that may be absent.
impl<A: Observer> Observer for Option<A> {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.start(start))
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.steps(steps))
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.statistics(statistics))
    }

    fn evaluating(&mut self) -> Result<()> {
        self.as_mut().map_or(Ok(()), Observer::evaluating)
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.epoch(epoch))
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.checkpoint(checkpoint))
    }

    fn end(&mut self, end: RunEnd, step: u64) -> Result<()> {
        self.as_mut().map_or(Ok(()), |observer| observer.end(end, step))
    }
}
