//! The trait of all sources.

use std::path::{Path, PathBuf};

use toml::Table;

use crate::data::{Dataset, Encoding, Part};
use crate::error::Result;

/// A source of samples.
pub(super) trait Source {
    /// The data, for a run of this seed.
    fn load(&self, seed: u64) -> Result<Dataset>;

    /// Characters of a sample, where the samples are text.
    fn context(&self) -> Option<usize> {
        None
    }

    /// True where samples may be held out to evaluate on.
    fn holds_out(&self) -> bool {
        true
    }

    /// The name of its format, and its file.
    fn file(&self) -> (&'static str, Option<&Path>);

    /// Every path that the config names.
    fn paths_mut(&mut self) -> Vec<&mut PathBuf>;

    /// The keys in `source` and those beside it, every default filled in.
    fn keys(&self) -> (Table, Table);

    /// The samples, encoded as a run's were; `None` where they are of another kind.
    fn part(&self, run: &Run) -> Result<Option<Other>>;
}

/// A run for whose model other data are read.
pub(super) struct Run<'a> {
    /// The encoding of the run's own data.
    pub encoding: Option<&'a Encoding>,
    /// True where the run's data are the digits, which have no encoding.
    pub is_digits: bool,
    /// Characters of a sample, where the run's are text.
    pub context: Option<usize>,
}

/// Other data for a run's model, and how many classes they have.
pub(super) type Other = (Part, Option<usize>);

/// The part to evaluate on, or else the part to train on.
pub(super) fn last_part(data: Dataset) -> Other {
    (data.eval().unwrap_or(data.train()).clone(), data.classes())
}
