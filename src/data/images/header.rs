//! Reads format and size from the first bytes of an image, without its pixels.
//!
//! A header is trusted only as far as the file's length confirms it, so a false header allocates no memory.
//!
//! Sources: *Portable Network Graphics*, W3C, 11.2.2; ITU-T T.81, B.1 and B.2; RFC 1951.

use super::super::file::DataFile;
use crate::error::Result;
use crate::units::plural;

/// Pixels of an image, at most: with four channels of 16 bits they take half a GiB while they are decoded.
pub const MOST_PIXELS: u64 = 1 << 26;

/// The format of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
}

#[cfg(feature = "images")]
impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
        }
    }
}

/// The header of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub format: Format,
    pub width: u32,
    pub height: u32,
    /// No pixel has a colour.
    pub grey: bool,
    /// The end of the header; compressed data may begin here.
    pub end: u64,
}

const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Bytes that deflate makes of one, at most: a match of 258 takes 2 bits.
const DEFLATE: u64 = 258 * 8 / 2;

/// Pixels that a byte of a JPEG makes, at most: a block of 8×8 takes a bit.
const JPEG: u64 = 8 * 8 * 8;

/// Reads the header of an open file.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) with the place of what is wrong.
pub(super) fn read(file: &DataFile) -> Result<Header> {
    let start = file.take(0, 8)?;
    if start == PNG {
        return png(file);
    }
    if start[..2] == [0xff, 0xd8] {
        return jpeg(file);
    }
    let known = match &start[..4] {
        b"GIF8" => ", but GIF",
        b"RIFF" => ", but WebP or another RIFF file",
        b"II*\0" | b"MM\0*" => ", but TIFF",
        [b'B', b'M', ..] => ", but BMP",
        _ => "",
    };
    Err(file.fault(0, format!("no PNG and no JPEG{known}; write it as PNG, or take it out of the folder")))
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn png(file: &DataFile) -> Result<Header> {
    let bytes = file.take(0, 33)?;
    if bytes[8..16] != *b"\0\0\0\x0dIHDR" {
        return Err(file.fault(8, "a PNG begins with an IHDR of 13 bytes, and this one does not"));
    }
    let (width, height) = (be32(&bytes[16..]), be32(&bytes[20..]));
    let (depth, colour) = (bytes[24], bytes[25]);
    let (samples, depths): (u64, &[u8]) = match colour {
        0 => (1, &[1, 2, 4, 8, 16]),
        2 => (3, &[8, 16]),
        3 => (1, &[1, 2, 4, 8]),
        4 => (2, &[8, 16]),
        6 => (4, &[8, 16]),
        _ => return Err(file.fault(25, format!("colour type {colour}: there are 0, 2, 3, 4 and 6"))),
    };
    if !depths.contains(&depth) {
        return Err(
            file.fault(24, format!("{depth} bits a sample, which colour type {colour} does not have"))
        );
    }
    check_size(file, 16, width, height)?;
    // Lines of whole bytes, each after a byte for its filter. An interlaced image has more lines, never fewer bytes.
    let line = (u64::from(width) * samples * u64::from(depth)).div_ceil(8) + 1;
    let most = file.bytes().saturating_mul(DEFLATE);
    if line * u64::from(height) > most {
        let bytes = file.bytes();
        return Err(file.fault(
            16,
            format!("{width} × {height} pixels, more than deflate can make of the file's {bytes} bytes"),
        ));
    }
    Ok(Header { format: Format::Png, width, height, grey: matches!(colour, 0 | 4), end: 33 })
}

fn jpeg(file: &DataFile) -> Result<Header> {
    let mut at = 2;
    loop {
        let start = file.take(at, 4)?;
        let (mark, code) = (start[0], start[1]);
        let length = u64::from(u16::from_be_bytes([start[2], start[3]]));
        match (mark, code) {
            (0xff, 0xff) => {
                at += 1;
                continue;
            }
            (0xff, 0xc0..=0xc2) => break,
            (0xff, 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) => {
                let text = format!(
                    "a JPEG of kind {code:#04x} (lossless, hierarchical or arithmetic); baseline and \
                                    progressive ones can be read; write it anew as such, or as PNG"
                );
                return Err(file.fault(at, text));
            }
            (0xff, 0x01 | 0xd0..=0xd8) => {
                at += 2;
                continue;
            }
            (0xff, 0xd9 | 0xda) => return Err(file.fault(at, "the image begins before its size is said")),
            (0xff, _) if length >= 2 => at += 2 + length,
            _ => return Err(file.fault(at, format!("{mark:#04x} {code:#04x} where a JPEG has a marker"))),
        }
    }
    let frame = file.take(at, 10)?;
    let (depth, components) = (frame[4], frame[9]);
    let [height, width] = [5, 7].map(|i| u32::from(u16::from_be_bytes([frame[i], frame[i + 1]])));
    if depth != 8 {
        return Err(file.fault(at + 4, format!("{depth} bits a sample; 8 can be read")));
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(file.fault(at + 9, format!("{}; 1, 3 or 4 can be read", plural(components, "channel"))));
    }
    check_size(file, at + 5, width, height)?;
    let (pixels, bytes) = (u64::from(width) * u64::from(height), file.bytes());
    if pixels > bytes.saturating_mul(JPEG) {
        let text = format!("{width} × {height} pixels, more than a JPEG of {bytes} bytes can have");
        return Err(file.fault(at + 5, text));
    }
    let end = at + 2 + u64::from(u16::from_be_bytes([frame[2], frame[3]]));
    Ok(Header { format: Format::Jpeg, width, height, grey: components == 1, end })
}

fn check_size(file: &DataFile, at: u64, width: u32, height: u32) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(file.fault(at, format!("{width} × {height} pixels, which is none")));
    }
    if pixels > MOST_PIXELS {
        let text =
            format!("{width} × {height} pixels; {MOST_PIXELS} at most are read; write the image smaller");
        return Err(file.fault(at, text));
    }
    Ok(())
}
