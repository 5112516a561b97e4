//! Arrays in files: one file a format, each with the function that makes a data set of it.

mod arrays;
mod cifar;
mod folder;
mod fortran;
mod gzip;
pub(super) mod idx;
mod input;
mod named;
mod npy;
mod safetensors;
mod zip;

pub use arrays::{Array, ArrayOptions, Arrays, arrays};
pub use cifar::{CifarLabels, cifar};
pub use idx::idx;
pub use input::{array_inputs, encoded_inputs, encoded_part};
pub use named::{ArrayNames, npz, safetensors};
pub use npy::npy;
