//! Augmentation: in training every step changes its samples at random; evaluation leaves them alone.
//!
//! Each function maps a tensor to a tensor, draws anew for each sample from the counter of [`Net::dropout`], and is computed
//! on the device on the way to the first layer. The same seed gives the same bits.
//!
//! ```
//! use downhill::nn::augment;
//! use downhill::prelude::*;
//!
//! fn model(net: &Net, x: &Tensor) -> Tensor {
//!     let x = augment::random_horizontal_flip(net, x, 0.5);
//!     let x = augment::random_crop(net, &x, 2);
//!     net.linear("out", &x.flatten(), 10)
//! }
//!
//! let graph = Graph::new();
//! let images = graph.input("images", [32, 3, 8, 8]);
//! assert_eq!(model(&Net::new(&graph, true), &images).shape(), [32, 10]);
//! graph.check()?;
//! # Ok::<(), Error>(())
//! ```

mod erasing;
mod mixup;
mod movement;
mod rotation;

pub use erasing::{Erasing, random_erasing};
pub use mixup::{Mixup, mixup};
pub use movement::{random_crop, random_horizontal_flip, random_shift, random_vertical_flip};
pub use rotation::{random_rotation, rotate};

use super::Net;
use crate::graph::{DType, Graph, Tensor};
use crate::shape::Shape;

/// x + `std`·z, z from N(0, 1) for each element. Of any shape.
pub fn gaussian_noise(net: &Net, x: &Tensor, std: f64) -> Tensor {
    if let Some(fault) = faults::std(std) {
        return x.fail(format!("noise {fault}"));
    }
    if x.dtype() != DType::F32 {
        return x.fail(format!("noise needs f32 samples; got {:?} {:?}", x.dtype(), x.shape()));
    }
    if !net.training() || std == 0.0 {
        return x.clone();
    }
    x.add(&net.graph().random_normal(x.shape()).mul_scalar(std as f32))
}

/// Applies `change` to images [n, channels, height, width], or [n, height, width] with one channel, in training. `check`
/// tests the options against height and width.
fn of_images(
    net: &Net,
    name: &str,
    x: &Tensor,
    check: impl FnOnce(usize, usize) -> Option<String>,
    change: impl FnOnce(&Tensor) -> Tensor,
) -> Tensor {
    let ([n, h, w] | [n, _, h, w]) = *x.shape() else {
        return x.fail(format!(
            "{name} needs images, samples [channels, height, width] or [height, width]; got {:?} and a batch of {}",
            x.shape().get(1..).unwrap_or_default(),
            x.shape().first().copied().unwrap_or_default()
        ));
    };
    if x.dtype() != DType::F32 {
        return x.fail(format!("{name} needs f32 images; got {:?} {:?}", x.dtype(), x.shape()));
    }
    if let Some(fault) = check(h, w) {
        return x.fail(format!("{name} {fault}"));
    }
    if !net.training() {
        return x.clone();
    }
    if x.shape().len() == 4 { change(x) } else { change(&x.reshape([n, 1, h, w])).reshape(x.shape()) }
}

/// A number for each sample, uniform in [0, 1): [n, 1, 1, 1].
fn draw(x: &Tensor) -> Tensor {
    x.graph().random_uniform([x.shape()[0], 1, 1, 1])
}

/// 1 with probability p, else 0.
fn chance(x: &Tensor, p: f64) -> Tensor {
    draw(x).lt(&x.graph().constant(p as f32))
}

/// A whole number from 0 to `count` − 1, all equally likely, from u uniform in [0, 1).
///
/// u is a multiple of 2⁻²⁴, so u·count rounds to `count` for no u.
fn whole(u: &Tensor, count: &Tensor) -> Tensor {
    u.mul(count).to_i32().to_f32()
}

/// The coordinate along an axis of images, f32: [1, 1, h, 1] or [1, 1, 1, w].
fn along(graph: &Graph, axis: usize, extent: usize) -> Tensor {
    let mut shape = [1; 4];
    shape[axis] = extent;
    graph.iota(axis, &Shape::from(shape)).to_f32()
}

/// 1 where coordinates lie in an image, else 0.
fn within(row: &Tensor, col: &Tensor, h: usize, w: usize) -> Tensor {
    let graph = row.graph();
    let on = |at: &Tensor, extent: usize| {
        at.ge(&graph.constant(0.0)).mul(&at.le(&graph.constant((extent - 1) as f32)))
    };
    on(row, h).mul(&on(col, w))
}

/// An error about an option.
pub(crate) mod faults {
    pub(crate) fn p(p: f64) -> Option<String> {
        (!(0.0..=1.0).contains(&p)).then(|| format!("p = {p}: from 0 to 1"))
    }

    pub(crate) fn std(std: f64) -> Option<String> {
        (!(std >= 0.0 && std.is_finite())).then(|| format!("std = {std}: a number from 0 on"))
    }

    pub(crate) fn degrees(degrees: f64) -> Option<String> {
        (!(degrees > 0.0 && degrees <= 180.0))
            .then(|| format!("degrees = {degrees}: a number above 0, up to 180"))
    }

    pub(crate) fn alpha(alpha: f64) -> Option<String> {
        (!(alpha > 0.0 && alpha.is_finite())).then(|| format!("alpha = {alpha}: a number above 0"))
    }
}
