//! Weights as safetensors, which Python reads with one line.

use crate::atomic_file::write_whole;
use crate::error::{Error, Result};
use crate::plan::NamedTensor;
use crate::regular_file::read_regular;
use crate::shape::Shape;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileTensor {
    pub name: String,
    pub shape: Shape,
    /// Its numbers as f32, or its type where that is none of weights.
    pub values: Result<Vec<f32>, Dtype>,
}

impl FileTensor {
    /// Its numbers.
    ///
    /// # Errors
    /// [`Error::Weights`] with its type where that is none of weights.
    pub fn weights(self, path: &Path) -> Result<Vec<f32>> {
        let FileTensor { name, values, .. } = self;
        values.map_err(|ty| wrong(path, &format!("tensor {name} is {ty:?}; f32, f64, f16 or bf16 is needed")))
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::Weights(format!("cannot load {}: {what}", path.display()))
}

/// Reads f32 tensors from a safetensors file; f64 is rounded, f16 and bf16 are widened exactly.
///
/// # Errors
/// [`Error::Weights`] for a missing, truncated or corrupt file or an unfit element type, naming the path.
pub fn load(path: &Path) -> Result<Vec<NamedTensor>> {
    let named = |tensor: FileTensor| {
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        Ok(NamedTensor { name, shape, values: tensor.weights(path)? })
    };
    read(path)?.into_iter().map(named).collect()
}

/// Reads the tensors of a safetensors file, whatever their types.
///
/// # Errors
/// [`Error::Weights`] for a missing, truncated or corrupt file, naming the path.
pub(super) fn read(path: &Path) -> Result<Vec<FileTensor>> {
    let bytes = read_regular(path).map_err(|err| match err {
        Error::Io { message, .. } => wrong(path, &message),
        other => other,
    })?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|err| wrong(path, &format!("not a whole safetensors file ({err}); save it again")))?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => Ok(data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Ok(data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()),
            Dtype::F16 => Ok(data.as_chunks().0.iter().map(|b| from_f16(u16::from_le_bytes(*b))).collect()),
            Dtype::BF16 => {
                let widened = |b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
                Ok(data.as_chunks().0.iter().map(widened).collect())
            }
            // torch counts a batch norm's steps in whole numbers.
            Dtype::I64 if name.ends_with("num_batches_tracked") => {
                Ok(data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect())
            }
            other => Err(other),
        };
        tensors.push(FileTensor { name, shape: Shape::from(view.shape()), values });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// The f32 of an f16's bits.
fn from_f16(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, u32::from(bits & 1023));
    let size = match exponent {
        // Multiples of 2^-24.
        0 => fraction as f32 / 16_777_216.0,
        // Infinities, and NaN with its fraction.
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | fraction << 13),
    };
    if sign == 1 { -size } else { size }
}

/// Writes tensors to `path`: to a temporary name first, synced, then renamed.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn save(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    write_whole(path, &serialise(tensors)?)
}

/// Tensors as the bytes of a safetensors file.
pub(super) fn serialise(tensors: &[NamedTensor]) -> Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (t, data) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, t.shape.to_vec(), data)
            .map_err(|err| Error::Weights(format!("tensor {}: {err}", t.name)))?;
        views.push((t.name.clone(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|err| Error::Weights(format!("cannot serialise the weights: {err}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_floats_are_widened_exactly() {
        let cases: [(u16, f32); 9] = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(from_f16(bits), value, "{bits:#x}");
        }
        assert!(from_f16(0x8000).is_sign_negative() && from_f16(0x7e00).is_nan());

        let bytes = |bits: &[u16]| bits.iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<u8>>();
        let (half, brain) = (bytes(&[0x3c00, 0x3555]), bytes(&[0x3f80, 0xc2f7]));
        let views = [
            ("a", TensorView::new(Dtype::F16, vec![2], &half).unwrap()),
            ("b", TensorView::new(Dtype::BF16, vec![2], &brain).unwrap()),
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let read = load(&path).unwrap();
        assert_eq!(read[0].values, [1.0, 0.333_251_95]);
        assert_eq!(read[1].values, [1.0, -123.5]);
    }
}
