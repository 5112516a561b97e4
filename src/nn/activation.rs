//! Activations as layers: functions of one element, and softmax.

use serde::{Deserialize, Serialize};

use super::Net;
use super::rule::Rule;
use crate::graph::Tensor;

/// Layers that have neither options nor parameters.
macro_rules! plain {
    ($($(#[$doc:meta])* $kind:ident: $build:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub struct $kind;

        impl $crate::nn::rule::Rule for $kind {
            fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
                let build: fn(&Tensor) -> Tensor = $build;
                build(x)
            }
        }
    )*};
}

pub(super) use plain;

plain! {
    /// max(x, 0)
    Relu: Tensor::relu;
    /// x·sigmoid(x)
    Silu: Tensor::silu;
    /// tanh x
    Tanh: Tensor::tanh;
    /// 1/(1 + e⁻ˣ)
    Sigmoid: Tensor::sigmoid;
    /// Softmax over the last axis.
    Softmax: |x| x.softmax(&[-1]);
    /// Log softmax over the last axis.
    LogSoftmax: |x| x.log_softmax(&[-1]);
}

/// x, or slope·x below 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakyRelu {
    /// torch's default is 0.01.
    pub negative_slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        LeakyRelu { negative_slope: 0.01 }
    }
}

impl Rule for LeakyRelu {
    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.leaky_relu(self.negative_slope)
    }
}

/// x, or alpha·(eˣ − 1) below 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elu {
    /// torch's default is 1.
    pub alpha: f32,
}

impl Default for Elu {
    fn default() -> Self {
        Elu { alpha: 1.0 }
    }
}

impl Rule for Elu {
    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.elu(self.alpha)
    }
}

/// How [`Gelu`] finds Φ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approximate {
    /// By erf: exact.
    #[default]
    None,
    /// By tanh, as GPT-2 has it.
    Tanh,
}

/// x·Φ(x), Φ the distribution function of N(0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gelu {
    /// Exact unless told.
    pub approximate: Approximate,
}

impl Rule for Gelu {
    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        match self.approximate {
            Approximate::None => x.gelu(),
            Approximate::Tanh => x.gelu_tanh(),
        }
    }
}

/// log(1 + e^(beta·x))/beta
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Softplus {
    /// Above 0; torch's default is 1.
    pub beta: f32,
    /// Where beta·x is above it, x itself; torch's default is 20.
    pub threshold: f32,
}

impl Default for Softplus {
    fn default() -> Self {
        Softplus { beta: 1.0, threshold: 20.0 }
    }
}

impl Rule for Softplus {
    fn check(&self) -> Result<(), String> {
        if self.beta > 0.0 {
            Ok(())
        } else {
            Err(format!("beta = {}: a number above 0 is needed", self.beta))
        }
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.softplus(self.beta, self.threshold)
    }
}
