//! The losses a config can name.

use serde::{Deserialize, Serialize};
use toml::Value;

use super::model::to_value;
use super::read::read;
use crate::error::{Error, Result};
use crate::graph::{DType, Tensor};
use crate::nn::Form;
use crate::nn::loss::{self, CrossEntropy, KlDiv, Nll};

/// A loss by name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename = "loss", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossSpec {
    /// Of logits against classes.
    CrossEntropy(CrossEntropy),
    /// Of log-probabilities against classes.
    Nll(Nll),
    /// Of log-probabilities against probabilities; classes are taken one-hot.
    KlDiv(KlDiv),
    /// Mean squared error; classes are taken one-hot.
    Mse,
    /// Mean absolute error; classes are taken one-hot.
    L1,
    /// Huber's loss; classes are taken one-hot.
    Huber {
        /// Where the parabola ends; torch's default is 1.
        #[serde(default = "one")]
        delta: f32,
    },
    /// Huber's loss divided by `beta`; classes are taken one-hot.
    SmoothL1 {
        /// Where the parabola ends; torch's default is 1.
        #[serde(default = "one")]
        beta: f32,
    },
    /// Binary cross-entropy of logits; classes are taken one-hot.
    BceWithLogits,
}

fn one() -> f32 {
    1.0
}

/// How a config may name each loss.
pub(super) const FORMS: &[Form] = &[
    form("cross_entropy", None),
    form("nll", None),
    form("kl_div", None),
    form("mse", None),
    form("l1", None),
    form("huber", Some("delta")),
    form("smooth_l1", Some("beta")),
    form("bce_with_logits", None),
];

const fn form(name: &'static str, short: Option<&'static str>) -> Form {
    Form { name, short, example: "{ huber = 0.5 }" }
}

impl LossSpec {
    /// The loss of `output` against `target`.
    pub fn apply(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let dense = || match (target.dtype(), output.shape()) {
            (DType::I32, [.., classes]) => target.one_hot(*classes),
            _ => target.clone(),
        };
        match self {
            LossSpec::CrossEntropy(options) => loss::cross_entropy(output, target, options),
            LossSpec::Nll(options) => loss::nll(output, target, options),
            LossSpec::KlDiv(options) if options.log_target && target.dtype() == DType::I32 => output
                .fail("kl_div with log_target needs log-probabilities, and the targets are classes".into()),
            LossSpec::KlDiv(options) => loss::kl_div(output, &dense(), options),
            LossSpec::Mse => loss::mse(output, &dense()),
            LossSpec::L1 => loss::l1(output, &dense()),
            LossSpec::Huber { delta } => loss::huber(output, &dense(), *delta),
            LossSpec::SmoothL1 { beta } => loss::smooth_l1(output, &dense(), *beta),
            LossSpec::BceWithLogits => loss::bce_with_logits(output, &dense()),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            LossSpec::CrossEntropy(CrossEntropy { label_smoothing: s, .. }) if !(0.0..=1.0).contains(s) => {
                Err(format!("cross_entropy.label_smoothing = {s}: from 0 to 1"))
            }
            LossSpec::Huber { delta } if *delta <= 0.0 => {
                Err(format!("huber.delta = {delta}: a number above 0 is needed"))
            }
            LossSpec::SmoothL1 { beta } if *beta < 0.0 => {
                Err(format!("smooth_l1.beta = {beta}: a number from 0 on is needed"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn read(value: Value) -> Result<LossSpec> {
        let form = |name: &str| FORMS.iter().find(|form| form.name == name);
        let spec: LossSpec = read("model.loss", value, form)?;
        spec.check().map_err(|text| Error::Config(format!("model.loss.{text}")))?;
        Ok(spec)
    }

    pub(super) fn to_toml(self) -> Value {
        to_value(&self)
    }
}
