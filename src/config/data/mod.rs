//! The `[data]` table: where the samples come from, how they are cut, and how they make batches.
//!
//! A format has a row in `formats.rs`, from which follow names, keys, errors, what `data inspect` recognises and the
//! reference page; and a `Source` in the file of its kind.

mod alone;
mod arrays;
mod formats;
mod images;
mod keys;
mod other;
mod pack;
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
pub use pack::PackSpec;
pub(super) use section::{Batches, read, to_toml};
pub use spec::DataSpec;
pub use table::TableSpec;
pub use text::TextSpec;

#[cfg(test)]
mod tests;
