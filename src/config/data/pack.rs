//! A packed data set as a source.

use std::path::PathBuf;

use toml::{Table, Value};

use super::values::{entry, path_text};
use super::{DataSpec, FileKeys, Source};
use crate::data::{self, Dataset};
use crate::error::Result;

/// A packed data set, in errors.
pub(super) const FORM: &str = "{ pack = \"FILE.dhd\" }";

/// A packed data set, which says everything of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PackSpec {
    /// The file.
    pub path: PathBuf,
}

impl Source for &PackSpec {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        data::pack(&self.path)
    }

    fn source(&self) -> Value {
        Value::Table(Table::from_iter([entry("pack", path_text(&self.path))]))
    }
}

/// A packed data set.
pub(super) fn read(keys: FileKeys) -> Result<DataSpec> {
    Ok(DataSpec::Pack(PackSpec { path: keys.path }))
}
