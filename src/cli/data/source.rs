//! The data that a command reads.

use std::path::PathBuf;

use clap::Args;

/// The data to read.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A config, whose [data] is read, or the data: a folder of images, or a file
    #[arg(value_name = "CONFIG.toml|PATH")]
    pub(super) path: PathBuf,
    /// Override or add a setting, as data.source.target=price (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<String>,
}
