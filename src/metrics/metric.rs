//! The metrics that evaluation can be asked for, by name.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A number, or a table of them, that evaluation computes on the device: of all targets of the part exactly, whatever the
/// batches. Targets that the loss ignores are left out.
///
/// Every label counts where a sample has several. Classes are predicted by their outputs: the first of the largest. Under
/// `bce_with_logits` against numbers each label is predicted for itself, by an output above 0, and holds where its target
/// is above 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "metric", rename_all = "snake_case", deny_unknown_fields)]
pub enum Metric {
    /// The share of right predictions; of labels, of those that are rightly predicted to hold or not.
    Accuracy,
    /// The share of targets to which fewer than `k` classes are preferred. Of equal outputs the first is preferred, and
    /// NaN to any number; where the target's own is NaN it is not among the first. Its name has the number: `top_5`.
    TopK {
        /// From 1 on. 5 unless said otherwise.
        #[serde(default = "five")]
        k: usize,
    },
    /// Of those predicted to be of a class, the share that is; 0 where none is predicted.
    Precision {
        /// How the classes' are made one.
        #[serde(default)]
        average: Averaging,
    },
    /// Of those of a class, the share that is predicted to be; 0 where there is none.
    Recall {
        /// How the classes' are made one.
        #[serde(default)]
        average: Averaging,
    },
    /// 2·precision·recall/(precision + recall) of a class; 0 where none is predicted and there is none.
    F1 {
        /// How the classes' are made one.
        #[serde(default)]
        average: Averaging,
    },
    /// How often each class, a row, is predicted to be each, a column.
    ConfusionMatrix,
    /// Mean of |output − target|.
    Mae,
    /// √ of the mean of (output − target)², over the numbers of all outputs together.
    Rmse,
    /// 1 − Σ(output − target)²/Σ(target − mean)² of each number of a sample, and the mean of these. Where all targets are
    /// the same it is 1 if they are met and 0 if not, as in scikit-learn's `r2_score`.
    R2,
    /// e to the mean of cross-entropy over targets, without label smoothing.
    Perplexity,
    /// That mean over ln 2: bits for each target.
    BitsPerCharacter,
}

/// How a number of each class becomes one; scikit-learn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Averaging {
    /// The mean over classes: those that a target or a prediction is of. The mean over all labels, where a sample has
    /// several that hold or not.
    #[default]
    Macro,
    /// That of the sums over classes.
    Micro,
    /// The mean over classes, each by its number of targets.
    Weighted,
}

fn five() -> usize {
    5
}

impl Metric {
    /// Its name in a config.
    pub fn key(&self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::TopK { .. } => "top_k",
            Metric::Precision { .. } => "precision",
            Metric::Recall { .. } => "recall",
            Metric::F1 { .. } => "f1",
            Metric::ConfusionMatrix => "confusion_matrix",
            Metric::Mae => "mae",
            Metric::Rmse => "rmse",
            Metric::R2 => "r2",
            Metric::Perplexity => "perplexity",
            Metric::BitsPerCharacter => "bits_per_character",
        }
    }

    /// Its name among the numbers of an evaluation.
    pub fn name(&self) -> String {
        match self {
            Metric::TopK { k } => format!("top_{k}"),
            other => other.key().to_owned(),
        }
    }

    /// Refuses options that cannot be and names that repeat.
    pub(crate) fn check(list: &[Metric]) -> Result<()> {
        for (at, metric) in list.iter().enumerate() {
            if let Metric::TopK { k: 0 } = metric {
                return Err(Error::Config(format!("eval.metrics[{at}].top_k.k = 0: at least 1 is needed")));
            }
            if list[..at].iter().any(|other| other.name() == metric.name()) {
                return Err(Error::Config(format!(
                    "eval.metrics[{at}]: {} is named twice; each has one value",
                    metric.name()
                )));
            }
        }
        Ok(())
    }
}
