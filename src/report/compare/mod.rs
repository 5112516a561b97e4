//! The first difference of two runs: in their steps and epochs, in their final weights; and the differences of their
//! configs.

mod metrics;
mod pairs;
mod text;
mod weights;

use std::path::{Path, PathBuf};

pub use metrics::{Length, MetricParting};
pub use text::{compare_json, compare_text};
pub use weights::WeightParting;

use crate::error::{Error, Result};
use crate::run::{SettingDifference, config_differences};

/// Options of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CompareOptions {
    /// Largest difference: of metrics as a share of the larger one, of weights as a share of the largest of the tensor. At
    /// 0 every bit counts.
    pub tolerance: f64,
    /// The comparison of the final weights.
    pub weights: Weighing,
}

/// The comparison of the final weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weighing {
    /// Compares them where both runs have them.
    #[default]
    WhereThere,
    /// Fails where a run has none.
    Needed,
    /// Skips them.
    LeftOut,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The runs.
    pub runs: [PathBuf; 2],
    /// The options.
    pub tolerance: f64,
    /// The length of each run.
    pub lengths: [Length; 2],
    /// The last line of the run's metrics was cut off, as by a process that was killed. It is left out.
    pub torn: [bool; 2],
    /// The first number of a step or an epoch that differs.
    pub metrics: Option<MetricParting>,
    /// Number of tensors compared; `None` where weights were skipped or are missing.
    pub tensors: Option<usize>,
    /// The first weight that differs.
    pub weights: Option<WeightParting>,
    /// The run without weights, where weights are needed.
    pub without_weights: [bool; 2],
    /// Keys of `config.toml` that differ. They do not affect the result.
    pub settings: Vec<SettingDifference>,
}

impl Comparison {
    /// Compares the runs in these directories.
    ///
    /// # Errors
    /// [`Error::Config`] for a directory without a run; [`Error::Data`] for metrics that no run writes, or where neither run
    /// has any; [`Error::Weights`] for weights that are needed and missing, or cannot be read.
    pub fn new(a: &Path, b: &Path, options: &CompareOptions) -> Result<Comparison> {
        let runs = [a, b];
        let metrics::Walk { lengths, torn, parting } = metrics::walk(runs, options.tolerance)?;
        let mut comparison = Comparison {
            runs: runs.map(Path::to_owned),
            tolerance: options.tolerance,
            lengths,
            torn,
            metrics: parting,
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

    /// True where nothing differs and both runs have the same length.
    pub fn alike(&self) -> bool {
        self.metrics.is_none() && self.weights.is_none() && self.lengths[0] == self.lengths[1]
    }
}

/// The keys in which the configs of two runs differ. Empty where a run has no config to read.
fn differences(runs: [&Path; 2]) -> Vec<SettingDifference> {
    let read = |run: &Path| std::fs::read_to_string(run.join("config.toml")).ok()?.parse().ok();
    read(runs[0]).zip(read(runs[1])).map_or_else(Vec::new, |(a, b)| config_differences([&a, &b]))
}
