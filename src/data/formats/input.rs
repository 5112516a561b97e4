//! An array of inputs alone, for a trained model: NPY or IDX.

use std::path::Path;

use super::super::file::DataFile;
use super::super::{ArrayEncoding, Field, Kind, Part};
use super::arrays::{Array, found, inputs, targets};
use super::{idx, npy};
use crate::error::{Error, Result};

/// The samples of an NPY or an IDX file, as it is or in gzip, along its first axis, scaled as a run's data were.
/// Without an encoding the model gets the numbers as they are.
///
/// Inputs of a digits model may be bytes from 0 to 16, as in the data files, or floats from 0 to 1, as in training.
///
/// # Errors
/// [`Error::Data`] with the offset of what is wrong in the file, or where its samples have another shape or kind;
/// [`Error::Io`].
pub fn array_inputs(path: &Path, encoding: Option<&ArrayEncoding>) -> Result<Field> {
    let file = DataFile::open(path)?;
    let file_name = file.name().to_lowercase();
    let ending = file_name.trim_end_matches(".gz").rsplit('.').next().unwrap_or_default();
    let array = match ending {
        "npy" => npy::whole(&file)?,
        "npz" | "safetensors" => {
            return Err(Error::Data(format!(
                "{}: it may hold several arrays; save the inputs by themselves, as numpy.save does",
                path.display()
            )));
        }
        _ => idx::read(&file)?,
    };
    let field = encoded_inputs(&array, encoding)?;
    if encoding.is_none() && ending != "npy" && field.shape().len() == 2 {
        let shape = [&[1], &field.shape()[..]].concat();
        return Ok(field.reshaped(&shape));
    }
    Ok(field)
}

/// An array as inputs of a trained model, scaled as a run's data were; as they are without an encoding. Inputs of a digits model
/// may be bytes from 0 to 16, or floats from 0 to 1.
///
/// # Errors
/// [`Error::Data`] where its samples have another shape or kind.
pub fn encoded_inputs(array: &Array, encoding: Option<&ArrayEncoding>) -> Result<Field> {
    let field = inputs(array)?;
    match encoding {
        None => Ok(field),
        Some(encoding) if encoding.divisor == 16.0 && field.values().kind() != Kind::U8 => {
            ArrayEncoding { divisor: 1.0, ..encoding.clone() }.apply(&array.name, field)
        }
        Some(encoding) => encoding.apply(&array.name, field),
    }
}

/// Arrays to evaluate a trained model on, encoded as a run's data were, and how many classes their labels have.
///
/// # Errors
/// As [`encoded_inputs`], and of targets as [`arrays`](super::arrays()).
pub fn encoded_part(
    x: &Array,
    t: Option<&Array>,
    encoding: Option<&ArrayEncoding>,
) -> Result<(Part, Option<usize>)> {
    let inputs = encoded_inputs(x, encoding)?;
    let part = match t {
        Some(t) => Part::new(inputs, targets(t, x)?)?,
        None => Part::builder().input("x", inputs).build()?,
    };
    let classes = found(&part, None)?;
    Ok((part, classes))
}

#[cfg(test)]
mod tests {
    use super::super::super::digits_encoding;
    use super::*;

    fn npy(shape: &str, descr: &str, values: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), values].concat()
    }

    #[test]
    fn inputs_are_scaled_as_the_runs_were() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: &[u8], encoding: Option<&ArrayEncoding>| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            array_inputs(&path, encoding).map_err(|err| err.to_string())
        };
        let digits = digits_encoding();
        let bytes: Vec<u8> = (0..128).map(|i| i % 17).collect();
        // Bytes and floats, with the channel and without.
        let wanted: Vec<f64> = bytes.iter().map(|&b| f64::from(b) / 16.0).collect();
        let floats: Vec<u8> = wanted.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
        let idx = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8][..], &bytes].concat();
        for (name, file) in [
            ("a.npy", npy("(2, 8, 8)", "|u1", &bytes)),
            ("b.npy", npy("(2, 1, 8, 8)", "<f4", &floats)),
            ("c-idx3-ubyte", idx.clone()),
        ] {
            let field = open(name, &file, Some(&digits)).unwrap();
            assert_eq!((field.len(), &field.shape()[..]), (2, &[1, 8, 8][..]), "{name}");
            assert_eq!(field.samples(0, 2).unwrap(), wanted, "{name}");
            assert!(field.is_float(), "{name}");
        }
        // Without an encoding as they are; IDX images get their channel.
        let field = open("c-idx3-ubyte", &idx, None).unwrap();
        assert_eq!((&field.shape()[..], field.is_float()), (&[1, 8, 8][..], false));
        let unit = ArrayEncoding { divisor: 255.0, ..digits.clone() };
        let err = open("b.npy", &npy("(2, 1, 8, 8)", "<f4", &floats), Some(&unit)).unwrap_err();
        assert!(err.contains("b.npy holds f32") && err.contains("uint8"), "{err}");
        let err = open("a.npy", &npy("(8, 16)", "|u1", &bytes), Some(&digits)).unwrap_err();
        assert!(err.contains("shape [16]") && err.contains("trained on [1, 8, 8]"), "{err}");
        let err = open("a.npz", b"PK", Some(&digits)).unwrap_err();
        assert!(err.contains("by themselves"), "{err}");
    }
}
