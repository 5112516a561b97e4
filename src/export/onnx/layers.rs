//! Each layer as ONNX operators.
//!
//! The match over the layers has no arm for the rest: a new layer does not compile without its form here.

use super::at::At;
use super::builder::{Builder, float, int, text};
use super::{norms, sequences, windows};
use crate::error::Result;
use crate::export::trace::Traced;
use crate::nn::{Approximate, Join, Layer, Linear, Parallel, Positional, Residual, Sequential, Softplus};

/// A list of layers below `path`: its output, with its shape and type.
pub(super) fn sequential(
    b: &mut Builder<'_>,
    list: &Sequential,
    path: &str,
    x: String,
    traced: Traced,
) -> Result<(String, Traced)> {
    let (mut x, mut traced) = (x, traced);
    for (i, layer) in list.layers.iter().enumerate() {
        let own = layer.label().map_or_else(|| i.to_string(), str::to_owned);
        let name = if path.is_empty() { own } else { format!("{path}.{own}") };
        let y = traced.after(layer, &name)?;
        b.at(&name);
        x = form(b, layer, At { name: &name, x: &x, traced: &traced }, &y)?;
        traced = y;
    }
    Ok((x, traced))
}

/// A layer's output; `y` is its shape and type.
fn form(b: &mut Builder<'_>, layer: &Layer, at: At<'_>, y: &Traced) -> Result<String> {
    let x = at.x;
    Ok(match layer {
        Layer::Flatten(o) if o.start_axis == 1 => b.op("Flatten", &[x], vec![int("axis", 1)]),
        Layer::Flatten(_) | Layer::Reshape(_) => b.reshape(x, &open(&y.shape)),
        Layer::Permute(o) => {
            let order: Vec<usize> = std::iter::once(0).chain(o.axes.iter().copied()).collect();
            b.transpose(x, &order)
        }
        Layer::Linear(o) => linear(b, o, at)?,
        Layer::Conv1d(o) => windows::conv(b, o, at)?,
        Layer::Conv2d(o) => windows::conv(b, o, at)?,
        Layer::ConvTranspose1d(o) => windows::conv_transpose(b, o, at)?,
        Layer::ConvTranspose2d(o) => windows::conv_transpose(b, o, at)?,
        Layer::MaxPool1d(o) => windows::max_pool(b, o, at, y),
        Layer::MaxPool2d(o) => windows::max_pool(b, o, at, y),
        Layer::AvgPool1d(o) => windows::avg_pool(b, o, at, y),
        Layer::AvgPool2d(o) => windows::avg_pool(b, o, at, y),
        Layer::AdaptiveAvgPool2d(o) => windows::adaptive_avg_pool(b, o.output_size, at),
        Layer::GlobalAvgPool(_) => windows::global_pool(b, "GlobalAveragePool", at),
        Layer::GlobalMaxPool(_) => windows::global_pool(b, "GlobalMaxPool", at),
        Layer::Upsample(o) => windows::upsample(b, o, at, y),
        Layer::BatchNorm(o) => norms::batch_norm(b, o, at)?,
        Layer::LayerNorm(o) => norms::layer_norm(b, o, at)?,
        Layer::RmsNorm(o) => norms::rms_norm(b, o, at)?,
        Layer::GroupNorm(o) => norms::group_norm(b, o, at)?,
        Layer::InstanceNorm(o) => norms::instance_norm(b, o, at)?,
        Layer::Dropout(_) | Layer::Dropout2d(_) => x.to_owned(),
        Layer::Embedding(_) => {
            let weight = b.weight(&at.named("weight"))?;
            b.op("Gather", &[&weight, x], vec![int("axis", 0)])
        }
        Layer::PositionalEmbedding(o) => match o.0 {
            Positional::Learned { max_len } => sequences::learned_positions(b, max_len, at)?,
            Positional::Sinusoidal => sequences::sinusoidal_positions(b, at),
        },
        Layer::MultiHeadAttention(o) => sequences::attention(b, o, at)?,
        Layer::Gru(o) => sequences::gru(b, &o.0, at)?,
        Layer::Lstm(o) => sequences::lstm(b, &o.0, at)?,
        Layer::Relu(_) => b.op("Relu", &[x], Vec::new()),
        Layer::LeakyRelu(o) => b.op("LeakyRelu", &[x], vec![float("alpha", o.negative_slope)]),
        Layer::PRelu(o) => {
            let slope = b.weight(&at.named("weight"))?;
            let slope = match (o.num_parameters, at.rank()) {
                (1, _) | (_, 2) => slope,
                // [channels, 1..] stands beside [batch, channels, ..].
                (n, rank) => b.reshape(&slope, &[&[n as i64][..], &vec![1; rank - 2]].concat()),
            };
            b.op("PRelu", &[x, &slope], Vec::new())
        }
        Layer::Elu(o) => b.op("Elu", &[x], vec![float("alpha", o.alpha)]),
        Layer::Gelu(o) => {
            let kind = match o.approximate {
                Approximate::None => "none",
                Approximate::Tanh => "tanh",
            };
            b.op("Gelu", &[x], vec![text("approximate", kind)])
        }
        Layer::Silu(_) => {
            let gate = b.op("Sigmoid", &[x], Vec::new());
            b.op("Mul", &[x, &gate], Vec::new())
        }
        Layer::Softplus(o) => softplus(b, o, x),
        Layer::Tanh(_) => b.op("Tanh", &[x], Vec::new()),
        Layer::Sigmoid(_) => b.op("Sigmoid", &[x], Vec::new()),
        Layer::Softmax(_) => b.op("Softmax", &[x], vec![int("axis", -1)]),
        Layer::LogSoftmax(_) => b.op("LogSoftmax", &[x], vec![int("axis", -1)]),
        Layer::Residual(o) => residual(b, o, at)?,
        Layer::Parallel(o) => parallel(b, o, at)?,
        Layer::Repeat(o) => {
            let mut x = (x.to_owned(), at.traced.clone());
            for i in 0..o.times {
                x = sequential(b, &o.layers, &at.named(&i.to_string()), x.0, x.1)?;
            }
            x.0
        }
        Layer::Block(o) => sequential(b, &o.layers, at.name, x.to_owned(), at.traced.clone())?.0,
    })
}

/// A shape for `Reshape`, whose batch axis is that of its input.
fn open(shape: &[usize]) -> Vec<i64> {
    std::iter::once(0).chain(shape[1..].iter().map(|&extent| extent as i64)).collect()
}

/// x·Wᵀ + b over the last axis.
fn linear(b: &mut Builder<'_>, o: &Linear, at: At<'_>) -> Result<String> {
    let bias = if o.bias { Some(b.weight(&at.named("bias"))?) } else { None };
    let weight = b.weight(&at.named("weight"))?;
    if at.rank() == 2 {
        let inputs: Vec<&str> = [at.x, &weight].into_iter().chain(bias.as_deref()).collect();
        return Ok(b.op("Gemm", &inputs, vec![int("transB", 1)]));
    }
    Ok(b.product(at.x, &weight, bias.as_deref()))
}

/// log(1 + e^(beta·x))/beta, and x itself where beta·x is above the threshold.
fn softplus(b: &mut Builder<'_>, o: &Softplus, x: &str) -> String {
    if (o.beta, o.threshold) == (1.0, 20.0) {
        // Above 20 the two are one to rounding.
        return b.op("Softplus", &[x], Vec::new());
    }
    let scaled = b.times(x, o.beta);
    let y = b.op("Softplus", &[&scaled], Vec::new());
    let beta = b.floats("beta", &[], &[o.beta]);
    let y = b.op("Div", &[&y, &beta], Vec::new());
    let threshold = b.floats("threshold", &[], &[o.threshold]);
    let above = b.op("Greater", &[&scaled, &threshold], Vec::new());
    b.op("Where", &[&above, x, &y], Vec::new())
}

fn residual(b: &mut Builder<'_>, o: &Residual, at: At<'_>) -> Result<String> {
    let start = || (at.x.to_owned(), at.traced.clone());
    let (x, traced) = start();
    let (y, _) = sequential(b, &o.layers, &at.named("layers"), x, traced)?;
    let short = match &o.shortcut {
        Some(shortcut) => {
            let (x, traced) = start();
            sequential(b, shortcut, &at.named("shortcut"), x, traced)?.0
        }
        None => at.x.to_owned(),
    };
    b.at(at.name);
    Ok(b.op("Add", &[&short, &y], Vec::new()))
}

fn parallel(b: &mut Builder<'_>, o: &Parallel, at: At<'_>) -> Result<String> {
    let mut branches = Vec::with_capacity(o.branches.len());
    for (i, branch) in o.branches.iter().enumerate() {
        let path = at.named(&i.to_string());
        branches.push(sequential(b, branch, &path, at.x.to_owned(), at.traced.clone())?.0);
    }
    b.at(at.name);
    let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
    Ok(match (o.join, &branches[..]) {
        (_, [one]) => (*one).to_owned(),
        (Join::Concat, all) => b.op("Concat", all, vec![int("axis", o.axis as i64)]),
        (Join::Add, all) => b.op("Sum", all, Vec::new()),
    })
}
