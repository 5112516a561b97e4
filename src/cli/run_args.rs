//! Arguments that several commands share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use downhill::GpuOptions;
use downhill::config::Config;
use downhill::error::Result;
use downhill::gpu::{self, threads::OneNet};
use downhill::run::Assertion;

use super::parse;
use super::ranks::ranks;

/// The adapter of a command that computes.
#[derive(Debug, Clone, Args)]
pub struct AdapterArg {
    /// Adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// Time that the device may take for a few kernels before it counts as lost, in place of the config's
    /// train.device_timeout [default: 300, and 3600 on a software adapter]
    #[arg(long, value_name = "SECONDS", value_parser = parse::seconds)]
    pub device_timeout: Option<Duration>,
    /// Folder in which compiled kernels are kept for later starts, or off [default: what DOWNHILL_PIPELINE_CACHE says, else
    /// downhill in the user's folder of caches]
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Have a Vulkan driver leave accesses to buffers unchecked; results have the same bits
    #[arg(long)]
    pub unchecked_buffers: bool,
}

impl AdapterArg {
    /// [`AdapterArg::gpu_options`] of a device that works together with those of the other ranks of this launch.
    pub fn shared_gpu_options(&self) -> GpuOptions {
        GpuOptions { ranks: ranks(), ..self.gpu_options() }
    }

    /// The default options with this adapter.
    pub fn gpu_options(&self) -> GpuOptions {
        let environment = std::env::var_os("DOWNHILL_PIPELINE_CACHE");
        GpuOptions {
            adapter: self.adapter.clone(),
            patience: self.device_timeout,
            pipeline_cache: cache_folder(self.pipeline_cache.as_deref(), environment, gpu::user_cache_folder),
            robust_buffers: !self.unchecked_buffers,
            // SAFETY: a command starts one session, before its view and its writers have threads.
            threads_by_work: Some(unsafe { OneNet::promise() }),
            ..GpuOptions::default()
        }
    }
}

/// The folder of compiled kernels: the option's, the environment's, or the user's; none where the first of them is `off`.
fn cache_folder(
    option: Option<&Path>,
    environment: Option<OsString>,
    user: impl FnOnce() -> Option<PathBuf>,
) -> Option<PathBuf> {
    // A variable that is set to nothing is as one that is not set.
    let named = environment.filter(|name| !name.is_empty()).map(PathBuf::from);
    match option.map(Path::to_path_buf).or(named) {
        Some(folder) if folder.as_os_str() == "off" => None,
        Some(folder) => Some(folder),
        None => user(),
    }
}

/// The folder of the files that a config names.
#[derive(Debug, Clone, Args)]
pub struct DataRootArg {
    /// Folder of the data's files, where they are not where the config has them: a file is looked for below it by its
    /// path in the config, then without the path's first folders
    #[arg(long, value_name = "DIR")]
    pub data_root: Option<PathBuf>,
}

impl DataRootArg {
    /// The config, with its files in this folder.
    pub fn load(&self, config: &Path, settings: &[String]) -> Result<Config> {
        Config::load_from(config, settings, self.data_root.as_deref())
    }
}

/// How `train` and `resume` run and report.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The data
    #[command(flatten)]
    pub data: DataRootArg,
    /// The adapter
    #[command(flatten)]
    pub adapter: AdapterArg,
    /// When the device is lost: end the run (its checkpoints stay), or reopen the device and resume from the last one
    #[arg(long, value_name = "WHAT", default_value = "fail", value_parser = ["fail", "retry"])]
    pub on_device_lost: String,
    /// Condition on the last epoch, as "eval_accuracy >= 0.95" (repeatable)
    #[arg(long = "assert", value_name = "NAME OP NUMBER", value_parser = Assertion::parse)]
    pub assertions: Vec<Assertion>,
    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Print one object a line: the start, epochs, checkpoints and the end
    #[arg(long)]
    pub json: bool,
    /// After the run, time each kernel of a step: a table, profile.json, and trace.json for <https://ui.perfetto.dev>
    #[arg(long)]
    pub profile: bool,
    /// At the end write a report as downhill report does, an HTML file [default: RUN/report.html]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub report: Option<Option<PathBuf>>,
}

impl RunArgs {
    /// True where a person reads the output.
    pub fn is_verbose(&self) -> bool {
        !self.quiet && !self.json
    }
}

/// A finished run, its weights and its batch: `eval` and `predict`.
#[derive(Debug, Args)]
pub struct FinishedArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Use these weights in place of the run's own
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
    /// Use the run's average of the weights, average.safetensors
    #[arg(long, conflicts_with = "weights")]
    pub average: bool,
    /// Samples in one forward pass [default: eval: chosen as in training; predict: the run's batch size, at most 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// The adapter
    #[command(flatten)]
    pub adapter: AdapterArg,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_environment_and_that_before_the_user() {
        let of = |option: Option<&str>, environment: Option<&str>| {
            let folder =
                cache_folder(option.map(Path::new), environment.map(OsString::from), || Some("user".into()));
            folder.map(|folder| folder.to_string_lossy().into_owned())
        };
        for (option, environment, expected) in [
            (None, None, Some("user")),
            (None, Some(""), Some("user")),
            (None, Some("named"), Some("named")),
            (None, Some("off"), None),
            (Some("given"), Some("named"), Some("given")),
            (Some("given"), Some("off"), Some("given")),
            (Some("off"), Some("named"), None),
            (Some("./off"), None, Some("./off")),
        ] {
            assert_eq!(of(option, environment).as_deref(), expected, "{option:?} {environment:?}");
        }
    }
}
