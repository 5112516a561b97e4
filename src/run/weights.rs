//! Weights as safetensors, which Python reads with one line.

use crate::atomic_file::write_whole;
use crate::error::{Error, Result};
use crate::plan::{
    FileTensor, NamedTensor, tensors_from_bytes, weights_from_bytes, weights_to_bytes, wrong_weights,
};
use crate::regular_file::read_regular;
use std::path::Path;

/// The bytes of a file of weights.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    read_regular(path).map_err(|err| match err {
        Error::Io { message, .. } => wrong_weights(&path.display().to_string(), &message),
        other => other,
    })
}

/// Reads f32 tensors from a safetensors file; f64 is rounded, f16 and bf16 are widened exactly.
///
/// # Errors
/// [`Error::Weights`] for a missing, truncated or corrupt file or an unfit element type, naming the path.
pub fn load(path: &Path) -> Result<Vec<NamedTensor>> {
    weights_from_bytes(&path.display().to_string(), &bytes(path)?)
}

/// Reads the tensors of a safetensors file, whatever their types.
///
/// # Errors
/// [`Error::Weights`] for a missing, truncated or corrupt file, naming the path.
pub(super) fn read(path: &Path) -> Result<Vec<FileTensor>> {
    tensors_from_bytes(&path.display().to_string(), &bytes(path)?)
}

/// Writes tensors to `path`: to a temporary name first, synced, then renamed.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn save(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    write_whole(path, &weights_to_bytes(tensors)?)
}
