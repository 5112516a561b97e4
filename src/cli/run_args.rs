//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;
use downhill::GpuOptions;
use downhill::run::Assertion;

/// The adapter of a command that computes.
#[derive(Debug, Clone, Args)]
pub struct AdapterArg {
    /// Adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
}

impl AdapterArg {
    /// The default options with this adapter.
    pub fn gpu_options(&self) -> GpuOptions {
        GpuOptions { adapter: self.adapter.clone(), ..GpuOptions::default() }
    }
}

/// How `train` and `resume` run and report.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
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
