//! The metrics that evaluation can be asked for, by name.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::nn::TableRow;

macro_rules! metrics {
    ($(
        $(#[doc = $about:literal])+
        $name:literal = $equation:literal,
        $kind:ident $({ $($fields:tt)* } ($short:literal as $example:literal))?;
    )*) => {
        /// A number, or a table of numbers, that evaluation computes on the device from all targets of the part, whatever the
        /// batches. Targets that the loss ignores are left out.
        ///
        /// Every label counts where a sample has several. The predicted class is the first of those with the largest output.
        /// Under `bce_with_logits` against numbers each label is predicted by itself, by an output above 0, and it holds where
        /// its target is above 0.5.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename = "metric", deny_unknown_fields)]
        pub enum Metric {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind $({ $($fields)* })?,)*
        }

        impl Metric {
            /// Every metric there is.
            pub const TABLE: &[TableRow] = &[$(TableRow::new(
                [$name, concat!("\"", $name, "\"")],
                &[$($short, $example)?],
                concat!($($about),+).trim_ascii(),
                $equation,
            ),)*];

            /// Its name in a config.
            pub fn key(&self) -> &'static str {
                match self {
                    $(Metric::$kind { .. } => $name,)*
                }
            }
        }
    };
}

metrics! {
    /// The share of right predictions; with several labels, of labels rightly predicted to hold or not.
    "accuracy" = "right / all", Accuracy;
    /// The share of targets that fewer than `k` classes are preferred to. The first of equal outputs is preferred, and NaN
    /// to any number; a target whose own output is NaN is never among the first. Its value is named by the number: `top_5`.
    "top_k" = "targets among the first k / all", TopK {
        /// From 1 on. Default: 5.
        #[serde(default = "five")]
        k: usize,
    } ("k" as "{ top_k = 3 }");
    /// The share of predictions of a class that are right; 0 where none is predicted.
    "precision" = "TP/(TP + FP)", Precision {
        /// How the numbers of the classes become one.
        #[serde(default)]
        average: Averaging,
    } ("average" as "{ precision = \"micro\" }");
    /// The share of targets of a class that are found; 0 where there is none.
    "recall" = "TP/(TP + FN)", Recall {
        /// How the numbers of the classes become one.
        #[serde(default)]
        average: Averaging,
    } ("average" as "{ recall = \"micro\" }");
    /// The harmonic mean of precision and recall of a class; 0 where none is predicted and there is none.
    "f1" = "2·TP/(2·TP + FP + FN)", F1 {
        /// How the numbers of the classes become one.
        #[serde(default)]
        average: Averaging,
    } ("average" as "{ f1 = \"micro\" }");
    /// How often targets of each class, a row, are predicted to be of each class, a column.
    "confusion_matrix" = "counts [classes, classes]", ConfusionMatrix;
    /// Mean absolute error, in the target's own unit where a table's target is standardised.
    "mae" = "mean of |x − t|", Mae;
    /// Root of the mean squared error, over the numbers of all outputs together; in the target's own unit, as `mae`.
    "rmse" = "√ mean of (x − t)²", Rmse;
    /// Coefficient of determination: the mean over the numbers of a sample. Where all targets are the same it is 1 if they
    /// are met and 0 if not, as in scikit-learn's `r2_score`.
    "r2" = "1 − Σ(x − t)²/Σ(t − mean t)²", R2;
    /// e to the mean cross-entropy over targets, without label smoothing.
    "perplexity" = "e^(mean cross-entropy)", Perplexity;
    /// Mean cross-entropy over targets in bits.
    "bits_per_character" = "mean cross-entropy / ln 2", BitsPerCharacter;
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
