//! The `[data]` table: the source of the samples, how they are cut, and how they are batched.
//!
//! A format has a row in `formats.rs`, and a `Source` in the file of its kind. Names, keys, errors, the formats that
//! `data inspect` recognises and the reference page follow from the row.

mod alone;
mod arrays;
mod formats;
mod images;
mod keys;
mod memory;
mod other;
mod pack;
pub(super) mod root;
mod section;
mod source;
mod spec;
mod table;
mod text;

pub use alone::DataConfig;
pub use arrays::{ArrayFiles, ArraysSpec, CifarKeys, IdxKeys, NpyKeys};
pub use formats::{DATA_FORMATS, DataFormat};
pub use images::ImagesSpec;
pub use keys::{HoldoutKeys, KeyGroup};
pub use memory::{MemorySpec, Samples};
pub use pack::PackSpec;
pub(super) use section::{Batches, read, to_toml};
pub use spec::DataSpec;
pub use table::TableSpec;
pub use text::TextSpec;

#[cfg(test)]
mod tests;
