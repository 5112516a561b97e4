//! `downhill train`

use std::path::{Path, PathBuf};

use clap::Args;
use downhill::Error;
use downhill::config::{Config, Tune};
use downhill::run::{RunDir, Session};

use super::parse;
use super::ranks::ranks;
use super::report;
use super::run::{check_assertions, check_own_weights, check_shared, resume, run_session, work};
use super::run_args::RunArgs;

/// Train the model of a config file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill train examples/digits.toml
  downhill train examples/digits.toml --set optimizer.name=sgd --set optimizer.lr=0.1
  downhill train examples/digits.toml --init runs/digits-1/model.safetensors --steps 100
  downhill train examples/digits.toml --init pretrained.safetensors --init-map \"model.=>\" --set init.strict=false
  downhill train examples/digits.toml --adapter software
  downhill train examples/digits.toml --tune examples/digits.tune.toml
  downhill train examples/digits.toml --memory 1MiB --set train.micro_batch=auto
  downhill train examples/digits.toml --assert \"eval_accuracy >= 0.95\" --assert \"eval_loss < 0.2\"
  downhill train examples/digits.toml --json | jq .eval_loss

The run directory holds config.toml (with every default filled in), metrics.jsonl (a line for each step and each
epoch), checkpoints, and model.safetensors (the final weights, named as in torch.nn.Sequential).
Ctrl-C and SIGTERM finish the step and save a checkpoint; downhill resume continues from it. Under mpirun processes share
each batch by train.shards (docs/guide/mpi.md).
--assert takes eval_loss, eval_accuracy, train_loss, samples_per_second, steps, or a metric of the model, an operator
(>=, <=, >, <, ==) and a number. It checks the last epoch, after everything is written.
With --json standard output is one object a line. The first is {\"event\":\"start\",\"run\":..,\"step\":..,\"total_steps\":..}.
Then come \"epoch\", as in metrics.jsonl with its step, and \"checkpoint\" (step, path, seconds). Once everything is
written, the last is {\"event\":\"end\",\"end\":\"finished\",\"step\":..,\"run\":\"runs/digits-1\"}, or early_stopped, or stopped.
A run that fails has no \"end\".
NO_COLOR=1 turns colours off, TERM=dumb the progress bars.
Exit code: 0; 1 the run failed; 2 the command line or the config is wrong; 3 an assertion does not hold; 130 it was stopped.")]
pub struct TrainArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml", required_unless_present = "resume")]
    config: Option<PathBuf>,
    /// Override a setting, as optimizer.lr=0.01 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// How to run and report
    #[command(flatten)]
    how: RunArgs,
    /// Resume an unfinished run of this config: RUN, that of --out, or the last of the config's name; start a new run
    /// where there is none
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// The run directory [default: runs/<config name>-<number>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of the initial weights and of the order of samples, in place of the config's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Stop after N steps, whatever the config's epochs are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Limit of all buffers on the device together, as 256MiB, in place of the config's [default: 80% of the device's
    /// memory]
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    memory: Option<u64>,
    /// Start from these weights: a safetensors file, or the directory of a run [sets init.file]
    #[arg(long, value_name = "WEIGHTS")]
    init: Option<PathBuf>,
    /// Rename the tensors of --init by the beginnings of their names, as "model.=>" or "fc.=>head." (repeatable, or with
    /// commas) [sets init.map]
    #[arg(long, value_name = "FROM=>TO", value_delimiter = ',')]
    init_map: Vec<String>,
    /// Make products by the tiles of this file, as downhill tune writes it, or of a run's config.toml [sets tune]
    #[arg(long, value_name = "FILE")]
    tune: Option<PathBuf>,
}

impl TrainArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        if !ranks().is_first() {
            return work(&self.how);
        }
        check_shared(&self.how)?;
        report::check_folder(self.how.report.as_ref().and_then(|file| file.as_deref()))?;
        // `--resume` may be followed by the run, or stand before the config.
        let (config, named) = match (&self.config, &self.resume) {
            (None, Some(Some(path))) if path.is_file() => (Some(path), Some(None)),
            (config, named) => (config.as_ref(), named.as_ref().map(Option::as_ref)),
        };
        let Some(file) = config else {
            let Some(Some(run)) = named else {
                return Err(Error::Config("a config, or the run to resume, is needed".into()).into());
            };
            return self.resume(run);
        };
        if file.is_dir() && named.is_some() {
            return self.resume(file);
        }
        let settings = [self.settings.clone(), self.init_settings()?].concat();
        let mut config = self.how.data.load(file, &settings)?;
        config.options.seed = self.seed.unwrap_or(config.options.seed);
        config.options.steps = self.steps.or(config.options.steps);
        config.memory = self.memory.or(config.memory);
        self.name_tiles(&mut config)?;
        if let Some(named) = named {
            let last = match named.or(self.out.as_ref()) {
                Some(path) => Some(path.clone()).filter(|path| RunDir::exists(path)),
                None => RunDir::last(&name_of(file))?,
            };
            if let Some(path) = last {
                self.check_own_weights()?;
                return resume(&path, &[], Some(config), &self.how);
            }
        }
        let (options, check) = (self.how.adapter.shared_gpu_options(), check_assertions(&self.how));
        let session = match named.flatten().or(self.out.as_ref()) {
            Some(path) => Session::start(config, path, &options, None, &check),
            None => Session::start_next(config, &name_of(file), &options, None, &check),
        }?;
        run_session(session, &self.how, Some(file))
    }

    /// Resumes a run by its own config.
    fn resume(&self, run: &Path) -> anyhow::Result<()> {
        let settings = self.as_settings()?;
        if self.tune.is_none() || !RunDir::exists(run) {
            return resume(run, &settings, None, &self.how);
        }
        let mut config = self.how.data.load(&run.join("config.toml"), &settings)?;
        self.name_tiles(&mut config)?;
        resume(run, &settings, Some(config), &self.how)
    }

    /// Puts the tiles of `--tune` into a config.
    fn name_tiles(&self, config: &mut Config) -> Result<(), Error> {
        self.tune.iter().try_for_each(|file| Tune::load(file).map(|tune| config.tune = tune))
    }

    /// `--init` and `--init-map` as settings.
    fn init_settings(&self) -> Result<Vec<String>, Error> {
        let file = self.init.as_deref().map(std::path::absolute).transpose();
        let file = file.map_err(|err| Error::Config(format!("--init: {err}")))?;
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let file = file.map(|file| format!("init.file={}", quoted(&file.to_string_lossy())));
        let map: Vec<String> = self.init_map.iter().map(|rename| quoted(rename)).collect();
        let map = (!map.is_empty()).then(|| format!("init.map=[{}]", map.join(", ")));
        Ok(file.into_iter().chain(map).collect())
    }

    /// Refuses weights for a run that has its own.
    fn check_own_weights(&self) -> Result<(), Error> {
        if self.init.is_some() || !self.init_map.is_empty() {
            let text =
                "--init: a run that exists resumes from its own weights; leave it out, or start another run";
            return Err(Error::Config(text.into()));
        }
        check_own_weights(&self.settings)
    }

    /// The options that change a config, as settings of a run that already has one.
    fn as_settings(&self) -> Result<Vec<String>, Error> {
        self.check_own_weights()?;
        let seed = self.seed.map(|seed| format!("seed={seed}"));
        let steps = self.steps.map(|steps| format!("train.steps={steps}"));
        let memory = self.memory.map(|bytes| format!("train.memory={bytes}"));
        Ok(self.settings.iter().cloned().chain(seed).chain(steps).chain(memory).collect())
    }
}

/// The name of a config's runs.
fn name_of(config: &Path) -> String {
    config.file_stem().map_or_else(|| "run".into(), |s| s.to_string_lossy().into_owned())
}
