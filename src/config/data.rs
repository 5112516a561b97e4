//! The `[data]` table: where the samples come from, how they are cut, and how they make batches.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::data::{self, BatchSize, CsvOptions, Dataset, TextOptions};
use crate::error::{Error, Result};
use crate::train::TrainOptions;

/// A csv source, in errors.
const CSV: &str = "{ csv = \"FILE\", target = \"COLUMN\" }";
/// Sources that are part of the program.
const SOURCES: &[&str] = &["digits", "sources"];
/// Sources that are files.
const FILES: &[&str] = &["text", "csv"];
/// Keys of `[data]` that some sources have, and which.
const OWNERS: &[(&str, &str)] = &[
    ("context", "text"),
    ("hop", "text"),
    ("eval_fraction", "text, and with csv without eval_csv"),
    ("split_seed", "csv without eval_csv"),
];
/// Keys of a csv source, which are sometimes put beside it.
const INSIDE: &[&str] = &["numeric", "categorical", "delimiter", "classes", "standardise_target", "eval_csv"];

/// Where the samples come from. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSpec {
    /// The handwritten digits.
    Digits,
    /// The project's own sources.
    Sources(TextOptions),
    /// A text file.
    Text(PathBuf, TextOptions),
    /// A CSV file.
    Csv {
        /// The file.
        path: PathBuf,
        /// What of it is what, but for the seed of the split.
        options: CsvOptions,
        /// The seed of the split; the run's where it is `None`.
        split_seed: Option<u64>,
    },
    /// The inputs of another source, as their own targets.
    Inputs(Box<DataSpec>),
}

impl DataSpec {
    /// The data, for a run of this seed.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, [`Error::Config`] where what the config says of them is.
    pub fn load(&self, seed: u64) -> Result<Dataset> {
        let result = match self {
            DataSpec::Digits => data::digits(),
            DataSpec::Sources(options) => data::sources(options),
            DataSpec::Text(path, options) => data::text_file(path, options),
            DataSpec::Csv { path, options, split_seed } => {
                let split_seed = split_seed.unwrap_or(seed);
                data::csv(path, &CsvOptions { split_seed, ..options.clone() })
            }
            DataSpec::Inputs(of) => return of.load(seed).and_then(|data| of.reconstructed(data)),
        };
        result.map_err(|err| match err {
            Error::Io { .. } => Error::Config(format!(
                "data.source: {err}; a path in a config is relative to the config's folder"
            )),
            other => other,
        })
    }

    /// `data` with its inputs as targets.
    fn reconstructed(&self, data: Dataset) -> Result<Dataset> {
        match data.train().inputs().is_float() {
            true => Ok(data.without_targets()),
            false => Err(Error::Config(format!(
                "data.target = \"inputs\": the inputs of data.source = {} are integers, and a model's output is f32; \
                 leave data.target out",
                self.source()
            ))),
        }
    }

    /// Characters of a sample, where the samples are text.
    pub fn context(&self) -> Option<usize> {
        match self {
            DataSpec::Sources(options) | DataSpec::Text(_, options) => Some(options.context),
            DataSpec::Digits | DataSpec::Csv { .. } => None,
            DataSpec::Inputs(of) => of.context(),
        }
    }

    fn source(&self) -> Value {
        match self {
            DataSpec::Inputs(of) => of.source(),
            DataSpec::Digits => "digits".into(),
            DataSpec::Sources(_) => "sources".into(),
            DataSpec::Text(path, _) => Value::Table(Table::from_iter([entry("text", text(path))])),
            DataSpec::Csv { path, options, .. } => Value::Table(csv_source(path, options)),
        }
    }

    /// The keys beside `source`.
    fn beside(&self) -> Table {
        match self {
            DataSpec::Digits => Table::new(),
            DataSpec::Inputs(of) => {
                let mut table = of.beside();
                table.extend([entry("target", "inputs".into())]);
                table
            }
            DataSpec::Sources(options) | DataSpec::Text(_, options) => {
                let hop = options.hop.unwrap_or(options.context);
                Table::from_iter([
                    entry("context", integer(options.context)),
                    entry("hop", integer(hop)),
                    entry("eval_fraction", options.eval_fraction.into()),
                ])
            }
            DataSpec::Csv { options, split_seed, .. } => {
                let share = options.eval_csv.is_none();
                let mut table = Table::new();
                table.extend(share.then(|| entry("eval_fraction", options.eval_fraction.into())));
                table.extend(split_seed.filter(|_| share).map(|seed| entry("split_seed", whole(seed))));
                table
            }
        }
    }
}

fn csv_source(path: &Path, options: &CsvOptions) -> Table {
    let names = |list: &Vec<String>| Value::Array(list.iter().map(|name| name.as_str().into()).collect());
    let mut table =
        Table::from_iter([entry("csv", text(path)), entry("target", options.target.as_str().into())]);
    table.extend(options.numeric.as_ref().map(|list| entry("numeric", names(list))));
    table.extend(options.categorical.as_ref().map(|list| entry("categorical", names(list))));
    table.extend([
        entry("delimiter", char::from(options.delimiter).to_string().into()),
        entry("classes", options.classes.into()),
        entry("standardise_target", options.standardise_target.into()),
    ]);
    table.extend(options.eval_csv.as_deref().map(|path| entry("eval_csv", text(path))));
    table
}

fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

fn integer(n: usize) -> Value {
    whole(n as u64)
}

fn whole(n: u64) -> Value {
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
        Some(&"csv") => format!("it needs a file, as source = {CSV}"),
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
    let spec = match (file(&mut source, "text", folder)?, file(&mut source, "csv", folder)?) {
        (Some(path), None) => DataSpec::Text(path, text_options(s)?),
        (None, Some(path)) => csv(path, s, &mut source, folder)?,
        (Some(_), Some(_)) => return Err(Error::Config("data.source: text or csv, not both".into())),
        (None, None) => {
            for key in FILES {
                source.misspelt(key)?;
            }
            return Err(Error::Config(format!(
                "data.source: which file? For example source = {{ text = \"FILE\" }} or {CSV}"
            )));
        }
    };
    source.finish()?;
    Ok(spec)
}

fn csv(path: PathBuf, s: &mut Section, source: &mut Section, folder: &Path) -> Result<DataSpec> {
    let Some(target) = string(source, "target", "the name of a column")? else {
        source.misspelt("target")?;
        return Err(Error::Config(format!("data.source.target is missing: the column to learn, as {CSV}")));
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
        options.eval_fraction = s.number("eval_fraction", options.eval_fraction)?;
        split_seed = s.whole("split_seed")?;
    }
    Ok(DataSpec::Csv { path, options, split_seed })
}

fn string(source: &mut Section, key: &'static str, wanted: &str) -> Result<Option<String>> {
    match source.take(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let (name, what) = (source.name(key), kind(&other));
            Err(Error::Config(format!("{name} = {other}: {wanted} is needed, and this is {what}")))
        }
    }
}

fn file(source: &mut Section, key: &'static str, folder: &Path) -> Result<Option<PathBuf>> {
    let name = source.name(key);
    let file = string(source, key, "a file")?;
    file.map(|file| absolute(folder, &name, &file)).transpose()
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

/// Reads the table into `options` and what it says of the samples; `folder` is what paths are relative to.
pub(super) fn read(mut s: Section, folder: &Path, options: &mut TrainOptions) -> Result<DataSpec> {
    let mut spec = spec(&mut s, folder)?;
    match s.take("target") {
        None => {}
        Some(Value::String(word)) if word == "inputs" => spec = DataSpec::Inputs(Box::new(spec)),
        Some(other) => {
            return Err(Error::Config(format!(
                "data.target = {other}: \"inputs\" is all it can be, and makes the inputs their own targets; a \
                 table's column belongs into data.source, as {CSV}"
            )));
        }
    }
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
    for key in INSIDE {
        if s.take(key).is_some() {
            return Err(Error::Config(format!("data.{key} belongs into data.source, beside csv, as {CSV}")));
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
            "source = { csv = \"t.csv\", target = \"y\" }",
            "source = { csv = \"t.csv\", target = \"y\", numeric = [\"a\"], categorical = [], delimiter = \"\\t\", \
             classes = true }\neval_fraction = 0\nsplit_seed = 7",
            "source = { csv = \"t.csv\", target = \"y\", standardise_target = true, eval_csv = \"e.csv\" }",
            "source = \"digits\"\ntarget = \"inputs\"",
            "source = { csv = \"t.csv\", target = \"y\" }\ntarget = \"inputs\"\nsplit_seed = 7",
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
    fn inputs_can_be_their_own_targets() {
        let [plain, own] = ["", "target = \"inputs\""].map(|more| {
            let config = parse(&format!("source = \"digits\"\n{more}")).unwrap();
            config.dataset().unwrap()
        });
        for (plain, own) in [(plain.train(), own.train()), (plain.eval().unwrap(), own.eval().unwrap())] {
            assert_eq!((own.inputs(), own.targets()), (plain.inputs(), plain.inputs()));
            assert_eq!(own.fields().count(), 1, "gathered once");
        }
        assert_eq!((plain.classes(), own.classes()), (Some(10), None));
    }

    #[test]
    fn faults_name_the_key_and_the_remedy() {
        assert_refused("source = \"digts\"", &["\"digts\"", "did you mean \"digits\""]);
        assert_refused("source = \"text\"", &["\"text\"", "{ text = \"FILE\" }"]);
        assert_refused("source = 3", &["data.source = 3", "an integer"]);
        assert_refused("source = {}", &["data.source", "{ text = \"FILE\" }", CSV]);
        assert_refused("source = { txt = \"x\" }", &["data.source.txt", "did you mean \"text\""]);
        assert_refused("source = { text = 3 }", &["data.source.text = 3", "a file is needed"]);
        assert_refused("source = { text = \"\" }", &["data.source.text", "no path"]);
        assert_refused("source = \"sources\"", &["data.context is missing", "context = 64"]);
        assert_refused("source = \"sources\"\ncontxt = 64", &["data.contxt", "did you mean \"context\""]);
        assert_refused("source = \"digits\"\ntarget = 3", &["data.target = 3", "\"inputs\"", CSV]);
        let integers = "source = \"sources\"\ncontext = 4\ntarget = \"inputs\"";
        assert_refused(
            integers,
            &["data.target = \"inputs\"", "\"sources\"", "integers", "leave data.target out"],
        );
        assert_refused("source = \"sources\"\ncontext = -1", &["data.context = -1"]);
        assert_refused("source = \"sources\"\ncontext = 0", &["data.context = 0", "at least 1"]);
        assert_refused("source = \"sources\"\ncontext = 4\nhop = 0", &["data.hop = 0", "at least 1"]);
        let share = "source = \"sources\"\ncontext = 4\neval_fraction = 1";
        assert_refused(share, &["data.eval_fraction = 1", "below 1"]);
        assert_refused("source = \"digits\"\nhop = 4", &["data.hop goes with text", "\"digits\""]);
        let csv = |rest: &str| format!("source = {{ csv = \"no.csv\"{rest}");
        assert_refused("source = \"csv\"", &["\"csv\"", CSV]);
        assert_refused(&csv(" }"), &["data.source.target is missing", CSV]);
        assert_refused(&csv(", targt = \"y\" }"), &["data.source.targt", "did you mean \"target\""]);
        assert_refused(&csv(", target = 3 }"), &["data.source.target = 3", "name of a column"]);
        assert_refused(&csv(", text = \"x\" }"), &["text or csv, not both"]);
        assert_refused(
            &csv(", target = \"y\", numeric = \"a\" }"),
            &["numeric = \"a\"", "a list of columns"],
        );
        assert_refused(&csv(", target = \"y\", numeric = [3] }"), &["numeric = [3]", "a list of columns"]);
        assert_refused(
            &csv(", target = \"y\", delimiter = \"tab\" }"),
            &["delimiter = \"tab\"", "one ASCII"],
        );
        assert_refused(&csv(", target = \"y\", clases = true }"), &["clases", "did you mean \"classes\""]);
        assert_refused(&csv(", target = \"y\" }"), &["no.csv", "relative to the config's folder"]);
        assert_refused(&csv(", target = \"y\" }\ncontext = 4"), &["data.context goes with text", "no.csv"]);
        assert_refused(&csv(", target = \"y\" }\nnumeric = []"), &["data.numeric belongs into data.source"]);
        let both = csv(", target = \"y\", eval_csv = \"e.csv\" }\neval_fraction = 0.1");
        assert_refused(&both, &["data.eval_fraction goes with", "without eval_csv"]);
        let missing = "source = { text = \"no/such/file.txt\" }\ncontext = 4";
        assert_refused(missing, &["no/such/file.txt", "relative to the config's folder"]);
    }
}
