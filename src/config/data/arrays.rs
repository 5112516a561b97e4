//! Arrays as a source: IDX, CIFAR, NPZ, NPY and safetensors.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::keys::{self, HoldoutKeys, Inputs, Keys};
use super::source::{Other, Run, Source, last_part};
use crate::data::{self, ArrayEncoding, ArrayNames, ArrayOptions, CifarLabels, Dataset, Encoding, Normalise};
use crate::error::{Error, Result};

/// The least two NPY files need.
pub(super) const NPY: &str = "{ npy = \"FILE\", target = \"FILE\" }";

/// The folder's name in Debian's package of Fashion-MNIST, and where its files come from.
const FASHION_MNIST: (&str, &str) = (
    "fashion-mnist",
    "on Debian and Ubuntu, apt-get install dataset-fashion-mnist puts Fashion-MNIST into \
     /usr/share/datasets/fashion-mnist",
);

/// Arrays with their options.
#[derive(Debug, Clone, PartialEq)]
pub struct ArraysSpec {
    /// The file or folder.
    pub path: PathBuf,
    /// The format and its keys.
    pub files: ArrayFiles,
    /// Scales the inputs on the device.
    pub normalise: Normalise,
    /// The held-out samples, where no arrays to evaluate on are named.
    pub holdout: HoldoutKeys,
}

/// The formats of arrays, each with its keys.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayFiles {
    /// A folder of IDX files.
    Idx(IdxKeys),
    /// A folder of CIFAR's binary version.
    Cifar(CifarKeys),
    /// An NPZ file, and the names of its arrays.
    Npz(ArrayNames),
    /// Two NPY files, inputs and targets.
    Npy(NpyKeys),
    /// A safetensors file, and the names of its tensors.
    Safetensors(ArrayNames),
}

/// The keys of a folder of IDX files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IdxKeys {
    /// The set of the folder.
    #[serde(deserialize_with = "data::keys::set", skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
}

/// The keys of a folder of CIFAR files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CifarKeys {
    /// The labels to learn.
    pub labels: CifarLabels,
}

/// The keys of two NPY files.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NpyKeys {
    /// The file of targets; without one the inputs are their own, as `data.target = "inputs"` says.
    #[serde(deserialize_with = "data::keys::file", skip_serializing_if = "Option::is_none")]
    pub target: Option<PathBuf>,
}

impl ArraysSpec {
    /// A folder of IDX files.
    pub(super) fn idx(path: &Path) -> ArraysSpec {
        ArraysSpec {
            path: path.to_owned(),
            files: ArrayFiles::Idx(IdxKeys::default()),
            normalise: Normalise::default(),
            holdout: HoldoutKeys::default(),
        }
    }

    /// The same source at another path.
    pub(super) fn at(&self, path: &Path) -> Result<ArraysSpec> {
        match &self.files {
            ArrayFiles::Npy(NpyKeys { target: Some(_) }) => Err(Error::Config(format!(
                "{}: inputs and targets are two files; name them in a config, as source = {NPY}, and give that",
                path.display()
            ))),
            _ => Ok(ArraysSpec { path: path.to_owned(), ..self.clone() }),
        }
    }

    fn load_with(&self, options: &ArrayOptions) -> Result<Dataset> {
        match &self.files {
            ArrayFiles::Idx(keys) => data::idx(&self.path, keys.set.as_deref(), options),
            ArrayFiles::Cifar(keys) => data::cifar(&self.path, keys.labels, options),
            ArrayFiles::Npz(names) => data::npz(&self.path, names, options),
            ArrayFiles::Npy(keys) => data::npy(&self.path, keys.target.as_deref(), options),
            ArrayFiles::Safetensors(names) => data::safetensors(&self.path, names, options),
        }
    }

    /// The same error; of a folder that is not there it says which package brings it, if there is one.
    fn with_package(&self, err: Error) -> Error {
        let (folder, remedy) = FASHION_MNIST;
        match err {
            Error::Io { action, path, message }
                if path == self.path && path.ends_with(folder) && !path.exists() =>
            {
                Error::Io { action, path, message: format!("{message}; {remedy}") }
            }
            other => other,
        }
    }

    /// The arrays as they are in their files, then scaled as a run's were.
    fn part_with(&self, encoding: Option<&ArrayEncoding>) -> Result<Other> {
        let load = |eval_fraction| {
            let options =
                ArrayOptions { normalise: Normalise::None, eval_fraction, ..ArrayOptions::default() };
            self.load_with(&options)
        };
        let whole = load(Some(0.0))?;
        let divided = load(None)?;
        // If all samples are still there to train on, the others are a part of their own.
        let own = divided.train().len() == whole.train().len();
        let (part, classes) = last_part(if own { divided } else { whole });
        match encoding {
            Some(encoding) => Ok((encoding.apply_to("the array of inputs", part)?, classes)),
            None => Ok((part, classes)),
        }
    }
}

impl Source for ArraysSpec {
    fn load(&self, seed: u64) -> Result<Dataset> {
        let HoldoutKeys { eval_fraction, stratify, split_seed } = self.holdout;
        let split_seed = split_seed.unwrap_or(seed);
        let options = ArrayOptions { normalise: self.normalise.clone(), eval_fraction, split_seed, stratify };
        self.load_with(&options).map_err(|err| self.with_package(err))
    }

    fn holds_out(&self) -> bool {
        match &self.files {
            ArrayFiles::Npz(names) | ArrayFiles::Safetensors(names) => {
                names.eval_x.is_none() && names.eval_y.is_none()
            }
            _ => true,
        }
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        let name = match &self.files {
            ArrayFiles::Idx(_) => "idx",
            ArrayFiles::Cifar(_) => "cifar",
            ArrayFiles::Npz(_) => "npz",
            ArrayFiles::Npy(_) => "npy",
            ArrayFiles::Safetensors(_) => "safetensors",
        };
        (name, Some(&self.path))
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        let target = match &mut self.files {
            ArrayFiles::Npy(keys) => keys.target.as_mut(),
            _ => None,
        };
        std::iter::once(&mut self.path).chain(target).collect()
    }

    fn keys(&self) -> (Table, Table) {
        let source = match &self.files {
            ArrayFiles::Idx(keys) => keys::table(keys),
            ArrayFiles::Cifar(keys) => keys::table(keys),
            ArrayFiles::Npz(names) | ArrayFiles::Safetensors(names) => keys::table(names),
            ArrayFiles::Npy(keys) => keys::table(keys),
        };
        let mut beside = keys::table(&Inputs { normalise: self.normalise.clone() });
        beside.extend(keys::table(&self.holdout));
        (source, beside)
    }

    fn part(&self, run: &Run) -> Result<Option<Other>> {
        let digits = run.is_digits.then(data::digits_encoding);
        match run.encoding {
            Some(Encoding::Array(encoding)) => self.part_with(Some(encoding)).map(Some),
            Some(_) => Ok(None),
            None => self.part_with(digits.as_ref()).map(Some),
        }
    }
}

fn read(keys: Keys, files: ArrayFiles) -> Result<ArraysSpec> {
    let (normalise, holdout) = (keys.normalise()?, keys.holdout()?);
    Ok(ArraysSpec { path: keys.path, files, normalise, holdout })
}

pub(super) fn idx(keys: Keys) -> Result<ArraysSpec> {
    let files = ArrayFiles::Idx(keys.source()?);
    read(keys, files)
}

pub(super) fn cifar(keys: Keys) -> Result<ArraysSpec> {
    let files = ArrayFiles::Cifar(keys.source()?);
    read(keys, files)
}

pub(super) fn npz(keys: Keys) -> Result<ArraysSpec> {
    let files = ArrayFiles::Npz(keys.source()?);
    read(keys, files)
}

pub(super) fn npy(keys: Keys) -> Result<ArraysSpec> {
    let NpyKeys { target } = keys.source()?;
    let target = target.map(|target| keys.root.resolve("data.source.target", &target)).transpose()?;
    read(keys, ArrayFiles::Npy(NpyKeys { target }))
}

pub(super) fn safetensors(keys: Keys) -> Result<ArraysSpec> {
    let files = ArrayFiles::Safetensors(keys.source()?);
    read(keys, files)
}
