//! Observers of a sweep.

use super::row::Row;
use crate::error::Result;
use crate::train::{EpochRecord, Fleet, StepRecord};

/// The sizes of a sweep, before its first step.
#[derive(Debug, Clone, Copy)]
pub struct SweepStart {
    /// Runs.
    pub runs: usize,
    /// Fleets that they train in, one after the other.
    pub fleets: usize,
    /// Runs that ended before.
    pub ended: usize,
}

/// Follows a sweep. Every method may end it by an error; [`crate::Error::Cancelled`] of `steps`, `evaluating` and
/// `epoch` stops it.
pub trait SweepObserver {
    /// Before the first step.
    fn start(&mut self, start: &SweepStart) -> Result<()> {
        let _ = start;
        Ok(())
    }

    /// Before a fleet trains the runs `members`.
    fn fleet(&mut self, fleet: &Fleet, members: &[usize]) -> Result<()> {
        let _ = (fleet, members);
        Ok(())
    }

    /// After steps of a run.
    fn steps(&mut self, fleet: &Fleet, run: usize, steps: &[StepRecord]) -> Result<()> {
        let _ = (fleet, run, steps);
        Ok(())
    }

    /// Before each window of an evaluation, some tenths of a second after the one before.
    fn evaluating(&mut self) -> Result<()> {
        Ok(())
    }

    /// After an epoch of a run.
    fn epoch(&mut self, run: usize, epoch: &EpochRecord) -> Result<()> {
        let _ = (run, epoch);
        Ok(())
    }

    /// After runs were judged: how many go on, and how many end.
    fn judged(&mut self, rung: u64, kept: usize, dropped: usize) -> Result<()> {
        let _ = (rung, kept, dropped);
        Ok(())
    }

    /// At the end of a run.
    fn end(&mut self, row: &Row) -> Result<()> {
        let _ = row;
        Ok(())
    }
}

impl SweepObserver for () {}
