//! The table of layers: one line each. Config, its errors, the resolved config and `explain` follow from it.
//!
//! To add one: a struct of options with serde's derive, [`Rule`] for it, a line in the table.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, EnumAccess, VariantAccess};
use serde::{Deserialize, Serialize, Serializer};

use super::layer_table::{example, layers, short};
use super::rule::Rule;
use super::{
    AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d,
    Dropout, Dropout2d, Elu, Embedding, Flatten, Gelu, GlobalAvgPool, GlobalMaxPool, GroupNorm, Gru,
    InstanceNorm, LayerNorm, LeakyRelu, Linear, LogSoftmax, Lstm, MaxPool1d, MaxPool2d, MultiHeadAttention,
    Net, Permute, PositionalEmbedding, Relu, Reshape, RmsNorm, Sigmoid, Silu, Softmax, Softplus, Tanh,
    Upsample,
};
use crate::graph::{DType, Tensor};

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

/// Most layers of a list, those within layers and their copies counted: a model of more is a slip of the pen.
const MOST_LAYERS: usize = 10_000;

/// Layers one after the other; parameters are named by position, as in `torch.nn.Sequential`.
///
/// Lists within layers go on from their layer's name: `3.0.weight`. A [`Block`](Block) has its name in
/// place of its position: `encoder.0.weight`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sequential {
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Sequential {
    /// These layers.
    pub fn new(layers: impl IntoIterator<Item = Layer>) -> Self {
        Sequential { layers: layers.into_iter().collect() }
    }

    /// Builds the layers on `x`.
    pub fn build(&self, net: &Net, x: &Tensor) -> Tensor {
        self.build_below(net, "", x)
    }

    /// Builds the layers on `x`, named below `path`.
    pub(super) fn build_below(&self, net: &Net, path: &str, x: &Tensor) -> Tensor {
        if let Err(text) = self.check() {
            return x.fail(text);
        }
        let mut x = x.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            let own = layer.label().map_or_else(|| i.to_string(), str::to_owned);
            let name = if path.is_empty() { own } else { format!("{path}.{own}") };
            x = layer.build(net, &name, &x);
        }
        x
    }

    /// How many layers it makes, those within layers included.
    pub(super) fn count(&self) -> usize {
        self.layers.iter().map(Layer::count).fold(0, usize::saturating_add)
    }

    /// Refuses two blocks of one name, for so would be their parameters; and too many layers.
    fn check(&self) -> Result<(), String> {
        let labels: Vec<&str> = self.layers.iter().filter_map(Layer::label).collect();
        let again = labels.iter().enumerate().find(|(i, label)| labels[..*i].contains(label));
        if let Some((_, label)) = again {
            return Err(format!("two blocks are named \"{label}\"; rename one"));
        }
        match self.count() {
            0..=MOST_LAYERS => Ok(()),
            n => Err(format!("{n} layers in all, copies counted: at most {MOST_LAYERS} are allowed")),
        }
    }

    /// Refuses an empty list.
    pub(super) fn filled(&self, key: &str) -> Result<(), String> {
        if self.layers.is_empty() { Err(format!("{key} = []: at least one layer is needed")) } else { Ok(()) }
    }
}

impl Serialize for Sequential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.layers.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sequential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Sequential { layers: Vec::deserialize(deserializer)? };
        list.check().map_err(de::Error::custom)?;
        Ok(list)
    }
}

/// Most copies a [`Repeat`] makes.
const MOST_COPIES: usize = 1000;

/// shortcut(x) + layers(x); x itself where there is no shortcut.
///
/// Parameters are below `NAME.layers` and `NAME.shortcut`. Source: He et al. 2015, arXiv 1512.03385.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// What is added to x.
    pub layers: Sequential,
    /// Gives x the shape of the layers' output, where they change it.
    #[serde(default)]
    pub shortcut: Option<Sequential>,
}

/// A shortcut from shape `x` to shape `y`, as a config has it.
fn remedy(x: &[usize], y: &[usize]) -> Option<String> {
    if x.len() < 2 || x.len() != y.len() || x[0] != y[0] {
        return None;
    }
    let last = x.len() - 1;
    if x[..last] == y[..last] {
        return Some(format!("{{ linear = {} }}", y[last]));
    }
    let (name, spatial) = match x.len() {
        3 => ("conv1d", 2..3),
        4 => ("conv2d", 2..4),
        _ => return None,
    };
    // A 1x1 convolution at stride s takes an extent of n to ceil(n / s).
    let stride = x[2].div_ceil(y[2].max(1)).max(1);
    if spatial.into_iter().any(|axis| x[axis].div_ceil(stride) != y[axis]) {
        return None;
    }
    let stride = if stride > 1 { format!(", stride = {stride}") } else { String::new() };
    Some(format!("{{ {name} = {{ out_channels = {}, kernel_size = 1{stride} }} }}", y[1]))
}

impl Rule for Residual {
    fn check(&self) -> Result<(), String> {
        self.layers.filled("layers")?;
        self.shortcut.as_ref().map_or(Ok(()), |shortcut| shortcut.filled("shortcut"))
    }

    fn within(&self) -> usize {
        self.layers.count().saturating_add(self.shortcut.as_ref().map_or(0, Sequential::count))
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let y = self.layers.build_below(net, &format!("{name}.layers"), x);
        let short = match &self.shortcut {
            Some(shortcut) => shortcut.build_below(net, &format!("{name}.shortcut"), x),
            None => x.clone(),
        };
        if short.shape() == y.shape() {
            return short.add(&y);
        }
        let what = if self.shortcut.is_some() { "the shortcut" } else { "x" };
        let remedy = match (&self.shortcut, remedy(x.shape(), y.shape())) {
            (_, Some(text)) => format!("shortcut = [{text}] would do"),
            (None, None) => {
                "give it a shortcut that makes them equal, as a linear layer or a convolution with kernel_size = 1"
                    .to_owned()
            }
            (Some(_), None) => "they must be equal".to_owned(),
        };
        x.fail(format!(
            "a residual adds {what} {:?} and the layers' output {:?}, which differ; {remedy}",
            short.shape(),
            y.shape()
        ))
    }
}

/// How [`Parallel`] joins its branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// One after the other along an axis.
    #[default]
    Concat,
    /// Their sum.
    Add,
}

/// The same x through several lists of layers; an empty one passes it on.
///
/// Parameters are below `NAME.BRANCH`, branches counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The lists.
    pub branches: Vec<Sequential>,
    /// How their outputs are joined.
    #[serde(default)]
    pub join: Join,
    /// Along which axis `concat` joins, the batch axis being 0; negative from the end.
    #[serde(default = "one")]
    pub axis: isize,
}

fn one() -> isize {
    1
}

impl Rule for Parallel {
    fn check(&self) -> Result<(), String> {
        if self.branches.is_empty() {
            return Err("branches = []: at least one list of layers is needed".into());
        }
        if self.axis == 0 {
            return Err("axis = 0: that is the batch axis; 1 is the first after it".into());
        }
        Ok(())
    }

    fn within(&self) -> usize {
        self.branches.iter().map(Sequential::count).fold(0, usize::saturating_add)
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let branches = self.branches.iter().enumerate();
        let made: Vec<Tensor> =
            branches.map(|(i, branch)| branch.build_below(net, &format!("{name}.{i}"), x)).collect();
        let first = made[0].shape();
        match self.join {
            Join::Add => match made.iter().position(|y| y.shape() != first) {
                Some(i) => x.fail(format!(
                    "parallel adds branch 0 {first:?} and branch {i} {:?}, which differ; equal shapes are needed",
                    made[i].shape()
                )),
                None => made[1..].iter().fold(made[0].clone(), |sum, y| sum.add(y)),
            },
            Join::Concat => {
                let rank = first.len() as isize;
                let axis = if self.axis < 0 { self.axis + rank } else { self.axis };
                if axis < 1 || axis >= rank {
                    return x.fail(format!(
                        "axis = {}: branch 0 is {first:?}, whose axes after the batch are 1 to {}",
                        self.axis,
                        rank - 1
                    ));
                }
                let differ = |y: &Tensor| {
                    y.shape().len() != first.len()
                        || (0..first.len()).any(|i| i as isize != axis && y.shape()[i] != first[i])
                };
                match made.iter().position(differ) {
                    Some(i) => x.fail(format!(
                        "parallel joins branch 0 {first:?} and branch {i} {:?} along axis {axis}, and other \
                         extents differ; equal ones are needed",
                        made[i].shape()
                    )),
                    None => Tensor::concat(&made.iter().collect::<Vec<_>>(), axis),
                }
            }
        }
    }
}

/// Copies of a list one after the other, each with parameters of its own.
///
/// Parameters are below `NAME.COPY`, copies counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How many copies.
    pub times: usize,
    /// What is repeated.
    pub layers: Sequential,
}

impl Rule for Repeat {
    fn check(&self) -> Result<(), String> {
        if !(1..=MOST_COPIES).contains(&self.times) {
            return Err(format!("times = {}: from 1 to {MOST_COPIES} copies", self.times));
        }
        self.layers.filled("layers")
    }

    fn within(&self) -> usize {
        self.layers.count().saturating_mul(self.times)
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let copy = |x: Tensor, i: usize| self.layers.build_below(net, &format!("{name}.{i}"), &x);
        (0..self.times).fold(x.clone(), copy)
    }
}

/// A list under a name, which takes the place of its position in parameters, errors and `explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Letters, digits and `_`, a letter first.
    pub name: String,
    /// What it holds.
    pub layers: Sequential,
    /// Computes its inner values again in the backward pass rather than keep them.
    #[serde(default)]
    pub checkpoint: bool,
}

impl Rule for Block {
    fn check(&self) -> Result<(), String> {
        let letters = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters || !self.name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(format!(
                "name = \"{}\": letters, digits and _, a letter first, are needed",
                self.name
            ));
        }
        self.layers.filled("layers")
    }

    fn within(&self) -> usize {
        self.layers.count()
    }

    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor {
        let build = |x: &Tensor| self.layers.build_below(net, name, x);
        if self.checkpoint { net.checkpoint(x, build) } else { build(x) }
    }

    fn label(&self) -> Option<&str> {
        Some(&self.name)
    }
}
