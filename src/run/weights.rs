//! Weights as safetensors, which Python reads with one line.

use crate::atomic_file::write_whole;
use crate::error::{Error, Result};
use crate::plan::NamedTensor;
use crate::regular_file::read_regular;
use crate::shape::Shape;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Reads f32 tensors (or f64, rounded) from a safetensors file.
///
/// # Errors
/// [`Error::Weights`] for a missing, truncated or corrupt file or an unfit element type, naming the path.
pub fn load(path: &Path) -> Result<Vec<NamedTensor>> {
    let wrong = |what: String| Error::Weights(format!("cannot load {}: {what}", path.display()));
    let bytes = read_regular(path).map_err(|err| match err {
        Error::Io { message, .. } => wrong(message),
        other => other,
    })?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|err| wrong(format!("not a whole safetensors file ({err}); save it again")))?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F64 => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            // torch counts a batch norm's steps in whole numbers.
            Dtype::I64 if name.ends_with("num_batches_tracked") => {
                data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect()
            }
            other => return Err(wrong(format!("tensor {name} is {other:?}; f32 or f64 is needed"))),
        };
        tensors.push(NamedTensor { name, shape: Shape::from(view.shape()), values });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
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
