//! The dense layer as an entry of a list.

use serde::{Deserialize, Serialize};

use super::Net;
use super::axes::yes;
use super::rule::Rule;
use crate::graph::Tensor;

/// Options of [`Net::linear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Width of the output.
    pub out_features: usize,
    /// Adds a trainable vector. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

impl Linear {
    /// With a bias.
    pub fn new(out_features: usize) -> Self {
        Linear { out_features, bias: true }
    }
}

impl Rule for Linear {
    fn check(&self) -> Result<(), String> {
        match self.out_features {
            0 => Err("out_features = 0: at least 1 is needed".into()),
            _ => Ok(()),
        }
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        net.dense(name, x, self.out_features, self.bias)
    }
}
