//! Arrays in files: one file a format, each with the function that makes a data set of it.

mod arrays;
mod cifar;
mod gzip;
pub(super) mod idx;
mod input;
mod named;
mod npy;
mod safetensors;
mod zip;

pub use arrays::ArrayOptions;
pub use cifar::{CifarLabels, cifar};
pub use idx::idx;
pub use input::array_inputs;
pub use named::{ArrayNames, npz, safetensors};
pub use npy::npy;

use std::path::Path;

use crate::error::{Error, Result};

/// The names of what is in a folder, in order.
fn files_of(folder: &Path) -> Result<Vec<String>> {
    let fault = |err: std::io::Error| Error::io("cannot read the folder", folder, &err);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
