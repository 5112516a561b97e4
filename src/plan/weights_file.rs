//! Weights as the bytes of a safetensors file, which Python reads with one line.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::weights::NamedTensor;
use crate::error::{Error, Result};
use crate::shape::Shape;

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileTensor {
    pub name: String,
    pub shape: Shape,
    /// Its numbers as f32, or its type where that is none of weights.
    pub values: Result<Vec<f32>, Dtype>,
}

impl FileTensor {
    /// Its numbers. `file`: the name of the file, for the error.
    ///
    /// # Errors
    /// [`Error::Weights`] with its type where that is none of weights.
    pub fn weights(self, file: &str) -> Result<Vec<f32>> {
        let FileTensor { name, values, .. } = self;
        values.map_err(|ty| wrong(file, &format!("tensor {name} is {ty:?}; f32, f64, f16 or bf16 is needed")))
    }
}

/// The error of a file that cannot be loaded.
pub(crate) fn wrong(file: &str, what: &str) -> Error {
    Error::Weights(format!("cannot load {file}: {what}"))
}

/// The f32 tensors of a safetensors file, in the order of their names; f64 is rounded, f16 and bf16 are widened exactly.
/// `file`: its name, for errors.
///
/// # Errors
/// [`Error::Weights`] for a truncated or corrupt file or an unfit element type.
pub fn weights_from_bytes(file: &str, bytes: &[u8]) -> Result<Vec<NamedTensor>> {
    let named = |tensor: FileTensor| {
        let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
        Ok(NamedTensor { name, shape, values: tensor.weights(file)? })
    };
    tensors_from_bytes(file, bytes)?.into_iter().map(named).collect()
}

/// The tensors of a safetensors file, whatever their types, in the order of their names.
///
/// # Errors
/// [`Error::Weights`] for a truncated or corrupt file.
pub(crate) fn tensors_from_bytes(name: &str, bytes: &[u8]) -> Result<Vec<FileTensor>> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|err| wrong(name, &format!("not a whole safetensors file ({err}); save it again")))?;
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

/// Tensors as the bytes of a safetensors file.
///
/// # Errors
/// [`Error::Weights`] for a tensor whose values are not as many as its shape says.
pub fn weights_to_bytes(tensors: &[NamedTensor]) -> Result<Vec<u8>> {
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
        let file = safetensors::serialize(views, None).unwrap();
        let read = weights_from_bytes("short.safetensors", &file).unwrap();
        assert_eq!(read[0].values, [1.0, 0.333_251_95]);
        assert_eq!(read[1].values, [1.0, -123.5]);
    }
}
