//! A table as a source: a file with the target among its columns.

use std::path::{Path, PathBuf};

use toml::Table;

use super::keys::{self, HoldoutKeys, Keys};
use super::source::{Other, Run, Source};
use crate::data::{self, Dataset, Encoding, Holdout, TableFormat, TableOptions, TableReport, TargetKind};
use crate::error::{Error, Result};

/// The least a table needs.
pub(super) const FORM: &str = "{ csv = \"FILE\", target = \"COLUMN\" }";

/// A table with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// The file.
    pub path: PathBuf,
    /// The format of the file.
    pub format: TableFormat,
    /// Options, but for the rows that are held out.
    pub options: TableOptions,
    /// The held-out rows, where the options name no file to evaluate on.
    pub holdout: HoldoutKeys,
}

impl TableSpec {
    /// A line about each column, by the options and the cells. No cell is an error; without `targeted` the target is
    /// not looked for.
    ///
    /// # Errors
    /// As [`data::TableReport::read`].
    pub fn report(&self, targeted: bool) -> Result<TableReport> {
        TableReport::read(&self.path, self.format, &self.options, targeted)
    }

    /// The same source at another path.
    pub(super) fn at(&self, path: &Path) -> TableSpec {
        let format = TableFormat::from_path(path);
        TableSpec { path: path.to_owned(), format, ..self.clone() }
    }
}

impl Source for TableSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let Holdout { fraction, seed, stratify } = self.holdout.holdout(seed);
        let options =
            TableOptions { eval_fraction: fraction, split_seed: seed, stratify, ..self.options.clone() };
        data::table(&self.path, self.format, &options)
    }

    fn holds_out(&self) -> bool {
        self.options.eval.is_none()
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        let name = match self.format {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
        };
        (name, Some(&self.path))
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        std::iter::once(&mut self.path).chain(&mut self.options.eval).collect()
    }

    fn keys(&self) -> (Table, Table) {
        (keys::table(&self.options), keys::table(&self.holdout))
    }

    fn part(&self, run: &Run) -> Result<Option<Other>> {
        let Some(Encoding::Table(encoding)) = run.encoding else { return Ok(None) };
        let part = data::table_part(&self.path, self.format, self.options.delimiter, encoding)?;
        let classes = match &encoding.target.kind {
            TargetKind::Classes { classes } => Some(classes.len()),
            TargetKind::Numeric { .. } => None,
        };
        Ok(Some((part, classes)))
    }
}

pub(super) fn csv(keys: Keys) -> Result<TableSpec> {
    read(keys, TableFormat::Csv)
}

pub(super) fn parquet(keys: Keys) -> Result<TableSpec> {
    read(keys, TableFormat::Parquet)
}

pub(super) fn arrow(keys: Keys) -> Result<TableSpec> {
    read(keys, TableFormat::Arrow)
}

fn read(mut keys: Keys, format: TableFormat) -> Result<TableSpec> {
    if let Some(older) = keys.source.remove("eval_csv")
        && keys.source.insert("eval".to_owned(), older).is_some()
    {
        let text = "data.source: eval and eval_csv are one key by two names; leave eval_csv out";
        return Err(Error::Config(text.into()));
    }
    if !keys.source.contains_key("target") {
        // A target is of no use where the format is not read at all.
        format.check_built(&keys.path)?;
    }
    let mut options: TableOptions = keys.source()?;
    if format != TableFormat::Csv && options.delimiter.is_some() {
        return Err(Error::Config("data.source.delimiter is one of CSV files; leave it out".into()));
    }
    if let Some(path) = &mut options.eval {
        *path = keys.root.resolve("data.source.eval", path)?;
    }
    let holdout = keys.holdout()?.with_share();
    Ok(TableSpec { path: keys.path, format, options, holdout })
}
