//! Data sets, in memory or in files: inputs with targets, one file a source, and the order in which they are drawn.
//!
//! Everything is checked where it is made, so that what follows can rely on it: no part is empty, all fields agree
//! in number, the evaluation part has the shapes of the training part, labels are in range.

mod blocks;
mod chain;
mod dataset;
mod digits;
mod encoding;
mod field;
mod file;
mod fingerprint;
mod formats;
mod images;
pub(crate) mod keys;
mod moments;
mod normalise;
mod pack;
mod part;
mod recognise;
mod remarks;
mod sampler;
mod spill;
mod split;
mod stream;
mod summary;
pub mod synth;
mod table;
mod text;
mod values;
mod vocabulary;

pub use chain::Chain;
pub use dataset::Dataset;
pub use digits::{digits, digits_encoding};
pub use encoding::Encoding;
pub use field::{Field, MOST_CHANNELS, Scale, Windows};
pub use file::{DataFile, FileValues, Written};
pub use formats::{
    Array, ArrayNames, ArrayOptions, Arrays, CifarLabels, array_inputs, arrays, cifar, encoded_inputs,
    encoded_part, idx, npy, npz, safetensors,
};
pub use images::{
    Fit, ImageChanges, ImageEncoding, ImageOptions, array_images, image_inputs, images, images_have_eval,
    images_part, is_image_file,
};
pub use moments::Moments;
pub use normalise::{ArrayEncoding, Normalise};
pub use pack::{Packed, pack, verify, write_pack};
pub use part::{Part, PartBuilder};
pub use recognise::{ends_in, has_file, is_image_folder, is_pack};
pub use sampler::{BatchPlan, BatchSize, Sampling, epoch_order};
pub use spill::Spill;
pub use split::Holdout;
pub use summary::{FieldSummary, Numbers, PartSummary, Summary};
pub use table::{
    ColumnReport, ColumnSummary, ColumnUse, Fill, Fills, InputColumn, InputKind, TableColumn, TableEncoding,
    TableFormat, TableOptions, TableReport, TableRows, TableSummary, TargetColumn, TargetKind, table,
    table_part,
};
pub use text::{TextOptions, sources, text, text_file, text_part};
pub use values::{Kind, Source, Values};
pub use vocabulary::Vocabulary;
