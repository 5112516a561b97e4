//! The packed format, `.dhd`: any data set as one file, whose numbers lie as they go to the device.
//!
//! ```text
//! byte 0   89 44 48 44 0d 0a 1a 0a    magic: what a transfer as text would change is in it
//!      8   u32                        version, 1
//!     12   u32                        0
//!     16   u64                        bytes of the description, n
//!     24   u64                        bytes of the file
//!     32   u64                        XXH3 of bytes 0 to 31 and of the description
//!     40   n bytes                    the description, JSON
//!      …   arrays                     each at a multiple of 4096, zeros between them
//! ```
//!
//! All numbers are little-endian. The description has the data set's `name`, `classes` and `encoding` (as in `data.json`);
//! `arrays`, each with `kind`, `numbers`, `offset` and the `xxh3` of its bytes in 16 hexadecimal digits; and the parts
//! `train` and `eval`, each a list of fields: `name`, `role` (`input` or `target`), `shape` of a sample, `scale`, its
//! `array`, and `first`, `hop` and `samples`, which say that sample i begins at number first + i·hop of the array.
//!
//! The samples of a part lie in its order, so that a split stays what it was. Fields over one sequence, as those of a
//! text, share an array.
//!
//! XXH3 guards against damage, not against malice: it is faster than a disk, and needs no build tools.

mod description;
mod write;

use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::file::{DataFile, FileValues, Written};
use super::{Dataset, Field, Part, Values, Windows};
use crate::error::{Error, Result};
use crate::shape::Shape;
pub(super) use description::MAGIC;
use description::{
    ALIGN, Array, BLOCK, Description, FieldDescription, PREFIX, Role, SUMMED, VERSION, digest,
};
pub use write::{Packed, write_pack};

/// An open file whose description is whole.
struct Pack {
    file: Arc<DataFile>,
    description: Description,
    /// The end of the description.
    end: u64,
}

impl Pack {
    fn open(path: &Path) -> Result<Pack> {
        let file = DataFile::open(path)?;
        let prefix = file.take(0, PREFIX)?;
        if prefix[..8] != MAGIC {
            let text =
                "no packed data set: it does not begin as one; downhill data convert makes one of other data";
            return Err(file.fault(0, text));
        }
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&prefix[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let version = word(8);
        if version != u64::from(VERSION) {
            let text =
                format!("version {version} of the packed format; this program reads version {VERSION}");
            return Err(file.fault(8, text));
        }
        let (length, bytes) = (word(16), word(24));
        if bytes != file.bytes() {
            let has = file.bytes();
            return Err(file.fault(
                24,
                format!("the file was written with {bytes} bytes and has {has}; copy or convert it again"),
            ));
        }
        let text = file.take(PREFIX as u64, usize::try_from(length).unwrap_or(usize::MAX))?;
        let mut hash = Xxh3::new();
        hash.update(&prefix[..SUMMED]);
        hash.update(&text);
        if hash.digest() != word(SUMMED) {
            let text = "the header is damaged: its checksum differs; copy or convert the file again";
            return Err(file.fault(SUMMED as u64, text));
        }
        let description = serde_json::from_slice(&text).map_err(|err| {
            file.fault(
                PREFIX as u64 + (err.column() as u64).saturating_sub(1),
                format!("the description: {err}"),
            )
        })?;
        Ok(Pack { file, description, end: PREFIX as u64 + length })
    }

    /// The fault is in the description.
    fn fault(&self, text: impl std::fmt::Display) -> Error {
        self.file.fault(PREFIX as u64, format!("the description: {text}"))
    }

    fn array(&self, number: usize, array: &Array) -> Result<Arc<Values>> {
        let Some(kind) = array.kind() else {
            return Err(
                self.fault(format!("array {number} is of kind \"{}\", which there is not", array.kind))
            );
        };
        if !array.offset.is_multiple_of(ALIGN) || array.offset < self.end {
            let (at, end) = (array.offset, self.end);
            return Err(self.fault(format!(
                "array {number} at byte {at}: multiples of {ALIGN} behind byte {end} are allowed"
            )));
        }
        let numbers = usize::try_from(array.numbers).unwrap_or(usize::MAX);
        FileValues::open(&self.file, array.offset, numbers, Written::As(kind), false).map(Arc::new)
    }

    fn part(&self, fields: &[FieldDescription], arrays: &[Arc<Values>]) -> Result<Part> {
        let mut part = Part::builder();
        for field in fields {
            let FieldDescription { name, first, hop, samples, .. } = field;
            let Some(values) = arrays.get(field.array) else {
                let n = arrays.len();
                return Err(self.fault(format!("\"{name}\" is in array {} of {n}", field.array)));
            };
            let at = Windows { first: *first, hop: *hop, samples: *samples };
            let wrong = |err| self.fault(format!("\"{name}\": {err}"));
            let mut found = Field::windows(Shape::from(field.shape.clone()), values, at).map_err(wrong)?;
            if let Some(scale) = &field.scale {
                found = found.scaled(scale.clone()).map_err(wrong)?;
            }
            part = match field.role {
                Role::Input => part.input(name, found),
                Role::Target => part.target(name, found),
            };
        }
        part.build().map_err(|err| self.fault(err))
    }
}

/// A packed data set. Its numbers stay in the file, but for arrays of a few MiB.
///
/// # Errors
/// [`Error::Data`] with the byte at which the file is no packed data set, is damaged in its header, or is longer or
/// shorter than when it was written; [`Error::Io`]. Damage behind the header is found by [`verify`].
pub fn pack(path: &Path) -> Result<Dataset> {
    let pack = Pack::open(path)?;
    let about = &pack.description;
    let arrays: Vec<Arc<Values>> =
        about.arrays.iter().enumerate().map(|(i, array)| pack.array(i, array)).collect::<Result<_>>()?;
    let train = pack.part(&about.train, &arrays)?;
    let eval = about.eval.as_ref().map(|fields| pack.part(fields, &arrays)).transpose()?;
    let data = Dataset::new(&about.name, train, eval, about.classes).map_err(|err| pack.fault(err))?;
    Ok(match about.encoding.clone() {
        Some(encoding) => data.with_encoding(encoding),
        None => data,
    })
}

/// Reads a packed data set whole, compares its checksums, and returns the bytes read. `progress` receives the bytes
/// done and all bytes.
///
/// # Errors
/// As [`pack`]; [`Error::Data`] with the first array that is damaged.
pub fn verify(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
    let pack = Pack::open(path)?;
    let about = &pack.description;
    // Arrays that overlap are each read whole, within the file.
    let mut done = 0;
    for (i, array) in about.arrays.iter().enumerate() {
        let values = pack.array(i, array)?;
        let (size, total) = (values.kind().bytes(), values.bytes());
        let mut hash = Xxh3::new();
        let mut block = vec![0; (total as usize).min(BLOCK)];
        for from in (0..total as usize).step_by(BLOCK) {
            let bytes = &mut block[..(total as usize - from).min(BLOCK)];
            values.read(from / size, bytes)?;
            hash.update(bytes);
            done += bytes.len() as u64;
            progress(done, pack.file.bytes());
        }
        if digest(&hash) != array.xxh3 {
            let fields = about.train.iter().chain(about.eval.iter().flatten());
            let names: Vec<String> =
                fields.filter(|f| f.array == i).map(|f| format!("\"{}\"", f.name)).collect();
            let text = format!(
                "the {total} bytes from here on, of {}, are damaged: their checksum differs; copy or convert the file again",
                names.join(" and ")
            );
            return Err(pack.file.fault(array.offset, text));
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
