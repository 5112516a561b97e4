//! IDX, the container of MNIST: a big-endian header and raw numbers. Unsigned bytes only.
//!
//! ```text
//! byte 0  0, 0               magic
//!      2  type               0x08: unsigned byte
//!      3  rank
//!      4  rank × u32         extents, outermost first, big-endian
//!      …  the values         row-major, up to the end of the file
//! ```
//!
//! Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*.

use crate::error::{Error, Result};
use crate::shape::Shape;

/// A parsed file; the values stay where they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx<'a> {
    /// The extents, outermost first: for images `[n, height, width]`.
    pub shape: Shape,
    /// The values, row-major.
    pub values: &'a [u8],
}

/// Parses `bytes`; `name` is the file's, for errors.
///
/// # Errors
/// [`Error::Data`] with the offset of what is wrong. The header is believed only where the file is exactly as
/// long as it says.
pub fn parse<'a>(name: &str, bytes: &'a [u8]) -> Result<Idx<'a>> {
    let fault = |offset: usize, text: String| Err(Error::Data(format!("{name}, byte {offset}: {text}")));
    let size = bytes.len();
    let Some((&[zero0, zero1, kind, rank], rest)) = bytes.split_first_chunk::<4>() else {
        return fault(size, "the file ends inside the 4 bytes that begin an IDX file".into());
    };
    match [zero0, zero1] {
        [0, 0] => {}
        [0x1f, 0x8b] => return fault(0, "the file is compressed; unpack it first, with gunzip".into()),
        _ => {
            let text =
                format!("{zero0:#04x} {zero1:#04x} where an IDX file has two zeros; is it another format?");
            return fault(0, text);
        }
    }
    if kind != 0x08 {
        return fault(2, format!("values of type {kind:#04x}; only 0x08, unsigned bytes, can be read"));
    }
    if rank == 0 {
        return fault(3, "0 dimensions; at least one is needed".into());
    }
    let Some((header, values)) = rest.split_at_checked(4 * usize::from(rank)) else {
        return fault(size, format!("the file ends inside the extents of its {rank} dimensions"));
    };
    let extent = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize;
    let shape = Shape::from(header.chunks_exact(4).map(extent).collect::<Vec<_>>());
    let (said, have) = (shape.elements(), values.len());
    if said > have {
        return fault(size, format!("the file ends after {have} values, and extents of {shape} need {said}"));
    }
    if said < have {
        let text =
            format!("{} bytes too many after the {said} values that extents of {shape} need", have - said);
        return fault(size - (have - said), text);
    }
    Ok(Idx { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(extents: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, extents.len() as u8];
        bytes.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], words: &str) {
        let err = parse("f", bytes).unwrap_err();
        assert!(matches!(&err, Error::Data(text) if text.starts_with(words)), "{err}");
    }

    #[test]
    fn a_file_is_read_as_written() {
        let bytes = file(&[2, 3], &[1, 2, 3, 4, 5, 255]);
        let idx = parse("f", &bytes).unwrap();
        assert_eq!((idx.shape, idx.values), (Shape::from([2, 3]), &[1, 2, 3, 4, 5, 255][..]));
        assert!(parse("f", &file(&[0, 3], &[])).unwrap().values.is_empty());
    }

    #[test]
    fn every_fault_is_told_with_its_offset() {
        let good = file(&[2, 3], &[7; 6]);
        assert_refused(&[], "f, byte 0: the file ends inside the 4 bytes");
        assert_refused(&good[..3], "f, byte 3: the file ends inside the 4 bytes");
        assert_refused(&good[..11], "f, byte 11: the file ends inside the extents of its 2 dimensions");
        assert_refused(&good[..17], "f, byte 17: the file ends after 5 values, and extents of [2, 3] need 6");
        assert_refused(&[&good[..], &[1, 2]].concat(), "f, byte 18: 2 bytes too many after the 6 values");
        assert_refused(b"\x89PNG", "f, byte 0: 0x89 0x50");
        assert_refused(b"\x1f\x8b\x08\x00", "f, byte 0: the file is compressed");
        assert_refused(&[0, 0, 0x0d, 1], "f, byte 2: values of type 0x0d");
        assert_refused(&[0, 0, 8, 0, 1], "f, byte 3: 0 dimensions");
        assert_refused(&[0, 0, 8, 255, 1], "f, byte 5: the file ends inside the extents of its 255");
    }

    #[test]
    fn headers_that_lie_allocate_nothing() {
        for extents in [&[u32::MAX; 8][..], &[u32::MAX], &[1 << 31, 2], &[1 << 16; 4]] {
            assert_refused(
                &file(extents, &[0; 4]),
                &format!("f, byte {}: the file ends after 4", 8 + 4 * extents.len()),
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(0u8.., 0..64), header: bool) {
            if header && bytes.len() > 4 {
                bytes[..3].copy_from_slice(&[0, 0, 8]);
                bytes[3] %= 4;
            }
            match parse("f", &bytes) {
                Ok(idx) => prop_assert_eq!(idx.shape.elements(), idx.values.len()),
                Err(err) => prop_assert!(matches!(err, Error::Data(_))),
            }
        }

        #[test]
        fn a_cut_or_a_longer_file_is_refused(
            extents in prop::collection::vec(1u32..5, 1..4),
            cut: prop::sample::Index,
        ) {
            let whole = file(&extents, &vec![3; extents.iter().product::<u32>() as usize]);
            prop_assert!(parse("f", &whole).is_ok());
            prop_assert!(parse("f", &whole[..cut.index(whole.len())]).is_err());
            prop_assert!(parse("f", &[&whole[..], &[0]].concat()).is_err());
        }
    }
}
