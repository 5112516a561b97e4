//! From a file to bytes `[channels, height, width]`.
//!
//! - 16 bits become 8 by their upper byte, as in libpng and Pillow.
//! - Alpha is laid over black: a channel becomes channel · alpha / 255, rounded.
//! - Colours become grey as in Pillow: 0.299 R + 0.587 G + 0.114 B, in 16 bits of fraction, rounded (ITU-R BT.601).
//! - Where the size is another, a triangle filter as wide as a pixel of the result, as in Pillow's and torchvision's
//!   antialiased bilinear.
//! - Orientations in Exif are not looked at.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::{self, FilterType};
use image::{ColorType, ImageBuffer, ImageDecoder, ImageError, Limits, Luma, Pixel, Rgb};

use super::super::file::DataFile;
use super::header::{self, Format, Header};
use super::shape::{Fit, ImageShape};
use crate::error::{Error, Result};

/// Fills `into` with the image as `shape` says.
///
/// # Errors
/// [`Error::Data`] with the file that is no whole image, or of another size where `fit` is `None`; [`Error::Io`].
pub(super) fn decode(path: &Path, shape: ImageShape, fit: Option<Fit>, into: &mut [u8]) -> Result<()> {
    let file = DataFile::open(path)?;
    let header = header::read(&file)?;
    let (width, height) = (header.width as usize, header.height as usize);
    if fit.is_none() && (width, height) != (shape.width, shape.height) {
        return Err(Error::Data(format!(
            "{}: it is {width} × {height} pixels, and {} × {} are needed, as the others were; without \
             data.source.size images are not scaled",
            path.display(),
            shape.width,
            shape.height
        )));
    }
    let pixels = channels(pixels(&file, header)?, shape.channels);
    let pixels = match fit {
        Some(fit) if (width, height) != (shape.width, shape.height) => match shape.channels {
            1 => resized::<Luma<u8>>(pixels, header, shape, fit),
            _ => resized::<Rgb<u8>>(pixels, header, shape, fit),
        },
        _ => pixels,
    };
    let area = shape.width * shape.height;
    for (c, plane) in into.chunks_exact_mut(area).enumerate() {
        let channel = pixels[c..].iter().step_by(shape.channels);
        plane.iter_mut().zip(channel).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}

/// The pixels as the file has them, and their type.
fn pixels(file: &DataFile, header: Header) -> Result<(ColorType, Vec<u8>)> {
    let name = header.format.name();
    let path = file.path().display();
    let wrong = |err: ImageError| Error::Data(format!("{path}: no whole {name}: {err}"));
    let bytes = file.take(0, file.bytes() as usize)?;
    // As many bytes as the widest pixel has, and as much again for what the decoder needs beside.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(u64::from(header.width) * u64::from(header.height) * 16 + (1 << 20));
    match header.format {
        Format::Png => {
            let decoder = PngDecoder::with_limits(Cursor::new(&bytes[..]), limits).map_err(wrong)?;
            read(decoder).map_err(wrong)
        }
        Format::Jpeg => {
            // The decoder fills up what is missing. Within compressed data this marker cannot be.
            let data = &bytes[(header.end as usize).min(bytes.len())..];
            if !data.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
                return Err(
                    file.fault(file.bytes(), "the JPEG ends without its last marker: it is cut short")
                );
            }
            let mut decoder = JpegDecoder::new(Cursor::new(&bytes[..])).map_err(wrong)?;
            decoder.set_limits(limits).map_err(wrong)?;
            read(decoder).map_err(wrong)
        }
    }
}

fn read(decoder: impl ImageDecoder) -> Result<(ColorType, Vec<u8>), ImageError> {
    let colour = decoder.color_type();
    let mut bytes = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut bytes)?;
    Ok((colour, bytes))
}

/// The pixels with 1 or 3 channels of 8 bits.
fn channels((colour, mut bytes): (ColorType, Vec<u8>), channels: usize) -> Vec<u8> {
    let from = usize::from(colour.channel_count());
    if usize::from(colour.bytes_per_pixel()) == 2 * from {
        bytes = bytes.chunks_exact(2).map(|two| (u16::from_ne_bytes([two[0], two[1]]) >> 8) as u8).collect();
    }
    if from == channels {
        return bytes;
    }
    let over_black = |c: u8, alpha: u8| ((u32::from(c) * u32::from(alpha) + 127) / 255) as u8;
    let mut out = Vec::with_capacity(bytes.len() / from * channels);
    for pixel in bytes.chunks_exact(from) {
        let rgb = match *pixel {
            [v] => [v; 3],
            [v, alpha] => [over_black(v, alpha); 3],
            [r, g, b] => [r, g, b],
            _ => [0, 1, 2].map(|c| over_black(pixel[c], pixel[3])),
        };
        match channels {
            1 => out.push(luma(rgb)),
            _ => out.extend(rgb),
        }
    }
    out
}

/// The grey of a colour; of a grey itself.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn resized<P: Pixel<Subpixel = u8> + 'static>(
    pixels: Vec<u8>,
    header: Header,
    shape: ImageShape,
    fit: Fit,
) -> Vec<u8> {
    let Some(image) = ImageBuffer::<P, Vec<u8>>::from_raw(header.width, header.height, pixels) else {
        unreachable!("as many bytes as the header's pixels have")
    };
    let (width, height) = (shape.width as u32, shape.height as u32);
    let (x, y, w, h) = match fit {
        Fit::Stretch => (0, 0, header.width, header.height),
        Fit::Crop => crop((header.width, header.height), (width, height)),
    };
    let view = imageops::crop_imm(&image, x, y, w, h);
    imageops::resize(&*view, width, height, FilterType::Triangle).into_raw()
}

/// The largest window of `to`'s aspect in the middle of `of`: x, y, width, height.
fn crop(of: (u32, u32), to: (u32, u32)) -> (u32, u32, u32, u32) {
    let part = |side: u32, times: u32, of: u32| {
        let exact = (u64::from(side) * u64::from(times) + u64::from(of) / 2) / u64::from(of);
        (exact as u32).max(1)
    };
    let (w, h) = match u64::from(of.0) * u64::from(to.1) >= u64::from(of.1) * u64::from(to.0) {
        true => (part(of.1, to.0, to.1).min(of.0), of.1),
        false => (of.0, part(of.0, to.1, to.0).min(of.1)),
    };
    ((of.0 - w) / 2, (of.1 - h) / 2, w, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_right_aspect_is_cut_out() {
        assert_eq!(crop((100, 50), (10, 10)), (25, 0, 50, 50));
        assert_eq!(crop((50, 100), (10, 10)), (0, 25, 50, 50));
        assert_eq!(crop((50, 100), (20, 10)), (0, 37, 50, 25));
        assert_eq!(crop((7, 7), (3, 3)), (0, 0, 7, 7));
        assert_eq!(crop((1, 1000), (1000, 1)), (0, 499, 1, 1));
    }

    #[test]
    fn greys_stay_what_they_are() {
        assert!((0..=255).all(|v| luma([v; 3]) == v));
    }
}
