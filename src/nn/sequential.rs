//! Models as a list of layers, the way a config file names them.

use super::Net;
use crate::graph::Tensor;

/// A function of one element, as a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x, or slope·x below 0.
    LeakyRelu {
        /// torch's default is 0.01.
        negative_slope: f32,
    },
    /// x, or alpha·(eˣ − 1) below 0.
    Elu {
        /// torch's default is 1.
        alpha: f32,
    },
    /// x·Φ(x), exact or by its tanh form.
    Gelu {
        /// True for the tanh form.
        tanh: bool,
    },
    /// x·sigmoid(x)
    Silu,
    /// log(1 + e^(beta·x))/beta
    Softplus {
        /// torch's default is 1.
        beta: f32,
        /// torch's default is 20.
        threshold: f32,
    },
    /// tanh x
    Tanh,
    /// 1/(1 + e⁻ˣ)
    Sigmoid,
}

impl Activation {
    fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::LeakyRelu { negative_slope } => x.leaky_relu(negative_slope),
            Activation::Elu { alpha } => x.elu(alpha),
            Activation::Gelu { tanh: true } => x.gelu_tanh(),
            Activation::Gelu { tanh: false } => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Softplus { beta, threshold } => x.softplus(beta, threshold),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }
}

/// A dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Width of the output.
    pub out_features: usize,
    /// Adds a trainable vector.
    pub bias: bool,
}

/// One entry of a [`Sequential`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layer {
    /// [n, ..] to [n, k].
    Flatten,
    /// A dense layer.
    Linear(Linear),
    /// A function of one element.
    Activation(Activation),
    /// Softmax over the last axis.
    Softmax,
    /// Log softmax over the last axis.
    LogSoftmax,
}

impl Layer {
    /// Its name in a config.
    pub fn name(&self) -> &'static str {
        match self {
            Layer::Flatten => "flatten",
            Layer::Linear(_) => "linear",
            Layer::Softmax => "softmax",
            Layer::LogSoftmax => "log_softmax",
            Layer::Activation(a) => match a {
                Activation::Relu => "relu",
                Activation::LeakyRelu { .. } => "leaky_relu",
                Activation::Elu { .. } => "elu",
                Activation::Gelu { .. } => "gelu",
                Activation::Silu => "silu",
                Activation::Softplus { .. } => "softplus",
                Activation::Tanh => "tanh",
                Activation::Sigmoid => "sigmoid",
            },
        }
    }
}

/// Layers one after the other; parameters are named by position, as in `torch.nn.Sequential`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequential {
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Sequential {
    /// Builds the layers on `x`.
    pub fn build(&self, net: &Net, x: &Tensor) -> Tensor {
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            x = net.graph().scoped(&format!("{i} ({})", layer.name()), || match layer {
                Layer::Flatten => x.flatten(),
                Layer::Linear(l) => net.dense(&i.to_string(), &x, l.out_features, l.bias),
                Layer::Activation(a) => a.apply(&x),
                Layer::Softmax => x.softmax(&[-1]),
                Layer::LogSoftmax => x.log_softmax(&[-1]),
            });
        }
        x
    }
}
