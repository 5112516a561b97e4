//! Convolutions, pools and resizing as ONNX operators.

use super::at::At;
use super::builder::{Builder, int, ints, text};
use super::proto::AttributeProto;
use crate::error::Result;
use crate::export::trace::Traced;
use crate::nn::{AvgPool, Conv, ConvTranspose, MaxPool, Padding, Pool, Upsample, UpsampleMode, UpsampleSize};

pub(super) fn conv<const N: usize>(b: &mut Builder<'_>, o: &Conv<N>, at: At<'_>) -> Result<String> {
    let spans: [usize; N] = std::array::from_fn(|i| (o.kernel_size[i] - 1) * o.dilation[i]);
    // As in torch, the odd one of "same" is at the end.
    let (before, after) = match o.padding {
        Padding::Same => (spans.map(|span| span / 2), spans.map(|span| span - span / 2)),
        Padding::Explicit(padding) => (padding, padding),
    };
    let options = vec![
        ints("kernel_shape", o.kernel_size),
        ints("strides", o.stride),
        ints("dilations", o.dilation),
        ints("pads", [before, after].concat()),
        int("group", o.groups as i64),
    ];
    weighted(b, "Conv", o.bias, options, at)
}

pub(super) fn conv_transpose<const N: usize>(
    b: &mut Builder<'_>,
    o: &ConvTranspose<N>,
    at: At<'_>,
) -> Result<String> {
    let options = vec![
        ints("kernel_shape", o.kernel_size),
        ints("strides", o.stride),
        ints("dilations", o.dilation),
        ints("pads", [o.padding, o.padding].concat()),
        ints("output_padding", o.output_padding),
        int("group", o.groups as i64),
    ];
    weighted(b, "ConvTranspose", o.bias, options, at)
}

/// A node on x, the layer's weight and its bias.
fn weighted(
    b: &mut Builder<'_>,
    kind: &str,
    bias: bool,
    options: Vec<AttributeProto>,
    at: At<'_>,
) -> Result<String> {
    let weight = b.weight(&at.named("weight"))?;
    let bias = bias.then(|| b.weight(&at.named("bias"))).transpose()?;
    let inputs: Vec<&str> = [at.x, &weight].into_iter().chain(bias.as_deref()).collect();
    Ok(b.op(kind, &inputs, options))
}

/// Elements to add at the end of each axis, so that there are windows at all positions of `y` without `ceil_mode`.
fn ends<const N: usize>(o: &Pool<N>, at: At<'_>, y: &Traced) -> [usize; N] {
    std::array::from_fn(|i| {
        let span = (o.kernel_size[i] - 1) * o.dilation[i] + 1;
        let reach = (y.shape[2 + i] - 1) * o.stride[i] + span;
        reach.saturating_sub(at.shape()[2 + i] + o.padding[i]).max(o.padding[i])
    })
}

/// x with elements around its last axes.
fn padded<const N: usize>(
    b: &mut Builder<'_>,
    x: &str,
    before: [usize; N],
    after: [usize; N],
    fill: f32,
) -> String {
    let side = |pads: [usize; N]| [0, 0].into_iter().chain(pads.map(|pad| pad as i64)).collect::<Vec<i64>>();
    let pads = b.integers("pads", &[side(before), side(after)].concat());
    let fill = b.floats("fill", &[], &[fill]);
    b.op("Pad", &[x, &pads, &fill], Vec::new())
}

pub(super) fn max_pool<const N: usize>(
    b: &mut Builder<'_>,
    MaxPool(o): &MaxPool<N>,
    at: At<'_>,
    y: &Traced,
) -> String {
    let after = ends(o, at, y);
    let mut x = at.x.to_owned();
    let mut pads = [o.padding, after].concat();
    // Readers refuse padding as wide as the kernel, which `ceil_mode` needs beside a dilation.
    if (0..N).any(|i| after[i] >= o.kernel_size[i] || o.padding[i] >= o.kernel_size[i]) {
        x = padded(b, &x, o.padding, after, f32::NEG_INFINITY);
        pads = vec![0; 2 * N];
    }
    let options = vec![
        ints("kernel_shape", o.kernel_size),
        ints("strides", o.stride),
        ints("dilations", o.dilation),
        ints("pads", pads),
    ];
    b.op("MaxPool", &[&x], options)
}

pub(super) fn avg_pool<const N: usize>(
    b: &mut Builder<'_>,
    pool: &AvgPool<N>,
    at: At<'_>,
    y: &Traced,
) -> String {
    let o = &pool.windows;
    let after = ends(o, at, y);
    let mut x = at.x.to_owned();
    let mut pads = [o.padding, after];
    let counts_padding = pool.count_include_pad && o.padding != [0; N];
    if counts_padding {
        // Zeros that count become part of x. Elements that `ceil_mode` adds past them do not count.
        x = padded(b, &x, o.padding, o.padding, 0.0);
        pads = [[0; N], std::array::from_fn(|i| after[i] - o.padding[i])];
    }
    average(b, &x, o.kernel_size, o.stride, &pads.concat())
}

/// The mean of each window over the elements of x in it.
fn average<const N: usize>(
    b: &mut Builder<'_>,
    x: &str,
    size: [usize; N],
    stride: [usize; N],
    pads: &[usize],
) -> String {
    let options = vec![
        ints("kernel_shape", size),
        ints("strides", stride),
        ints("pads", pads.iter().copied()),
        int("count_include_pad", 0),
    ];
    b.op("AveragePool", &[x], options)
}

pub(super) fn adaptive_avg_pool(b: &mut Builder<'_>, size: [usize; 2], at: At<'_>) -> String {
    let length = [at.shape()[2], at.shape()[3]];
    if size == [1, 1] {
        return b.op("GlobalAveragePool", &[at.x], Vec::new());
    }
    if (0..2).all(|i| length[i].is_multiple_of(size[i])) {
        let window = [length[0] / size[0], length[1] / size[1]];
        return average(b, at.x, window, window, &[0; 4]);
    }
    let matrix = |i: usize| {
        let (length, out) = (length[i], size[i]);
        Matrix::new(length, out, move |j, o| {
            // Window o is from floor(o*length/out) to ceil((o + 1)*length/out).
            let (first, end) = (o * length / out, ((o + 1) * length).div_ceil(out));
            if (first..end).contains(&j) { 1.0 / (end - first) as f32 } else { 0.0 }
        })
    };
    let x = matrix(0).along_height(b, at.x);
    matrix(1).along_width(b, &x)
}

/// The weights of inputs for outputs along an axis, `[length, out]`.
struct Matrix {
    length: usize,
    out: usize,
    /// The weight of an input for an output.
    values: Vec<f32>,
}

impl Matrix {
    fn new(length: usize, out: usize, weight: impl Fn(usize, usize) -> f32) -> Matrix {
        let weight = &weight;
        let values = (0..length).flat_map(|j| (0..out).map(move |o| weight(j, o))).collect();
        Matrix { length, out, values }
    }

    /// The product along the last axis.
    fn along_width(&self, b: &mut Builder<'_>, x: &str) -> String {
        let matrix = b.floats("weights", &[self.length, self.out], &self.values);
        b.op("MatMul", &[x, &matrix], Vec::new())
    }

    /// The product along the axis before the last.
    fn along_height(&self, b: &mut Builder<'_>, x: &str) -> String {
        let matrix = b.floats("weights", &[self.length, self.out], &self.values);
        let matrix = b.transpose(&matrix, &[1, 0]);
        b.op("MatMul", &[&matrix, x], Vec::new())
    }
}

/// [batch, channels, ..] to [batch, channels].
pub(super) fn global_pool(b: &mut Builder<'_>, kind: &str, at: At<'_>) -> String {
    let y = b.op(kind, &[at.x], Vec::new());
    b.op("Flatten", &[&y], vec![int("axis", 1)])
}

/// `Resize` where a reader computes the same positions, else the products of the engine.
pub(super) fn upsample(b: &mut Builder<'_>, o: &Upsample, at: At<'_>, y: &Traced) -> String {
    let axes: [Axis; 2] = std::array::from_fn(|i| {
        let (length, out) = (at.shape()[2 + i], y.shape[2 + i]);
        let scale = match o.size {
            UpsampleSize::Size(_) => out as f64 / length as f64,
            UpsampleSize::Scale(scale) => scale[i],
        };
        Axis { length, out, scale }
    });
    if !axes.iter().all(|axis| axis.is_resized_alike(o.mode)) {
        let x = axes[0].matrix(o.mode).along_height(b, at.x);
        return axes[1].matrix(o.mode).along_width(b, &x);
    }
    let mut options = vec![ints("axes", [2, 3])];
    options.extend(match o.mode {
        UpsampleMode::Nearest => vec![
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
            text("coordinate_transformation_mode", "asymmetric"),
        ],
        UpsampleMode::Bilinear { align_corners } => {
            let coordinates = if align_corners { "align_corners" } else { "half_pixel" };
            vec![text("mode", "linear"), text("coordinate_transformation_mode", coordinates)]
        }
    });
    match o.size {
        UpsampleSize::Scale(scale) => {
            let scales = b.floats("scales", &[2], &scale.map(|scale| scale as f32));
            b.op("Resize", &[at.x, "", &scales], options)
        }
        UpsampleSize::Size(size) => {
            let sizes = b.integers("sizes", &size.map(|extent| extent as i64));
            b.op("Resize", &[at.x, "", "", &sizes], options)
        }
    }
}

/// An axis of an image that is resized.
struct Axis {
    length: usize,
    out: usize,
    /// Outputs an input.
    scale: f64,
}

impl Axis {
    /// The position of an output among the inputs, in the engine's f32.
    fn position(&self, mode: UpsampleMode, o: usize) -> f32 {
        let (ratio, last) = ((1.0 / self.scale) as f32, (self.length - 1) as f32);
        let at = match mode {
            UpsampleMode::Nearest => o as f32 * ratio,
            UpsampleMode::Bilinear { align_corners: false } => (o as f32 + 0.5) * ratio - 0.5,
            UpsampleMode::Bilinear { align_corners: true } if self.out > 1 => {
                o as f32 * (f64::from(last) / (self.out - 1) as f64) as f32
            }
            UpsampleMode::Bilinear { align_corners: true } => 0.0,
        };
        at.clamp(0.0, last)
    }

    /// True where `Resize` makes as many outputs, and takes the same inputs for them.
    fn is_resized_alike(&self, mode: UpsampleMode) -> bool {
        let scale = self.scale as f32;
        let as_many = (self.length as f32 * scale).floor() as usize == self.out;
        let nearest = |o: usize| (o as f32 / scale).floor().min((self.length - 1) as f32);
        let same = mode != UpsampleMode::Nearest
            || (0..self.out).all(|o| nearest(o) == self.position(mode, o).floor());
        as_many && same
    }

    fn matrix(&self, mode: UpsampleMode) -> Matrix {
        Matrix::new(self.length, self.out, |j, o| {
            let (at, j) = (self.position(mode, o), j as f32);
            match mode {
                UpsampleMode::Nearest if at.floor() == j => 1.0,
                UpsampleMode::Nearest => 0.0,
                UpsampleMode::Bilinear { .. } => (1.0 - (at - j).abs()).max(0.0),
            }
        })
    }
}
