//! The table of layers: one line each. Config, its errors, the resolved config and `explain` follow from it.
//!
//! To add one: a struct of options with serde's derive, [`Rule`] for it, a line in the table.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, EnumAccess, VariantAccess};
use serde::ser::{Serialize, Serializer};

use super::{
    AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm, Block, Conv1d, Conv2d, ConvTranspose1d,
    ConvTranspose2d, Dropout, Dropout2d, Elu, Embedding, Flatten, Gelu, GlobalAvgPool, GlobalMaxPool,
    GroupNorm, Gru, InstanceNorm, LayerNorm, LeakyRelu, Linear, LogSoftmax, Lstm, MaxPool1d, MaxPool2d,
    MultiHeadAttention, Net, Parallel, Permute, PositionalEmbedding, Relu, Repeat, Reshape, Residual,
    RmsNorm, Sigmoid, Silu, Softmax, Softplus, Tanh, Upsample,
};
use crate::graph::{DType, Tensor};

/// What the options of every layer answer; [`Layer`] passes its questions on.
pub(super) trait Rule {
    /// Refuses what can never work, as `out_features = 0: at least 1 is needed`.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The layer on `x`, its parameters below `name`.
    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor;

    /// A name of its own, in place of its position among its neighbours.
    fn label(&self) -> Option<&str> {
        None
    }

    /// How many layers it makes of those within.
    fn within(&self) -> usize {
        0
    }
}

/// How a config may name a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Its name.
    pub name: &'static str,
    /// The option that a single value in place of the options stands for.
    pub short: Option<&'static str>,
    /// The shortest entry that works, as TOML.
    pub example: &'static str,
}

macro_rules! short {
    () => {
        None
    };
    ($key:literal) => {
        Some($key)
    };
}

macro_rules! example {
    ($name:literal) => {
        concat!("\"", $name, "\"")
    };
    ($name:literal $text:literal) => {
        $text
    };
}

macro_rules! layers {
    ($($name:literal $kind:ident $(short $short:literal)? $(as $example:literal)?;)*) => {
        /// One entry of a [`Sequential`](super::Sequential): its kind, and its options.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Layer {
            $(
                #[doc = concat!("`", $name, "`")]
                $kind($kind),
            )*
        }

        impl Layer {
            /// Every layer there is.
            pub const FORMS: &[Form] = &[
                $(Form { name: $name, short: short!($($short)?), example: example!($name $($example)?) },)*
            ];

            const NAMES: &[&str] = &[$($name,)*];

            /// Its name in a config.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Layer::$kind(_) => $name,)*
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Layer::$kind(options) => options,)*
                }
            }
        }

        $(
            impl From<$kind> for Layer {
                fn from(options: $kind) -> Layer {
                    Layer::$kind(options)
                }
            }
        )*

        /// A name, or a table of one name with its options.
        impl Serialize for Layer {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = self.name();
                let index = Self::NAMES.iter().position(|n| *n == name).unwrap_or_default() as u32;
                match self {
                    $(Layer::$kind(_) if size_of::<$kind>() == 0 => {
                        serializer.serialize_unit_variant(ENTRY, index, name)
                    })*
                    $(Layer::$kind(options) => {
                        serializer.serialize_newtype_variant(ENTRY, index, name, options)
                    })*
                }
            }
        }

        impl<'de> de::Visitor<'de> for Entry {
            type Value = Layer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Layer, A::Error> {
                let (name, options) = data.variant::<String>()?;
                match name.as_str() {
                    $($name => options.newtype_variant_seed(Checked(PhantomData)).map(Layer::$kind),)*
                    _ => Err(de::Error::unknown_variant(&name, Layer::NAMES)),
                }
            }
        }
    };
}

layers! {
    // its name, its options, the main one of them, and the least it needs
    "flatten" Flatten short "start_axis";
    "reshape" Reshape short "shape" as "{ reshape = [8, -1] }";
    "permute" Permute short "axes" as "{ permute = [2, 1] }";
    "linear" Linear short "out_features" as "{ linear = 128 }";
    "conv1d" Conv1d short "out_channels" as "{ conv1d = { out_channels = 16, kernel_size = 3 } }";
    "conv2d" Conv2d short "out_channels" as "{ conv2d = { out_channels = 16, kernel_size = 3 } }";
    "conv_transpose1d" ConvTranspose1d short "out_channels"
        as "{ conv_transpose1d = { out_channels = 16, kernel_size = 2 } }";
    "conv_transpose2d" ConvTranspose2d short "out_channels"
        as "{ conv_transpose2d = { out_channels = 16, kernel_size = 2 } }";
    "max_pool1d" MaxPool1d short "kernel_size" as "{ max_pool1d = 2 }";
    "max_pool2d" MaxPool2d short "kernel_size" as "{ max_pool2d = 2 }";
    "avg_pool1d" AvgPool1d short "kernel_size" as "{ avg_pool1d = 2 }";
    "avg_pool2d" AvgPool2d short "kernel_size" as "{ avg_pool2d = 2 }";
    "adaptive_avg_pool2d" AdaptiveAvgPool2d short "output_size" as "{ adaptive_avg_pool2d = 1 }";
    "global_avg_pool" GlobalAvgPool;
    "global_max_pool" GlobalMaxPool;
    "upsample" Upsample short "scale_factor" as "{ upsample = 2 }";
    "batch_norm" BatchNorm;
    "layer_norm" LayerNorm short "axes";
    "rms_norm" RmsNorm short "axes";
    "group_norm" GroupNorm short "num_groups" as "{ group_norm = 4 }";
    "instance_norm" InstanceNorm;
    "dropout" Dropout short "p";
    "dropout2d" Dropout2d short "p";
    "embedding" Embedding as "{ embedding = { num_embeddings = 256, embedding_dim = 64 } }";
    "positional_embedding" PositionalEmbedding short "max_len" as "{ positional_embedding = 128 }";
    "multi_head_attention" MultiHeadAttention short "num_heads" as "{ multi_head_attention = 4 }";
    "gru" Gru short "hidden_size" as "{ gru = 64 }";
    "lstm" Lstm short "hidden_size" as "{ lstm = 64 }";
    "relu" Relu;
    "leaky_relu" LeakyRelu short "negative_slope";
    "elu" Elu short "alpha";
    "gelu" Gelu short "approximate";
    "silu" Silu;
    "softplus" Softplus short "beta";
    "tanh" Tanh;
    "sigmoid" Sigmoid;
    "softmax" Softmax;
    "log_softmax" LogSoftmax;
    "residual" Residual short "layers" as "{ residual = [\"relu\"] }";
    "parallel" Parallel short "branches" as "{ parallel = [[\"relu\"], [\"tanh\"]] }";
    "repeat" Repeat as "{ repeat = { times = 2, layers = [\"relu\"] } }";
    "block" Block as "{ block = { name = \"encoder\", layers = [\"relu\"] } }";
}

/// The name under which serde meets a layer.
const ENTRY: &str = "layer";

struct Entry;

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Layer, D::Error> {
        deserializer.deserialize_enum(ENTRY, Layer::NAMES, Entry)
    }
}

/// Reads options and checks them where a reader still knows the place.
struct Checked<T>(PhantomData<T>);

impl<'de, T: Rule + Deserialize<'de>> de::DeserializeSeed<'de> for Checked<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let options = T::deserialize(deserializer)?;
        options.check().map_err(de::Error::custom)?;
        Ok(options)
    }
}

impl Layer {
    /// The form of the layer of this name.
    pub fn form(name: &str) -> Option<&'static Form> {
        Self::FORMS.iter().find(|form| form.name == name)
    }

    /// A name of its own, in place of its position.
    pub(super) fn label(&self) -> Option<&str> {
        self.rule().label()
    }

    /// How many layers it makes, itself included.
    pub(super) fn count(&self) -> usize {
        self.rule().within().saturating_add(1)
    }

    /// Makes something of integers, or leaves it to layers within to say that they cannot.
    fn takes_integers(&self) -> bool {
        matches!(
            self,
            Layer::Embedding(_)
                | Layer::Flatten(_)
                | Layer::Reshape(_)
                | Layer::Permute(_)
                | Layer::Residual(_)
                | Layer::Parallel(_)
                | Layer::Repeat(_)
                | Layer::Block(_)
        )
    }

    /// Builds it on `x`, with its parameters, errors and kernels under `name`.
    pub fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let rule = self.rule();
        net.graph().scoped(&format!("{name} ({})", self.name()), || match rule.check() {
            Ok(()) if x.dtype() == DType::I32 && !self.takes_integers() => x.fail(format!(
                "it needs an f32 input, and this one is i32 {:?}: integers, as a text's characters, go through an \
                 embedding first, as {{ embedding = {{ num_embeddings = 256, embedding_dim = 64 }} }}",
                x.shape()
            )),
            Ok(()) => rule.build(net, name, x),
            Err(text) => x.fail(text),
        })
    }
}
