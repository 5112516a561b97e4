//! NPY, NumPy's array in a file.
//!
//! ```text
//! byte 0  \x93NUMPY          magic
//!      6  major, minor       1.0, 2.0 or 3.0
//!      8  u16 or u32         length of the header: u16 in version 1; little-endian
//!      …  the header         {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and blanks
//!      …  the values         row-major, or column-major in Fortran's order, up to the end of the file
//! ```
//!
//! The file may be compressed by gzip, as `.npy.gz`: it is unpacked once, when it is opened.
//!
//! Source: NumPy, `numpy.lib.format`.

use std::path::Path;
use std::sync::Arc;

use super::super::file::{DataFile, FileValues, Written};
use super::super::values::Kind;
use super::super::{Dataset, Part};
use super::arrays::{Array, ArrayOptions, dataset, inputs, targets};
use super::{fortran, gzip};
use crate::error::Result;
use crate::shape::Shape;

/// Bytes of a header at most, where the file is compressed.
const LONGEST: u64 = 1 << 20;

/// The array in bytes `begin..end` of a file; `name` is the array's. The header is believed only where the bytes are
/// exactly as many as it says.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) with the offset of what is wrong.
pub(super) fn read(file: &Arc<DataFile>, begin: u64, end: u64, name: &str) -> Result<Array> {
    let (header, values) = header(file, begin, end, name)?;
    let (shape, written) = (Shape::from(header.shape), header.written);
    let is_fortran = header.fortran && fortran::differs(&shape);
    let count = shape.elements();
    let bytes = (count as u64).saturating_mul(written.bytes() as u64);
    let have = end - values;
    if bytes != have {
        let (wrong, kind) = (if bytes > have { "and has" } else { "and goes on:" }, written.name());
        return Err(file.fault(
            if bytes > have { end } else { values + bytes },
            format!("{name} needs {bytes} bytes for {kind} {shape}, {wrong} {have}"),
        ));
    }
    let straight = if is_fortran && count > 0 {
        Some(fortran::straightened(file, values, &shape, written.bytes())?)
    } else {
        None
    };
    let (file, values) = straight.as_ref().map_or((file, values), |straight| (straight, 0));
    let values = FileValues::open(file, values, count, written, header.big_endian)?;
    Ok(Array { name: name.to_owned(), shape: shape.to_vec(), values })
}

/// The header of the array in bytes `begin..end` of a file, and where it ends.
fn header(file: &DataFile, begin: u64, end: u64, name: &str) -> Result<(Header, u64)> {
    let short = || file.fault(end, format!("{name} ends inside its header"));
    let need = |from: u64, count: u64| match from.checked_add(count) {
        Some(to) if to <= end => file.take(from, count as usize),
        _ => Err(short()),
    };
    let first = need(begin, 8)?;
    if first[..6] != *b"\x93NUMPY" {
        return Err(file.fault(begin, format!("{name} does not begin as NPY does; is it another format?")));
    }
    let (offset, length) = match first[6] {
        1 => {
            let bytes = need(begin + 8, 2)?;
            (begin + 10, u64::from(u16::from_le_bytes([bytes[0], bytes[1]])))
        }
        2 | 3 => {
            let bytes = need(begin + 8, 4)?;
            (begin + 12, u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        }
        other => {
            let text = format!("{name} is NPY of version {other}; 1 to 3 can be read");
            return Err(file.fault(begin + 6, text));
        }
    };
    let text = need(offset, length)?;
    let header = Parser { text: &text, at: 0 }.header();
    let header =
        header.map_err(|(place, what)| file.fault(offset + place as u64, format!("{name}: {what}")))?;
    Ok((header, offset + length))
}

/// A header.
#[derive(Debug)]
struct Header {
    written: Written,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// A byte of the header, and the fault there.
type Fault = (usize, String);

/// Reads the header, a Python dict of three keys.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn header(mut self) -> Result<Header, Fault> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.take(b'}') {
            let place = self.at;
            match self.string()?.as_str() {
                "descr" => {
                    self.expect(b':')?;
                    descr = Some(self.descr()?);
                }
                "fortran_order" => {
                    self.expect(b':')?;
                    fortran = Some(self.boolean()?);
                }
                "shape" => {
                    self.expect(b':')?;
                    shape = Some(self.tuple()?);
                }
                other => {
                    return Err((place, format!("the header has a key '{other}' that NPY does not have")));
                }
            }
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.blanks();
        if self.at < self.text.len() {
            return Err((self.at, "the header goes on after its end".into()));
        }
        let missing = |key: &str| (0, format!("the header has no '{key}'"));
        let (written, big_endian) = descr.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        Ok(Header { written, big_endian, fortran, shape })
    }

    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// The offset of the next word.
    fn peeked(&mut self) -> usize {
        self.blanks();
        self.at
    }

    /// Passes over the byte, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let next = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(next);
        next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        let next = self.take(byte);
        if next { Ok(()) } else { Err((self.at, format!("the header needs a '{}' here", char::from(byte)))) }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let place = self.peeked();
        let quote = self.text.get(place).copied().filter(|quote| matches!(quote, b'\'' | b'"'));
        let rest = &self.text[(place + 1).min(self.text.len())..];
        let length = quote.and_then(|quote| rest.iter().position(|byte| *byte == quote));
        let Some(length) = length else { return Err((place, "the header needs a quoted word here".into())) };
        self.at = place + length + 2;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        let place = self.peeked();
        for (word, value) in [("True", true), ("False", false)] {
            if self.text[place..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err((place, "the header needs True or False here".into()))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Fault> {
        self.expect(b'(')?;
        let mut extents = Vec::new();
        while !self.take(b')') {
            let place = self.at;
            let digits = self.text[place..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let word = String::from_utf8_lossy(&self.text[place..place + digits]);
            extents.push(word.parse().map_err(|_| (place, "the header needs an extent here".to_owned()))?);
            self.at += digits;
            // Python 2 wrote long integers with an L.
            self.take(b'L');
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(extents)
    }

    /// The type of the numbers, and whether they are big-endian.
    fn descr(&mut self) -> Result<(Written, bool), Fault> {
        let place = self.peeked();
        if self.text.get(place) == Some(&b'[') {
            let text = "the array has records of several fields; save each field, array['field'], by itself";
            return Err((place, text.into()));
        }
        let descr = self.string()?;
        let (order, kind) = descr.split_at_checked(1).unwrap_or(("", &descr));
        let written = match kind {
            "b1" => Written::Bool,
            "u1" => Written::As(Kind::U8),
            "i1" => Written::As(Kind::I8),
            "u2" => Written::As(Kind::U16),
            "i2" => Written::As(Kind::I16),
            "u4" => Written::U32,
            "i4" => Written::As(Kind::I32),
            "u8" => Written::U64,
            "i8" => Written::I64,
            "f2" => Written::As(Kind::F16),
            "f4" => Written::As(Kind::F32),
            "f8" => Written::F64,
            _ => return Err((place, refused(&descr, kind))),
        };
        match order {
            "<" | "=" => Ok((written, false)),
            ">" => Ok((written, true)),
            "|" if written.bytes() == 1 => Ok((written, false)),
            _ => Err((place, format!("'{descr}' does not say in which order its bytes are"))),
        }
    }
}

/// Explains why numbers of this type cannot be read, and names the remedy.
fn refused(descr: &str, kind: &str) -> String {
    let remedy = match kind.as_bytes().first() {
        Some(b'O') => "Python objects; make numbers of them, as np.stack(list), and save those",
        Some(b'c') => "complex numbers; save np.stack([array.real, array.imag], axis=1), or one of the two",
        Some(b'U' | b'S') => "words; save their numbers, np.unique(array, return_inverse=True)[1]",
        Some(b'M' | b'm') => "times; save array.astype(np.int64) in seconds, or floats",
        _ => "no numbers that can be read; save array.astype(np.float32)",
    };
    format!("values of type '{descr}': {remedy}")
}

/// The array of an NPY file, as it is or in gzip.
pub(super) fn whole(file: &Arc<DataFile>) -> Result<Array> {
    let name = file.name();
    if !gzip::is_packed(file)? {
        return read(file, 0, file.bytes(), &name);
    }
    let start = gzip::start(file, LONGEST)?;
    let (header, values) = header(&start, 0, start.bytes(), &name)?;
    let bytes = (Shape::from(header.shape).elements() as u64).saturating_mul(header.written.bytes() as u64);
    let unpacked = gzip::unpack(file, values.saturating_add(bytes))?;
    read(&unpacked, 0, unpacked.bytes(), &name)
}

fn open(path: &Path) -> Result<Array> {
    whole(&DataFile::open(path)?)
}

/// Two NPY files, as they are or in gzip, as inputs and targets, samples along their first axis. Integer targets `[n]` are labels.
/// Without a target the samples have inputs alone.
///
/// By default bytes are scaled to numbers from 0 to 1, and other integers stay integers.
///
/// ```no_run
/// use downhill::data::{self, ArrayOptions};
/// let data = data::npy("X.npy".as_ref(), Some("Y.npy".as_ref()), &ArrayOptions::default())?;
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) with the offset of what is wrong in a file, or where the two do not fit;
/// [`Error::Config`](crate::error::Error::Config) where the options do not fit; [`Error::Io`](crate::error::Error::Io).
pub fn npy(path: &Path, target: Option<&Path>, options: &ArrayOptions) -> Result<Dataset> {
    let x = open(path)?;
    let train = match target {
        Some(target) => Part::new(inputs(&x)?, targets(&open(target)?, &x)?)?,
        None => Part::builder().input("x", inputs(&x)?).build()?,
    };
    dataset(x.name, train, None, None, options)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data::Values;
    use crate::error::Error;
    use proptest::prelude::*;

    /// A file of version 1.
    pub fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}   \n")
    }

    fn parse(bytes: &[u8]) -> Result<Array> {
        let file = DataFile::memory("f", bytes.to_vec());
        read(&file, 0, file.bytes(), "a")
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], words: &str) {
        let err = parse(bytes).unwrap_err();
        assert!(matches!(&err, Error::Data(text) if text.contains(words)), "{err}");
    }

    #[test]
    fn headers_of_every_version_and_order() {
        let whole = file(&header("<i2", "(2, 1)"), &[1, 0, 2, 0]);
        let array = parse(&whole).unwrap();
        assert_eq!((array.shape, array.values), (vec![2, 1], Values::Bytes(Kind::I16, vec![1, 0, 2, 0])));
        for version in [2, 3] {
            let text = header(">i2", "(2,)");
            let length = (text.len() as u32).to_le_bytes();
            let bytes = [b"\x93NUMPY", &[version, 0][..], &length, text.as_bytes(), &[0, 1, 0, 2]].concat();
            assert_eq!(parse(&bytes).unwrap().values, Values::Bytes(Kind::I16, vec![1, 0, 2, 0]));
        }
        let old = "{'shape': (2L,), 'fortran_order': True, 'descr': \"|b1\"}";
        assert_eq!(parse(&file(old, &[1, 0])).unwrap().shape, [2]);
        assert_eq!(parse(&file(&header("<f8", "()"), &[0; 8])).unwrap().values, Values::F32(vec![0.0]));
    }

    #[test]
    fn every_fault_is_told_with_its_offset() {
        let whole = file(&header("<i4", "(2,)"), &[0; 8]);
        assert_refused(&[], "f, byte 0: a ends inside its header");
        assert_refused(b"PK\x03\x04    ", "f, byte 0: a does not begin");
        assert_refused(b"\x93NUMPY\x04\x00  ", "f, byte 6: a is NPY of version 4");
        assert_refused(&whole[..30], "f, byte 30: a ends inside");
        assert_refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "f, byte 13: a ends inside");
        let n = whole.len();
        assert_refused(
            &whole[..n - 1],
            &format!("f, byte {}: a needs 8 bytes for i32 [2], and has 7", n - 1),
        );
        assert_refused(&[&whole[..], b"x"].concat(), &format!("f, byte {n}: a needs 8 bytes"));
        let refused = |header: &str, words: &str| assert_refused(&file(header, &[0; 8]), words);
        refused(&header("|O", "(2,)"), "f, byte 20: a: values of type '|O': Python objects");
        refused(&header("<c8", "(1,)"), "complex");
        refused(&header("<U2", "(1,)"), "np.unique");
        refused(&header("<M8[s]", "(1,)"), "times");
        refused(&header("<f16", "(1,)"), "astype");
        refused(&header("", "(1,)"), "values of type ''");
        refused(&header("|i4", "(2,)"), "order");
        refused(&header("\u{e9}", "(2,)"), "values of type");
        refused("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,)}", "several fields");
        refused(
            "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3)}",
            "a needs 24 bytes for i32 [2, 3]",
        );
        refused("{'descr': '<i4', 'fortran_order': False}", "no 'shape'");
        refused("{'descr': '<i4' 'shape': (2,)}", "needs a '}'");
        refused("{'descr': '<i4', 'other': 1}", "'other'");
        refused("{'shape': (2, -1)}", "an extent");
        refused("{'shape': (99999999999999999999999,)}", "an extent");
        refused("{'fortran_order': 0}", "True or False");
        refused("{", "a quoted word");
        refused("", "needs a '{'");
        refused(&format!("{} {{", header("<i4", "(2,)")), "goes on after");
        refused(&header("<i4", "(4294967296, 4294967296, 4294967296)"), "f, byte ");
        refused(&header("<u8", "(1152921504606846976,)"), "and has 8");
    }

    /// As NumPy writes `np.asfortranarray(np.arange(6).reshape(2, 3))`.
    #[test]
    fn fortran_s_order_is_read_row_by_row() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
        let array = parse(&file(header, &[0, 3, 1, 4, 2, 5])).unwrap();
        assert_eq!(
            (array.shape, array.values),
            (vec![2, 3], Values::Bytes(Kind::U8, vec![0, 1, 2, 3, 4, 5]))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(0u8.., 0..200), magic: bool) {
            if magic && bytes.len() > 8 {
                bytes[..8].copy_from_slice(b"\x93NUMPY\x01\x00");
            }
            prop_assert!(parse(&bytes).map_or_else(|err| matches!(err, Error::Data(_)), |_| true));
        }

        #[test]
        fn changed_and_cut_files_are_read_or_refused(
            at: prop::sample::Index, to: u8, cut: prop::sample::Index, kind in 0usize..12, words: bool, fortran: bool,
        ) {
            let kinds = ["b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"];
            let order = if kind < 3 { "|" } else { "<" };
            let size: usize = kinds[kind][1..].parse().unwrap();
            let header = header(&format!("{order}{}", kinds[kind]), "(2, 3)");
            let header = if fortran { header.replace("False", "True") } else { header };
            let whole = file(&header, &vec![0; 6 * size]);
            prop_assert_eq!(parse(&whole).unwrap().values.len(), 6);
            prop_assert!(parse(&whole[..cut.index(whole.len())]).is_err());
            let mut changed = whole.clone();
            let at = at.index(whole.len());
            changed[at] = if words { b"'\"()[]{},:0123456789<>|"[usize::from(to) % 23] } else { to };
            if let Ok(array) = parse(&changed) {
                prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
            }
        }
    }
}
