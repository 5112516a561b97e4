//! Data without a run: the `[data]` table of a config, or a path that says by itself what it is.

use std::path::Path;

use toml::{Table, Value};

use super::super::{Section, set};
use super::values::entry;
use super::{DataSpec, to_toml};
use crate::compile::TrainOptions;
use crate::data::{self, Dataset};
use crate::error::{Error, Result};

/// Samples of text are so many characters long, where nobody says otherwise.
const CONTEXT: i64 = 64;

/// What a config says of data, and nothing else that it says.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// Where the samples come from.
    pub spec: DataSpec,
    /// What the path was found to be, where it is no config.
    pub about: Option<&'static str>,
    options: TrainOptions,
}

impl DataConfig {
    /// Reads a config, which a file that ends in `.toml` is taken for, or makes one for a path that is data; with
    /// `key=value` settings.
    ///
    /// # Errors
    /// As [`Config::load`](crate::config::Config::load) and [`data::recognise`].
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
        let format = data::recognise(path)?;
        let Some(name) = path.to_str() else {
            return Err(Error::Config(format!("{}: the path is no UTF-8", path.display())));
        };
        let mut source = Table::from_iter([entry(format.key, name.into())]);
        let mut table = Table::new();
        match format.key {
            "csv" if name.to_lowercase().ends_with(".tsv") => {
                source.extend([entry("delimiter", "\t".into())])
            }
            "text" => table.extend([entry("context", CONTEXT.into())]),
            _ => {}
        }
        table.extend([entry("source", Value::Table(source))]);
        let root = Table::from_iter([entry("data", Value::Table(table))]);
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
        let mut root = Section::new("", table);
        let mut options = TrainOptions::default();
        options.seed = root.whole("seed")?.unwrap_or(options.seed);
        root.misspelt("data")?;
        let spec = super::read(root.section("data")?, folder, &mut options)?;
        Ok(DataConfig { spec, about, options })
    }

    /// The data.
    ///
    /// # Errors
    /// As [`DataSpec::load`].
    pub fn load(&self) -> Result<Dataset> {
        self.spec.load(self.options.seed)
    }

    /// The lines of a config that use the data; paths are absolute, for a config may lie anywhere.
    pub fn lines(&self) -> String {
        let Value::Table(table) = to_toml(&self.spec, &self.options) else { return String::new() };
        let of_the_run = ["batch_size", "shuffle", "drop_last"];
        let lines = table.iter().filter(|(key, _)| !of_the_run.contains(&key.as_str()));
        lines.fold("[data]".to_owned(), |text, (key, value)| format!("{text}\n{key} = {value}"))
    }
}
