//! Arrays as a source: IDX, CIFAR, NPZ, NPY and safetensors.

use std::path::PathBuf;

use toml::{Table, Value};

use super::super::section::Section;
use super::values::{entry, file, path_text, string, whole};
use super::{DataSpec, FileKeys, Source, normalise};
use crate::data::{self, ArrayNames, ArrayOptions, CifarLabels, Dataset};
use crate::error::{Error, Result};

/// Each source, in errors.
pub(super) const IDX: &str = "{ idx = \"FOLDER\" }";
pub(super) const CIFAR: &str = "{ cifar = \"FOLDER\" }";
pub(super) const NPZ: &str = "{ npz = \"FILE\", x = \"ARRAY\", y = \"ARRAY\" }";
pub(super) const NPY: &str = "{ npy = \"FILE\", target = \"FILE\" }";
pub(super) const SAFETENSORS: &str = "{ safetensors = \"FILE\", x = \"TENSOR\", y = \"TENSOR\" }";
/// Keys of arrays by name, which are sometimes put beside the source.
pub(super) const NAMES: &[&str] = &["x", "y", "eval_x", "eval_y"];

/// Arrays, and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ArraysSpec {
    /// Where they are.
    pub files: ArrayFiles,
    /// What becomes of them, but for the seed of the split.
    pub options: ArrayOptions,
    /// The seed of the split; the run's where it is `None`.
    pub split_seed: Option<u64>,
}

/// Where arrays are.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayFiles {
    /// A folder of IDX files, and which set of it.
    Idx(PathBuf, Option<String>),
    /// A folder of CIFAR's binary version, and which labels.
    Cifar(PathBuf, CifarLabels),
    /// An NPZ file, and which arrays of it.
    Npz(PathBuf, ArrayNames),
    /// Two NPY files, inputs and targets.
    Npy(PathBuf, PathBuf),
    /// A safetensors file, and which tensors of it.
    Safetensors(PathBuf, ArrayNames),
}

impl ArrayFiles {
    /// True where the arrays to evaluate on are named.
    fn names_eval(&self) -> bool {
        match self {
            ArrayFiles::Npz(_, names) | ArrayFiles::Safetensors(_, names) => {
                names.eval_x.is_some() || names.eval_y.is_some()
            }
            _ => false,
        }
    }
}

const LABELS: [(&str, CifarLabels); 2] = [("fine", CifarLabels::Fine), ("coarse", CifarLabels::Coarse)];

impl Source for &ArraysSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let split_seed = self.split_seed.unwrap_or(seed);
        let options = ArrayOptions { split_seed, ..self.options.clone() };
        match &self.files {
            ArrayFiles::Idx(folder, set) => data::idx(folder, set.as_deref(), &options),
            ArrayFiles::Cifar(folder, labels) => data::cifar(folder, *labels, &options),
            ArrayFiles::Npz(path, names) => data::npz(path, names, &options),
            ArrayFiles::Npy(path, target) => data::npy(path, target, &options),
            ArrayFiles::Safetensors(path, names) => data::safetensors(path, names, &options),
        }
    }

    fn source(&self) -> Value {
        let named = |key: &str, path: &PathBuf, names: &ArrayNames| {
            let ArrayNames { x, y, eval_x, eval_y } = names;
            let given = NAMES.iter().zip([x, y, eval_x, eval_y]);
            let given = given.filter_map(|(key, name)| Some(entry(key, name.as_deref()?.into())));
            Table::from_iter([entry(key, path_text(path))].into_iter().chain(given))
        };
        Value::Table(match &self.files {
            ArrayFiles::Idx(folder, set) => {
                let set = set.as_deref().map(|set| entry("set", set.into()));
                Table::from_iter([entry("idx", path_text(folder))].into_iter().chain(set))
            }
            ArrayFiles::Cifar(folder, labels) => {
                let word = LABELS.iter().find(|(_, other)| other == labels).map_or("", |(word, _)| word);
                Table::from_iter([entry("cifar", path_text(folder)), entry("labels", word.into())])
            }
            ArrayFiles::Npz(path, names) => named("npz", path, names),
            ArrayFiles::Npy(path, target) => {
                Table::from_iter([entry("npy", path_text(path)), entry("target", path_text(target))])
            }
            ArrayFiles::Safetensors(path, names) => named("safetensors", path, names),
        })
    }

    fn beside(&self) -> Table {
        let ArrayOptions { normalise: rule, eval_fraction, stratify, .. } = &self.options;
        let mut table = Table::from_iter([normalise::to_toml(rule)]);
        if !self.files.names_eval() {
            let share = eval_fraction.map_or("auto".into(), Value::Float);
            table.extend([entry("eval_fraction", share), entry("stratify", (*stratify).into())]);
            table.extend(self.split_seed.map(|seed| entry("split_seed", whole(seed))));
        }
        table
    }
}

/// The keys beside the source, which all have.
fn spec(files: ArrayFiles, beside: &mut Section) -> Result<DataSpec> {
    let mut options = ArrayOptions { normalise: normalise::read(beside)?, ..ArrayOptions::default() };
    let mut split_seed = None;
    if !files.names_eval() {
        options.eval_fraction = match beside.take("eval_fraction") {
            None => None,
            Some(Value::String(word)) if word == "auto" => None,
            Some(Value::Float(share)) => Some(share),
            Some(Value::Integer(share)) => Some(share as f64),
            Some(other) => {
                let name = beside.name("eval_fraction");
                let text = format!("{name} = {other}: a number from 0 to below 1 is needed, or \"auto\"");
                return Err(Error::Config(text));
            }
        };
        options.stratify = beside.boolean("stratify", options.stratify)?;
        split_seed = beside.whole("split_seed")?;
    }
    Ok(DataSpec::Arrays(ArraysSpec { files, options, split_seed }))
}

/// A folder of IDX files.
pub(super) fn idx(keys: FileKeys) -> Result<DataSpec> {
    let set = string(keys.source, "set", "what the files' names begin with")?;
    spec(ArrayFiles::Idx(keys.path, set), keys.beside)
}

/// A folder of CIFAR files.
pub(super) fn cifar(keys: FileKeys) -> Result<DataSpec> {
    let labels = keys.source.one_of("labels", &LABELS)?;
    spec(ArrayFiles::Cifar(keys.path, labels), keys.beside)
}

/// Two NPY files.
pub(super) fn npy(keys: FileKeys) -> Result<DataSpec> {
    let Some(target) = file(keys.source, "target", keys.folder)? else {
        keys.source.misspelt("target")?;
        let text = format!("data.source.target is missing: the file of targets, as {NPY}");
        return Err(Error::Config(text));
    };
    spec(ArrayFiles::Npy(keys.path, target), keys.beside)
}

/// An NPZ file.
pub(super) fn npz(keys: FileKeys) -> Result<DataSpec> {
    let names = names(keys.source)?;
    spec(ArrayFiles::Npz(keys.path, names), keys.beside)
}

/// A safetensors file.
pub(super) fn safetensors(keys: FileKeys) -> Result<DataSpec> {
    let names = names(keys.source)?;
    spec(ArrayFiles::Safetensors(keys.path, names), keys.beside)
}

fn names(source: &mut Section) -> Result<ArrayNames> {
    let mut name = |key| string(source, key, "the name of an array");
    Ok(ArrayNames { x: name("x")?, y: name("y")?, eval_x: name("eval_x")?, eval_y: name("eval_y")? })
}
