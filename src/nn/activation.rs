//! Activations as layers: functions of one element, and softmax.

use serde::{Deserialize, Serialize};

use super::Net;
use super::entries::above_zero;
use super::rule::Rule;
use crate::graph::{Init, Tensor};

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
    /// Default: 0.01.
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

/// x, or weight·x where x is not above 0, with a trainable weight for all channels or for each. Source: `torch.nn.PReLU`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PRelu {
    /// The number of weights: 1, or the channels, which are axis 1. Default: 1.
    pub num_parameters: usize,
    /// The initial value of each weight. Default: 0.25.
    pub init: f32,
}

impl Default for PRelu {
    fn default() -> Self {
        PRelu { num_parameters: 1, init: 0.25 }
    }
}

impl Rule for PRelu {
    fn check(&self) -> Result<(), String> {
        above_zero(&[("num_parameters", self.num_parameters)])
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let (weights, shape) = (self.num_parameters, x.shape());
        if weights > 1 && shape.get(1) != Some(&weights) {
            return x.fail(format!(
                "num_parameters = {weights}: 1, or the channels of {shape:?}, which are axis 1"
            ));
        }
        let weight = net.parameter(&format!("{name}.weight"), [weights], Init::Constant(self.init));
        // [weights, 1..] stands beside [channels, ..].
        let beside: Vec<usize> =
            (1..shape.len().max(2)).map(|axis| if axis == 1 { weights } else { 1 }).collect();
        x.gt(&net.graph().constant(0.0)).select(x, &weight.reshape(beside).mul(x))
    }
}

/// x, or alpha·(eˣ − 1) below 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elu {
    /// Default: 1.
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

/// The computation of Φ in [`Gelu`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approximate {
    /// Exact, by erf.
    #[default]
    None,
    /// Approximated by tanh, as in GPT-2.
    Tanh,
}

/// x·Φ(x), Φ the distribution function of N(0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gelu {
    /// Default: exact.
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
    /// Above 0. Default: 1.
    pub beta: f32,
    /// Above this beta·x the result is x itself. Default: 20.
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
