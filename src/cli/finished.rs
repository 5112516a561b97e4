//! The directory of a finished run: its config, the encoding of its data, its weights.

use std::path::{Path, PathBuf};

use downhill::config::Config;
use downhill::data::Encoding;
use downhill::error::Result;
use downhill::plan::NamedTensor;
use downhill::run;
use downhill::run::RunDir;
use downhill::{Error, Gpu};

use super::run_args::{AdapterArg, DataRootArg, FinishedArgs};

/// A finished run.
pub(super) struct Finished {
    pub path: PathBuf,
    pub config: Config,
    pub encoding: Option<Encoding>,
}

impl Finished {
    /// Reads `config.toml` and `data.json`.
    pub fn open(run: &Path) -> Result<Finished> {
        Self::open_with(run, &DataRootArg { data_root: None }, &[])
    }

    /// [`Finished::open`] with the folder of the data's files, and with settings of the config changed.
    pub fn open_with(run: &Path, data: &DataRootArg, settings: &[String]) -> Result<Finished> {
        if !run.is_dir() {
            return Err(Error::Config(format!(
                "{}: no such directory; the directory of a run is needed, as train made it",
                run.display()
            )));
        }
        let config = data.load(&run.join("config.toml"), settings)?;
        Ok(Finished { path: run.to_owned(), config, encoding: RunDir::encoding(run)? })
    }

    /// The run's own weights.
    pub fn own_weights(&self) -> Result<Vec<NamedTensor>> {
        let path = self.path.join("model.safetensors");
        if !path.exists() {
            return Err(Error::Weights(format!(
                "{}: no such file; a run writes its weights at its end, so train it to the end",
                path.display()
            )));
        }
        run::load(&path)
    }

    /// The weights that the arguments select, and their path.
    pub fn weights(&self, args: &FinishedArgs) -> Result<(PathBuf, Vec<NamedTensor>)> {
        if let Some(path) = &args.weights {
            return Ok((path.clone(), run::load(path)?));
        }
        let name = if args.average { "average.safetensors" } else { "model.safetensors" };
        let weights = if args.average { self.average_weights()? } else { self.own_weights()? };
        Ok((self.path.join(name), weights))
    }

    /// The average of the run's weights.
    pub fn average_weights(&self) -> Result<Vec<NamedTensor>> {
        let path = self.path.join("average.safetensors");
        if !path.exists() {
            return Err(Error::Weights(format!(
                "{}: no such file; a run keeps an average where its config says so, as average.kind = \"ema\", and \
                 writes it at its end",
                path.display()
            )));
        }
        run::load(&path)
    }

    /// [`Finished::gpu`] for a device that works together with those of the other ranks.
    pub fn shared_gpu(&self, adapter: &AdapterArg) -> Result<Gpu> {
        Gpu::open(&self.config.gpu_options(&adapter.shared_gpu_options()))
    }

    /// Opens the device with the run's limit of memory.
    pub fn gpu(&self, adapter: &AdapterArg) -> Result<Gpu> {
        Gpu::open(&self.config.gpu_options(&adapter.gpu_options()))
    }
}
