//! Where two runs part: step by step and epoch by epoch, then in their final weights; and how their configs differ.

mod metrics;
mod text;
mod weights;

use std::path::{Path, PathBuf};

pub use metrics::{Length, MetricParting};
pub use text::{compare_json, compare_text};
pub use weights::WeightParting;

use crate::error::{Error, Result};
use crate::run::{SettingDifference, config_differences};

/// How runs are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CompareOptions {
    /// How far a metric may lie from the other, of the larger of both; and a weight, of the largest of its tensor. At 0
    /// every bit counts.
    pub tolerance: f64,
    /// Whether the final weights count.
    pub weights: Weighing,
}

/// Whether the final weights count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weighing {
    /// Where both runs have them.
    #[default]
    WhereThere,
    /// They must be there.
    Needed,
    /// They do not.
    LeftOut,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The runs.
    pub runs: [PathBuf; 2],
    /// As asked for.
    pub tolerance: f64,
    /// How long each is.
    pub lengths: [Length; 2],
    /// The first number of a step or an epoch that is another one.
    pub metrics: Option<MetricParting>,
    /// How many tensors were compared; `None` where weights were left out, or are not there.
    pub tensors: Option<usize>,
    /// The first weight that is another one.
    pub weights: Option<WeightParting>,
    /// Which run has no weights, where they were asked for.
    pub without_weights: [bool; 2],
    /// Keys of `config.toml` that differ. They are told for help, and count for nothing.
    pub settings: Vec<SettingDifference>,
}

impl Comparison {
    /// Compares the runs in these directories.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no run; [`Error::Data`] where its metrics are not what a run writes, or neither
    /// run has any; [`Error::Weights`] where weights are needed and missing, or cannot be read.
    pub fn new(a: &Path, b: &Path, options: &CompareOptions) -> Result<Comparison> {
        let runs = [a, b];
        let (lengths, metrics) = metrics::walk(runs, options.tolerance)?;
        let mut comparison = Comparison {
            runs: runs.map(Path::to_owned),
            tolerance: options.tolerance,
            lengths,
            metrics,
            tensors: None,
            weights: None,
            without_weights: [false; 2],
            settings: differences(runs),
        };
        if options.weights == Weighing::LeftOut {
            return Ok(comparison);
        }
        let files = runs.map(|run| run.join("model.safetensors"));
        comparison.without_weights = [0, 1].map(|i| !files[i].exists());
        match comparison.without_weights.iter().position(|without| *without) {
            None => {
                let (tensors, parting) = weights::compare(&files, options.tolerance)?;
                (comparison.tensors, comparison.weights) = (Some(tensors), parting);
            }
            Some(missing) if options.weights == Weighing::Needed => {
                return Err(Error::Weights(format!(
                    "{}: no such file; a run writes its weights at its end, so train it to the end",
                    files[missing].display()
                )));
            }
            Some(_) => {}
        }
        Ok(comparison)
    }

    /// Nothing parts, and neither run is shorter.
    pub fn alike(&self) -> bool {
        self.metrics.is_none() && self.weights.is_none() && self.lengths[0] == self.lengths[1]
    }
}

/// Whether two numbers lie further apart than `tolerance` times `largest`. At 0 every bit counts.
fn apart(a: f64, b: f64, largest: f64, tolerance: f64) -> bool {
    if a.to_bits() == b.to_bits() || tolerance > 0.0 && a.is_nan() && b.is_nan() {
        return false;
    }
    // An infinity is near nothing but itself.
    let near = a.is_finite() && b.is_finite() && (a - b).abs() <= tolerance * largest;
    tolerance == 0.0 || !near
}

/// The keys of the first list, then those of the second alone, each with what both lists have of it.
fn joined<'a, T>(
    a: &'a [(String, T)],
    b: &'a [(String, T)],
) -> impl Iterator<Item = (&'a str, Option<&'a T>, Option<&'a T>)> {
    fn find<'a, T>(list: &'a [(String, T)], key: &str) -> Option<&'a T> {
        list.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    let alone = b.iter().filter(|(key, _)| find(a, key).is_none());
    a.iter().chain(alone).map(|(key, _)| (key.as_str(), find(a, key), find(b, key)))
}

/// The keys in which the configs of two runs differ. Empty where a run has no config to read.
fn differences(runs: [&Path; 2]) -> Vec<SettingDifference> {
    let read = |run: &Path| std::fs::read_to_string(run.join("config.toml")).ok()?.parse().ok();
    read(runs[0]).zip(read(runs[1])).map_or_else(Vec::new, |(a, b)| config_differences([&a, &b]))
}
