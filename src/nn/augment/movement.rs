//! Flips and shifts by whole pixels.

use super::{along, chance, draw, faults, of_images, whole, within};
use crate::graph::Tensor;
use crate::nn::Net;

/// Mirrors each image from left to right with probability p. Source: `torchvision.transforms.RandomHorizontalFlip`.
pub fn random_horizontal_flip(net: &Net, x: &Tensor, p: f64) -> Tensor {
    flipped(net, "horizontal_flip", x, p, 3)
}

/// Turns each image upside down with probability p. Source: `torchvision.transforms.RandomVerticalFlip`.
pub fn random_vertical_flip(net: &Net, x: &Tensor, p: f64) -> Tensor {
    flipped(net, "vertical_flip", x, p, 2)
}

fn flipped(net: &Net, name: &str, x: &Tensor, p: f64, axis: usize) -> Tensor {
    of_images(net, name, x, |_, _| faults::p(p), |x| mirrored_where(&chance(x, p), x, axis))
}

/// `x` mirrored along an axis where `flip` [n, 1, 1, 1] is not 0.
fn mirrored_where(flip: &Tensor, x: &Tensor, axis: usize) -> Tensor {
    let extent = x.shape()[axis];
    let back = along(x.graph(), axis, extent).neg().add_scalar((extent - 1) as f32);
    let mirrored = x.gather(axis as isize, &back.to_i32().broadcast_to(x.shape()));
    let value = flip.select(&mirrored, x);
    // A mirror is its own transpose.
    let backward =
        move |dy: &Tensor, _: &[Tensor], saved: &[Tensor]| vec![Some(mirrored_where(&saved[0], dy, axis))];
    x.graph().custom_gradient(&value, &[x], &[flip], backward)
}

/// Shifts each image along each axis by a whole number of pixels from −`pixels` to `pixels`, all equally likely. Zeros
/// come in.
///
/// The same distribution as [`random_crop`] of that padding.
pub fn random_shift(net: &Net, x: &Tensor, pixels: usize) -> Tensor {
    shifted(net, "shift", "pixels", x, pixels)
}

/// Adds `padding` zeros on every side of each image and cuts it to its size again at a random position.
///
/// Source: `torchvision.transforms.RandomCrop(size, padding)` of images of that size. A cut that begins at i of 0 to
/// 2·padding moves the image by padding − i, so this is [`random_shift`] by up to `padding` pixels.
pub fn random_crop(net: &Net, x: &Tensor, padding: usize) -> Tensor {
    shifted(net, "crop", "padding", x, padding)
}

fn shifted(net: &Net, name: &str, key: &str, x: &Tensor, pixels: usize) -> Tensor {
    let check = |h: usize, w: usize| {
        (pixels >= h.min(w)).then(|| {
            format!("{key} = {pixels}: of images {h} by {w} nothing could be left; at most {}", h.min(w) - 1)
        })
    };
    of_images(net, name, x, check, |x| {
        if pixels == 0 {
            return x.clone();
        }
        let places = x.graph().constant((2 * pixels + 1) as f32);
        let [down, right] = [0, 1].map(|_| whole(&draw(x), &places).add_scalar(-(pixels as f32)));
        moved(x, &down, &right)
    })
}

/// Shifts `x` by whole numbers [n, 1, 1, 1]; zeros come in.
fn moved(x: &Tensor, down: &Tensor, right: &Tensor) -> Tensor {
    let (graph, (h, w)) = (x.graph(), (x.shape()[2], x.shape()[3]));
    let (row, col) = (along(graph, 2, h).sub(down), along(graph, 3, w).sub(right));
    let index = |at: &Tensor| at.to_i32().broadcast_to(x.shape());
    let picked = x.gather(2, &index(&row)).gather(3, &index(&col));
    let value = within(&row, &col, h, w).select(&picked, &graph.constant(0.0));
    // Its transpose shifts back.
    let backward =
        |dy: &Tensor, _: &[Tensor], saved: &[Tensor]| vec![Some(moved(dy, &saved[0].neg(), &saved[1].neg()))];
    graph.custom_gradient(&value, &[x], &[down, right], backward)
}
