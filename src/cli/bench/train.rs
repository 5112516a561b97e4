//! `downhill bench train`

use std::path::PathBuf;

use clap::Args;
use downhill::bench::{self, Subject, workloads};
use downhill::config::Config;
use downhill::{Error, Gpu};

use super::common::{CommonArgs, PythonArg};

/// Training steps, and each of their kernels against the roofline
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench train
  downhill bench train --nets 784-256-256-10
  downhill bench train --nets lenet --python python3
  downhill bench train examples/digits.toml --set data.batch_size=512")]
pub struct TrainArgs {
    /// A config file, whose net replaces the built-in ones
    #[arg(value_name = "CONFIG.toml", conflicts_with = "python")]
    config: Option<PathBuf>,
    /// Override a setting of the config, as data.batch_size=64 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    settings: Vec<String>,
    /// Built-in nets, by a part of their names [default: all]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', conflicts_with = "config")]
    nets: Vec<String>,
    /// PyTorch beside the results
    #[command(flatten)]
    python: PythonArg,
    /// Arguments of every benchmark
    #[command(flatten)]
    common: CommonArgs,
}

impl TrainArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let subjects = self.subjects()?;
        self.common.measure_beside(Some(&self.python), |gpu, options| bench::train(gpu, options, subjects))
    }

    /// The net of the config, or the selected built-in nets.
    fn subjects(&self) -> Result<Vec<Subject<'static>>, Error> {
        let Some(path) = &self.config else {
            let all = workloads();
            let names: Vec<String> = all.iter().map(|w| w.name.clone()).collect();
            let is_known = |part: &str| names.iter().any(|name| name.contains(part));
            if let Some(unknown) = self.nets.iter().find(|part| !is_known(part)) {
                return Err(Error::Config(format!(
                    "no built-in net has \"{unknown}\" in its name; there are: {}",
                    names.join(", ")
                )));
            }
            let is_selected =
                |name: &str| self.nets.is_empty() || self.nets.iter().any(|part| name.contains(part));
            return Ok(all.into_iter().filter(|w| is_selected(&w.name)).map(Subject::from).collect());
        };
        let config = Config::load(path, &self.settings)?;
        let data = config.dataset()?;
        let name =
            path.file_stem().map_or_else(|| "config".into(), |stem| stem.to_string_lossy().into_owned());
        let trainer = move |gpu: &Gpu| config.trainer(gpu, &data);
        Ok(vec![Subject { name, trainer: Box::new(trainer) }])
    }
}
