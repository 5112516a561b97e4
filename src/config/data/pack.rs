//! A packed data set as a source.

use std::path::{Path, PathBuf};

use toml::Table;

use super::keys::Keys;
use super::source::{Other, Run, Source, last_part};
use crate::data::{self, Dataset, Encoding};
use crate::error::{Error, Result};

/// A packed data set, which describes itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PackSpec {
    /// The file.
    pub path: PathBuf,
}

impl Source for PackSpec {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        data::pack(&self.path)
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        ("pack", Some(&self.path))
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.path]
    }

    fn keys(&self) -> (Table, Table) {
        Default::default()
    }

    /// A part whose encoding is the run's, or whose numbers are raw and can be scaled as the run's were.
    fn part(&self, run: &Run) -> Result<Option<Other>> {
        let data = data::pack(&self.path)?;
        let found = data.encoding().cloned();
        let (part, classes) = last_part(data);
        match (run.encoding, &found) {
            (ours, theirs) if ours == theirs.as_ref() => Ok(Some((part, classes))),
            (Some(Encoding::Array(encoding)), Some(Encoding::Array(_)) | None) => {
                Ok(Some((encoding.apply_to("the pack", part)?, classes)))
            }
            _ => Err(Error::Data(format!(
                "{}: it was packed with another encoding than the run's (other means, categories, classes or \
                 characters), which cannot be undone; give the data it was made of",
                self.path.display()
            ))),
        }
    }
}

pub(super) fn read(keys: Keys) -> Result<PackSpec> {
    Ok(PackSpec { path: keys.path })
}
