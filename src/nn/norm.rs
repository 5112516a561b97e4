//! Normalisation: x̂ = (x − mean)/√(var + ε) over some axes, then a trained scale and shift.

use serde::{Deserialize, Serialize};

use super::Net;
use super::axes::yes;
use super::or_none;
use crate::graph::{DType, Init, Tensor};

/// Options of [`Net::batch_norm`]; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    /// Weight of the newest batch in the running statistics; `None` for the mean over all batches. Default: 0.1.
    #[serde(with = "or_none")]
    pub momentum: Option<f64>,
    /// Trains a scale and a shift for each channel. Default: true.
    pub affine: bool,
    /// Keeps running statistics and evaluates with them. Default: true.
    pub track_running_stats: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm { eps: 1e-5, momentum: Some(0.1), affine: true, track_running_stats: true }
    }
}

/// Options of [`Net::layer_norm`]; torch's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerNorm {
    /// Number of last axes that are normalised together. Default: 1.
    pub axes: usize,
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    /// Trains a scale for each element. Default: true.
    pub elementwise_affine: bool,
    /// Trains a shift for each element, beside the scale. Default: true.
    pub bias: bool,
}

impl Default for LayerNorm {
    fn default() -> Self {
        LayerNorm { axes: 1, eps: 1e-5, elementwise_affine: true, bias: true }
    }
}

/// Options of [`Net::rms_norm`]; torch's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsNorm {
    /// Number of last axes that are normalised together. Default: 1.
    pub axes: usize,
    /// Added to the mean square. Default: f32's epsilon, 2⁻²³.
    pub eps: Option<f64>,
    /// Trains a scale for each element. Default: true.
    pub elementwise_affine: bool,
}

impl Default for RmsNorm {
    fn default() -> Self {
        RmsNorm { axes: 1, eps: None, elementwise_affine: true }
    }
}

/// Options of [`Net::group_norm`]; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of equal groups of channels.
    pub num_groups: usize,
    /// Added to the variance. Default: 1e-5.
    #[serde(default = "small")]
    pub eps: f64,
    /// Trains a scale and a shift for each channel. Default: true.
    #[serde(default = "yes")]
    pub affine: bool,
}

fn small() -> f64 {
    1e-5
}

impl GroupNorm {
    /// ε 1e-5, with scale and shift.
    pub fn new(num_groups: usize) -> Self {
        GroupNorm { num_groups, eps: 1e-5, affine: true }
    }
}

/// Options of [`Net::instance_norm`]; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceNorm {
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    /// Trains a scale and a shift for each channel. Default: false.
    pub affine: bool,
}

impl Default for InstanceNorm {
    fn default() -> Self {
        InstanceNorm { eps: 1e-5, affine: false }
    }
}

/// Mean and 1/√(variance + ε) over axes, kept as extents of 1, and the variance itself.
struct Moments {
    mean: Tensor,
    var: Tensor,
    rstd: Tensor,
}

impl Moments {
    fn new(x: &Tensor, axes: &[isize], eps: f64) -> Self {
        let mean = x.mean(axes, true);
        let var = x.sub(&mean).square().mean(axes, true);
        // A sum of squares past the largest f32 gives NaN, and not a silent 0. PyTorch gives one or the other by the layer
        // and its width.
        let finite = var.le(&x.graph().constant(f32::MAX));
        let rstd = finite.select(&var.add_scalar(eps as f32).pow_scalar(-0.5), &x.graph().constant(f32::NAN));
        Moments { mean, var, rstd }
    }
}

/// x̂ over axes. Its gradient is rstd·(g − mean g − x̂·mean(g·x̂)), the means over the same axes.
fn normalised(x: &Tensor, axes: &[isize], eps: f64) -> Tensor {
    let m = Moments::new(x, axes, eps);
    let hat = x.sub(&m.mean).mul(&m.rstd);
    let axes = axes.to_vec();
    hat.graph().custom_gradient(&hat, &[x], &[&m.mean, &m.rstd], move |g, inputs, saved| {
        let (x, mean_of_x, rstd) = (&inputs[0], &saved[0], &saved[1]);
        let hat = x.sub(mean_of_x).mul(rstd);
        let (mean, along) = (g.mean(&axes, true), g.mul(&hat).mean(&axes, true).mul(rstd));
        let spread = together([mean_of_x, rstd, &mean, &along]);
        let n = mean_of_x.shape().iter().product::<usize>();
        let part = |i: usize| spread.slice(0, i * n, (i + 1) * n).reshape(mean_of_x.shape());
        let centred = x.sub(&part(0)).mul(&part(3));
        vec![Some(part(1).mul(&g.sub(&part(2)).sub(&centred)))]
    })
}

/// Small tensors joined in memory, for a kernel that would else read too many of them.
fn together(parts: [&Tensor; 4]) -> Tensor {
    let flat = parts.map(|t| t.reshape([t.shape().iter().product::<usize>()]));
    Tensor::concat(&flat.each_ref(), 0).materialized()
}

/// The shape [1, c, 1..], which broadcasts over a tensor of channels.
fn beside_channels(x: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; x.shape().len()];
    shape[1] = x.shape()[1];
    shape
}

/// x̂·w + b for x of channels with one custom gradient: the sums for the gradients of w and b also give that of x.
fn affine_batch_norm(x: &Tensor, m: Moments, weight: &Tensor, bias: &Tensor, axes: Vec<isize>) -> Tensor {
    let beside = beside_channels(x);
    let scale = weight.reshape(beside.clone()).mul(&m.rstd);
    let y = x.sub(&m.mean).mul(&scale).add(&bias.reshape(beside.clone()));
    let n = x.shape().iter().product::<usize>() / x.shape()[1];
    let channels = x.shape()[1];
    y.graph().custom_gradient(&y, &[x, weight, bias], &[&m.mean, &m.rstd], move |g, inputs, saved| {
        let (x, mean, rstd) = (&inputs[0], &saved[0], &saved[1]);
        let scale = inputs[1].reshape(beside.clone()).mul(rstd);
        let shift = g.sum(&axes, true);
        let scaled = g.mul(&x.sub(mean).mul(rstd)).sum(&axes, true);
        let over_n = 1.0 / n as f32;
        let parts = [mean, &scale, &shift.mul_scalar(over_n), &scaled.mul_scalar(over_n).mul(rstd)];
        let spread = together(parts);
        let part = |i: usize| spread.slice(0, i * channels, (i + 1) * channels).reshape(beside.clone());
        let dx = part(1).mul(&g.sub(&part(2)).sub(&x.sub(&part(0)).mul(&part(3))));
        vec![Some(dx), Some(scaled.reshape([channels])), Some(shift.reshape([channels]))]
    })
}

impl Net {
    /// Normalises each channel of x [n, c], [n, c, l] or [n, c, h, w] over the batch and everything after the channel:
    /// y = (x − mean)/√(var + ε)·weight + bias, var the biased one. In evaluation with the running statistics.
    ///
    /// Parameters `name.weight`, `name.bias` \[c\], 1 and 0 at first. Buffers `name.running_mean`, `name.running_var` \[c\], 0
    /// and 1 at first, and `name.num_batches_tracked`. Each training step sets a running value to (1 − momentum) times itself
    /// plus momentum times the batch's, with the unbiased variance. Source: `torch.nn.BatchNorm2d`.
    pub fn batch_norm(&self, name: &str, x: &Tensor, options: &BatchNorm) -> Tensor {
        self.graph().layer(&format!("{name} (batch_norm)"), || {
            let &[_, c, ..] = x.shape() else {
                return x.fail(format!("batch_norm needs an input [batch, channels, ..]; got {:?}", x.shape()));
            };
            if let Err(text) = check(options.eps, x) {
                return x.fail(text);
            }
            if options.momentum.is_some_and(|m| !(0.0..=1.0).contains(&m)) {
                return x.fail(format!("momentum = {:?}: from 0 to 1", options.momentum.unwrap_or(0.0)));
            }
            let n = x.shape().iter().product::<usize>() / c;
            let axes: Vec<isize> = (0..x.shape().len() as isize).filter(|&a| a != 1).collect();
            let affine = options.affine.then(|| self.scale_and_shift(name, &[c]));
            let running = options.track_running_stats.then(|| {
                let g = self.graph();
                let mean = g.buffer(&format!("{name}.running_mean"), [c], 0.0);
                let var = g.buffer(&format!("{name}.running_var"), [c], 1.0);
                (mean, var, g.step_count(&format!("{name}.num_batches_tracked")))
            });
            if let (false, Some((mean, var, _))) = (self.training(), &running) {
                let beside = beside_channels(x);
                let rstd = var.add_scalar(options.eps as f32).pow_scalar(-0.5);
                let (scale, shift) = match &affine {
                    Some((w, b)) => (rstd.mul(w), b.clone()),
                    None => (rstd, self.graph().constant(0.0)),
                };
                let shift = if shift.shape().is_empty() { shift } else { shift.reshape(beside.clone()) };
                return x.sub(&mean.reshape(beside.clone())).mul(&scale.reshape(beside)).add(&shift);
            }
            self.graph().note_batch_statistics();
            if n == 1 && self.training() {
                return x.fail(format!(
                    "batch_norm needs more than one value a channel to train on, and the input is {:?}; make the \
                     batch larger, or use drop_last where the last one is of 1",
                    x.shape()
                ));
            }
            let m = Moments::new(x, &axes, options.eps);
            if let Some((mean, var, count)) = running {
                let unbiased = m.var.reshape([c]).mul_scalar((n as f64 / (n - 1) as f64) as f32);
                let step = |old: &Tensor, new: &Tensor| match options.momentum {
                    Some(momentum) => {
                        old.mul_scalar((1.0 - momentum) as f32).add(&new.mul_scalar(momentum as f32))
                    }
                    None => old.add(&new.sub(old).div(&count)),
                };
                self.graph().update(&mean, &step(&mean, &m.mean.reshape([c])));
                self.graph().update(&var, &step(&var, &unbiased));
            }
            match &affine {
                Some((w, b)) => affine_batch_norm(x, m, w, b, axes),
                None => normalised(x, &axes, options.eps),
            }
        })
    }

    /// Normalises x over its last axes: y = (x − mean)/√(var + ε)·weight + bias.
    ///
    /// Parameters `name.weight` and `name.bias` of the shape of those axes, 1 and 0 at first. Source:
    /// `torch.nn.LayerNorm`.
    pub fn layer_norm(&self, name: &str, x: &Tensor, options: &LayerNorm) -> Tensor {
        self.graph().layer(&format!("{name} (layer_norm)"), || {
            let (axes, shape) = match last_axes(x, options.axes, "layer_norm") {
                Ok(found) => found,
                Err(text) => return x.fail(text),
            };
            if let Err(text) = check(options.eps, x) {
                return x.fail(text);
            }
            let hat = normalised(x, &axes, options.eps);
            if !options.elementwise_affine {
                return hat;
            }
            let weight = self.parameter(&format!("{name}.weight"), shape.clone(), Init::Constant(1.0));
            let y = hat.mul(&weight);
            match options.bias {
                true => y.add(&self.parameter(&format!("{name}.bias"), shape, Init::Constant(0.0))),
                false => y,
            }
        })
    }

    /// x/√(mean x² + ε)·weight over the last axes.
    ///
    /// Parameter `name.weight` of the shape of those axes, 1 at first. Source: `torch.nn.RMSNorm`.
    pub fn rms_norm(&self, name: &str, x: &Tensor, options: &RmsNorm) -> Tensor {
        self.graph().layer(&format!("{name} (rms_norm)"), || {
            let (axes, shape) = match last_axes(x, options.axes, "rms_norm") {
                Ok(found) => found,
                Err(text) => return x.fail(text),
            };
            let eps = options.eps.unwrap_or(f64::from(f32::EPSILON));
            if let Err(text) = check(eps, x) {
                return x.fail(text);
            }
            let rstd = x.square().mean(&axes, true).add_scalar(eps as f32).pow_scalar(-0.5);
            let hat = x.mul(&rstd);
            let hat = hat.graph().custom_gradient(&hat, &[x], &[&rstd], move |g, inputs, saved| {
                // rstd·(g − x̂·mean(g·x̂))
                let (input, rstd) = (&inputs[0], &saved[0]);
                let along = g.mul(input).mean(&axes, true).mul(&rstd.square());
                vec![Some(rstd.mul(&g.sub(&input.mul(&along))))]
            });
            if !options.elementwise_affine {
                return hat;
            }
            hat.mul(&self.parameter(&format!("{name}.weight"), shape, Init::Constant(1.0)))
        })
    }

    /// Normalises the channels of x [n, c, ..] in equal groups, each sample by itself.
    ///
    /// Parameters `name.weight` and `name.bias` \[c\], 1 and 0 at first. Source: `torch.nn.GroupNorm`.
    pub fn group_norm(&self, name: &str, x: &Tensor, options: &GroupNorm) -> Tensor {
        self.graph().layer(&format!("{name} (group_norm)"), || {
            self.grouped(name, x, options.num_groups, options.eps, options.affine, "group_norm")
        })
    }

    /// Normalises each channel of each sample of x [n, c, l..].
    ///
    /// Parameters, if `affine`, `name.weight` and `name.bias` \[c\], 1 and 0 at first. Source:
    /// `torch.nn.InstanceNorm2d`.
    pub fn instance_norm(&self, name: &str, x: &Tensor, options: &InstanceNorm) -> Tensor {
        self.graph().layer(&format!("{name} (instance_norm)"), || {
            if x.shape().len() < 3 {
                return x.fail(format!(
                    "instance_norm needs an input [batch, channels, length, ..]; got {:?}",
                    x.shape()
                ));
            }
            self.grouped(name, x, x.shape()[1], options.eps, options.affine, "instance_norm")
        })
    }

    fn grouped(&self, name: &str, x: &Tensor, groups: usize, eps: f64, affine: bool, what: &str) -> Tensor {
        let &[n, c, ..] = x.shape() else {
            return x.fail(format!("{what} needs an input [batch, channels, ..]; got {:?}", x.shape()));
        };
        if let Err(text) = check(eps, x) {
            return x.fail(text);
        }
        if groups == 0 || c % groups != 0 {
            return x.fail(format!("num_groups = {groups} does not divide the input's {c} channels"));
        }
        let inner = x.shape().iter().product::<usize>() / (n * groups);
        if inner == 1 && self.training() {
            return x.fail(format!(
                "{what} needs more than one value a group to train on, and the input is {:?}",
                x.shape()
            ));
        }
        let hat = normalised(&x.reshape([n, groups, inner]), &[2], eps).reshape(x.shape());
        if !affine {
            return hat;
        }
        let (weight, bias) = self.scale_and_shift(name, &[c]);
        let beside = beside_channels(x);
        hat.mul(&weight.reshape(beside.clone())).add(&bias.reshape(beside))
    }

    fn scale_and_shift(&self, name: &str, shape: &[usize]) -> (Tensor, Tensor) {
        let weight = self.parameter(&format!("{name}.weight"), shape, Init::Constant(1.0));
        (weight, self.parameter(&format!("{name}.bias"), shape, Init::Constant(0.0)))
    }
}

/// The last axes, and their shape.
fn last_axes(x: &Tensor, count: usize, what: &str) -> Result<(Vec<isize>, Vec<usize>), String> {
    let rank = x.shape().len();
    if count == 0 || count >= rank {
        return Err(format!(
            "{what} over the last {count} axes needs at least one of them and a batch axis before; the input is {:?}",
            x.shape()
        ));
    }
    Ok(((1..=count as isize).map(|a| -a).collect(), x.shape()[rank - count..].to_vec()))
}

fn check(eps: f64, x: &Tensor) -> Result<(), String> {
    if !(eps >= 0.0 && eps.is_finite()) {
        return Err(format!("eps = {eps}: a number of at least 0"));
    }
    if x.dtype() != DType::F32 {
        return Err("normalisation needs an f32 tensor".into());
    }
    Ok(())
}
