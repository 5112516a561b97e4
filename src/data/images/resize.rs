//! Scaling by a triangle filter.
//!
//! Along each axis a pixel of the result is the weighted mean of those within one pixel of its centre, a pixel of the
//! result where the image becomes smaller. Columns come first and stay f32; rows are then rounded.

use super::shape::ImageShape;

/// A part of an image, in pixels.
pub(super) struct Window {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The pixels that one pixel of the result is made of, along an axis: the first, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The taps of every pixel of `to`, from `from` pixels.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let ratio = from as f32 / to as f32;
    let support = if ratio < 1.0 { 1.0 } else { ratio };
    let tap = |i: usize| {
        let centre = (i as f32 + 0.5) * ratio;
        let first = ((centre - support).floor() as i64).clamp(0, from as i64 - 1);
        let end = ((centre + support).ceil() as i64).clamp(first + 1, from as i64);
        // Pixels are numbered by their centres.
        let centre = centre - 0.5;
        let triangle = |x: f32| if x.abs() < 1.0 { 1.0 - x.abs() } else { 0.0 };
        let mut weights: Vec<f32> = (first..end).map(|j| triangle((j as f32 - centre) / support)).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Taps { first: first as usize, weights }
    };
    (0..to).map(tap).collect()
}

/// The window of an image that is `width` pixels wide, scaled to `shape`; pixel by pixel, as the image.
pub(super) fn resize(image: &[u8], width: usize, window: Window, shape: ImageShape) -> Vec<u8> {
    let channels = shape.channels;
    let row = |y: usize| &image[((window.y + y) * width + window.x) * channels..][..window.width * channels];
    if (window.width, window.height) == (shape.width, shape.height) {
        return (0..window.height).flat_map(|y| row(y).iter().copied()).collect();
    }
    let columns = taps(window.width, shape.width);
    let mut out = Vec::with_capacity(shape.elements());
    for Taps { first, weights } in taps(window.height, shape.height) {
        let mut line = vec![0.0f32; window.width * channels];
        for (y, weight) in (first..).zip(&weights) {
            line.iter_mut().zip(row(y)).for_each(|(sum, pixel)| *sum += f32::from(*pixel) * weight);
        }
        for Taps { first, weights } in &columns {
            for c in 0..channels {
                let pixels = line[first * channels + c..].iter().step_by(channels);
                let sum = pixels.zip(weights).fold(0.0, |sum, (pixel, weight)| sum + pixel * weight);
                out.push(sum.clamp(0.0, 255.0).round() as u8);
            }
        }
    }
    out
}
