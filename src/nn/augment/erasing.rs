//! Erases a rectangle of each image.

use serde::{Deserialize, Serialize};

use super::{along, chance, draw, faults, of_images, whole};
use crate::graph::Tensor;
use crate::nn::Net;

/// Options of [`random_erasing`]; torchvision's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Erasing {
    /// The probability that an image loses a rectangle. Default: 0.5.
    pub p: f64,
    /// The range of the rectangle's share of the image.
    pub scale: [f64; 2],
    /// The range of its height divided by its width.
    pub ratio: [f64; 2],
}

impl Default for Erasing {
    fn default() -> Self {
        Erasing { p: 0.5, scale: [0.02, 0.33], ratio: [0.3, 3.3] }
    }
}

impl Erasing {
    /// Checks the options.
    pub(crate) fn fault(&self) -> Option<String> {
        let ([least, most], [flat, tall]) = (self.scale, self.ratio);
        faults::p(self.p).or_else(|| {
            if !(0.0 <= least && least <= most && most <= 1.0) {
                return Some(format!("scale = [{least}, {most}]: two shares from 0 to 1, the smaller first"));
            }
            (!(0.0 < flat && flat <= tall && tall.is_finite()))
                .then(|| format!("ratio = [{flat}, {tall}]: two numbers above 0, the smaller first"))
        })
    }
}

/// Sets a rectangle of each image to 0 in all channels, with probability p.
///
/// Its area is uniform in `scale` times the image's, the logarithm of height/width uniform in that of `ratio`, both sides
/// round to whole pixels, and its place is uniform among those where it lies in the image. A side that does not fit is
/// cut to one less than the image's, where torchvision draws area and ratio again, ten times at most, and then leaves
/// the image as it is. Source: Zhong et al. 2017, `torchvision.transforms.RandomErasing` with `value = 0`.
pub fn random_erasing(net: &Net, x: &Tensor, options: Erasing) -> Tensor {
    of_images(
        net,
        "erasing",
        x,
        |_, _| options.fault(),
        |x| {
            let (graph, (h, w)) = (x.graph(), (x.shape()[2], x.shape()[3]));
            let number = |value: f64| graph.constant(value as f32);
            let between = |[from, to]: [f64; 2]| draw(x).mul(&number(to - from)).add(&number(from));
            let erased = chance(x, options.p);
            let area = between(options.scale.map(|share| share * (h * w) as f64));
            let log_ratio = between(options.ratio.map(f64::ln));
            // Height and width of a sample's rectangle, [n, 2, 1, 1], computed once and not for each pixel.
            let is_width = along(graph, 1, 2);
            let square = area.mul(&log_ratio.mul(&is_width.mul_scalar(-2.0).add_scalar(1.0)).exp());
            let most = is_width.mul_scalar(w as f32 - h as f32).add_scalar(h as f32 - 1.0);
            let sides = square.sqrt().add_scalar(0.5).to_i32().to_f32().minimum(&most).materialized();
            let hit = |axis: usize, extent: usize| {
                let side = sides.slice(1, axis - 2, axis - 1);
                let start = whole(&draw(x), &side.neg().add_scalar((extent + 1) as f32));
                let within = along(graph, axis, extent).sub(&start);
                within.ge(&number(0.0)).mul(&within.lt(&side))
            };
            erased.mul(&hit(2, h)).mul(&hit(3, w)).select(&number(0.0), x)
        },
    )
}
