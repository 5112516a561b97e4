//! Pools as entries of a list.

use serde::{Deserialize, Serialize};

use super::activation::plain;
use super::axes::{self, PerAxis, ones, yes, zeros};
use super::conv::check_windows;
use super::entries::above_zero;
use super::rule::Rule;
use super::{Net, Pool};
use crate::graph::Tensor;

/// The maximum of windows; see [`Tensor::max_pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "MaxKeys<N>", into = "MaxKeys<N>")]
pub struct MaxPool<const N: usize>(pub Pool<N>);

/// Along one axis.
pub type MaxPool1d = MaxPool<1>;
/// Along two axes.
pub type MaxPool2d = MaxPool<2>;

/// The mean of windows; see [`Tensor::avg_pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AvgKeys<N>", into = "AvgKeys<N>")]
pub struct AvgPool<const N: usize> {
    /// The windows, of dilation 1.
    pub windows: Pool<N>,
    /// Counts zeros of the padding as elements. Default: true.
    pub count_include_pad: bool,
}

/// Along one axis.
pub type AvgPool1d = AvgPool<1>;
/// Along two axes.
pub type AvgPool2d = AvgPool<2>;

/// [`MaxPool`] in a config.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxKeys<const N: usize> {
    #[serde(with = "axes")]
    kernel_size: [usize; N],
    stride: Option<PerAxis<usize, N>>,
    #[serde(with = "axes", default = "zeros")]
    padding: [usize; N],
    #[serde(with = "axes", default = "ones")]
    dilation: [usize; N],
    #[serde(default)]
    ceil_mode: bool,
}

/// [`AvgPool`] in a config.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AvgKeys<const N: usize> {
    #[serde(with = "axes")]
    kernel_size: [usize; N],
    stride: Option<PerAxis<usize, N>>,
    #[serde(with = "axes", default = "zeros")]
    padding: [usize; N],
    #[serde(default)]
    ceil_mode: bool,
    #[serde(default = "yes")]
    count_include_pad: bool,
}

impl<const N: usize> From<MaxKeys<N>> for MaxPool<N> {
    fn from(keys: MaxKeys<N>) -> Self {
        let MaxKeys { kernel_size, stride, padding, dilation, ceil_mode } = keys;
        let stride = stride.map_or(kernel_size, |PerAxis(stride)| stride);
        MaxPool(Pool { kernel_size, stride, padding, dilation, ceil_mode })
    }
}

impl<const N: usize> From<MaxPool<N>> for MaxKeys<N> {
    fn from(MaxPool(pool): MaxPool<N>) -> Self {
        let Pool { kernel_size, stride, padding, dilation, ceil_mode } = pool;
        MaxKeys { kernel_size, stride: Some(PerAxis(stride)), padding, dilation, ceil_mode }
    }
}

impl<const N: usize> From<AvgKeys<N>> for AvgPool<N> {
    fn from(keys: AvgKeys<N>) -> Self {
        let AvgKeys { kernel_size, stride, padding, ceil_mode, count_include_pad } = keys;
        let stride = stride.map_or(kernel_size, |PerAxis(stride)| stride);
        AvgPool {
            windows: Pool { kernel_size, stride, padding, dilation: [1; N], ceil_mode },
            count_include_pad,
        }
    }
}

impl<const N: usize> From<AvgPool<N>> for AvgKeys<N> {
    fn from(AvgPool { windows, count_include_pad }: AvgPool<N>) -> Self {
        let Pool { kernel_size, stride, padding, ceil_mode, .. } = windows;
        AvgKeys { kernel_size, stride: Some(PerAxis(stride)), padding, ceil_mode, count_include_pad }
    }
}

fn check<const N: usize>(pool: &Pool<N>) -> Result<(), String> {
    check_windows(&pool.kernel_size, &pool.stride, &pool.dilation)
}

impl<const N: usize> Rule for MaxPool<N> {
    fn check(&self) -> Result<(), String> {
        check(&self.0)
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.max_pool(&self.0)
    }
}

impl<const N: usize> Rule for AvgPool<N> {
    fn check(&self) -> Result<(), String> {
        check(&self.windows)
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.avg_pool(&self.windows, self.count_include_pad)
    }
}

/// The mean of windows that cover the input evenly; see [`Tensor::adaptive_avg_pool2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the output.
    #[serde(with = "axes")]
    pub output_size: [usize; 2],
}

impl Rule for AdaptiveAvgPool2d {
    fn check(&self) -> Result<(), String> {
        above_zero(&self.output_size.map(|n| ("output_size", n)))
    }

    fn build(&self, _: &Net, _: &str, x: &Tensor) -> Tensor {
        x.adaptive_avg_pool2d(self.output_size)
    }
}

plain! {
    /// The mean of each channel: [n, c, ..] to [n, c].
    GlobalAvgPool: Tensor::global_avg_pool;
    /// The maximum of each channel: [n, c, ..] to [n, c].
    GlobalMaxPool: Tensor::global_max_pool;
}
