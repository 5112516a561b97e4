//! Images made larger or smaller.

use serde::{Deserialize, Serialize};

use super::axes::PerAxis;
use crate::graph::Tensor;
use crate::shape::Shape;

/// The output size of an [`Upsample`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpsampleSize {
    /// Height and width.
    Size([usize; 2]),
    /// Factors of the input's size; the product is rounded down.
    Scale([f64; 2]),
}

/// The elements of the input that an [`Upsample`] takes or mixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsampleMode {
    /// The one at ⌊o·in/out⌋.
    Nearest,
    /// The two around (o + ½)·in/out − ½ along each axis, or around o·(in − 1)/(out − 1) with corners aligned.
    Bilinear {
        /// The corners of input and output are the same points.
        align_corners: bool,
    },
}

/// Options of [`Tensor::upsample`]; torch's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct Upsample {
    /// The size of the output.
    pub size: UpsampleSize,
    /// The interpolation. Default: nearest.
    pub mode: UpsampleMode,
}

/// [`Upsample`] in a config, by torch's names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    scale_factor: Option<PerAxis<f64, 2>>,
    size: Option<PerAxis<usize, 2>>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    align_corners: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Nearest,
    Bilinear,
}

impl TryFrom<Keys> for Upsample {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let size = match (keys.scale_factor, keys.size) {
            (Some(PerAxis(scale)), None) => UpsampleSize::Scale(scale),
            (None, Some(PerAxis(size))) => UpsampleSize::Size(size),
            _ => return Err("one of scale_factor and size is needed"),
        };
        let mode = match (keys.mode, keys.align_corners) {
            (Mode::Bilinear, align_corners) => UpsampleMode::Bilinear { align_corners },
            (Mode::Nearest, false) => UpsampleMode::Nearest,
            (Mode::Nearest, true) => return Err("align_corners goes with mode = \"bilinear\" only"),
        };
        Ok(Upsample { size, mode })
    }
}

impl From<Upsample> for Keys {
    fn from(upsample: Upsample) -> Keys {
        let (scale_factor, size) = match upsample.size {
            UpsampleSize::Scale(scale) => (Some(PerAxis(scale)), None),
            UpsampleSize::Size(size) => (None, Some(PerAxis(size))),
        };
        let (mode, align_corners) = match upsample.mode {
            UpsampleMode::Nearest => (Mode::Nearest, false),
            UpsampleMode::Bilinear { align_corners } => (Mode::Bilinear, align_corners),
        };
        Keys { scale_factor, size, mode, align_corners }
    }
}

impl Tensor {
    /// [n, c, h, w] to [n, c, h', w']. Source: `torch.nn.Upsample`.
    pub fn upsample(&self, options: &Upsample) -> Tensor {
        let &[_, _, h, w] = self.shape() else {
            return self.fail(format!(
                "upsample needs an input [batch, channels, height, width]; got {:?}",
                self.shape()
            ));
        };
        let length = [h, w];
        let (out, ratio) = match options.size {
            UpsampleSize::Size(size) => (size, std::array::from_fn(|i| length[i] as f64 / size[i] as f64)),
            UpsampleSize::Scale(scale) => {
                let out = std::array::from_fn(|i| (length[i] as f64 * scale[i]).floor().max(0.0) as usize);
                (out, scale.map(f64::recip))
            }
        };
        let allowed = 1..=crate::shape::MAX_ELEMENTS;
        if out.iter().any(|n| !allowed.contains(n)) {
            return self.fail(format!(
                "upsample of {length:?} to {out:?}: from 1 to {} is allowed along each axis",
                allowed.end()
            ));
        }
        (0..2).fold(self.clone(), |x, i| x.resize(2 + i, out[i], ratio[i], options.mode))
    }

    fn resize(&self, axis: usize, out: usize, ratio: f64, mode: UpsampleMode) -> Tensor {
        let length = self.shape()[axis];
        if mode == UpsampleMode::Nearest && ratio * out as f64 == length as f64 && out.is_multiple_of(length)
        {
            return self.repeat(axis, out / length);
        }
        // A matrix [length, out] of weights: that of input j for output o depends on how far they are apart.
        let g = self.graph();
        let shape = Shape::from([length, out]);
        let (j, o) = (g.iota(0, &shape).to_f32(), g.iota(1, &shape).to_f32());
        let matrix = match mode {
            UpsampleMode::Nearest => {
                // The last input stands for positions that rounding puts behind it.
                let at = o.mul_scalar(ratio as f32).minimum(&g.constant((length - 1) as f32));
                j.le(&at).mul(&at.lt(&j.add_scalar(1.0)))
            }
            UpsampleMode::Bilinear { align_corners } => {
                let at = if align_corners {
                    let step = if out > 1 { (length - 1) as f64 / (out - 1) as f64 } else { 0.0 };
                    o.mul_scalar(step as f32)
                } else {
                    o.add_scalar(0.5).mul_scalar(ratio as f32).add_scalar(-0.5)
                };
                let last = g.constant((length - 1) as f32);
                let at = at.maximum(&g.constant(0.0)).minimum(&last);
                (1.0 - at.sub(&j).abs()).maximum(&g.constant(0.0))
            }
        };
        self.along(axis, &matrix)
    }

    /// Repeats each element along an axis.
    fn repeat(&self, axis: usize, times: usize) -> Tensor {
        let mut shape = self.shape().to_vec();
        let mut line = shape.clone();
        line.insert(axis + 1, 1);
        let mut wide = line.clone();
        wide[axis + 1] = times;
        shape[axis] *= times;
        self.reshape(line).broadcast_to(wide).reshape(shape)
    }
}
