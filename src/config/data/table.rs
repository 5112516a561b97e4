//! A table as a source: a file with the target among its columns.

use std::path::PathBuf;

use toml::{Table, Value};

use super::super::section::{Section, kind};
use super::values::{entry, file, path_text, string, whole};
use super::{DataSpec, FileKeys, Source};
use crate::data::{self, Dataset, Fill, Fills, TableFormat, TableOptions};
use crate::error::{Error, Result};

/// A table, in errors.
pub(super) const FORM: &str = "{ csv = \"FILE\", target = \"COLUMN\" }";
/// The same in another format.
pub(super) const PARQUET: &str = "{ parquet = \"FILE\", target = \"COLUMN\" }";
/// And another.
pub(super) const ARROW: &str = "{ arrow = \"FILE\", target = \"COLUMN\" }";
/// Its keys, which are sometimes put beside it.
pub(super) const INSIDE: &[&str] =
    &["numeric", "categorical", "delimiter", "classes", "standardise_target", "fill", "eval", "eval_csv"];

/// A table, and what of it is what.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSpec {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub format: TableFormat,
    /// What of it is what, but for the seed of the split.
    pub options: TableOptions,
    /// The seed of the split; the run's where it is `None`.
    pub split_seed: Option<u64>,
}

impl Source for &TableSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let split_seed = self.split_seed.unwrap_or(seed);
        data::table(&self.path, self.format, &TableOptions { split_seed, ..self.options.clone() })
    }

    fn source(&self) -> Value {
        let names = |list: &Vec<String>| Value::Array(list.iter().map(|name| name.as_str().into()).collect());
        let options = &self.options;
        let key = match self.format {
            TableFormat::Csv => "csv",
            TableFormat::Parquet => "parquet",
            TableFormat::Arrow => "arrow",
        };
        let mut table = Table::from_iter([
            entry(key, path_text(&self.path)),
            entry("target", options.target.as_str().into()),
        ]);
        table.extend(options.numeric.as_ref().map(|list| entry("numeric", names(list))));
        table.extend(options.categorical.as_ref().map(|list| entry("categorical", names(list))));
        table.extend(options.delimiter.map(|byte| entry("delimiter", char::from(byte).to_string().into())));
        table.extend([
            entry("classes", options.classes.into()),
            entry("standardise_target", options.standardise_target.into()),
        ]);
        table.extend(fills_value(&options.fill).map(|value| entry("fill", value)));
        table.extend(options.eval.as_deref().map(|path| entry("eval", path_text(path))));
        Value::Table(table)
    }

    fn beside(&self) -> Table {
        let share = self.options.eval.is_none();
        let mut table = Table::new();
        table.extend(share.then(|| entry("eval_fraction", self.options.eval_fraction.into())));
        table.extend(self.split_seed.filter(|_| share).map(|seed| entry("split_seed", whole(seed))));
        table.extend(share.then(|| entry("stratify", self.options.stratify.into())));
        table
    }
}

/// A CSV file.
pub(super) fn csv(keys: FileKeys) -> Result<DataSpec> {
    read(keys, TableFormat::Csv)
}

/// A Parquet file.
pub(super) fn parquet(keys: FileKeys) -> Result<DataSpec> {
    read(keys, TableFormat::Parquet)
}

/// An Arrow file.
pub(super) fn arrow(keys: FileKeys) -> Result<DataSpec> {
    read(keys, TableFormat::Arrow)
}

fn read(keys: FileKeys, format: TableFormat) -> Result<DataSpec> {
    let FileKeys { path, source, beside, folder } = keys;
    let Some(target) = string(source, "target", "the name of a column")? else {
        source.misspelt("target")?;
        return Err(Error::Config(format!("data.source.target is missing: the column to learn, as {FORM}")));
    };
    let mut options = TableOptions::new(target);
    options.numeric = names(source, "numeric")?;
    options.categorical = names(source, "categorical")?;
    if format == TableFormat::Csv
        && let Some(text) = string(source, "delimiter", "one character")?
    {
        options.delimiter = match text.as_bytes() {
            [one] => Some(*one),
            _ => {
                let text = format!("data.source.delimiter = \"{text}\": one ASCII character is needed");
                return Err(Error::Config(text));
            }
        };
    }
    options.classes = source.boolean("classes", options.classes)?;
    options.standardise_target = source.boolean("standardise_target", options.standardise_target)?;
    options.fill = source.take("fill").map_or(Ok(Fills::default()), fills)?;
    options.eval = file(source, "eval", folder)?;
    if let Some(path) = file(source, "eval_csv", folder)? {
        if options.eval.is_some() {
            let text = "data.source: eval and eval_csv are one key by two names; leave eval_csv out";
            return Err(Error::Config(text.into()));
        }
        options.eval = Some(path);
    }
    let mut split_seed = None;
    if options.eval.is_none() {
        options.eval_fraction = beside.number("eval_fraction", options.eval_fraction)?;
        split_seed = beside.whole("split_seed")?;
        options.stratify = beside.boolean("stratify", options.stratify)?;
    }
    Ok(DataSpec::Table(TableSpec { path, format, options, split_seed }))
}

/// What `fill` says: a word for all numeric columns, or a table by column.
fn fills(value: Value) -> Result<Fills> {
    match value {
        Value::String(word) => match fill(&word) {
            Fill::Word(_) => Err(Error::Config(format!(
                "data.source.fill = \"{word}\": \"median\" or \"mean\" fills all numeric columns; a category is its \
                 column's, as {{ COLUMN = \"{word}\" }}"
            ))),
            fill => Ok(Fills { numeric: Some(fill), columns: Vec::new() }),
        },
        Value::Table(table) => {
            let one = |(name, value): (String, Value)| match value {
                Value::String(word) => Ok((name, fill(&word))),
                Value::Integer(number) => Ok((name, Fill::Number(number as f64))),
                Value::Float(number) => Ok((name, Fill::Number(number))),
                other => Err(Error::Config(format!(
                    "data.source.fill.{name} = {other}: a number, a category, \"median\" or \"mean\" is needed, and \
                     this is {}",
                    kind(&other)
                ))),
            };
            Ok(Fills { numeric: None, columns: table.into_iter().map(one).collect::<Result<_>>()? })
        }
        other => Err(Error::Config(format!(
            "data.source.fill = {other}: \"median\", \"mean\", or a table by column is needed, as \
             {{ COLUMN = \"median\" }}, and this is {}",
            kind(&other)
        ))),
    }
}

fn fill(word: &str) -> Fill {
    match word {
        "median" => Fill::Median,
        "mean" => Fill::Mean,
        other => Fill::Word(other.to_owned()),
    }
}

fn fill_value(fill: &Fill) -> Value {
    match fill {
        Fill::Median => "median".into(),
        Fill::Mean => "mean".into(),
        Fill::Number(number) => Value::Float(*number),
        Fill::Word(word) => word.as_str().into(),
    }
}

/// `fill` as a config says it, where it says something.
fn fills_value(fills: &Fills) -> Option<Value> {
    let columns = fills.columns.iter().map(|(name, fill)| entry(name, fill_value(fill)));
    match &fills.numeric {
        Some(fill) => Some(fill_value(fill)),
        None => (!fills.columns.is_empty()).then(|| Value::Table(columns.collect())),
    }
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
