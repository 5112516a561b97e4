//! IDX, the container of MNIST: a big-endian header and raw numbers, as it is or in gzip.
//!
//! ```text
//! byte 0  0, 0               magic
//!      2  type               0x08 u8, 0x09 i8, 0x0b i16, 0x0c i32, 0x0d f32, 0x0e f64
//!      3  rank
//!      4  rank × u32         extents, outermost first, big-endian
//!      …  the values         row-major, big-endian, up to the end of the file
//! ```
//!
//! Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::file::{DataFile, FileValues, Written, file_name};
use super::super::values::Kind;
use super::super::{Dataset, Part};
use super::arrays::{Array, ArrayOptions, dataset, inputs, targets};
use super::folder::files_of;
use super::gzip;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::units::plural;

/// The longest header: 255 dimensions.
const LONGEST: u64 = 4 + 4 * 255;

/// A header that was read.
struct Header {
    shape: Shape,
    written: Written,
    /// The first byte of the values and the byte behind them.
    begin: u64,
    end: u64,
}

fn header(file: &DataFile) -> Result<Header> {
    let size = file.bytes();
    if size < 4 {
        return Err(file.fault(size, "the file ends inside the 4 bytes that begin an IDX file"));
    }
    let first = file.take(0, 4)?;
    if first[..2] != [0, 0] {
        let (zero0, zero1) = (first[0], first[1]);
        let text =
            format!("{zero0:#04x} {zero1:#04x} where an IDX file has two zeros; is it another format?");
        return Err(file.fault(0, text));
    }
    let written = match first[2] {
        0x08 => Written::As(Kind::U8),
        0x09 => Written::As(Kind::I8),
        0x0b => Written::As(Kind::I16),
        0x0c => Written::As(Kind::I32),
        0x0d => Written::As(Kind::F32),
        0x0e => Written::F64,
        other => {
            let text = format!("values of type {other:#04x}; IDX has 0x08, 0x09, 0x0b, 0x0c, 0x0d and 0x0e");
            return Err(file.fault(2, text));
        }
    };
    let rank = first[3];
    if rank == 0 {
        return Err(file.fault(3, "0 dimensions; at least one is needed"));
    }
    let begin = 4 + 4 * u64::from(rank);
    if begin > size {
        return Err(file
            .fault(size, format!("the file ends inside the extents of its {}", plural(rank, "dimension"))));
    }
    let extents = file.take(4, 4 * usize::from(rank))?;
    let extent = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize;
    let shape = Shape::from(extents.chunks_exact(4).map(extent).collect::<Vec<_>>());
    let values = (shape.elements() as u64).saturating_mul(written.bytes() as u64);
    Ok(Header { shape, written, begin, end: begin.saturating_add(values) })
}

/// The array of a file. The header is believed only where the file is exactly as long as it says.
///
/// # Errors
/// [`Error::Data`] with the offset of what is wrong.
pub(in super::super) fn read(file: &Arc<DataFile>) -> Result<Array> {
    if gzip::is_packed(file)? {
        let said = header(&*gzip::start(file, LONGEST)?)?;
        return raw(&gzip::unpack(file, said.end)?);
    }
    raw(file)
}

fn raw(file: &Arc<DataFile>) -> Result<Array> {
    let Header { shape, written, begin, end } = header(file)?;
    let (size, each) = (file.bytes(), written.bytes() as u64);
    if end > size {
        let (have, said) = ((size - begin) / each, shape.elements());
        let text =
            format!("the file ends after {}, and extents of {shape} need {said}", plural(have, "value"));
        return Err(file.fault(size, text));
    }
    if end < size {
        let (more, said) = (size - end, shape.elements());
        let text = format!(
            "{} too many after the {} that extents of {shape} need",
            plural(more, "byte"),
            plural(said, "value")
        );
        return Err(file.fault(end, text));
    }
    let values = FileValues::open(file, begin, shape.elements(), written, true)?;
    Ok(Array { name: file.name(), shape: shape.to_vec(), values })
}

/// Names of the parts of a set: training images and labels, then those to evaluate on.
const ROLES: [(&[&str], &str); 4] = [
    (&["train"], "images"),
    (&["train"], "labels"),
    (&["t10k", "test"], "images"),
    (&["t10k", "test"], "labels"),
];

/// The set of a file, and its index in [`ROLES`]: `emnist-letters-train-images-idx3-ubyte.gz`.
fn role(name: &str) -> Option<(&str, usize)> {
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    for (at, (words, what)) in ROLES.iter().enumerate() {
        for word in *words {
            let middle = format!("{word}-{what}");
            let Some((set, end)) = stem.rsplit_once(middle.as_str()) else { continue };
            let set = if set.is_empty() { Some("") } else { set.strip_suffix('-') };
            let known = end.starts_with("-idx") || end.starts_with(".idx");
            if let (Some(set), true) = (set, known) {
                return Some((set, at));
            }
        }
    }
    None
}

/// The files of a set, in the order of [`ROLES`].
fn find(folder: &Path, set: Option<&str>) -> Result<[Option<PathBuf>; 4]> {
    let mut sets: BTreeMap<String, [Option<PathBuf>; 4]> = BTreeMap::new();
    // In order, so that a file comes before its .gz, which then is not taken.
    for name in files_of(folder)? {
        if let Some((set, at)) = role(&name) {
            sets.entry(set.to_owned()).or_default()[at].get_or_insert(folder.join(&name));
        }
    }
    let place = folder.display();
    let names: Vec<&str> = sets.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let all = names.join(", ");
    let key = match set {
        Some(set) => set.to_owned(),
        None if sets.len() < 2 || sets.contains_key("") => {
            let one = if sets.contains_key("") { None } else { sets.keys().next() };
            one.cloned().unwrap_or_default()
        }
        None => {
            let text =
                format!("{place} has {} sets, {all}; say which, as set = \"{}\"", sets.len(), names[0]);
            return Err(Error::Config(format!("data.source.idx: {text}")));
        }
    };
    let files = sets.get(&key).cloned().unwrap_or_default();
    let stem = if key.is_empty() { String::new() } else { format!("{key}-") };
    let expected = |(words, what): (&[&str], &str)| {
        let rank = if what == "images" { 3 } else { 1 };
        format!("{stem}{}-{what}-idx{rank}-ubyte", words[0])
    };
    let whole = files[0].is_some() && files[1].is_some() && files[2].is_some() == files[3].is_some();
    if !whole {
        let lacking = ROLES.iter().zip(&files).find(|(_, file)| file.is_none());
        let lacking = lacking.map_or_else(String::new, |(role, _)| expected(*role));
        let sets = if names.is_empty() { String::new() } else { format!("; it has the sets {all}") };
        return Err(Error::Data(format!("{place} has no {lacking}, nor {lacking}.gz{sets}")));
    }
    Ok(files)
}

/// MNIST and data sets in the same layout: a folder with images and labels to train on, and usually those to evaluate
/// on. Each is an IDX file, plain or in gzip.
///
/// The files are found by their names, `train-images-idx3-ubyte` and so on, with `t10k` or `test` for the evaluation
/// part and `.` or `-` before `idx`. Where a folder has several sets, as EMNIST's `emnist-letters-train-…`, `set` is
/// the prefix. Images `[n, h, w]` become samples `[1, h, w]`; other arrays become samples of the axes after `n`.
///
/// ```no_run
/// use downhill::data::{self, ArrayOptions};
/// let mnist = data::idx("mnist".as_ref(), None, &ArrayOptions::default())?;
/// assert_eq!(mnist.classes(), Some(10));
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] with the place where a file is missing or at fault; [`Error::Config`] where `set` must be given or
/// the options do not fit; [`Error::Io`].
pub fn idx(folder: &Path, set: Option<&str>, options: &ArrayOptions) -> Result<Dataset> {
    let files = find(folder, set)?;
    let open = |at: usize| files[at].as_ref().map(|path| read(&DataFile::open(path)?)).transpose();
    let part = |at: usize| -> Result<Option<Part>> {
        let (Some(mut images), Some(labels)) = (open(at)?, open(at + 1)?) else { return Ok(None) };
        if images.shape.len() == 3 {
            images.shape.insert(1, 1);
        }
        Part::new(inputs(&images)?, targets(&labels, &images)?).map(Some)
    };
    let Some(train) = part(0)? else {
        return Err(Error::Data(format!("{} has nothing to train on", folder.display())));
    };
    let eval = if options.own_part() { part(2)? } else { None };
    dataset(file_name(folder), train, eval, None, options)
}

#[cfg(test)]
mod tests {
    use super::super::gzip::tests::pack;
    use super::*;
    use crate::data::Values;
    use proptest::prelude::*;

    fn file(kind: u8, extents: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, extents.len() as u8];
        bytes.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Array> {
        read(&DataFile::memory("f", bytes.to_vec()))
    }

    #[track_caller]
    fn assert_refused(bytes: &[u8], words: &str) {
        let err = parse(bytes).unwrap_err();
        assert!(matches!(&err, Error::Data(text) if text.starts_with(words)), "{err}");
    }

    #[test]
    fn a_file_is_read_as_written() {
        let read = |kind, values: &[u8]| {
            let bytes = file(kind, &[2, 1], values);
            let array = parse(&bytes).unwrap();
            let packed = parse(&pack(&bytes)).unwrap();
            assert_eq!((&packed.shape, &packed.values), (&array.shape, &array.values));
            assert_eq!(array.shape, [2, 1]);
            array.values
        };
        assert_eq!(read(8, &[1, 255]), Values::from(vec![1u8, 255]));
        assert_eq!(read(9, &[1, 255]), Values::Bytes(Kind::I8, vec![1, 255]));
        assert_eq!(read(11, &[1, 2, 3, 4]), Values::Bytes(Kind::I16, vec![2, 1, 4, 3]));
        assert_eq!(read(12, &[0, 0, 0, 1, 255, 255, 255, 255]), Values::I32(vec![1, -1]));
        assert_eq!(read(13, &[0.5f32, -2.0].map(f32::to_be_bytes).concat()), Values::F32(vec![0.5, -2.0]));
        assert_eq!(read(14, &[0.1f64, 2.0].map(f64::to_be_bytes).concat()), Values::F32(vec![0.1, 2.0]));
        assert!(parse(&file(8, &[0, 3], &[])).unwrap().values.is_empty());
    }

    #[test]
    fn every_fault_is_told_with_its_offset() {
        let good = file(8, &[2, 3], &[7; 6]);
        assert_refused(&[], "f, byte 0: the file ends inside the 4 bytes");
        assert_refused(&good[..3], "f, byte 3: the file ends inside the 4 bytes");
        assert_refused(&good[..11], "f, byte 11: the file ends inside the extents of its 2 dimensions");
        assert_refused(&good[..17], "f, byte 17: the file ends after 5 values, and extents of [2, 3] need 6");
        assert_refused(&[&good[..], &[1, 2]].concat(), "f, byte 18: 2 bytes too many after the 6 values");
        assert_refused(b"\x89PNG", "f, byte 0: 0x89 0x50");
        assert_refused(&[0, 0, 0x0f, 1], "f, byte 2: values of type 0x0f");
        assert_refused(&[0, 0, 8, 0, 1], "f, byte 3: 0 dimensions");
        assert_refused(&[0, 0, 8, 255, 1], "f, byte 5: the file ends inside the extents of its 255");
        let packed = pack(&good);
        assert_refused(&packed[..packed.len() - 3], "f, byte ");
        assert_refused(&packed[..4], "f, byte 4: the compressed data end before");
        assert_refused(&pack(&good[..17]), "f, unpacked, byte 17: the file ends after 5 values");
        assert_refused(&pack(&[&good[..], &[1]].concat()), "f, unpacked, byte 18: the data go on");
    }

    #[test]
    fn headers_that_lie_allocate_nothing() {
        for extents in [&[u32::MAX; 8][..], &[u32::MAX], &[1 << 31, 2], &[1 << 16; 4]] {
            let end = 8 + 4 * extents.len();
            assert_refused(&file(8, extents, &[0; 4]), &format!("f, byte {end}: the file ends after 4"));
        }
    }

    #[test]
    fn files_are_known_by_their_names() {
        assert_eq!(role("train-images-idx3-ubyte"), Some(("", 0)));
        assert_eq!(role("train-labels.idx1-ubyte.gz"), Some(("", 1)));
        assert_eq!(role("t10k-images.idx3-ubyte"), Some(("", 2)));
        assert_eq!(role("emnist-letters-test-labels-idx1-ubyte.gz"), Some(("emnist-letters", 3)));
        assert_eq!(role("xtrain-images-idx3-ubyte"), None);
        assert_eq!(role("train-images.png"), None);
    }

    #[test]
    fn a_folder_lacks_a_file_or_has_several_sets() {
        let dir = tempfile::tempdir().unwrap();
        let add = |name: &str| std::fs::write(dir.path().join(name), file(8, &[2], &[0, 1])).unwrap();
        let load = |set| idx(dir.path(), set, &ArrayOptions::default()).map_err(|err| err.to_string());
        assert!(load(None).unwrap_err().contains("no train-images-idx3-ubyte, nor"));
        add("a-train-images-idx1-ubyte");
        assert!(load(None).unwrap_err().contains("no a-train-labels-idx1-ubyte, nor"));
        add("a-train-labels-idx1-ubyte");
        assert_eq!(load(None).unwrap().classes(), Some(2));
        add("b-train-labels-idx1-ubyte");
        let err = load(None).unwrap_err();
        assert!(err.contains("2 sets, a, b") && err.contains("set = \"a\""), "{err}");
        assert_eq!(load(Some("a")).unwrap().name(), dir.path().file_name().unwrap().to_str().unwrap());
        let err = load(Some("c")).unwrap_err();
        assert!(err.contains("no c-train-images") && err.contains("the sets a, b"), "{err}");
        add("a-t10k-images-idx1-ubyte");
        assert!(load(Some("a")).unwrap_err().contains("no a-t10k-labels-idx1-ubyte"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(0u8.., 0..64), header: bool) {
            if header && bytes.len() > 4 {
                bytes[..2].copy_from_slice(&[0, 0]);
                bytes[2] = 8 + bytes[2] % 7;
                bytes[3] %= 4;
            }
            match parse(&bytes) {
                Ok(idx) => prop_assert_eq!(idx.shape.iter().product::<usize>(), idx.values.len()),
                Err(err) => prop_assert!(matches!(err, Error::Data(_))),
            }
        }

        #[test]
        fn a_cut_or_a_longer_file_is_refused(
            extents in prop::collection::vec(1u32..5, 1..4),
            cut: prop::sample::Index,
        ) {
            let whole = file(8, &extents, &vec![3; extents.iter().product::<u32>() as usize]);
            prop_assert!(parse(&whole).is_ok());
            prop_assert!(parse(&whole[..cut.index(whole.len())]).is_err());
            prop_assert!(parse(&[&whole[..], &[0]].concat()).is_err());
        }
    }
}
