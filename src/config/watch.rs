//! The section `[watch]`: what a run writes for other programs beside its own metrics.

use toml::{Table, Value};

use super::section::Section;
use crate::error::Result;

/// What is written for other programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// Event files for TensorBoard in the run directory.
    pub tensorboard: bool,
}

impl Watch {
    pub(super) fn read(mut section: Section) -> Result<Watch> {
        let watch = Watch { tensorboard: section.boolean("tensorboard", false)? };
        section.finish()?;
        Ok(watch)
    }

    /// With every default.
    pub(super) fn to_toml(self) -> Value {
        Value::Table(Table::from_iter([("tensorboard".to_owned(), self.tensorboard.into())]))
    }
}
