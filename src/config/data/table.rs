//! A table as a source: a CSV file with the target among its columns.

use std::path::PathBuf;

use toml::{Table, Value};

use super::super::section::{Section, kind};
use super::values::{entry, file, path_text, string, whole};
use super::{DataSpec, FileKeys, Source};
use crate::data::{self, CsvOptions, Dataset};
use crate::error::{Error, Result};

/// A table, in errors.
pub(super) const FORM: &str = "{ csv = \"FILE\", target = \"COLUMN\" }";
/// Its keys, which are sometimes put beside it.
pub(super) const INSIDE: &[&str] =
    &["numeric", "categorical", "delimiter", "classes", "standardise_target", "eval_csv"];

/// A table, and what of it is what.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// The file.
    pub path: PathBuf,
    /// What of it is what, but for the seed of the split.
    pub options: CsvOptions,
    /// The seed of the split; the run's where it is `None`.
    pub split_seed: Option<u64>,
}

impl Source for &TableSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let split_seed = self.split_seed.unwrap_or(seed);
        data::csv(&self.path, &CsvOptions { split_seed, ..self.options.clone() })
    }

    fn source(&self) -> Value {
        let names = |list: &Vec<String>| Value::Array(list.iter().map(|name| name.as_str().into()).collect());
        let options = &self.options;
        let mut table = Table::from_iter([
            entry("csv", path_text(&self.path)),
            entry("target", options.target.as_str().into()),
        ]);
        table.extend(options.numeric.as_ref().map(|list| entry("numeric", names(list))));
        table.extend(options.categorical.as_ref().map(|list| entry("categorical", names(list))));
        table.extend([
            entry("delimiter", char::from(options.delimiter).to_string().into()),
            entry("classes", options.classes.into()),
            entry("standardise_target", options.standardise_target.into()),
        ]);
        table.extend(options.eval_csv.as_deref().map(|path| entry("eval_csv", path_text(path))));
        Value::Table(table)
    }

    fn beside(&self) -> Table {
        let share = self.options.eval_csv.is_none();
        let mut table = Table::new();
        table.extend(share.then(|| entry("eval_fraction", self.options.eval_fraction.into())));
        table.extend(self.split_seed.filter(|_| share).map(|seed| entry("split_seed", whole(seed))));
        table
    }
}

/// A CSV file.
pub(super) fn read(keys: FileKeys) -> Result<DataSpec> {
    let FileKeys { path, source, beside, folder } = keys;
    let Some(target) = string(source, "target", "the name of a column")? else {
        source.misspelt("target")?;
        return Err(Error::Config(format!("data.source.target is missing: the column to learn, as {FORM}")));
    };
    let mut options = CsvOptions::new(target);
    options.numeric = names(source, "numeric")?;
    options.categorical = names(source, "categorical")?;
    if let Some(text) = string(source, "delimiter", "one character")? {
        options.delimiter = match text.as_bytes() {
            [one] => *one,
            _ => {
                let text = format!("data.source.delimiter = \"{text}\": one ASCII character is needed");
                return Err(Error::Config(text));
            }
        };
    }
    options.classes = source.boolean("classes", options.classes)?;
    options.standardise_target = source.boolean("standardise_target", options.standardise_target)?;
    options.eval_csv = file(source, "eval_csv", folder)?;
    let mut split_seed = None;
    if options.eval_csv.is_none() {
        options.eval_fraction = beside.number("eval_fraction", options.eval_fraction)?;
        split_seed = beside.whole("split_seed")?;
    }
    Ok(DataSpec::Table(TableSpec { path, options, split_seed }))
}

fn names(source: &mut Section, key: &'static str) -> Result<Option<Vec<String>>> {
    let Some(value) = source.take(key) else { return Ok(None) };
    let list = value.as_array().map(|list| list.iter().map(|v| v.as_str().map(str::to_owned)));
    match list.and_then(Iterator::collect) {
        Some(names) => Ok(Some(names)),
        None => {
            let (name, what) = (source.name(key), kind(&value));
            let text =
                format!("{name} = {value}: a list of columns is needed, as [\"COLUMN\"], and this is {what}");
            Err(Error::Config(text))
        }
    }
}
