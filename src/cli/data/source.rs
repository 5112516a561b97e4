//! The data that a command reads.

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::config::DataConfig;

/// The data to read.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A config, whose [data] is read, or the data: a folder of images, or a file
    #[arg(value_name = "CONFIG.toml|PATH")]
    path: PathBuf,
    /// Override or add a setting, as data.source.target=price (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The column to learn of a table, or the file of targets of an NPY file: --set data.source.target=..
    #[arg(long, value_name = "COLUMN|FILE")]
    target: Option<String>,
}

impl SourceArgs {
    /// Reads the config, or makes one for the path.
    pub(super) fn open(&self) -> Result<DataConfig, Error> {
        let target = self.target.as_ref();
        let target = target.map(|name| format!("data.source.target={}", toml::Value::from(name.as_str())));
        let settings: Vec<String> = self.settings.iter().cloned().chain(target).collect();
        DataConfig::open(&self.path, &settings)
    }
}
