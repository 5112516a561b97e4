//! Small images as PNG files in text, for pages. The crate `png` is there with the feature `images` alone.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::judge::Picture;

/// The image as `data:image/png;base64,..`.
pub(super) fn data_uri(picture: &Picture) -> String {
    format!("data:image/png;base64,{}", base64(&png(picture)))
}

/// Portable Network Graphics (ISO/IEC 15948): 8 bits a channel, rows without filter.
fn png(picture: &Picture) -> Vec<u8> {
    let Picture { width, height, channels, bytes } = picture;
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = Vec::with_capacity(13);
    head.extend((*width as u32).to_be_bytes());
    head.extend((*height as u32).to_be_bytes());
    // Grey, or red, green and blue.
    head.extend([8, if *channels == 1 { 0 } else { 2 }, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &head);
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in bytes.chunks(width * channels) {
        // Writes to memory do not fail.
        let _ = deflated.write_all(&[0]).and_then(|()| deflated.write_all(row));
    }
    chunk(&mut out, *b"IDAT", &deflated.finish().unwrap_or_default());
    chunk(&mut out, *b"IEND", &[]);
    out
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], body: &[u8]) {
    let mut crc = Crc::new();
    crc.update(&name);
    crc.update(body);
    out.extend((body.len() as u32).to_be_bytes());
    out.extend(name);
    out.extend(body);
    out.extend(crc.sum().to_be_bytes());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word =
            three.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ];
        for (text, encoded) in pairs {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[cfg(feature = "images")]
    #[test]
    fn another_reader_gets_the_pixels() {
        for channels in [1, 3] {
            let bytes: Vec<u8> = (0..5 * 4 * channels).map(|i| (i * 7) as u8).collect();
            let file = png(&Picture { width: 5, height: 4, channels, bytes: bytes.clone() });
            let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            let mut pixels = vec![0; bytes.len()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width, info.height, pixels), (5, 4, bytes));
        }
    }
}
