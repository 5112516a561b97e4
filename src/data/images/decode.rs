//! From a file to bytes `[channels, height, width]`.
//!
//! - 16 bits become 8 by their upper byte, as in libpng and Pillow.
//! - Alpha is laid over black: a channel becomes channel · alpha / 255, rounded.
//! - Colours become grey as in Pillow: 0.299 R + 0.587 G + 0.114 B, in 16 bits of fraction, rounded (ITU-R BT.601).
//! - Where the size is another, a triangle filter as wide as a pixel of the result, as in Pillow's and torchvision's
//!   antialiased bilinear.
//! - Orientations in Exif are ignored.

use std::io::Cursor;
use std::path::Path;

use png::{ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::super::file::DataFile;
use super::header::{self, Format, Header};
use super::resize::{Window, resize};
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
    let pixels = to_channels(&pixels(&file, header)?, shape.channels);
    let pixels = match fit {
        Some(fit) if (width, height) != (shape.width, shape.height) => {
            let window = match fit {
                Fit::Stretch => Window { x: 0, y: 0, width, height },
                Fit::Crop => crop((width, height), (shape.width, shape.height)),
            };
            resize(&pixels, width, window, shape)
        }
        _ => pixels,
    };
    let area = shape.width * shape.height;
    for (c, plane) in into.chunks_exact_mut(area).enumerate() {
        let channel = pixels[c..].iter().step_by(shape.channels);
        plane.iter_mut().zip(channel).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}

/// Pixels as a file has them, row by row.
struct Decoded {
    /// Channels of a pixel: grey, grey and alpha, RGB, or RGB and alpha.
    channels: usize,
    /// 1, or 2 with the upper byte first.
    bytes_per_channel: usize,
    bytes: Vec<u8>,
}

fn pixels(file: &DataFile, header: Header) -> Result<Decoded> {
    let bytes = file.take(0, file.bytes() as usize)?;
    let decoded = match header.format {
        Format::Png => decode_png(&bytes, header).map_err(|err| err.to_string()),
        Format::Jpeg => {
            // The decoder fills up what is missing. Within compressed data this marker cannot be.
            let data = &bytes[(header.end as usize).min(bytes.len())..];
            if !data.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
                return Err(
                    file.fault(file.bytes(), "the JPEG ends without its last marker: it is cut short")
                );
            }
            decode_jpeg(&bytes)
        }
    };
    let (path, name) = (file.path().display(), header.format.name());
    decoded.map_err(|err| Error::Data(format!("{path}: no whole {name}: {err}")))
}

fn decode_png(bytes: &[u8], header: Header) -> Result<Decoded, png::DecodingError> {
    // As many bytes as the widest pixel has, and as much again for what the decoder needs beside.
    let limit = usize::try_from(u64::from(header.width) * u64::from(header.height) * 16 + (1 << 20));
    let limits = png::Limits { bytes: limit.unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Palettes become colours, and fewer bits 8.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (colour, depth) = reader.output_color_type();
    let channels = match colour {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(png::DecodingError::LimitsExceeded)?];
    reader.next_frame(&mut bytes)?;
    Ok(Decoded { channels, bytes_per_channel: if depth == png::BitDepth::Sixteen { 2 } else { 1 }, bytes })
}

fn decode_jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    let options =
        DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|err| err.to_string())?;
    let own = decoder.input_colorspace();
    // Other color spaces, as YCbCr and CMYK, become RGB.
    let space = match own {
        Some(own @ (ColorSpace::Luma | ColorSpace::LumaA | ColorSpace::RGB | ColorSpace::RGBA)) => own,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let bytes = decoder.decode().map_err(|err| err.to_string())?;
    Ok(Decoded { channels: space.num_components(), bytes_per_channel: 1, bytes })
}

/// The pixels with 1 or 3 channels of 8 bits.
fn to_channels(decoded: &Decoded, channels: usize) -> Vec<u8> {
    let (from, step) = (decoded.channels, decoded.bytes_per_channel);
    let over_black = |c: u8, alpha: u8| ((u32::from(c) * u32::from(alpha) + 127) / 255) as u8;
    let mut out = Vec::with_capacity(decoded.bytes.len() / (from * step) * channels);
    for pixel in decoded.bytes.chunks_exact(from * step) {
        let at = |channel: usize| pixel[channel * step];
        let rgb = match from {
            1 => [at(0); 3],
            2 => [over_black(at(0), at(1)); 3],
            3 => [at(0), at(1), at(2)],
            _ => [0, 1, 2].map(|c| over_black(at(c), at(3))),
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

/// The largest window of `to`'s aspect in the middle of `from`, both width and height.
fn crop(from: (usize, usize), to: (usize, usize)) -> Window {
    let part = |side: usize, times: usize, of: usize| {
        let exact = (side as u64 * times as u64 + of as u64 / 2) / of as u64;
        (exact as usize).max(1)
    };
    let (width, height) = match from.0 as u64 * to.1 as u64 >= from.1 as u64 * to.0 as u64 {
        true => (part(from.1, to.0, to.1).min(from.0), from.1),
        false => (from.0, part(from.0, to.1, to.0).min(from.1)),
    };
    Window { x: (from.0 - width) / 2, y: (from.1 - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_the_right_aspect_is_cut_out() {
        let crop = |from, to| {
            let Window { x, y, width, height } = crop(from, to);
            (x, y, width, height)
        };
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
