//! How each case of a layer is built.

use std::collections::BTreeSet;

use downhill::Tensor;
use downhill::nn::{
    BatchNorm, Conv, ConvTranspose, Embedding, GroupNorm, InstanceNorm, Layer, LayerNorm, MultiHeadAttention,
    Net, Padding, Pool, Positional, Recurrent, RmsNorm, Upsample, UpsampleMode, UpsampleSize,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// One row of `layers.json`.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub layer: String,
    pub family: String,
    pub args: Map<String, Value>,
    /// Names of the parameters, as in torch.
    pub params: Vec<String>,
    /// Names of the running buffers, as in torch.
    pub buffers: Vec<String>,
    /// The input, if it has one, and the parameters: those whose gradient is stored.
    pub grads: Vec<String>,
    /// Roundoffs of the stored scale that a value may be off by.
    pub factor: f64,
}

impl Case {
    pub fn parse<T: DeserializeOwned>(&self, key: &str) -> T {
        let value = self.args.get(key).unwrap_or_else(|| panic!("{}: no argument {key}", self.name));
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{}: {key}: {e}", self.name))
    }

    /// Whether the layer is built for training; only where that makes a difference does a case say so.
    pub fn training(&self) -> bool {
        !self.args.contains_key("training") || self.parse("training")
    }

    /// Whether x holds several batches, one after the other.
    pub fn batches(&self) -> bool {
        self.args.contains_key("training") && self.training()
    }

    /// What the layer itself keeps, parameters and buffers: names in the model, names in the golden file.
    pub fn state(&self) -> impl Iterator<Item = (String, String)> {
        let both = self.params.iter().chain(&self.buffers);
        both.map(|key| (format!("layer.{key}"), format!("{}/in/{key}", self.name)))
    }

    /// The golden name of what moves a parameter of the model: u is moved by the output.
    pub fn golden_gradient(&self, name: &str) -> String {
        match name {
            "u" => "out".to_owned(),
            _ => format!("grad/{}", name.strip_prefix("layer.").unwrap_or(name)),
        }
    }
}

/// Layers of the table whose cases are elsewhere: operations in `ops.json`, and the layers that hold layers in `runs`.
const ELSEWHERE: &[&str] = &[
    "block",
    "dropout",
    "dropout2d",
    "elu",
    "flatten",
    "gelu",
    "leaky_relu",
    "log_softmax",
    "parallel",
    "permute",
    "relu",
    "repeat",
    "reshape",
    "residual",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
];

/// Every layer that must have a case: those of the table, but for some that other parts have.
pub fn layers() -> BTreeSet<&'static str> {
    let names = Layer::TABLE.iter().map(|row| row.form.name).filter(|name| !ELSEWHERE.contains(name));
    names.map(|name| if name == "positional_embedding" { "positional" } else { name }).collect()
}

fn conv<const N: usize>(case: &Case) -> Conv<N>
where
    [usize; N]: DeserializeOwned,
{
    Conv {
        out_channels: case.parse("out_channels"),
        kernel_size: case.parse("kernel_size"),
        stride: case.parse("stride"),
        padding: match case.args["padding"].as_str() {
            Some("same") => Padding::Same,
            _ => Padding::Explicit(case.parse("padding")),
        },
        dilation: case.parse("dilation"),
        groups: case.parse("groups"),
        bias: case.parse("bias"),
    }
}

fn conv_transpose<const N: usize>(case: &Case) -> ConvTranspose<N>
where
    [usize; N]: DeserializeOwned,
{
    ConvTranspose {
        out_channels: case.parse("out_channels"),
        kernel_size: case.parse("kernel_size"),
        stride: case.parse("stride"),
        padding: case.parse("padding"),
        output_padding: case.parse("output_padding"),
        dilation: case.parse("dilation"),
        groups: case.parse("groups"),
        bias: case.parse("bias"),
    }
}

fn pool<const N: usize>(case: &Case) -> Pool<N>
where
    [usize; N]: DeserializeOwned,
{
    Pool {
        kernel_size: case.parse("kernel_size"),
        stride: case.parse("stride"),
        padding: case.parse("padding"),
        dilation: if case.args.contains_key("dilation") { case.parse("dilation") } else { [1; N] },
        ceil_mode: case.parse("ceil_mode"),
    }
}

fn upsample(case: &Case) -> Upsample {
    Upsample {
        size: match case.args.contains_key("size") {
            true => UpsampleSize::Size(case.parse("size")),
            false => UpsampleSize::Scale(case.parse("scale_factor")),
        },
        mode: match case.parse::<String>("mode").as_str() {
            "nearest" => UpsampleMode::Nearest,
            _ => UpsampleMode::Bilinear { align_corners: case.parse("align_corners") },
        },
    }
}

fn recurrent(case: &Case) -> Recurrent {
    Recurrent {
        hidden_size: case.parse("hidden_size"),
        num_layers: case.parse("num_layers"),
        bias: case.parse("bias"),
        return_sequences: case.parse("return_sequences"),
    }
}

/// The case's layer on `x`. Parameters are named `layer.weight` and so on.
pub fn build(case: &Case, net: &Net, x: &Tensor) -> Tensor {
    match case.layer.as_str() {
        "adaptive_avg_pool2d" => x.adaptive_avg_pool2d(case.parse("output_size")),
        "avg_pool1d" => x.avg_pool(&pool::<1>(case), case.parse("count_include_pad")),
        "avg_pool2d" => x.avg_pool(&pool::<2>(case), case.parse("count_include_pad")),
        "conv1d" => net.conv1d("layer", x, &conv(case)),
        "conv2d" => net.conv2d("layer", x, &conv(case)),
        "conv_transpose1d" => net.conv_transpose1d("layer", x, &conv_transpose(case)),
        "conv_transpose2d" => net.conv_transpose2d("layer", x, &conv_transpose(case)),
        "embedding" => {
            let options = Embedding {
                num_embeddings: case.parse("num_embeddings"),
                embedding_dim: case.parse("embedding_dim"),
                padding_idx: case.parse("padding_idx"),
            };
            net.embedding("layer", x, &options)
        }
        "gru" => net.gru("layer", x, &recurrent(case)),
        "lstm" => net.lstm("layer", x, &recurrent(case)),
        "multi_head_attention" => {
            let options = MultiHeadAttention {
                causal: case.parse("causal"),
                bias: case.parse("bias"),
                rotary: case.parse("rotary"),
                ..MultiHeadAttention::new(case.parse("num_heads"))
            };
            net.multi_head_attention("layer", x, &options)
        }
        "positional" => {
            let kind = match case.parse::<String>("kind").as_str() {
                "learned" => Positional::Learned { max_len: case.parse("max_len") },
                _ => Positional::Sinusoidal,
            };
            net.positional_embedding("layer", x, kind)
        }
        "global_avg_pool" => x.global_avg_pool(),
        "global_max_pool" => x.global_max_pool(),
        "max_pool1d" => x.max_pool(&pool::<1>(case)),
        "max_pool2d" => x.max_pool(&pool::<2>(case)),
        "upsample" => x.upsample(&upsample(case)),
        "batch_norm" => {
            let options = BatchNorm {
                eps: case.parse("eps"),
                momentum: case.parse("momentum"),
                affine: case.parse("affine"),
                track_running_stats: case.parse("track_running_stats"),
            };
            net.batch_norm("layer", x, &options)
        }
        "group_norm" => {
            let (num_groups, eps, affine) =
                (case.parse("num_groups"), case.parse("eps"), case.parse("affine"));
            net.group_norm("layer", x, &GroupNorm { num_groups, eps, affine })
        }
        "instance_norm" => {
            let (eps, affine) = (case.parse("eps"), case.parse("affine"));
            net.instance_norm("layer", x, &InstanceNorm { eps, affine })
        }
        "layer_norm" => {
            let (axes, eps, bias) = (case.parse("axes"), case.parse("eps"), case.parse("bias"));
            let elementwise_affine = case.parse("elementwise_affine");
            net.layer_norm("layer", x, &LayerNorm { axes, eps, elementwise_affine, bias })
        }
        "rms_norm" => {
            let (axes, eps) = (case.parse("axes"), case.parse("eps"));
            let elementwise_affine = case.parse("elementwise_affine");
            net.rms_norm("layer", x, &RmsNorm { axes, eps, elementwise_affine })
        }
        "linear" if case.parse("bias") => net.linear("layer", x, case.parse("out_features")),
        "linear" => net.linear_no_bias("layer", x, case.parse("out_features")),
        // As a config has it.
        name => {
            let entry = Value::from(Map::from_iter([(name.to_owned(), Value::Object(case.args.clone()))]));
            let layer: Layer = serde_json::from_value(entry).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            layer.build(net, "layer", x)
        }
    }
}
