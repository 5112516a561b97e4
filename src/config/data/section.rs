//! The keys of `[data]`, read and written.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::super::described::section;
use super::super::read::{kind, read as read_value, shown};
use super::arrays::{ArrayFiles, ArraysSpec, NpyKeys};
use super::formats::{DATA_FORMATS, DataFormat};
use super::keys::{self, HOLDOUT, Keys};
use super::root::{self, Root, Roots};
use super::spec::DataSpec;
use super::table;
use crate::compile::TrainOptions;
use crate::data::{BatchSize, Sampling};
use crate::error::{Error, Result, nearest, suggestion};
use crate::kernel::Residence;

section! {
    /// Where the samples come from, `source`, with its keys; and how samples make batches. Relative paths begin in the
    /// config's folder, or in `root`, a folder or a list: the first that has the file. `target = "inputs"` makes the inputs
    /// their own targets; `augment` lists augmentations.
    pub(in crate::config) struct Batches {
        /// Samples in a batch, or "full" for all of them.
        pub batch_size: BatchSize = TrainOptions::default().batch_size,
        /// The order of samples: a new one for each "epoch", one drawn "once" for all epochs, that of the "file"; "replacement"
        /// draws each place from all samples.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sampling: Option<Sampling> = Some(TrainOptions::default().sampling),
        /// The short form of sampling: true for "epoch", false for "file".
        #[serde(skip_serializing_if = "Option::is_none")]
        pub shuffle: Option<bool> = None,
        /// Leaves out a short last batch.
        pub drop_last: bool = TrainOptions::default().drop_last,
        /// Where the samples lie: on the device, with the host, or on the device where they fit.
        pub residence: Residence = Residence::Auto,
        /// Threads that read streamed samples; one less than there are processors, 8 at most, without it.
        pub workers: Option<usize> = None,
    }
}

/// The keys of every source.
const COMMON: [&str; 10] = [
    "source",
    "root",
    "target",
    "augment",
    "batch_size",
    "sampling",
    "shuffle",
    "drop_last",
    "residence",
    "workers",
];

impl Batches {
    /// The keys of these options. The sampling is written in its short form where there is one, as it always was: the
    /// config of a run keeps its text and hash.
    fn of(options: &TrainOptions) -> Batches {
        let TrainOptions { batch_size, sampling, drop_last, residence, workers, .. } = *options;
        let shuffle = sampling.as_shuffle();
        let sampling = shuffle.is_none().then_some(sampling);
        Batches { batch_size, sampling, shuffle, drop_last, residence, workers }
    }

    fn set(self, options: &mut TrainOptions) {
        let Batches { batch_size, sampling, shuffle, drop_last, residence, workers } = self;
        let sampling = shuffle.map(Sampling::from_shuffle).or(sampling).unwrap_or_default();
        *options = TrainOptions { batch_size, sampling, drop_last, residence, workers, ..options.clone() };
    }
}

/// Refuses a table with both `sampling` and its short form.
fn check_sampling(table: &Table) -> Result<()> {
    let (Some(sampling), Some(shuffle)) = (table.get("sampling"), table.get("shuffle")) else {
        return Ok(());
    };
    Err(Error::Config(format!(
        "data.sampling = {} and data.shuffle = {}: shuffle is the short form of sampling, true for \"epoch\" and false for \
         \"file\"; give one of them",
        shown(sampling),
        shown(shuffle)
    )))
}

fn unknown_source(name: &str) -> Error {
    let hint = match DATA_FORMATS.iter().find(|format| format.name == name) {
        Some(format) => format!("it needs a file, as source = {}", format.form),
        None => suggestion(name, &DATA_FORMATS.iter().map(|format| format.name).collect::<Vec<_>>()),
    };
    Error::Config(format!("data.source: unknown source \"{name}\"; {hint}"))
}

/// The format that `source` names, the root of its file, the file, and the rest of its keys.
fn format_of(source: Value, roots: &Roots) -> Result<(&'static DataFormat, Root, PathBuf, Table)> {
    let mut table = match source {
        Value::String(name) => {
            let words = DATA_FORMATS.iter().find(|format| format.is_word() && format.name == name);
            return words
                .map(|format| (format, roots.with(Path::new("")), PathBuf::new(), Table::new()))
                .ok_or_else(|| unknown_source(&name));
        }
        Value::Table(table) => table,
        other => {
            let (what, form) = (kind(&other), "{ text = \"FILE\" }");
            return Err(Error::Config(format!(
                "data.source = {other}: a name is needed, or a table with a file, as {form}, and this is {what}"
            )));
        }
    };
    let files = || DATA_FORMATS.iter().filter(|format| !format.is_word());
    let found: Vec<&DataFormat> = files().filter(|format| table.contains_key(format.name)).collect();
    let [format] = found[..] else {
        let names = |formats: Vec<&DataFormat>| formats.iter().map(|format| format.name).collect::<Vec<_>>();
        let names_of_all = names(files().collect());
        let misspelt = table.keys().find_map(|key| Some((key, nearest(key, &names_of_all)?)));
        return Err(Error::Config(match (found.is_empty(), misspelt) {
            (false, _) => format!("data.source: {}, not both", names(found).join(" or ")),
            (true, Some((key, name))) => format!("unknown key data.source.{key}; did you mean \"{name}\"?"),
            (true, None) => {
                let forms: Vec<&str> = files().map(|format| format.form).collect();
                format!("data.source: which file? For example source = {}", forms.join(" or "))
            }
        }));
    };
    let key = format!("data.source.{}", format.name);
    match table.remove(format.name) {
        Some(Value::String(file)) => {
            let root = roots.with(file.as_ref());
            let path = root.resolve(&key, file.as_ref())?;
            Ok((format, root, path, table))
        }
        other => {
            let other = other.unwrap_or("".into());
            Err(Error::Config(format!("{key} = {other}: a file is needed, and this is {}", kind(&other))))
        }
    }
}

/// The sources that have a key of `[data]`.
fn owners(key: &str) -> Option<String> {
    let formats = || DATA_FORMATS.iter().filter(|format| format.has_beside(key));
    // Text has a share too, and is the last to be named.
    let group = formats().rev().find_map(|format| format.beside.iter().find(|group| group.has(key)))?;
    let names: Vec<&str> = formats().map(|format| format.name).collect();
    Some(format!("{} ({})", group.owners, names.join(", ")))
}

/// An error where no source has a key of `[data]`.
fn check_known(key: &str, format: &DataFormat) -> Result<()> {
    if COMMON.contains(&key) || DATA_FORMATS.iter().any(|format| format.has_beside(key)) {
        return Ok(());
    }
    Err(Error::Config(match DATA_FORMATS.iter().find(|other| other.has_key(key)) {
        Some(DataFormat { name, form, .. }) => {
            format!("data.{key} belongs into data.source, beside {name}, as {form}")
        }
        None => {
            let beside = format.beside.iter().flat_map(|group| group.keys);
            let known: Vec<&str> = COMMON.into_iter().chain(beside.map(|(name, _)| *name)).collect();
            format!("unknown key data.{key}; {}", suggestion(key, &known))
        }
    }))
}

/// Adds the description of a missing key to the error.
fn about_missing(err: Error, format: &DataFormat) -> Error {
    let Error::Config(text) = err else { return err };
    let key = text.strip_suffix(" is missing").and_then(|path| path.rsplit('.').next());
    Error::Config(match key.and_then(|key| Some((key, format.about(key)?))) {
        Some((key, about)) if format.has_key(key) => format!("{text}: {about}, as {}", format.form),
        Some((_, about)) => format!("{text}: {about}"),
        None => text,
    })
}

/// Reads the table into `options`, and gives the spec of the samples with the folder that relative paths begin in: one
/// of `data.root`, `folder` where it is left out, or `given` in place of both.
pub(in super::super) fn read(
    mut table: Table,
    folder: &Path,
    given: Option<&Path>,
    options: &mut TrainOptions,
) -> Result<(DataSpec, PathBuf)> {
    let roots = Roots::read(table.remove("root"), folder, given)?;
    let Some(source) = table.remove("source") else {
        return Err(Error::Config(match table.keys().find(|key| nearest(key, &["source"]).is_some()) {
            Some(key) => format!("unknown key data.{key}; did you mean \"source\"?"),
            None => "data.source is missing; for example source = \"digits\"".to_owned(),
        }));
    };
    let target = table.remove("target");
    let (format, root, path, source) = format_of(source, &roots)?;
    if let Some(key) = source.keys().find(|key| !format.has_key(key)) {
        let known: Vec<&str> = format.keys.iter().map(|(name, _)| *name).chain([format.name]).collect();
        return Err(Error::Config(format!("unknown key data.source.{key}; {}", suggestion(key, &known))));
    }
    table.keys().try_for_each(|key| check_known(key, format))?;
    let (common, beside): (Table, Table) = table.into_iter().partition(|(key, _)| COMMON.contains(&&**key));
    let keys = Keys { path, source, beside: beside.clone(), root: &root };
    let spec = (format.read)(keys).map_err(|err| about_missing(err, format))?;
    for key in beside.keys() {
        let refused = HOLDOUT.has(key) && !spec.source().holds_out();
        if let Some(owners) = owners(key).filter(|_| refused || !format.has_beside(key)) {
            let source = spec.value();
            return Err(Error::Config(format!("data.{key} goes with {owners}, and data.source is {source}")));
        }
    }
    if let (None, DataSpec::Arrays(ArraysSpec { files: ArrayFiles::Npy(NpyKeys { target: None }), .. })) =
        (&target, &spec)
    {
        return Err(Error::Config(format!(
            "data.source.target is missing: the file of targets, as {}; or data.target = \"inputs\" makes the inputs \
             their own targets",
            format.form
        )));
    }
    check_sampling(&common)?;
    let batches: Batches = read_value("data", Value::Table(common))?;
    if batches.workers == Some(0) {
        return Err(Error::Config(
            "data.workers = 0: at least 1 thread reads samples that are streamed".into(),
        ));
    }
    batches.set(options);
    let mut spec = match target {
        None => spec,
        Some(Value::String(word)) if word == "inputs" => DataSpec::Inputs(Box::new(spec)),
        Some(other) => {
            return Err(Error::Config(format!(
                "data.target = {other}: \"inputs\" is all it can be, and makes the inputs their own targets; a table's \
                 column belongs into data.source, as {}",
                table::FORM
            )));
        }
    };
    root.check_apart(&spec.paths_mut())?;
    let is_used = spec.paths_mut().iter().any(|path| path.starts_with(&root.path));
    Ok((spec, if is_used { root.path } else { PathBuf::new() }))
}

/// The table, with every default filled in. Paths below `root` are relative to it, and `root` is written for a config
/// in `folder`.
pub(in super::super) fn to_toml(
    spec: &DataSpec,
    root: &Path,
    folder: Option<&Path>,
    options: &TrainOptions,
) -> Value {
    let mut spec = spec.clone();
    for path in spec.paths_mut().into_iter().filter(|_| !root.as_os_str().is_empty()) {
        if let Ok(relative) = path.strip_prefix(root) {
            *path = relative.to_owned();
        }
    }
    let mut table = Table::from_iter([("source".to_owned(), spec.value())]);
    let applies = |key: &str| !HOLDOUT.has(key) || spec.source().holds_out();
    table.extend(spec.source().keys().1.into_iter().filter(|(key, _)| applies(key)));
    if matches!(spec, DataSpec::Inputs(_)) {
        table.insert("target".to_owned(), "inputs".into());
    }
    if !root.as_os_str().is_empty() {
        table.insert("root".to_owned(), root::to_toml(root, folder));
    }
    table.extend(keys::table(&Batches::of(options)));
    Value::Table(table)
}
