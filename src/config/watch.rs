//! The section `[watch]`: what a run tells beside its metrics, and what it writes for other programs.

use toml::{Table, Value};

use super::section::Section;
use crate::error::Result;

/// What is told beside the metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// Event files for TensorBoard in the run directory.
    pub tensorboard: bool,
    /// Statistics of every tensor after each step whose number this divides; never where it is 0.
    pub statistics: u64,
}

impl Watch {
    pub(super) fn read(mut section: Section) -> Result<Watch> {
        let tensorboard = section.boolean("tensorboard", false)?;
        let statistics = section.whole("statistics")?.unwrap_or(0);
        let watch = Watch { tensorboard, statistics };
        section.finish()?;
        Ok(watch)
    }

    /// With every default.
    pub(super) fn to_toml(self) -> Value {
        let statistics = Value::Integer(i64::try_from(self.statistics).unwrap_or(i64::MAX));
        let keys = [("tensorboard", self.tensorboard.into()), ("statistics", statistics)];
        Value::Table(Table::from_iter(keys.map(|(key, value)| (key.to_owned(), value))))
    }
}
