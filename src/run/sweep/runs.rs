//! The runs of a sweep, with what they have in common.

use std::path::Path;

use super::folder::SweepDir;
use super::replica::Replica;
use super::row::Row;
use crate::config::Sweep as Keys;
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

    pub fn write_table(&self) -> Result<()> {
        self.dir.write_table(&self.swept, &self.rows())
    }
}
