//! Convolutions along one or two axes, and their transposes.

use serde::{Deserialize, Serialize};

use super::axes::{self, one, ones, yes, zeros};
use super::{Net, Padding};
use crate::graph::{DType, Geometry, Init, Tensor};

/// Options of a convolution along N axes; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv<const N: usize> {
    /// Channels of the output.
    pub out_channels: usize,
    /// Extents of a window.
    #[serde(with = "axes")]
    pub kernel_size: [usize; N],
    /// Distance from window to window. Default: 1.
    #[serde(with = "axes", default = "ones")]
    pub stride: [usize; N],
    /// Zeros around the input. Default: 0.
    #[serde(default)]
    pub padding: Padding<N>,
    /// Distance from element to element of a window. Default: 1.
    #[serde(with = "axes", default = "ones")]
    pub dilation: [usize; N],
    /// Number of equal groups; channels are connected within their group only. A group for each channel makes a depthwise
    /// convolution. Default: 1.
    #[serde(default = "one")]
    pub groups: usize,
    /// Adds a trainable number to each output channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// Along one axis.
pub type Conv1d = Conv<1>;
/// Along two axes.
pub type Conv2d = Conv<2>;

impl<const N: usize> Conv<N> {
    /// Stride 1, no padding, dilation 1, one group, with bias.
    pub fn new(out_channels: usize, kernel_size: [usize; N]) -> Self {
        Conv {
            out_channels,
            kernel_size,
            stride: [1; N],
            padding: Padding::Explicit([0; N]),
            dilation: [1; N],
            groups: 1,
            bias: true,
        }
    }
}

/// Options of a transposed convolution along N axes; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose<const N: usize> {
    /// Channels of the output.
    pub out_channels: usize,
    /// Extents of a window.
    #[serde(with = "axes")]
    pub kernel_size: [usize; N],
    /// Distance from window to window of the output. Default: 1.
    #[serde(with = "axes", default = "ones")]
    pub stride: [usize; N],
    /// Number of the output's elements to leave out on both sides. Default: 0.
    #[serde(with = "axes", default = "zeros")]
    pub padding: [usize; N],
    /// Number of elements to add to the output after the last window, fewer than the stride or the dilation. Default: 0.
    #[serde(with = "axes", default = "zeros")]
    pub output_padding: [usize; N],
    /// Distance from element to element of a window. Default: 1.
    #[serde(with = "axes", default = "ones")]
    pub dilation: [usize; N],
    /// Number of equal groups; channels are connected within their group only. Default: 1.
    #[serde(default = "one")]
    pub groups: usize,
    /// Adds a trainable number to each output channel. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
}

/// Along one axis.
pub type ConvTranspose1d = ConvTranspose<1>;
/// Along two axes.
pub type ConvTranspose2d = ConvTranspose<2>;

impl<const N: usize> ConvTranspose<N> {
    /// Stride 1, no padding, dilation 1, one group, with bias.
    pub fn new(out_channels: usize, kernel_size: [usize; N]) -> Self {
        ConvTranspose {
            out_channels,
            kernel_size,
            stride: [1; N],
            padding: [0; N],
            output_padding: [0; N],
            dilation: [1; N],
            groups: 1,
            bias: true,
        }
    }
}

/// Returns the first of these demands that is not met as an error.
pub(super) fn demand(demands: &[(bool, String)]) -> Result<(), String> {
    demands.iter().find(|(met, _)| !met).map_or(Ok(()), |(_, text)| Err(text.clone()))
}

/// Checks the input and the channels of a convolution.
fn check_channels<const N: usize>(x: &[usize], o: usize, g: usize) -> Result<(), String> {
    let axes = if N == 1 { "batch, channels, length" } else { "batch, channels, height, width" };
    demand(&[
        (x.len() == N + 2, format!("it needs an input [{axes}]; got {x:?}")),
        (o > 0, "out_channels = 0: at least 1 is needed".into()),
        (g > 0, "groups = 0: at least 1 is needed".into()),
    ])?;
    let c = x[1];
    demand(&[
        (c.is_multiple_of(g), format!("groups = {g} does not divide the input's {c} channels")),
        (o.is_multiple_of(g), format!("groups = {g} does not divide the {o} output channels")),
        (o <= LARGEST, format!("out_channels = {o}: at most {LARGEST} is allowed")),
    ])
}

/// The largest extent. Larger ones are typing errors, and their products would overflow.
pub(super) const LARGEST: usize = 1 << 20;

/// Checks the options of windows of any kind.
pub(super) fn check_windows(size: &[usize], stride: &[usize], dilation: &[usize]) -> Result<(), String> {
    let positive = |v: &[usize]| v.iter().all(|&n| n > 0);
    demand(&[
        (positive(size), format!("kernel_size = {size:?}: at least 1 is needed")),
        (positive(stride), format!("stride = {stride:?}: at least 1 is needed")),
        (positive(dilation), format!("dilation = {dilation:?}: at least 1 is needed")),
    ])?;
    let names = ["kernel_size", "stride", "dilation"];
    names.into_iter().zip([size, stride, dilation]).try_for_each(|(name, v)| check_extents(name, v))
}

/// Checks that no number is above [`LARGEST`].
pub(super) fn check_extents(name: &str, extents: &[usize]) -> Result<(), String> {
    let fits = extents.iter().all(|&n| n <= LARGEST);
    demand(&[(fits, format!("{name} = {extents:?}: at most {LARGEST} is allowed"))])
}

/// The number of elements that a window spans.
pub(super) fn span(size: usize, dilation: usize) -> usize {
    (size - 1) * dilation + 1
}

impl<const N: usize> Conv<N> {
    fn geometry(&self, x: &[usize], weight: &[usize]) -> Result<Geometry, String> {
        let (n, size) = (N, self.kernel_size);
        let (c, o, g) = (x.get(1).copied().unwrap_or(0), self.out_channels, self.groups);
        check_channels::<N>(x, o, g)?;
        check_windows(&size, &self.stride, &self.dilation)?;
        let wanted = [&[o, c / g], &size[..]].concat();
        demand(&[(weight == wanted, format!("its weight must be {wanted:?}; got {weight:?}"))])?;
        if let Padding::Explicit(padding) = &self.padding {
            check_extents("padding", padding)?;
        }
        let (mut padding, mut positions) = (Vec::new(), Vec::new());
        for i in 0..n {
            let (length, spans) = (x[2 + i], span(size[i], self.dilation[i]));
            let (before, all) = match self.padding {
                Padding::Same => ((spans - 1) / 2, spans - 1),
                Padding::Explicit(p) => (p[i], 2 * p[i]),
            };
            demand(&[
                (
                    self.padding != Padding::Same || self.stride[i] == 1,
                    format!(
                        "padding = \"same\" needs a stride of 1, and it is {:?}; give a number",
                        self.stride
                    ),
                ),
                (
                    spans <= length + all,
                    format!(
                        "a kernel of {} (dilation {}, {spans} in all) is larger than the padded input of {} along \
                         axis {}; the input is {x:?}",
                        size[i],
                        self.dilation[i],
                        length + all,
                        2 + i
                    ),
                ),
            ])?;
            padding.push(before);
            positions.push((length + all - spans) / self.stride[i] + 1);
        }
        let (stride, dilation) = (self.stride.to_vec(), self.dilation.to_vec());
        Ok(Geometry { stride, dilation, padding, positions, groups: g })
    }
}

impl<const N: usize> ConvTranspose<N> {
    /// The windows, which lie in the output, and the output's extents.
    fn geometry(&self, x: &[usize], weight: &[usize]) -> Result<(Geometry, Vec<usize>), String> {
        let (n, size) = (N, self.kernel_size);
        let (c, o, g) = (x.get(1).copied().unwrap_or(0), self.out_channels, self.groups);
        check_channels::<N>(x, o, g)?;
        check_windows(&size, &self.stride, &self.dilation)?;
        let wanted = [&[c, o / g], &size[..]].concat();
        demand(&[(weight == wanted, format!("its weight must be {wanted:?}; got {weight:?}"))])?;
        check_extents("padding", &self.padding)?;
        check_extents("output_padding", &self.output_padding)?;
        let mut length = Vec::new();
        for i in 0..n {
            let whole =
                (x[2 + i] - 1) * self.stride[i] + span(size[i], self.dilation[i]) + self.output_padding[i];
            let (cut, more) = (2 * self.padding[i], self.output_padding[i]);
            demand(&[
                (
                    more < self.stride[i].max(self.dilation[i]) || more == 0,
                    format!(
                        "output_padding = {more} must be smaller than the stride {} or the dilation {}",
                        self.stride[i], self.dilation[i]
                    ),
                ),
                (
                    cut < whole,
                    format!(
                        "padding = {} leaves nothing of an output of {whole} along axis {}",
                        cut / 2,
                        2 + i
                    ),
                ),
            ])?;
            length.push(whole - cut);
        }
        let (stride, dilation, padding) =
            (self.stride.to_vec(), self.dilation.to_vec(), self.padding.to_vec());
        Ok((Geometry { stride, dilation, padding, positions: x[2..].to_vec(), groups: g }, length))
    }
}

impl Tensor {
    /// x [n, c, length..] with weight [o, c/groups, kernel..] to [n, o, (length + padding − span)/stride + 1..].
    ///
    /// y[n, o, p..] = Σ over c', j.. of weight[o, c', j..] · x[n, g·c/groups + c', p·stride + j·dilation − padding..],
    /// g the group of o. The number of output channels is the weight's; `bias` is the caller's to add.
    /// Source: `torch.nn.functional.conv2d`.
    pub fn conv<const N: usize>(&self, weight: &Tensor, options: &Conv<N>) -> Tensor {
        if [self, weight].iter().any(|t| t.dtype() != DType::F32) {
            return self.fail("a convolution needs f32 tensors".into());
        }
        match options.geometry(self.shape(), weight.shape()) {
            Ok(geometry) => self.convolve(weight, &geometry),
            Err(text) => self.fail(text),
        }
    }

    /// The transpose of [`Tensor::conv`]: x [n, c, length..] with weight [c, o/groups, kernel..] to
    /// [n, o, (length − 1)·stride − 2·padding + span + output_padding..]. Source:
    /// `torch.nn.functional.conv_transpose2d`.
    pub fn conv_transpose<const N: usize>(&self, weight: &Tensor, options: &ConvTranspose<N>) -> Tensor {
        if [self, weight].iter().any(|t| t.dtype() != DType::F32) {
            return self.fail("a convolution needs f32 tensors".into());
        }
        match options.geometry(self.shape(), weight.shape()) {
            Ok((geometry, length)) => self.convolve_back(weight, &geometry, &length),
            Err(text) => self.fail(text),
        }
    }
}

impl Net {
    /// [n, c, l] to [n, o, l']; see [`Tensor::conv`]. Parameters `name.weight` [o, c/groups, k] and `name.bias` \[o\],
    /// both from U(±1/√(c/groups·k)). Source: `torch.nn.Conv1d`.
    pub fn conv1d(&self, name: &str, x: &Tensor, options: &Conv1d) -> Tensor {
        self.conv(&format!("{name} (conv1d)"), name, x, options)
    }

    /// [n, c, h, w] to [n, o, h', w']; see [`Tensor::conv`]. Parameters `name.weight` [o, c/groups, kh, kw] and
    /// `name.bias` \[o\], both from U(±1/√(c/groups·kh·kw)). Source: `torch.nn.Conv2d`.
    pub fn conv2d(&self, name: &str, x: &Tensor, options: &Conv2d) -> Tensor {
        self.conv(&format!("{name} (conv2d)"), name, x, options)
    }

    /// [n, c, l] to [n, o, l']; see [`Tensor::conv_transpose`]. Parameters `name.weight` [c, o/groups, k] and
    /// `name.bias` \[o\], both from U(±1/√(o/groups·k)). Source: `torch.nn.ConvTranspose1d`.
    pub fn conv_transpose1d(&self, name: &str, x: &Tensor, options: &ConvTranspose1d) -> Tensor {
        self.conv_transpose(&format!("{name} (conv_transpose1d)"), name, x, options)
    }

    /// [n, c, h, w] to [n, o, h', w']; see [`Tensor::conv_transpose`]. Parameters `name.weight`
    /// [c, o/groups, kh, kw] and `name.bias` \[o\], both from U(±1/√(o/groups·kh·kw)). Source:
    /// `torch.nn.ConvTranspose2d`.
    pub fn conv_transpose2d(&self, name: &str, x: &Tensor, options: &ConvTranspose2d) -> Tensor {
        self.conv_transpose(&format!("{name} (conv_transpose2d)"), name, x, options)
    }

    fn conv<const N: usize>(&self, scope: &str, name: &str, x: &Tensor, c: &Conv<N>) -> Tensor {
        self.graph().layer(scope, || {
            let channels = x.shape().get(1).copied().unwrap_or(1);
            let shape = [&[c.out_channels, channels / c.groups.max(1)], &c.kernel_size[..]].concat();
            match c.geometry(x.shape(), &shape) {
                Ok(_) => {
                    let (weight, bias) = self.weight_and_bias(name, shape, c.bias.then_some(c.out_channels));
                    add_channels(&x.conv(&weight, c), bias)
                }
                Err(text) => x.fail(text),
            }
        })
    }

    fn conv_transpose<const N: usize>(
        &self,
        scope: &str,
        name: &str,
        x: &Tensor,
        c: &ConvTranspose<N>,
    ) -> Tensor {
        self.graph().layer(scope, || {
            let channels = x.shape().get(1).copied().unwrap_or(1);
            let shape = [&[channels, c.out_channels / c.groups.max(1)], &c.kernel_size[..]].concat();
            match c.geometry(x.shape(), &shape) {
                Ok(_) => {
                    let (weight, bias) = self.weight_and_bias(name, shape, c.bias.then_some(c.out_channels));
                    add_channels(&x.conv_transpose(&weight, c), bias)
                }
                Err(text) => x.fail(text),
            }
        })
    }

    /// A weight and a bias with torch's initial values. The fan-in is the number of elements in one slice of the weight's first
    /// axis.
    fn weight_and_bias(
        &self,
        name: &str,
        shape: Vec<usize>,
        bias: Option<usize>,
    ) -> (Tensor, Option<Tensor>) {
        let init = Init::linear(shape[1..].iter().product());
        let weight = self.parameter(&format!("{name}.weight"), shape, init);
        (weight, bias.map(|n| self.parameter(&format!("{name}.bias"), [n], init)))
    }
}

/// x [n, c, ..] + bias [c].
fn add_channels(x: &Tensor, bias: Option<Tensor>) -> Tensor {
    let Some(bias) = bias else { return x.clone() };
    let mut shape = vec![1; x.shape().len()];
    shape[1] = bias.shape()[0];
    x.add(&bias.reshape(shape))
}
