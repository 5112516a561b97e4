//! Rotates images about their centre.

use super::{along, faults, of_images, within};
use crate::graph::{DType, Tensor};
use crate::nn::Net;

/// Rotates each image about its centre by an angle uniform in ±`degrees`; see [`rotate`].
///
/// Source: `torchvision.transforms.RandomRotation(degrees, BILINEAR)`.
pub fn random_rotation(net: &Net, x: &Tensor, degrees: f64) -> Tensor {
    let check = |h: usize, w: usize| faults::degrees(degrees).or_else(|| too_large(h, w));
    of_images(net, "rotation", x, check, |x| {
        let u = x.graph().random_uniform([x.shape()[0]]);
        rotate(x, &u.mul_scalar((2.0 * degrees) as f32).add_scalar(-degrees as f32))
    })
}

/// Rotates images [n, channels, height, width] about their centre by an angle each, degrees \[n\], in training and in
/// evaluation.
///
/// Counter-clockwise, bilinear, zeros outside: out[i, j] is x at column c = cos a·(j − w₂) − sin a·(i − h₂) + w₂ and row
/// r = sin a·(j − w₂) + cos a·(i − h₂) + h₂, h₂ = (height − 1)/2 and w₂ = (width − 1)/2: of the four pixels around it
/// each has the weight (1 − |Δrow|)(1 − |Δcolumn|), and pixels outside are 0. Pixels are squares and their centres are
/// what is sampled, `align_corners = False` of `torch.nn.functional.grid_sample`. The gradient for x is derived, and
/// compares all pairs of pixels: x that depends on parameters is dear. Source: `torchvision.transforms.functional.rotate`.
pub fn rotate(x: &Tensor, degrees: &Tensor) -> Tensor {
    let (&[n, c, h, w], &[angles]) = (x.shape(), degrees.shape()) else {
        return x.fail(format!(
            "rotate needs images [n, channels, height, width] and degrees [n]; got {:?} and {:?}",
            x.shape(),
            degrees.shape()
        ));
    };
    if angles != n || x.dtype() != DType::F32 {
        return x.fail(format!("rotate of {n} {:?} images by {angles} angles", x.dtype()));
    }
    if let Some(fault) = too_large(h, w) {
        return x.fail(format!("rotation {fault}"));
    }
    let graph = x.graph();
    // Every pixel is read four times.
    let x = x.clone().materialized_below();
    let radians = degrees.mul_scalar((std::f64::consts::PI / 180.0) as f32).reshape([n, 1, 1, 1]);
    // Rows and columns of the sampled points are computed once, [n, 2, h, w], and not for each corner.
    let middle = |extent: usize| (extent as f32 - 1.0) / 2.0;
    let down = along(graph, 2, h).add_scalar(-middle(h));
    let right = along(graph, 3, w).add_scalar(-middle(w));
    let is_col = along(graph, 1, 2);
    let by_cos = is_col.select(&right, &down);
    let by_sin = is_col.select(&down.neg(), &right);
    let offset = is_col.mul_scalar(middle(w) - middle(h)).add_scalar(middle(h));
    let place = radians.cos().mul(&by_cos).add(&radians.sin().mul(&by_sin)).add(&offset).materialized();
    let (row, col) = (place.slice(1, 0, 1), place.slice(1, 1, 2));
    let (top, left) = (floor(&row), floor(&col));
    let (low, far) = (row.sub(&top), col.sub(&left));
    let (high, near) = (1.0 - &low, 1.0 - &far);
    let pixels = x.reshape([n, c, h * w]);
    let corner = |row: &Tensor, col: &Tensor, weight: Tensor| {
        let index = row.mul_scalar(w as f32).add(col).to_i32().reshape([n, 1, h * w]);
        let picked = pixels.gather(2, &index.broadcast_to([n, c, h * w])).reshape([n, c, h, w]);
        weight.mul(&within(row, col, h, w).select(&picked, &graph.constant(0.0)))
    };
    let (bottom, other) = (top.add_scalar(1.0), left.add_scalar(1.0));
    let above = corner(&top, &left, high.mul(&near)).add(&corner(&top, &other, high.mul(&far)));
    let below = corner(&bottom, &left, low.mul(&near)).add(&corner(&bottom, &other, low.mul(&far)));
    above.add(&below)
}

/// The largest whole number that is not above x.
fn floor(x: &Tensor) -> Tensor {
    let towards_zero = x.to_i32().to_f32();
    towards_zero.sub(&towards_zero.gt(x))
}

/// A pixel's number is an f32 on the way.
fn too_large(h: usize, w: usize) -> Option<String> {
    let most = 1 << 24;
    (h * w > most).then(|| format!("of images {h} by {w}: at most {most} pixels"))
}
