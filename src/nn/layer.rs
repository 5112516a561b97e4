//! The table of layers, a row each. The config with its errors, the resolved config, `explain` and the reference page follow
//! from it.
//!
//! To add a layer: a struct of options with serde's derive, [`Rule`] for it, a row of the table.
//!
//! [`Layer`], [`Sequential`] and the layers that hold layers contain each other, so they share this file.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, EnumAccess, VariantAccess};
use serde::{Deserialize, Serialize, Serializer};

use super::layer_table::{example, layers, optional};
use super::rule::Rule;
use super::{
    AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d,
    Dropout, Dropout2d, Elu, Embedding, Flatten, Gelu, GlobalAvgPool, GlobalMaxPool, GroupNorm, Gru,
    InstanceNorm, LayerNorm, LeakyRelu, Linear, LogSoftmax, Lstm, MaxPool1d, MaxPool2d, MultiHeadAttention,
    Net, PRelu, Permute, PositionalEmbedding, Relu, Reshape, RmsNorm, Sigmoid, Silu, Softmax, Softplus, Tanh,
    Upsample,
};
use crate::graph::{DType, Tensor};

/// A row of the table of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerRow {
    /// The forms of its entry in a config.
    pub form: Form,
    /// One line about it.
    pub about: &'static str,
    /// PyTorch's class, where it has one.
    pub torch: Option<&'static str>,
}

/// The forms of an entry in a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The name.
    pub name: &'static str,
    /// The option that a single value in place of the options stands for.
    pub short: Option<&'static str>,
    /// The shortest entry that works, as TOML.
    pub example: &'static str,
}

layers! {
    // The name and the options; the description; torch's class, if it has one; the key that one value in place of the
    // options sets; the shortest entry that works, where the name alone does not.
    "flatten" Flatten "Joins the axes from `start_axis` on into one."
        torch "torch.nn.Flatten" short "start_axis";
    "reshape" Reshape "Gives the axes after the batch another shape; one extent may be -1."
        torch "torch.nn.Unflatten" short "shape"
        as "{ reshape = [8, -1] }";
    "permute" Permute "Puts the axes after the batch in another order."
        short "axes"
        as "{ permute = [2, 1] }";
    "linear" Linear "A dense layer over the last axis: x·Wᵀ + b."
        torch "torch.nn.Linear" short "out_features"
        as "{ linear = 128 }";
    "conv1d" Conv1d "A convolution along one axis of [batch, channels, length]."
        torch "torch.nn.Conv1d" short "out_channels"
        as "{ conv1d = { out_channels = 16, kernel_size = 3 } }";
    "conv2d" Conv2d "A convolution along two axes of [batch, channels, height, width]."
        torch "torch.nn.Conv2d" short "out_channels"
        as "{ conv2d = { out_channels = 16, kernel_size = 3 } }";
    "conv_transpose1d" ConvTranspose1d "The transpose of `conv1d`, which lengthens its input by the stride."
        torch "torch.nn.ConvTranspose1d" short "out_channels"
        as "{ conv_transpose1d = { out_channels = 16, kernel_size = 2 } }";
    "conv_transpose2d" ConvTranspose2d "The transpose of `conv2d`, which enlarges its input by the stride."
        torch "torch.nn.ConvTranspose2d" short "out_channels"
        as "{ conv_transpose2d = { out_channels = 16, kernel_size = 2 } }";
    "max_pool1d" MaxPool1d "The maximum of each window along one axis."
        torch "torch.nn.MaxPool1d" short "kernel_size"
        as "{ max_pool1d = 2 }";
    "max_pool2d" MaxPool2d "The maximum of each window along two axes."
        torch "torch.nn.MaxPool2d" short "kernel_size"
        as "{ max_pool2d = 2 }";
    "avg_pool1d" AvgPool1d "The mean of each window along one axis."
        torch "torch.nn.AvgPool1d" short "kernel_size"
        as "{ avg_pool1d = 2 }";
    "avg_pool2d" AvgPool2d "The mean of each window along two axes."
        torch "torch.nn.AvgPool2d" short "kernel_size"
        as "{ avg_pool2d = 2 }";
    "adaptive_avg_pool2d" AdaptiveAvgPool2d "Means over windows that give an output of this size."
        torch "torch.nn.AdaptiveAvgPool2d" short "output_size"
        as "{ adaptive_avg_pool2d = 1 }";
    "global_avg_pool" GlobalAvgPool "The mean of each channel.";
    "global_max_pool" GlobalMaxPool "The maximum of each channel.";
    "upsample" Upsample "Enlarges images by nearest neighbours or bilinearly."
        torch "torch.nn.Upsample" short "scale_factor"
        as "{ upsample = 2 }";
    "batch_norm" BatchNorm "Normalises each channel over the batch, and in evaluation by running statistics."
        torch "torch.nn.BatchNorm2d";
    "layer_norm" LayerNorm "Normalises each sample over its last axes."
        torch "torch.nn.LayerNorm" short "axes";
    "rms_norm" RmsNorm "Divides by the root mean square over the last axes."
        torch "torch.nn.RMSNorm" short "axes";
    "group_norm" GroupNorm "Normalises each sample over groups of channels."
        torch "torch.nn.GroupNorm" short "num_groups"
        as "{ group_norm = 4 }";
    "instance_norm" InstanceNorm "Normalises each channel of each sample."
        torch "torch.nn.InstanceNorm2d";
    "dropout" Dropout "Zeros elements at random in training, with probability `p`."
        torch "torch.nn.Dropout" short "p";
    "dropout2d" Dropout2d "Zeros whole channels at random in training, with probability `p`."
        torch "torch.nn.Dropout2d" short "p";
    "embedding" Embedding "A trainable row for each index."
        torch "torch.nn.Embedding"
        as "{ embedding = { num_embeddings = 256, embedding_dim = 64 } }";
    "positional_embedding" PositionalEmbedding "Adds a trainable or sinusoidal row for each position of a sequence."
        short "max_len"
        as "{ positional_embedding = 128 }";
    "multi_head_attention" MultiHeadAttention "Self-attention over [batch, positions, features]."
        torch "torch.nn.MultiheadAttention" short "num_heads"
        as "{ multi_head_attention = 4 }";
    "gru" Gru "Gated recurrent units over [batch, positions, features]."
        torch "torch.nn.GRU" short "hidden_size"
        as "{ gru = 64 }";
    "lstm" Lstm "Long short-term memory over [batch, positions, features]."
        torch "torch.nn.LSTM" short "hidden_size"
        as "{ lstm = 64 }";
    "relu" Relu "max(x, 0)"
        torch "torch.nn.ReLU";
    "leaky_relu" LeakyRelu "x, or negative_slope·x below 0."
        torch "torch.nn.LeakyReLU" short "negative_slope";
    "prelu" PRelu "x, or a trainable weight times x below 0; one weight for all channels, or one for each."
        torch "torch.nn.PReLU" short "num_parameters";
    "elu" Elu "x, or alpha·(eˣ − 1) below 0."
        torch "torch.nn.ELU" short "alpha";
    "gelu" Gelu "x·Φ(x), Φ the distribution function of N(0, 1)."
        torch "torch.nn.GELU" short "approximate";
    "silu" Silu "x·sigmoid(x)"
        torch "torch.nn.SiLU";
    "softplus" Softplus "log(1 + e^(beta·x))/beta"
        torch "torch.nn.Softplus" short "beta";
    "tanh" Tanh "tanh x"
        torch "torch.nn.Tanh";
    "sigmoid" Sigmoid "1/(1 + e⁻ˣ)"
        torch "torch.nn.Sigmoid";
    "softmax" Softmax "Softmax over the last axis."
        torch "torch.nn.Softmax";
    "log_softmax" LogSoftmax "The logarithm of softmax over the last axis."
        torch "torch.nn.LogSoftmax";
    "residual" Residual "Adds the layers' output to x, or to the output of a shortcut."
        short "layers"
        as "{ residual = [\"relu\"] }";
    "parallel" Parallel "Runs x through several lists of layers and joins their outputs."
        short "branches"
        as "{ parallel = [[\"relu\"], [\"tanh\"]] }";
    "repeat" Repeat "Copies of a list of layers, each with parameters of its own."
        as "{ repeat = { times = 2, layers = [\"relu\"] } }";
    "block" Block "A list of layers under a name, which the backward pass may recompute."
        as "{ block = { name = \"encoder\", layers = [\"relu\"] } }";
}

/// The name of the enum for serde.
const ENTRY: &str = "layer";

struct Entry;

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Layer, D::Error> {
        deserializer.deserialize_enum(ENTRY, Layer::NAMES, Entry)
    }
}

/// Reads options and checks them while the reader still knows the position.
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

    /// Its own name, which replaces its position.
    pub(crate) fn label(&self) -> Option<&str> {
        self.rule().label()
    }

    /// The number of layers it makes, itself included.
    pub(super) fn count(&self) -> usize {
        self.rule().within().saturating_add(1)
    }

    /// True for a layer that accepts integers, or leaves the check to the layers within.
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
        net.graph().layer(&format!("{name} ({})", self.name()), || match rule.check() {
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

/// The most layers of a list, with those within layers and their copies. A model of more is a typing error.
const MOST_LAYERS: usize = 10_000;

/// Layers one after the other. Parameters are named by position, as in `torch.nn.Sequential`.
///
/// Lists within layers continue the name of their layer: `3.0.weight`. The name of a [`Block`] replaces its position:
/// `encoder.0.weight`.
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

    /// The number of layers it makes, those within layers included.
    pub(super) fn count(&self) -> usize {
        self.layers.iter().map(Layer::count).fold(0, usize::saturating_add)
    }

    /// Refuses two blocks of one name, whose parameters would have one name too, and too many layers.
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

/// The most copies of a [`Repeat`].
const MOST_COPIES: usize = 1000;

/// shortcut(x) + layers(x), or x + layers(x) without a shortcut.
///
/// Parameters are below `NAME.layers` and `NAME.shortcut`. Source: He et al. 2015, arXiv 1512.03385.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers whose output is added.
    pub layers: Sequential,
    /// Layers that give x the shape of the layers' output. Default: x itself.
    #[serde(default)]
    pub shortcut: Option<Sequential>,
}

/// A shortcut from shape `x` to shape `y`, as a config writes it.
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

/// The way [`Parallel`] joins its branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// One after the other along an axis.
    #[default]
    Concat,
    /// Their sum.
    Add,
}

/// Runs the same x through several lists of layers and joins their outputs. An empty list returns x.
///
/// Parameters are below `NAME.BRANCH`, branches counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// The lists.
    pub branches: Vec<Sequential>,
    /// The way the outputs are joined. Default: concat.
    #[serde(default)]
    pub join: Join,
    /// The axis of `concat`, counted from the batch axis 0, or negative from the end. Default: 1.
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
    /// Number of copies.
    pub times: usize,
    /// The list to repeat.
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

/// A list of layers under a name, which replaces its position in parameters, errors and `explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Letters, digits and `_`, a letter first.
    pub name: String,
    /// The list.
    pub layers: Sequential,
    /// Recomputes the inner values in the backward pass instead of keeping them. Default: false.
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
