//! Layers of sequences as entries of a list, where a config's names differ from those of [`Net`].

use serde::{Deserialize, Serialize};

use super::entries::above_zero;
use super::rule::Rule;
use super::{Net, Positional, Recurrent};
use crate::graph::Tensor;

/// Adds a row for each position to x [n, t, d]; see [`Net::positional_embedding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PositionalKeys", into = "PositionalKeys")]
pub struct PositionalEmbedding(pub Positional);

/// [`PositionalEmbedding`] in a config.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PositionalKeys {
    #[serde(default)]
    kind: Kind,
    max_len: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Learned,
    Sinusoidal,
}

impl TryFrom<PositionalKeys> for PositionalEmbedding {
    type Error = &'static str;

    fn try_from(keys: PositionalKeys) -> Result<Self, Self::Error> {
        match (keys.kind, keys.max_len) {
            (Kind::Learned, Some(max_len)) => Ok(PositionalEmbedding(Positional::Learned { max_len })),
            (Kind::Learned, None) => Err("max_len, the longest sequence, is needed, as \
                 { positional_embedding = 128 }; or kind = \"sinusoidal\""),
            (Kind::Sinusoidal, None) => Ok(PositionalEmbedding(Positional::Sinusoidal)),
            (Kind::Sinusoidal, Some(_)) => Err("max_len goes with kind = \"learned\" only"),
        }
    }
}

impl From<PositionalEmbedding> for PositionalKeys {
    fn from(PositionalEmbedding(kind): PositionalEmbedding) -> Self {
        match kind {
            Positional::Learned { max_len } => PositionalKeys { kind: Kind::Learned, max_len: Some(max_len) },
            Positional::Sinusoidal => PositionalKeys { kind: Kind::Sinusoidal, max_len: None },
        }
    }
}

impl Rule for PositionalEmbedding {
    fn check(&self) -> Result<(), String> {
        match self.0 {
            Positional::Learned { max_len } => above_zero(&[("max_len", max_len)]),
            Positional::Sinusoidal => Ok(()),
        }
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        net.positional_embedding(name, x, self.0)
    }
}

/// Recurrent layers, each a method of [`Net`].
macro_rules! recurrent {
    ($($(#[$doc:meta])* $kind:ident $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $kind(pub Recurrent);

        impl Rule for $kind {
            fn check(&self) -> Result<(), String> {
                above_zero(&[("hidden_size", self.0.hidden_size), ("num_layers", self.0.num_layers)])
            }

            fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
                net.$method(name, x, &self.0)
            }
        }
    )*};
}

recurrent! {
    /// Gated recurrent units; see [`Net::gru`].
    Gru gru;
    /// Long short-term memory; see [`Net::lstm`].
    Lstm lstm;
}
