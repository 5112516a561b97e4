//! safetensors: a header in JSON, and little-endian numbers, read where they lie.
//!
//! ```text
//! byte 0  u64                length of the header, little-endian
//!      8  the header         {"x": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}, ...}
//!      …  the values         row-major, at their offsets from here on
//! ```
//!
//! Source: Hugging Face, *safetensors*, its README's section on the format.

use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::super::file::{DataFile, FileValues, Written};
use super::super::values::Kind;
use super::arrays::Array;
use crate::error::Result;
use crate::shape::Shape;

/// A file whose header was read.
#[derive(Debug)]
pub(super) struct Tensors {
    file: Arc<DataFile>,
    /// The first byte of the values.
    begin: u64,
    header: Metadata,
}

impl Tensors {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) with the offset of what is wrong: the header is believed only where the
    /// file is exactly as long as it says.
    pub fn open(file: &Arc<DataFile>) -> Result<Tensors> {
        let size = file.bytes();
        let length = file.take(0, 8)?;
        let length = u64::from_le_bytes(std::array::from_fn(|i| length[i]));
        let Some(begin) = length.checked_add(8).filter(|begin| *begin <= size) else {
            let text =
                format!("a header of {length} bytes, and the file ends at byte {size}; is it safetensors?");
            return Err(file.fault(0, text));
        };
        let text = file.take(8, length as usize)?;
        let header: Metadata = serde_json::from_slice(&text)
            .map_err(|err| file.fault(8, format!("the header is not that of safetensors: {err}")))?;
        let ends = header.tensors();
        let end = ends.values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        if begin.checked_add(end) != Some(size) {
            let has = size - begin;
            let text = format!("{has} bytes of values, and the header says {end}; is the file whole?");
            return Err(file.fault(begin, text));
        }
        Ok(Tensors { file: Arc::clone(file), begin, header })
    }

    /// The tensors' names, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.tensors().into_keys().collect();
        names.sort();
        names
    }

    /// The tensor of a name that is there.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) where its numbers cannot be read, or are not as many as its shape has.
    pub fn read(&self, name: &str) -> Result<Array> {
        let Some(TensorInfo { dtype, shape, data_offsets: (from, to) }) = self.header.info(name) else {
            return Err(self.file.fault(8, format!("the header has no tensor \"{name}\"")));
        };
        let written = match dtype {
            Dtype::BOOL => Written::Bool,
            Dtype::U8 => Written::As(Kind::U8),
            Dtype::I8 => Written::As(Kind::I8),
            Dtype::U16 => Written::As(Kind::U16),
            Dtype::I16 => Written::As(Kind::I16),
            Dtype::F16 => Written::As(Kind::F16),
            Dtype::I32 => Written::As(Kind::I32),
            Dtype::F32 => Written::As(Kind::F32),
            Dtype::U32 => Written::U32,
            Dtype::U64 => Written::U64,
            Dtype::I64 => Written::I64,
            Dtype::F64 => Written::F64,
            other => {
                let text =
                    format!("{name} has values of type {other}, which cannot be read; save it as float32");
                return Err(self.file.fault(8, text));
            }
        };
        let shape = Shape::from(shape.clone());
        let (count, bytes) = (shape.elements(), to.saturating_sub(*from));
        if count.checked_mul(written.bytes()) != Some(bytes) {
            let (kind, name) = (written.name(), name);
            return Err(self
                .file
                .fault(8, format!("{name} has {bytes} bytes, which {kind} {shape} does not")));
        }
        let values = FileValues::open(&self.file, self.begin + *from as u64, count, written, false)?;
        Ok(Array { name: name.to_owned(), shape: shape.to_vec(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use proptest::prelude::*;

    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), values].concat()
    }

    const TWO: &str = r#"{"a":{"dtype":"U8","shape":[2,1],"data_offsets":[0,2]},"b":{"dtype":"I64","shape":[1],"data_offsets":[2,10]}}"#;

    fn parse(bytes: Vec<u8>) -> Result<Vec<Array>> {
        let tensors = Tensors::open(&DataFile::memory("f", bytes))?;
        tensors.names().iter().map(|name| tensors.read(name)).collect()
    }

    #[test]
    fn tensors_are_read_by_name() {
        let arrays = parse(file(TWO, &[1, 2, 7, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        assert_eq!((&arrays[0].shape, &arrays[0].values), (&vec![2, 1], &Values::from(vec![1u8, 2])));
        assert_eq!(arrays[1].values, Values::I32(vec![7]));
    }

    #[test]
    fn every_fault_is_told_with_its_offset() {
        let told = |bytes: Vec<u8>, words: &str| {
            let err = parse(bytes).unwrap_err().to_string();
            assert!(err.contains(words), "{words}: {err}");
        };
        told(vec![], "f, byte 0: 8 bytes are needed");
        told(vec![255; 9], "f, byte 0: a header of 18446744073709551615 bytes");
        told(file("{]", &[]), "f, byte 8: the header is not that of safetensors");
        told(file(TWO, &[0; 9]), "9 bytes of values, and the header says 10");
        told(file(TWO, &[0; 11]), "11 bytes of values");
        told(file(&TWO.replace("I64", "BF16").replace("10]", "4]"), &[0; 4]), "b has values of type BF16");
        told(file(&TWO.replace("[2,1]", "[3]"), &[0; 10]), "f, byte 8: ");
        let far = TWO.replace("[2,1]", "[4294967296,4294967296,4294967296]");
        told(file(&far, &[0; 10]), "f, byte 8: ");
        told(file(TWO, &[1, 2, 7, 0, 0, 0, 0, 1, 0, 0]), "does not fit into 32 bits");
    }

    proptest! {
        #[test]
        fn changed_and_cut_files_are_read_or_refused(at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
            let whole = file(TWO, &[0; 10]);
            prop_assert!(parse(whole[..cut.index(whole.len())].to_vec()).is_err());
            let mut changed = whole;
            let at = at.index(changed.len());
            changed[at] = to;
            for array in parse(changed).into_iter().flatten() {
                prop_assert_eq!(array.shape.iter().product::<usize>(), array.values.len());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(0u8.., 0..100), short: bool) {
            if short && bytes.len() > 8 {
                bytes[1..8].fill(0);
            }
            let _ = parse(bytes);
        }
    }
}
