//! Data without a run: the `[data]` table of a config, or a path whose format is recognised.

use std::path::Path;

use toml::{Table, Value};

use super::super::read::{kind, read as read_value};
use super::super::{Augment, read_text, set, syntax};
use super::formats::recognise;
use super::section::{self, to_toml};
use super::spec::DataSpec;
use crate::compile::TrainOptions;
use crate::data::{Dataset, TableReport};
use crate::error::{Error, Result, nearest};

/// Characters of a sample of text, for a path without a config.
const CONTEXT: i64 = 64;

/// How the error of a missing target begins.
const NO_TARGET: &str = "data.source.target is missing";
/// Stands for the column or file that is not named.
const UNNAMED: &str = "COLUMN";

/// Words the error of a config, or the reason why it has no target.
trait Worded {
    fn worded(self, word: impl Fn(&str) -> String) -> Self;
}

impl Worded for Result<DataConfig> {
    fn worded(self, word: impl Fn(&str) -> String) -> Self {
        match self {
            Ok(config) => {
                let untargeted = config.untargeted.map(|(why, error)| (why, word(&error)));
                Ok(DataConfig { untargeted, ..config })
            }
            Err(Error::Config(text)) => Err(Error::Config(word(&text))),
            Err(other) => Err(other),
        }
    }
}

/// The `[data]` of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// The source of the samples.
    pub spec: DataSpec,
    /// The format that the path was recognised as, where it is no config.
    pub about: Option<&'static str>,
    options: TrainOptions,
    /// The reason and the error of loading, where no target is named: such data can be inspected, and not loaded.
    untargeted: Option<(String, String)>,
}

impl DataConfig {
    /// Reads a config (a file that ends in `.toml`), or makes one for a path that is data. Applies `key=value`
    /// settings. A target that is missing is an error only where the data are loaded.
    ///
    /// # Errors
    /// As [`Config::load`](crate::config::Config::load); [`Error::Config`] where the path is none of
    /// [`DATA_FORMATS`](super::DATA_FORMATS).
    pub fn open(path: &Path, settings: &[String]) -> Result<DataConfig> {
        let is_config = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
        if is_config {
            let text = read_text(path)?;
            let read =
                || Self::read(syntax::parse(&text)?, path.parent().unwrap_or(Path::new("")), settings, None);
            return read().map_err(syntax::cut).worded(|text| format!("{}: {text}", path.display()));
        }
        let format = recognise(path)?;
        let Some(name) = path.to_str() else {
            return Err(Error::Config(format!("{}: the path is no UTF-8", path.display())));
        };
        let mut source = Table::from_iter([(format.name.to_owned(), name.into())]);
        let mut table = Table::new();
        match format.name {
            "csv" if name.to_lowercase().ends_with(".tsv") => {
                source.insert("delimiter".to_owned(), "\t".into());
            }
            "text" => {
                table.insert("context".to_owned(), CONTEXT.into());
            }
            _ => {}
        }
        table.insert("source".to_owned(), Value::Table(source));
        let root = Table::from_iter([("data".to_owned(), Value::Table(table))]);
        Self::read(root, Path::new(""), settings, Some(format.about)).worded(|text| {
            format!(
                "{} as {}: {text}. What is missing or other is said as --set data.KEY=VALUE or --set data.source.KEY=VALUE",
                path.display(),
                format.about
            )
        })
    }

    fn read(
        mut table: Table,
        folder: &Path,
        settings: &[String],
        about: Option<&'static str>,
    ) -> Result<DataConfig> {
        for setting in settings {
            set(&mut table, setting)?;
        }
        let mut options = TrainOptions::default();
        options.seed = table.remove("seed").map_or(Ok(options.seed), |seed| read_value("seed", seed))?;
        let mut data = match table.remove("data") {
            Some(Value::Table(data)) => data,
            Some(other) => {
                let what = kind(&other);
                return Err(Error::Config(format!("data = {other}: a table is needed, and this is {what}")));
            }
            None => match table.keys().find(|key| nearest(key, &["data"]).is_some()) {
                Some(key) => return Err(Error::Config(format!("unknown key {key}; did you mean \"data\"?"))),
                None => Table::new(),
            },
        };
        let augment = data.remove("augment").map(|list| read_value("data.augment", list)).transpose()?;
        let augment: Augment = augment.unwrap_or_default();
        let is_missing = |err: &Error| err.to_string().starts_with(NO_TARGET);
        let (spec, untargeted) = match section::read(data.clone(), folder, None, &mut options) {
            Err(err) if is_missing(&err) => {
                match data.get_mut("source") {
                    Some(Value::Table(source)) if !source.contains_key("npy") => {
                        source.insert("target".to_owned(), UNNAMED.into());
                    }
                    _ => drop(data.insert("target".to_owned(), "inputs".into())),
                }
                let (spec, _) = section::read(data, folder, None, &mut options)?;
                (spec, Some((err.to_string(), err.to_string())))
            }
            other => (other?.0, None),
        };
        augment.check(matches!(spec, DataSpec::Inputs(_)))?;
        Ok(DataConfig { spec, about, options, untargeted })
    }

    /// Why the data can only be looked at: no target is named.
    pub fn untargeted(&self) -> Option<&str> {
        self.untargeted.as_ref().map(|(why, _)| why.as_str())
    }

    /// Loads the data, the inputs alone where an array has no target.
    ///
    /// # Errors
    /// As [`DataSpec::load`].
    pub fn load_inputs(&self) -> Result<Dataset> {
        self.spec.own().load(self.options.seed)
    }

    /// Loads the data.
    ///
    /// # Errors
    /// As [`DataSpec::load`]; [`Error::Config`] where no target is named.
    pub fn load(&self) -> Result<Dataset> {
        match &self.untargeted {
            Some((_, error)) => Err(Error::Config(error.clone())),
            None => self.spec.load(self.options.seed),
        }
    }

    /// A line about each column, where the data are a table.
    ///
    /// # Errors
    /// As [`TableSpec::report`](super::TableSpec::report).
    pub fn columns(&self) -> Result<Option<TableReport>> {
        match self.spec.own() {
            DataSpec::Table(table) => table.report(self.untargeted.is_none()).map(Some),
            _ => Ok(None),
        }
    }

    /// The lines of a config that use the data. Paths are absolute, so the config may be anywhere.
    pub fn lines(&self) -> String {
        let Value::Table(table) = to_toml(&self.spec, Path::new(""), None, &self.options) else {
            return String::new();
        };
        let of_the_run = ["batch_size", "sampling", "shuffle", "drop_last"];
        let lines = table.iter().filter(|(key, _)| !of_the_run.contains(&key.as_str()));
        lines.fold("[data]".to_owned(), |text, (key, value)| format!("{text}\n{key} = {value}"))
    }
}
