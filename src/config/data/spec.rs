//! The source of a run's samples.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::arrays::ArraysSpec;
use super::images::ImagesSpec;
use super::keys::HoldoutKeys;
use super::memory::MemorySpec;
use super::pack::PackSpec;
use super::source::{Other, Run, Source, last_part};
use super::table::TableSpec;
use super::text::TextSpec;
use crate::data::{self, Arrays, Dataset};
use crate::error::{Error, Result};

/// The source of the samples. Paths are absolute.
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
    /// Arrays of a program.
    Memory(MemorySpec),
    /// The inputs of another source, as their own targets.
    Inputs(Box<DataSpec>),
}

struct Digits;

impl Source for Digits {
    fn load(&self, _seed: u64) -> Result<Dataset> {
        data::digits()
    }

    fn file(&self) -> (&'static str, Option<&Path>) {
        ("digits", None)
    }

    fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    fn keys(&self) -> (Table, Table) {
        Default::default()
    }

    fn part(&self, run: &Run) -> Result<Option<Other>> {
        if run.encoding.is_some() { Ok(None) } else { data::digits().map(|digits| Some(last_part(digits))) }
    }
}

impl DataSpec {
    /// The source itself, where its inputs are also the targets.
    pub(in crate::config) fn own(&self) -> &DataSpec {
        match self {
            DataSpec::Inputs(own) => own.own(),
            own => own,
        }
    }

    pub(super) fn source(&self) -> &dyn Source {
        match self {
            DataSpec::Digits => &Digits,
            DataSpec::Text(spec) => spec,
            DataSpec::Table(spec) => spec,
            DataSpec::Arrays(spec) => spec,
            DataSpec::Images(spec) => spec,
            DataSpec::Pack(spec) => spec,
            DataSpec::Memory(spec) => spec,
            DataSpec::Inputs(own) => own.source(),
        }
    }

    /// Every path that the config names.
    pub(super) fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            DataSpec::Digits => Vec::new(),
            DataSpec::Text(spec) => spec.paths_mut(),
            DataSpec::Table(spec) => spec.paths_mut(),
            DataSpec::Arrays(spec) => spec.paths_mut(),
            DataSpec::Images(spec) => spec.paths_mut(),
            DataSpec::Pack(spec) => spec.paths_mut(),
            DataSpec::Memory(spec) => spec.paths_mut(),
            DataSpec::Inputs(own) => own.paths_mut(),
        }
    }

    /// The same source with the files where another's are, if it has as many and the same format.
    pub(in super::super) fn with_places_of(&self, other: &DataSpec) -> DataSpec {
        let (mut placed, mut other) = (self.clone(), other.clone());
        if placed.source().file().0 != other.source().file().0 {
            return placed;
        }
        if let (Some(own), Some(theirs)) = (placed.images_mut(), other.images_mut()) {
            // A folder that is not there has no part of its own.
            own.own_eval = theirs.own_eval;
        }
        let (own, theirs) = (placed.paths_mut(), other.paths_mut());
        if own.len() == theirs.len() {
            own.into_iter().zip(theirs).for_each(|(own, theirs)| own.clone_from(theirs));
        }
        placed
    }

    fn images_mut(&mut self) -> Option<&mut ImagesSpec> {
        match self {
            DataSpec::Images(spec) => Some(spec),
            DataSpec::Inputs(own) => own.images_mut(),
            _ => None,
        }
    }

    fn memory_mut(&mut self) -> Option<&mut MemorySpec> {
        match self {
            DataSpec::Memory(spec) => Some(spec),
            DataSpec::Inputs(own) => own.memory_mut(),
            _ => None,
        }
    }

    /// The same source with the samples of a run, where both are arrays of a program and this one has not trained.
    pub(in super::super) fn with_samples_of(&self, run: &DataSpec) -> DataSpec {
        let (mut own, mut run) = (self.clone(), run.clone());
        if let (Some(own), Some(run)) = (own.memory_mut(), run.memory_mut())
            && own.samples.sample.is_none()
        {
            own.samples.clone_from(&run.samples);
        }
        own
    }

    /// Has the seed that decides the part held out be this one, where a part is held out and the config names no seed.
    pub(in super::super) fn hold_out_by(&mut self, seed: u64) {
        if let (true, Some(holdout)) = (self.source().holds_out(), self.holdout_mut()) {
            holdout.split_seed.get_or_insert(seed);
        }
    }

    /// The keys of the part held out for evaluation, where it has them.
    fn holdout_mut(&mut self) -> Option<&mut HoldoutKeys> {
        match self {
            DataSpec::Table(spec) => Some(&mut spec.holdout),
            DataSpec::Arrays(spec) => Some(&mut spec.holdout),
            DataSpec::Images(spec) => Some(&mut spec.holdout),
            DataSpec::Memory(spec) => Some(&mut spec.holdout),
            DataSpec::Inputs(own) => own.holdout_mut(),
            DataSpec::Digits | DataSpec::Text(_) | DataSpec::Pack(_) => None,
        }
    }

    /// The value of `data.source`.
    pub(super) fn value(&self) -> Value {
        match self.source().file() {
            (name, None) => name.into(),
            (name, Some(path)) => {
                let file = (name.to_owned(), path.to_string_lossy().into_owned().into());
                Value::Table([file].into_iter().chain(self.source().keys().0).collect())
            }
        }
    }

    /// The same source at another path.
    pub(super) fn at(&self, path: &Path) -> Result<DataSpec> {
        Ok(match self {
            DataSpec::Digits => DataSpec::Arrays(ArraysSpec::idx(path)),
            DataSpec::Text(spec) => DataSpec::Text(spec.at(path)),
            DataSpec::Table(spec) => DataSpec::Table(spec.at(path)),
            DataSpec::Arrays(spec) => DataSpec::Arrays(spec.at(path)?),
            DataSpec::Images(spec) => DataSpec::Images(spec.at(path)),
            DataSpec::Pack(_) => DataSpec::Pack(PackSpec { path: path.to_owned() }),
            // No path stands for arrays of a program.
            DataSpec::Memory(spec) => DataSpec::Memory(spec.clone()),
            DataSpec::Inputs(own) => own.at(path)?,
        })
    }

    /// The data, for a run of this seed.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, [`Error::Config`] where the config's options are.
    pub fn load(&self, seed: u64) -> Result<Dataset> {
        let data = self.source().load(seed).map_err(|err| match err {
            Error::Io { .. } => Error::Config(format!(
                "data.source: {err}; a path is relative to the config's folder, or to data.root. If the files lie elsewhere, \
                 name their folder as --data-root DIR"
            )),
            other => other,
        })?;
        self.targeted(data)
    }

    /// [`DataSpec::load`] of a program's arrays.
    ///
    /// # Errors
    /// As there; [`Error::Config`] where the config names another source.
    pub fn load_arrays(&self, arrays: &Arrays, seed: u64) -> Result<Dataset> {
        match self.own() {
            DataSpec::Memory(spec) => self.targeted(spec.dataset(arrays, seed)?),
            own => Err(Error::Config(format!(
                "data.source = {}: arrays of a program go with data.source = \"memory\"",
                own.value()
            ))),
        }
    }

    /// Notes the samples of a run on a program's arrays.
    pub fn describe(&mut self, data: &Dataset) {
        match self {
            DataSpec::Memory(spec) => *spec = spec.clone().of(data),
            DataSpec::Inputs(own) => own.describe(data),
            _ => {}
        }
    }

    /// Data with the targets that the spec asks for.
    fn targeted(&self, data: Dataset) -> Result<Dataset> {
        match self {
            DataSpec::Inputs(_) if data.train().inputs().is_float() => Ok(data.without_targets()),
            DataSpec::Inputs(_) => Err(Error::Config(format!(
                "data.target = \"inputs\": the inputs of data.source = {} are integers, and a model's output is f32; \
                 leave data.target out",
                self.value()
            ))),
            _ => Ok(data),
        }
    }

    /// Characters of a sample, where the samples are text.
    pub fn context(&self) -> Option<usize> {
        self.source().context()
    }
}
