//! `downhill bench atlas`: one file of an adapter's measurements, and pages that compare such files.

mod compare;
mod date;
mod file;
mod measure;
mod table;

pub use compare::{AtlasEntry, atlas_figure, atlas_page, atlas_text};
pub use file::{ATLAS_SCHEMA, Atlas, AtlasAdapter, AtlasLaunch, AtlasOptimizer, AtlasProduct, AtlasVersions};
pub use measure::atlas;
