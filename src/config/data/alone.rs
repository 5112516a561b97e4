//! Data without a run: the `[data]` table of a config, or a path whose format is recognised.

use std::path::Path;

use toml::{Table, Value};

use super::super::read::{kind, read as read_value};
use super::super::set;
use super::formats::recognise;
use super::section::{self, to_toml};
use super::spec::DataSpec;
use crate::compile::TrainOptions;
use crate::data::Dataset;
use crate::error::{Error, Result, nearest};

/// Characters of a sample of text, for a path without a config.
const CONTEXT: i64 = 64;

/// The `[data]` of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// The source of the samples.
    pub spec: DataSpec,
    /// The format that the path was recognised as, where it is no config.
    pub about: Option<&'static str>,
    options: TrainOptions,
}

impl DataConfig {
    /// Reads a config (a file that ends in `.toml`), or makes one for a path that is data. Applies `key=value`
    /// settings.
    ///
    /// # Errors
    /// As [`Config::load`](crate::config::Config::load); [`Error::Config`] where the path is none of
    /// [`DATA_FORMATS`](super::DATA_FORMATS).
    pub fn open(path: &Path, settings: &[String]) -> Result<DataConfig> {
        let is_config = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
        if is_config {
            let text = std::fs::read_to_string(path)
                .map_err(|err| Error::Config(format!("cannot read the config {}: {err}", path.display())))?;
            let read = || {
                let table = text.parse().map_err(|err| Error::Config(format!("not valid TOML: {err}")))?;
                Self::read(table, path.parent().unwrap_or(Path::new("")), settings, None)
            };
            return read().map_err(|err| match err {
                Error::Config(text) => Error::Config(format!("{}: {text}", path.display())),
                other => other,
            });
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
        Self::read(root, Path::new(""), settings, Some(format.about)).map_err(|err| match err {
            Error::Config(text) => Error::Config(format!(
                "{} as {}: {text}. What is missing or other is said as --set data.KEY=VALUE or --set data.source.KEY=VALUE",
                path.display(),
                format.about
            )),
            other => other,
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
        let data = match table.remove("data") {
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
        let (spec, _) = section::read(data, folder, None, &mut options)?;
        Ok(DataConfig { spec, about, options })
    }

    /// Loads the data.
    ///
    /// # Errors
    /// As [`DataSpec::load`].
    pub fn load(&self) -> Result<Dataset> {
        self.spec.load(self.options.seed)
    }

    /// The lines of a config that use the data. Paths are absolute, so the config may be anywhere.
    pub fn lines(&self) -> String {
        let Value::Table(table) = to_toml(&self.spec, Path::new(""), None, &self.options) else {
            return String::new();
        };
        let of_the_run = ["batch_size", "shuffle", "drop_last"];
        let lines = table.iter().filter(|(key, _)| !of_the_run.contains(&key.as_str()));
        lines.fold("[data]".to_owned(), |text, (key, value)| format!("{text}\n{key} = {value}"))
    }
}
