//! The `[data]` table: where the samples come from, how they are cut, and how they make batches. One file a kind of
//! source.

mod alone;
mod arrays;
mod images;
mod normalise;
mod other;
mod pack;
mod table;
mod text;
mod values;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::compile::TrainOptions;
use crate::data::{self, BatchSize, Dataset};
use crate::error::{Error, Result};
use crate::kernel::Residence;
pub use alone::DataConfig;
pub use arrays::{ArrayFiles, ArraysSpec};
pub use images::ImagesSpec;
pub use pack::PackSpec;
pub use table::TableSpec;
pub use text::TextSpec;
use values::{entry, file, integer};

/// Reads the keys beside a source that is part of the program.
type ReadNamed = fn(&mut Section) -> Result<DataSpec>;

/// Sources that are part of the program.
const NAMES: &[(&str, ReadNamed)] = &[("digits", |_| Ok(DataSpec::Digits)), ("sources", text::sources)];
/// Sources that are files.
const FILES: &[FileSource] = &[
    FileSource { key: "text", form: text::FORM, inside: &[], read: text::read },
    FileSource { key: "csv", form: table::FORM, inside: table::INSIDE, read: table::csv },
    FileSource { key: "parquet", form: table::PARQUET, inside: table::INSIDE, read: table::parquet },
    FileSource { key: "arrow", form: table::ARROW, inside: table::INSIDE, read: table::arrow },
    FileSource { key: "idx", form: arrays::IDX, inside: &["set"], read: arrays::idx },
    FileSource { key: "cifar", form: arrays::CIFAR, inside: &["labels"], read: arrays::cifar },
    FileSource { key: "npz", form: arrays::NPZ, inside: arrays::NAMES, read: arrays::npz },
    FileSource { key: "npy", form: arrays::NPY, inside: &[], read: arrays::npy },
    FileSource {
        key: "safetensors",
        form: arrays::SAFETENSORS,
        inside: arrays::NAMES,
        read: arrays::safetensors,
    },
    FileSource { key: "images", form: images::FORM, inside: images::INSIDE, read: images::read },
    FileSource { key: "pack", form: pack::FORM, inside: &[], read: pack::read },
];
/// Where samples lie.
const RESIDENCES: &[(&str, Residence)] =
    &[("auto", Residence::Auto), ("resident", Residence::Resident), ("streamed", Residence::Streamed)];
/// Where a share of the samples may be held out.
const EVAL_OWNERS: &str = "sources that hold samples out: tables without eval, arrays without eval_x, images without a folder \
                           to evaluate on; eval_fraction with text as well";
/// Keys of `[data]` that some sources have, and which.
const OWNERS: &[(&str, &str)] = &[
    ("context", "text"),
    ("hop", "text"),
    ("eval_fraction", EVAL_OWNERS),
    ("split_seed", EVAL_OWNERS),
    ("stratify", EVAL_OWNERS),
    ("normalise", "images and arrays: images, idx, cifar, npz, npy and safetensors"),
];

/// A source that is a file, as `source = { KEY = "FILE" }`.
struct FileSource {
    /// The key that holds the file.
    key: &'static str,
    /// The least it needs, for errors.
    form: &'static str,
    /// Keys in `source` that are sometimes put beside it.
    inside: &'static [&'static str],
    /// Takes its keys: those in `source` and those beside it.
    read: fn(FileKeys) -> Result<DataSpec>,
}

/// What a file source is read from.
struct FileKeys<'a> {
    /// The file, from the root on.
    path: PathBuf,
    /// The rest of `data.source`.
    source: &'a mut Section,
    /// `[data]`, what is beside `source`.
    beside: &'a mut Section,
    /// What paths are relative to.
    folder: &'a Path,
}

/// What is asked of a source.
trait Source {
    /// The data, for a run of this seed.
    fn load(&self, seed: u64) -> Result<Dataset>;

    /// Characters of a sample, where the samples are text.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The value of `source`, with every default filled in.
    fn source(&self) -> Value;

    /// The keys beside `source`.
    fn beside(&self) -> Table {
        Table::new()
    }
}

/// Where the samples come from. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSpec {
    /// The handwritten digits.
    Digits,
    /// A text: the project's own sources or a file.
    Text(TextSpec),
    /// The rows of a table.
    Table(TableSpec),
    /// Arrays.
    Arrays(ArraysSpec),
    /// A folder of images.
    Images(ImagesSpec),
    /// A packed data set.
    Pack(PackSpec),
    /// The inputs of another source, as their own targets.
    Inputs(Box<DataSpec>),
}

struct Digits;

impl Source for Digits {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        data::digits()
    }

    fn source(&self) -> Value {
        "digits".into()
    }
}

/// Another source's inputs as their own targets.
struct Inputs<'a>(&'a DataSpec);

impl Source for Inputs<'_> {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let data = self.0.as_source().load(seed)?;
        match data.train().inputs().is_float() {
            true => Ok(data.without_targets()),
            false => Err(Error::Config(format!(
                "data.target = \"inputs\": the inputs of data.source = {} are integers, and a model's output is f32; \
                 leave data.target out",
                self.source()
            ))),
        }
    }

    fn context(&self) -> Option<usize> {
        self.0.context()
    }

    fn source(&self) -> Value {
        self.0.as_source().source()
    }

    fn beside(&self) -> Table {
        let mut table = self.0.as_source().beside();
        table.extend([entry("target", "inputs".into())]);
        table
    }
}

impl DataSpec {
    fn as_source(&self) -> Box<dyn Source + '_> {
        match self {
            DataSpec::Digits => Box::new(Digits),
            DataSpec::Text(spec) => Box::new(spec),
            DataSpec::Table(spec) => Box::new(spec),
            DataSpec::Arrays(spec) => Box::new(spec),
            DataSpec::Images(spec) => Box::new(spec),
            DataSpec::Pack(spec) => Box::new(spec),
            DataSpec::Inputs(of) => Box::new(Inputs(of)),
        }
    }

    /// The data, for a run of this seed.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, [`Error::Config`] where what the config says of them is.
    pub fn load(&self, seed: u64) -> Result<Dataset> {
        self.as_source().load(seed).map_err(|err| match err {
            Error::Io { .. } => Error::Config(format!(
                "data.source: {err}; a path in a config is relative to the config's folder"
            )),
            other => other,
        })
    }

    /// Characters of a sample, where the samples are text.
    pub fn context(&self) -> Option<usize> {
        self.as_source().context()
    }
}

fn unknown(name: &str) -> Error {
    let hint = match FILES.iter().find(|file| file.key == name) {
        Some(file) => format!("it needs a file, as source = {}", file.form),
        None => {
            let names: Vec<&str> =
                NAMES.iter().map(|(name, _)| *name).chain(FILES.iter().map(|file| file.key)).collect();
            suggestion(name, &names)
        }
    };
    Error::Config(format!("data.source: unknown source \"{name}\"; {hint}"))
}

fn spec(s: &mut Section, folder: &Path) -> Result<DataSpec> {
    let table = match s.required("source", "\"digits\"")? {
        Value::String(name) => {
            let (_, read) = NAMES.iter().find(|(other, _)| *other == name).ok_or_else(|| unknown(&name))?;
            return read(s);
        }
        Value::Table(table) => table,
        other => {
            let what = kind(&other);
            return Err(Error::Config(format!(
                "data.source = {other}: a name is needed, or a table with a file, as {}, and this is {what}",
                text::FORM
            )));
        }
    };
    let mut source = Section::new("data.source", table);
    let mut found = Vec::new();
    for one in FILES {
        found.extend(file(&mut source, one.key, folder)?.map(|path| (one, path)));
    }
    if found.len() > 1 {
        let keys: Vec<&str> = found.iter().map(|(one, _)| one.key).collect();
        return Err(Error::Config(format!("data.source: {}, not both", keys.join(" or "))));
    }
    let Some((one, path)) = found.pop() else {
        for one in FILES {
            source.misspelt(one.key)?;
        }
        let forms: Vec<&str> = FILES.iter().map(|one| one.form).collect();
        return Err(Error::Config(format!(
            "data.source: which file? For example source = {}",
            forms.join(" or ")
        )));
    };
    let spec = (one.read)(FileKeys { path, source: &mut source, beside: s, folder })?;
    source.finish()?;
    Ok(spec)
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
                 table's column belongs into data.source, as {}",
                table::FORM
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
    options.residence = s.one_of("residence", RESIDENCES)?;
    options.workers = s.whole("workers")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    if options.workers == Some(0) {
        return Err(Error::Config(
            "data.workers = 0: at least 1 thread reads samples that are streamed".into(),
        ));
    }
    for (key, owner) in OWNERS {
        if s.take(key).is_some() {
            return Err(Error::Config(format!(
                "data.{key} goes with {owner}, and data.source is {}",
                spec.as_source().source()
            )));
        }
    }
    for one in FILES {
        for key in one.inside {
            if s.take(key).is_some() {
                let (beside, form) = (one.key, one.form);
                return Err(Error::Config(format!(
                    "data.{key} belongs into data.source, beside {beside}, as {form}"
                )));
            }
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
    let source = spec.as_source();
    let mut table = Table::from_iter([entry("source", source.source())]);
    table.extend(source.beside());
    table.extend([
        entry("batch_size", batch_size),
        entry("shuffle", options.shuffle.into()),
        entry("drop_last", options.drop_last.into()),
        entry("residence", Value::try_from(options.residence).unwrap_or("".into())),
    ]);
    table.extend(options.workers.map(|n| entry("workers", integer(n))));
    Value::Table(table)
}

#[cfg(test)]
mod tests;
