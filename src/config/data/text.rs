//! Text as a source: the program's own sources, or a file.

use std::path::{Path, PathBuf};

use toml::Table;

use super::keys::{self, Keys};
use super::source::{Other, Run, Source};
use crate::data::{self, Dataset, Encoding, TextOptions};
use crate::error::Result;

/// A text, and how it is cut.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSpec {
    /// The file; the project's own sources where it is `None`.
    pub path: Option<PathBuf>,
    /// How it is cut.
    pub options: TextOptions,
}

impl TextSpec {
    /// The same source at another path.
    pub(super) fn at(&self, path: &Path) -> TextSpec {
        TextSpec { path: Some(path.to_owned()), ..self.clone() }
    }
}

impl Source for TextSpec {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        match &self.path {
            None => data::sources(&self.options),
            Some(path) => data::text_file(path, &self.options),
        }
    }

    fn context(&self) -> Option<usize> {
        Some(self.options.context)
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        (if self.path.is_some() { "text" } else { "sources" }, self.path.as_deref())
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        self.path.iter_mut().collect()
    }

    fn keys(&self) -> (Table, Table) {
        (Table::new(), keys::table(&self.options))
    }

    fn part(&self, run: &Run) -> Result<Option<Other>> {
        let (Some(path), Some(Encoding::Text { vocabulary })) = (&self.path, run.encoding) else {
            return Ok(None);
        };
        let context = run.context.unwrap_or(self.options.context);
        Ok(Some((data::text_part(path, vocabulary, context)?, Some(vocabulary.len()))))
    }
}

fn spec(path: Option<PathBuf>, keys: &Keys) -> Result<TextSpec> {
    let mut options: TextOptions = keys.beside(&keys::TEXT)?;
    options.hop = Some(options.hop.unwrap_or(options.context));
    Ok(TextSpec { path, options })
}

pub(super) fn sources(keys: Keys) -> Result<TextSpec> {
    spec(None, &keys)
}

pub(super) fn read(keys: Keys) -> Result<TextSpec> {
    spec(Some(keys.path.clone()), &keys)
}
