//! The table of losses that a config can name, one row each. Names, options, errors, what an output means and the
//! reference page follow from it.
//!
//! To add one: a function in [`crate::nn::loss`], and a row in the table. A loss with options has a struct with serde's
//! derive and [`LossOptions`].

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::graph::{DType, Tensor};
use crate::infer::Head;
use crate::nn::TableRow;
use crate::nn::loss::{self, CrossEntropy, Huber, KlDiv, LossOptions, Nll, SmoothL1};

macro_rules! losses {
    ($(
        #[doc = $about:literal]
        $name:literal = $equation:literal, $head:ident,
        $kind:ident $(($options:ident: $type:ty $(, $short:literal as $example:literal)?))?
            |$y:ident, $t:ident| $loss:expr;
    )*) => {
        /// A loss by name.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(rename = "loss")]
        pub enum LossSpec {
            $(#[doc = $about] #[serde(rename = $name)] $kind $(($type))?,)*
        }

        impl LossSpec {
            /// Every loss there is.
            pub const TABLE: &[TableRow] = &[$(TableRow::new(
                [$name, concat!("\"", $name, "\"")],
                &[$($($short, $example)?)?],
                $about.trim_ascii(),
                $equation,
            ),)*];

            /// Its name in a config.
            pub fn name(&self) -> &'static str {
                match self {
                    $(LossSpec::$kind { .. } => $name,)*
                }
            }

            /// The head that converts the output of a model trained with it to probabilities, or to numbers.
            pub fn head(&self) -> Head {
                match self {
                    $(LossSpec::$kind { .. } => Head::$head,)*
                }
            }

            /// The loss of `output` against `target`.
            pub fn apply(&self, output: &Tensor, target: &Tensor) -> Tensor {
                match self {
                    $(LossSpec::$kind $(($options))? => {
                        let ($y, $t) = (output, target);
                        $loss
                    })*
                }
            }

            /// Refuses options that can never work.
            pub(super) fn check(&self) -> Result<()> {
                let checked = match self {
                    $(LossSpec::$kind $(($options))? => Ok(()) $(.and($options.check()))?,)*
                };
                checked.map_err(|text| Error::Config(format!("model.loss.{}.{text}", self.name())))
            }
        }
    };
}

losses! {
    /// Softmax cross-entropy of logits against classes.
    "cross_entropy" = "mean of (1 − s)·(lse x − xₜ) + s·(lse x − mean x), lse x = log Σ eˣ, s = label_smoothing", Softmax,
    CrossEntropy(o: CrossEntropy) |y, t| loss::cross_entropy(y, t, o);
    /// Negative log-likelihood of log-probabilities against classes.
    "nll" = "mean of −xₜ", Exp,
    Nll(o: Nll) |y, t| loss::nll(y, t, o);
    /// Kullback–Leibler divergence of log-probabilities from probabilities; a class counts as a one-hot row.
    "kl_div" = "Σ t·(log t − x)/n", Exp,
    KlDiv(o: KlDiv) |y, t| match t.dtype() {
        DType::I32 if o.log_target => {
            y.fail("kl_div with log_target needs log-probabilities, and the targets are classes".into())
        }
        _ => loss::kl_div(y, &dense(y, t), o),
    };
    /// Mean squared error; a class counts as a one-hot row.
    "mse" = "mean of (x − t)²", Numbers,
    Mse |y, t| loss::mse(y, &dense(y, t));
    /// Mean absolute error; a class counts as a one-hot row.
    "l1" = "mean of |x − t|", Numbers,
    L1 |y, t| loss::l1(y, &dense(y, t));
    /// Huber's loss: squared near 0, linear beyond `delta`; a class counts as a one-hot row.
    "huber" = "mean of d²/2 where |d| < delta, else delta·(|d| − delta/2); d = x − t", Numbers,
    Huber(o: Huber, "delta" as "{ huber = 0.5 }") |y, t| loss::huber(y, &dense(y, t), o.delta);
    /// Huber's loss divided by `beta`; `l1` at 0; a class counts as a one-hot row.
    "smooth_l1" = "mean of d²/(2·beta) where |d| < beta, else |d| − beta/2; d = x − t", Numbers,
    SmoothL1(o: SmoothL1, "beta" as "{ smooth_l1 = 0.5 }") |y, t| loss::smooth_l1(y, &dense(y, t), o.beta);
    /// Binary cross-entropy of logits against labels from 0 to 1; a class counts as a one-hot row.
    "bce_with_logits" = "mean of max(x, 0) − x·t + log(1 + e^(−|x|))", Sigmoid,
    BceWithLogits |y, t| loss::bce_with_logits(y, &dense(y, t));
}

/// Targets as numbers: a class becomes a one-hot row.
fn dense(output: &Tensor, target: &Tensor) -> Tensor {
    match (target.dtype(), output.shape()) {
        (DType::I32, [.., classes]) => target.one_hot(*classes),
        _ => target.clone(),
    }
}
