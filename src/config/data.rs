//! The `[data]` table: where the samples come from, how they are cut, and how they make batches.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::data::{self, BatchSize, Dataset, TextOptions};
use crate::error::{Error, Result};
use crate::train::TrainOptions;

/// Sources that are part of the program.
const SOURCES: &[&str] = &["digits", "sources"];
/// Sources that are files.
const FILES: &[&str] = &["text"];
/// Keys of `[data]` that some sources have, and which.
const OWNERS: &[(&str, &str)] = &[("context", "text"), ("hop", "text"), ("eval_fraction", "text")];

/// Where the samples come from. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSpec {
    /// The handwritten digits.
    Digits,
    /// The project's own sources.
    Sources(TextOptions),
    /// A text file.
    Text(PathBuf, TextOptions),
}

impl DataSpec {
    /// The data.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, [`Error::Config`] where what the config says of them is.
    pub fn load(&self) -> Result<Dataset> {
        let result = match self {
            DataSpec::Digits => data::digits(),
            DataSpec::Sources(options) => data::sources(options),
            DataSpec::Text(path, options) => data::text_file(path, options),
        };
        result.map_err(|err| match err {
            Error::Io { .. } => Error::Config(format!(
                "data.source: {err}; a path in a config is relative to the config's folder"
            )),
            other => other,
        })
    }

    fn source(&self) -> Value {
        match self {
            DataSpec::Digits => "digits".into(),
            DataSpec::Sources(_) => "sources".into(),
            DataSpec::Text(path, _) => Value::Table(Table::from_iter([entry("text", text(path))])),
        }
    }

    /// The keys beside `source`.
    fn beside(&self) -> Table {
        match self {
            DataSpec::Digits => Table::new(),
            DataSpec::Sources(options) | DataSpec::Text(_, options) => {
                let hop = options.hop.unwrap_or(options.context);
                Table::from_iter([
                    entry("context", integer(options.context)),
                    entry("hop", integer(hop)),
                    entry("eval_fraction", options.eval_fraction.into()),
                ])
            }
        }
    }
}

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

fn integer(n: usize) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn text(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

/// `file` in `folder`, from the root on, so that a run's own config names the same file.
fn absolute(folder: &Path, key: &str, file: &str) -> Result<PathBuf> {
    let path = std::path::absolute(folder.join(file));
    match path {
        Ok(path) if path.to_str().is_some() && !file.is_empty() => Ok(path),
        _ => Err(Error::Config(format!(
            "{key} = \"{file}\": no path can be made of it in the folder {}",
            folder.display()
        ))),
    }
}

fn text_options(s: &mut Section) -> Result<TextOptions> {
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

fn unknown(name: &str) -> Error {
    let names = [SOURCES, FILES].concat();
    let hint = match names.iter().find(|n| **n == name) {
        Some(file) => format!("it needs a file, as source = {{ {file} = \"FILE\" }}"),
        None => suggestion(name, &names),
    };
    Error::Config(format!("data.source: unknown source \"{name}\"; {hint}"))
}

fn spec(s: &mut Section, folder: &Path) -> Result<DataSpec> {
    let table = match s.required("source", "\"digits\"")? {
        Value::String(name) => {
            return match name.as_str() {
                "digits" => Ok(DataSpec::Digits),
                "sources" => Ok(DataSpec::Sources(text_options(s)?)),
                _ => Err(unknown(&name)),
            };
        }
        Value::Table(table) => table,
        other => {
            let what = kind(&other);
            return Err(Error::Config(format!(
                "data.source = {other}: a name is needed, or a table with a file, as {{ text = \"FILE\" }}, and \
                 this is {what}"
            )));
        }
    };
    let mut source = Section::new("data.source", table);
    let mut file = |key: &'static str| match source.take(key) {
        None => Ok(None),
        Some(Value::String(file)) => absolute(folder, &source.name(key), &file).map(Some),
        Some(other) => Err(Error::Config(format!(
            "data.source.{key} = {other}: a file is needed, and this is {}",
            kind(&other)
        ))),
    };
    let text = file("text")?;
    let spec = match text {
        Some(path) => DataSpec::Text(path, text_options(s)?),
        None => {
            for key in FILES {
                source.misspelt(key)?;
            }
            let text = "data.source: which file? For example source = { text = \"FILE\" }";
            return Err(Error::Config(text.into()));
        }
    };
    source.finish()?;
    Ok(spec)
}

/// Reads the table into `options` and what it says of the samples; `folder` is what paths are relative to.
pub(super) fn read(mut s: Section, folder: &Path, options: &mut TrainOptions) -> Result<DataSpec> {
    let spec = spec(&mut s, folder)?;
    options.batch_size = match s.take("batch_size") {
        None => options.batch_size,
        Some(Value::String(word)) if word == "full" => BatchSize::Full,
        Some(Value::Integer(n)) if n > 0 => BatchSize::Rows(n as usize),
        Some(other) => {
            let text = format!("data.batch_size = {other}: a whole number above 0, or \"full\", is needed");
            return Err(Error::Config(text));
        }
    };
    options.shuffle = s.boolean("shuffle", options.shuffle)?;
    options.drop_last = s.boolean("drop_last", options.drop_last)?;
    for (key, owner) in OWNERS {
        if s.take(key).is_some() {
            return Err(Error::Config(format!(
                "data.{key} goes with {owner}, and data.source is {}",
                spec.source()
            )));
        }
    }
    s.finish()?;
    Ok(spec)
}

/// The table, with every default filled in.
pub(super) fn to_toml(spec: &DataSpec, options: &TrainOptions) -> Value {
    let batch_size = match options.batch_size {
        BatchSize::Full => "full".into(),
        BatchSize::Rows(n) => integer(n),
    };
    let mut table = Table::from_iter([entry("source", spec.source())]);
    table.extend(spec.beside());
    table.extend([
        entry("batch_size", batch_size),
        entry("shuffle", options.shuffle.into()),
        entry("drop_last", options.drop_last.into()),
    ]);
    Value::Table(table)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const REST: &str = "[model]\nlayers = [{ linear = 1 }]\nloss = \"mse\"\n[optimizer]\nname = \"sgd\"\n";

    fn parse(data: &str) -> Result<Config> {
        Config::parse(&format!("[data]\n{data}\n{REST}"), &[])
    }

    #[track_caller]
    fn assert_refused(data: &str, words: &[&str]) {
        let err = parse(data).and_then(|config| config.dataset().map(|_| config)).unwrap_err();
        assert!(matches!(err, Error::Config(_)), "{err:?}");
        for word in words {
            assert!(err.to_string().contains(word), "{data}: {err}");
        }
    }

    #[test]
    fn every_source_reads_itself_back() {
        for data in [
            "source = \"digits\"\nbatch_size = \"full\"",
            "source = \"sources\"\ncontext = 64",
            "source = { text = \"a b/c.txt\" }\ncontext = 64\nhop = 3\neval_fraction = 0.25\nshuffle = false",
        ] {
            let config = parse(data).unwrap();
            let resolved = config.to_toml();
            assert_eq!(Config::parse(&resolved, &[]).unwrap(), config, "{resolved}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_config() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("words.txt"), "some words to read").unwrap();
        let path = dir.path().join("deep/net.toml");
        let data = "[data]\nsource = { text = \"../words.txt\" }\ncontext = 4\n";
        std::fs::write(&path, format!("{data}{REST}")).unwrap();
        let config = Config::load(&path, &["data.eval_fraction=0".to_owned()]).unwrap();
        let found = config.dataset().unwrap();
        assert_eq!((found.name(), found.train().len()), ("words.txt", 4));
        // The resolved config finds the same file from anywhere.
        let elsewhere = dir.path().join("resolved.toml");
        std::fs::write(&elsewhere, config.to_toml()).unwrap();
        let again = Config::load(&elsewhere, &[]).unwrap();
        assert_eq!(again, config);
        assert_eq!(again.dataset().unwrap(), found);
    }

    #[test]
    fn faults_name_the_key_and_the_remedy() {
        assert_refused("source = \"digts\"", &["\"digts\"", "did you mean \"digits\""]);
        assert_refused("source = \"text\"", &["\"text\"", "{ text = \"FILE\" }"]);
        assert_refused("source = 3", &["data.source = 3", "an integer"]);
        assert_refused("source = {}", &["data.source", "{ text = \"FILE\" }"]);
        assert_refused("source = { txt = \"x\" }", &["data.source.txt", "did you mean \"text\""]);
        assert_refused("source = { text = 3 }", &["data.source.text = 3", "a file is needed"]);
        assert_refused("source = { text = \"\" }", &["data.source.text", "no path"]);
        assert_refused("source = \"sources\"", &["data.context is missing", "context = 64"]);
        assert_refused("source = \"sources\"\ncontxt = 64", &["data.contxt", "did you mean \"context\""]);
        assert_refused("source = \"sources\"\ncontext = -1", &["data.context = -1"]);
        assert_refused("source = \"sources\"\ncontext = 0", &["data.context = 0", "at least 1"]);
        assert_refused("source = \"sources\"\ncontext = 4\nhop = 0", &["data.hop = 0", "at least 1"]);
        let share = "source = \"sources\"\ncontext = 4\neval_fraction = 1";
        assert_refused(share, &["data.eval_fraction = 1", "below 1"]);
        assert_refused("source = \"digits\"\nhop = 4", &["data.hop goes with text", "\"digits\""]);
        let missing = "source = { text = \"no/such/file.txt\" }\ncontext = 4";
        assert_refused(missing, &["no/such/file.txt", "relative to the config's folder"]);
    }
}
