//! Arrays of a program as a source: they are given beside the config, and no file names them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};
use toml::Table;

use super::keys::{self, HoldoutKeys, Inputs, Keys, MEMORY};
use super::source::{Other, Run, Source};
use crate::data::keys::wanted;
use crate::data::{self, ArrayOptions, Arrays, Dataset, Normalise};
use crate::error::{Error, Result};
use crate::graph::DType;
use crate::shape::Shape;

/// The name of the format.
pub(super) const NAME: &str = "memory";

/// Arrays of a program, with their options.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemorySpec {
    /// Scales the inputs on the device.
    pub normalise: Normalise,
    /// The held-out samples, where no arrays to evaluate on are given. Default: none.
    pub holdout: HoldoutKeys,
    /// The samples of a run: its config says what they were.
    pub samples: Samples,
}

/// The samples that a run was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Samples {
    /// The shape of a sample's inputs. `None` before the run has begun.
    #[serde(deserialize_with = "extents", skip_serializing_if = "Option::is_none")]
    pub sample: Option<Vec<usize>>,
    /// The model takes them as integers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub integers: bool,
}

/// The extents of a sample; none for a single number.
fn extents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<usize>>, D::Error> {
    wanted(deserializer, "the shape of a sample, as [1, 8, 8],", |raw| raw.list(|extent| extent.size()))
        .map(Some)
}

impl MemorySpec {
    /// The arrays as a data set, for a run of this seed.
    pub(super) fn dataset(&self, arrays: &Arrays, seed: u64) -> Result<Dataset> {
        let HoldoutKeys { eval_fraction, stratify, split_seed } = self.holdout;
        let eval_fraction = match eval_fraction {
            Some(fraction) if fraction > 0.0 && arrays.has_eval() => {
                return Err(Error::Config(format!(
                    "data.eval_fraction = {fraction}: there are arrays to evaluate on, and none are held out; give one of both"
                )));
            }
            fraction => Some(fraction.unwrap_or(0.0)),
        };
        let split_seed = split_seed.unwrap_or(seed);
        let options = ArrayOptions { normalise: self.normalise.clone(), eval_fraction, split_seed, stratify };
        let data = data::arrays(arrays, &options)?;
        match &self.samples {
            Samples { sample: Some(sample), .. } if *self != self.clone().of(&data) => {
                let inputs = data.train().inputs();
                Err(Error::Data(format!(
                    "the run was trained on samples of shape {}, {}, and these have shape {}, {}",
                    Shape::from(sample.clone()),
                    if self.samples.integers { "i32" } else { "f32" },
                    inputs.shape(),
                    inputs.type_name()
                )))
            }
            _ => Ok(data),
        }
    }

    /// The same spec with the samples of a run on `data`.
    pub(super) fn of(self, data: &Dataset) -> MemorySpec {
        let inputs = data.train().inputs();
        let samples = Samples { sample: Some(inputs.shape().to_vec()), integers: !inputs.is_float() };
        MemorySpec { samples, ..self }
    }

    /// The shape and the type of a sample, where a run has begun.
    pub(in super::super) fn sample(&self) -> Option<(Shape, DType)> {
        let shape = Shape::from(self.samples.sample.clone()?);
        Some((shape, if self.samples.integers { DType::I32 } else { DType::F32 }))
    }
}

impl Source for MemorySpec {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        Err(Error::Config(
            "data.source = \"memory\": the samples are arrays of the program that trained, and no file has them. In that \
             program, downhill.resume(RUN, x, t) of Python, or Session::resume_on of Rust, continues a run, \
             downhill.sweep(.., resume=True), or Sweep::resume_on, a sweep, and net.evaluate(x, t) evaluates a net; downhill eval and downhill predict take arrays in files, as --data FILE.npz and \
             FILE.npy"
                .into(),
        ))
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        (NAME, None)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    fn keys(&self) -> (Table, Table) {
        let mut beside = keys::table(&Inputs { normalise: self.normalise.clone() });
        beside.extend(keys::table(&self.holdout));
        beside.extend(keys::table(&self.samples));
        (Table::new(), beside)
    }

    fn part(&self, _run: &Run) -> Result<Option<Other>> {
        Ok(None)
    }
}

pub(super) fn read(keys: Keys) -> Result<MemorySpec> {
    let (normalise, holdout) = (keys.normalise()?, keys.holdout()?);
    Ok(MemorySpec { normalise, holdout, samples: keys.beside(&MEMORY)? })
}
