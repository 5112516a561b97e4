//! The runs of a sweep, with what they have in common.

use std::path::Path;

use super::folder::SweepDir;
use super::replica::Replica;
use super::row::{Row, ranked};
use crate::config::{Keep, Sweep as Keys};
use crate::error::Result;
use crate::train::Monitor;

/// The runs of a sweep in their folder.
#[derive(Debug)]
pub(super) struct Runs {
    pub dir: SweepDir,
    /// The keys that differ, in the order of the table.
    pub swept: Vec<String>,
    pub keys: Keys,
    pub replicas: Vec<Replica>,
    /// The number that says which runs are best.
    pub monitor: Monitor,
}

impl Runs {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The rows of the table, in the order of the runs.
    pub fn rows(&self) -> Vec<Row> {
        self.replicas.iter().map(Replica::row).collect()
    }

    /// Drops the weights of runs that have ended and are not among the best, where only some are kept.
    pub fn keep_best(&self) -> Result<()> {
        let Keep::Best(most) = self.keys.keep else { return Ok(()) };
        self.drop_weights_but(&self.best(&self.rows(), most))
    }

    /// The numbers of the best runs.
    pub fn best(&self, rows: &[Row], most: usize) -> Vec<usize> {
        ranked(rows, &self.monitor).into_iter().take(most).map(|(row, _)| row.replica).collect()
    }

    /// Drops the weights of runs that have ended, but for these.
    pub fn drop_weights_but(&self, best: &[usize]) -> Result<()> {
        for run in &self.replicas {
            if !best.contains(&run.index) && run.ended.is_some() && run.has_weights(self.path()) {
                run.drop_weights(self.path())?;
            }
        }
        Ok(())
    }

    pub fn write_table(&self) -> Result<()> {
        self.dir.write_table(&self.swept, &self.rows())
    }
}
