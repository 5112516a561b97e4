//! Text as a source: the program's own sources, or a file.

use std::path::PathBuf;

use toml::{Table, Value};

use super::super::section::Section;
use super::values::{entry, integer, path_text};
use super::{DataSpec, FileKeys, Source};
use crate::data::{self, Dataset, TextOptions};
use crate::error::{Error, Result};

/// A text file, in errors.
pub(super) const FORM: &str = "{ text = \"FILE\" }";

/// A text, and how it is cut.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSpec {
    /// The file; the project's own sources where it is `None`.
    pub path: Option<PathBuf>,
    /// How it is cut.
    pub options: TextOptions,
}

impl Source for &TextSpec {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        match &self.path {
            None => data::sources(&self.options),
            Some(path) => data::text_file(path, &self.options),
        }
    }

    fn context(&self) -> Option<usize> {
        Some(self.options.context)
    }

    fn source(&self) -> Value {
        match &self.path {
            None => "sources".into(),
            Some(path) => Value::Table(Table::from_iter([entry("text", path_text(path))])),
        }
    }

    fn beside(&self) -> Table {
        let TextOptions { context, hop, eval_fraction, .. } = self.options;
        Table::from_iter([
            entry("context", integer(context)),
            entry("hop", integer(hop.unwrap_or(context))),
            entry("eval_fraction", eval_fraction.into()),
        ])
    }
}

fn options(s: &mut Section) -> Result<TextOptions> {
    let Some(context) = s.whole("context")? else {
        s.misspelt("context")?;
        let text =
            "data.context is missing: how many characters a sample of text has; for example context = 64";
        return Err(Error::Config(text.into()));
    };
    let defaults = TextOptions::new(context as usize);
    Ok(TextOptions {
        hop: Some(s.whole("hop")?.map_or(defaults.context, |hop| hop as usize)),
        eval_fraction: s.number("eval_fraction", defaults.eval_fraction)?,
        ..defaults
    })
}

/// The project's own sources.
pub(super) fn sources(beside: &mut Section) -> Result<DataSpec> {
    Ok(DataSpec::Text(TextSpec { path: None, options: options(beside)? }))
}

/// A file.
pub(super) fn read(keys: FileKeys) -> Result<DataSpec> {
    Ok(DataSpec::Text(TextSpec { path: Some(keys.path), options: options(keys.beside)? }))
}
