//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use downhill::run::Assertion;

use super::data_args::DataArgs;
use super::doctor::DoctorArgs;
use super::use_args::{EvalArgs, PredictArgs};

/// Train small neural nets on any GPU, or on none.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = "\
Examples:
  downhill train examples/digits.toml
  downhill train examples/digits.toml --set optimizer.lr=3e-3 --seed 1 --out runs/lr3
  downhill lr-find examples/digits.toml
  downhill eval runs/digits-1
  downhill predict runs/tabular-1 rows.csv
  downhill sample runs/tiny_gpt-1 --prompt \"pub fn \"
  downhill compare runs/digits-1 runs/digits-2
  downhill explain examples/digits.toml
  downhill doctor
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill bench optim")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the model of a config file
    Train(TrainArgs),
    /// Go on with a run that was stopped, as if it never had been
    Resume(ResumeArgs),
    /// Find a learning rate for a config: a short training whose rate grows until the loss does
    LrFind(LrFindArgs),
    /// Evaluate the weights of a run
    Eval(EvalArgs),
    /// Predict with the model of a run: rows, images or arrays in, classes with probabilities or numbers out
    Predict(PredictArgs),
    /// Write text with the model of a run
    Sample(SampleArgs),
    /// Say where two runs part: their metrics, weights and configs
    Compare(CompareArgs),
    /// Show what a run would do, without a GPU: kernels, parameters, buffers, the peak
    Explain(ExplainArgs),
    /// List every adapter, and which one would be chosen and why
    Adapters(AdapterArgs),
    /// Test every kernel on an adapter, and say what to install and what to avoid
    Doctor(DoctorArgs),
    /// Make data
    Data(DataArgs),
    /// Measure the adapter, and how near the kernels come to what it can do
    Bench(BenchArgs),
    /// List the optimizers: equations, sources, defaults, and what an update moves and keeps
    Optimizers(OptimizersArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  downhill completions bash > ~/.local/share/bash-completion/completions/downhill"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What a run does beside training.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// When the device is lost: end the run (its checkpoints stay), or open the device again and go on from the last
    #[arg(long, value_name = "WHAT", default_value = "fail", value_parser = ["fail", "retry"])]
    pub on_device_lost: String,
    /// What must hold at the end, as "eval_accuracy >= 0.95" (repeatable)
    #[arg(long = "assert", value_name = "NAME OP NUMBER", value_parser = Assertion::parse)]
    pub assertions: Vec<Assertion>,
    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Print an object a line: the start, epochs, checkpoints and the end
    #[arg(long)]
    pub json: bool,
    /// At the end, time each kernel of a step: a table, profile.json, and trace.json for <https://ui.perfetto.dev>
    #[arg(long)]
    pub profile: bool,
}

impl RunArgs {
    /// Whether a person reads what is printed.
    pub fn talks(&self) -> bool {
        !self.quiet && !self.json
    }
}

/// `downhill resume`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill resume runs/digits-1
  downhill resume runs/digits-1 --set checkpoint.every_steps=100
  downhill resume runs/digits-1 --set train.epochs=60

Goes on from the newest checkpoint that is whole, or from the beginning where there is none, to the bits of a run that was
never stopped. A config or data that were changed are refused, but for checkpoint, watch, data.workers, and more epochs or
steps. Exit code: 0; 1 the run failed or cannot go on; 2 the command line is wrong; 130 it was stopped by Ctrl-C or SIGTERM.")]
pub struct ResumeArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Change a setting of the run, as checkpoint.every_minutes=1 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// How it goes
    #[command(flatten)]
    pub how: RunArgs,
}

/// `downhill train`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill train examples/digits.toml
  downhill train examples/digits.toml --set optimizer.name=sgd --set optimizer.lr=0.1
  downhill train examples/digits.toml --init runs/digits-1/model.safetensors --steps 100
  downhill train examples/digits.toml --adapter software
  downhill train examples/digits.toml --memory 1MiB --set train.micro_batch=auto
  downhill train examples/digits.toml --assert \"eval_accuracy >= 0.95\" --assert \"eval_loss < 0.2\"
  downhill train examples/digits.toml --json | jq .eval_loss

The run directory holds config.toml (every default filled in), metrics.jsonl (a line for each step and
epoch), checkpoints, and model.safetensors (the final weights, named as in torch.nn.Sequential).
Ctrl-C and SIGTERM finish the step and keep a checkpoint; downhill resume goes on from it.
--assert takes eval_loss, eval_accuracy, train_loss, samples_per_second, steps, or a metric of the model's own, an
operator (>=, <=, >, <, ==) and a number; it is checked against the last epoch, after everything is written.
With --json standard output is one object a line: {\"event\":\"start\",\"run\":..,\"step\":..,\"total_steps\":..}, then
\"epoch\" as in metrics.jsonl, with its step, and \"checkpoint\" (step, path, seconds); the last line, once everything is
written, is {\"event\":\"end\",\"end\":\"finished\",\"step\":..,\"run\":\"runs/digits-1\"}, or early_stopped, or stopped. A run that
fails has no end. NO_COLOR=1 takes the colours away, TERM=dumb the bars.
Exit code: 0; 1 the run failed; 2 the command line or the config is wrong; 3 an assertion does not hold; 130 it was stopped.")]
pub struct TrainArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml", required_unless_present = "resume")]
    pub config: Option<PathBuf>,
    /// Override a setting, as optimizer.lr=0.01 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// How it goes
    #[command(flatten)]
    pub how: RunArgs,
    /// Go on with the run of this config where it did not end: that of RUN, of --out, or the last of its name; begin it
    /// where there is none
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// The run directory [default: runs/<config name>-<number>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Seed of the initial weights and of the order of samples, in place of the config's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Stop after so many steps, whatever the config's epochs say
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// What all buffers on the device may take together, as 256MiB, in place of the config's [default: four fifths of the
    /// device's memory]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<u64>,
    /// Start from these weights
    #[arg(long, value_name = "WEIGHTS.safetensors")]
    pub init: Option<PathBuf>,
}

/// `downhill compare`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill compare runs/digits-1 runs/digits-2
  downhill compare runs/gpu runs/software --tolerance 1e-4 --no-weights
  downhill compare runs/digits-1 runs/digits-2 --weights --json

Step by step and epoch by epoch, all of metrics.jsonl but samples_per_second and data_wait, which time it; then the
final weights, where both runs have them. A metric parts by more than the tolerance times the larger of both numbers, a
weight by more than it times the largest of its tensor; at 0 every bit counts. Keys of config.toml that differ are told,
and count for nothing.
Exit code: 0 the runs are alike; 1 a file cannot be read; 2 the command line is wrong; 3 the runs part.")]
pub struct CompareArgs {
    /// A run directory
    #[arg(value_name = "RUN_A")]
    pub a: PathBuf,
    /// Another
    #[arg(value_name = "RUN_B")]
    pub b: PathBuf,
    /// How far numbers may lie apart, of the larger of them
    #[arg(long, value_name = "T", default_value = "0", value_parser = tolerance, allow_negative_numbers = true)]
    pub tolerance: f64,
    /// Fail where a run has no weights
    #[arg(long, conflicts_with = "no_weights")]
    pub weights: bool,
    /// Leave the weights out
    #[arg(long)]
    pub no_weights: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `--tolerance`
fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..1.0).contains(number));
    number.ok_or_else(|| "a number from 0 on and below 1 is needed, as 1e-6".into())
}

/// `--memory`
fn memory(text: &str) -> Result<u64, String> {
    downhill::units::parse_bytes(text)
}

/// `downhill lr-find`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill lr-find examples/digits.toml
  downhill lr-find examples/digits.toml --set optimizer.name=lion --from 1e-6 --to 1 --steps 200
  downhill lr-find examples/digits_cnn.toml --svg lr.svg

Trains from the initial weights with the learning rate growing by a constant factor each step, and looks where the
smoothed loss falls. The test ends early where it passes four times the best so far. Nothing is kept of the training.
The suggestion is valley, the middle of the longest descent; steep is where the descent is steepest.
Exit code: 0, with a suggestion or without; 1 the run failed; 2 the command line or the config is wrong.")]
pub struct LrFindArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// Override a setting, as optimizer.name=sgd (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// The learning rate of the first step
    #[arg(long, value_name = "LR", default_value = "1e-7", value_parser = rate, allow_negative_numbers = true)]
    pub from: f64,
    /// The learning rate of the last step
    #[arg(long, value_name = "LR", default_value = "10", value_parser = rate, allow_negative_numbers = true)]
    pub to: f64,
    /// How many steps, at least 2; over the ends of epochs, where an epoch has fewer
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub steps: u64,
    /// How much of the running mean of the loss each step keeps, below 1: 0 leaves the losses as they are
    #[arg(long, value_name = "BETA", default_value_t = 0.98, allow_negative_numbers = true)]
    pub smooth: f64,
    /// Seed of the initial weights and of the order of samples, in place of the config's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// Print JSON: every point, and the suggestion
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV: every point
    #[arg(long)]
    pub csv: bool,
    /// Draw the curve into this file
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
}

/// `downhill sample`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill sample runs/tiny_gpt-1
  downhill sample runs/tiny_gpt-1 --prompt \"pub fn \" --length 2000 --temperature 0.8 --top-k 20
  downhill sample runs/tiny_gpt-1 --temperature 0

The run's data must be text. The prompt comes first, then what the model makes of it, one character after the
other; the same seed on the same adapter writes the same text. The model sees the last data.context characters.
Exit code: 0; 1 no weights, or no adapter; 2 the command line is wrong, or the run is not one of text.")]
pub struct SampleArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The text to go on from [default: a line break, which is not printed]
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub prompt: String,
    /// How many characters to write after the prompt
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub length: usize,
    /// Divides the logits: below 1 likely characters become likelier; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Draw from the K likeliest characters only
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Seed of what is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
}

/// `downhill explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill explain examples/digits.toml
  downhill explain examples/digits.toml --set data.batch_size=512 --json
  downhill explain examples/digits.toml --memory 512KiB

With --memory it shows what would be done so that the run takes no more: samples streamed, batches in micro-batches.")]
pub struct ExplainArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml")]
    pub config: PathBuf,
    /// Override a setting, as data.batch_size=64 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// For which kind of adapter: gpu (tiled kernels) or software (subgroup kernels)
    #[arg(long, default_value = "gpu", value_name = "KIND", value_parser = ["gpu", "software"])]
    pub target: String,
    /// What all buffers on the device may take together, as 256MiB, in place of the config's
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `downhill adapters`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill adapters
  downhill adapters --adapter nvidia --json")]
pub struct AdapterArgs {
    /// Show which one this would choose: auto, software, an index, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `downhill optimizers`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill optimizers
  downhill optimizers --markdown > docs/optimizers.md")]
pub struct OptimizersArgs {
    /// Print the page docs/optimizers.md
    #[arg(long)]
    pub markdown: bool,
}

/// `downhill bench`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench optim
  downhill bench matmul --sizes 256,1024 --json
  downhill bench train examples/digits.toml
  downhill bench optim --optimizers adamw --svg adamw.svg

Every result is checked against a reference in f64 before it is timed. docs/benchmarks.md says how to read the numbers.
Exit code: 0; 1 no adapter, or a wrong result; 2 the command line or the config is wrong.")]
pub struct BenchArgs {
    /// What to measure
    #[command(subcommand)]
    pub what: Bench,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Updates of optimizers: fused, a dispatch a tensor, a dispatch an op; beside copy and triad
    Optim(BenchOptimArgs),
    /// Products of matrices under the adapter's roofline
    Matmul(BenchMatmulArgs),
    /// Training steps, and each of their kernels under the roofline
    Train(BenchTrainArgs),
}

/// What every benchmark takes.
#[derive(Debug, Args)]
pub struct BenchCommonArgs {
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// A run of seconds with small arrays: enough to see that it works, not to report
    #[arg(long)]
    pub quick: bool,
    /// Print JSON, numbers in seconds, bytes and their quotients
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV, numbers as in JSON
    #[arg(long)]
    pub csv: bool,
    /// Draw a figure into this file
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
    /// Timed runs of each candidate [default: 15, or 3 if quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: Option<u32>,
}

/// `downhill bench optim`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench optim
  downhill bench optim --optimizers adamw,sgd --sizes 1Ki,1Mi,16Mi --tensors 1,1000
  downhill bench optim --csv > optim.csv")]
pub struct BenchOptimArgs {
    /// Which optimizers; momentum is sgd with momentum = 0.9 [default: all]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub optimizers: Vec<String>,
    /// Parameters in all, as 4096, 64Ki or 16Mi [default: 1Ki to 64Mi by factors of four, as far as
    /// they fit and an update is no longer than 0.2 s at the peak; with --quick 1Ki and 64Ki]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = size)]
    pub sizes: Vec<usize>,
    /// Over how many tensors they are spread
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,100,1000", value_parser = size)]
    pub tensors: Vec<usize>,
    /// What every benchmark takes
    #[command(flatten)]
    pub common: BenchCommonArgs,
}

/// `downhill bench matmul`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench matmul
  downhill bench matmul --sizes 64,512,2048 --svg roofline.svg")]
pub struct BenchMatmulArgs {
    /// Sides of the square products [default: 64 to 2048 by factors of two; to 1024 on a software adapter]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = size)]
    pub sizes: Vec<usize>,
    /// What every benchmark takes
    #[command(flatten)]
    pub common: BenchCommonArgs,
}

/// `downhill bench train`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench train
  downhill bench train --nets 784-256-256-10
  downhill bench train examples/digits.toml --set data.batch_size=512")]
pub struct BenchTrainArgs {
    /// A config file, whose net is measured in place of the built-in ones
    #[arg(value_name = "CONFIG.toml")]
    pub config: Option<PathBuf>,
    /// Override a setting of the config, as data.batch_size=64 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config")]
    pub settings: Vec<String>,
    /// Which built-in nets, by a part of their names [default: all]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', conflicts_with = "config")]
    pub nets: Vec<String>,
    /// What every benchmark takes
    #[command(flatten)]
    pub common: BenchCommonArgs,
}

/// A learning rate as 0.001 or 1e-3; what it may be is checked later.
fn rate(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a learning rate is needed, as 0.001 or 1e-3".into())
}

/// A count as 4096, 64Ki or 16Mi.
fn size(text: &str) -> Result<usize, String> {
    let (digits, scale) = match (text.strip_suffix("Ki"), text.strip_suffix("Mi")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (text, 1),
    };
    let number = digits.parse::<usize>().ok().filter(|n| *n > 0).and_then(|n| n.checked_mul(scale));
    number.ok_or_else(|| "a count from 1 on is needed, as 4096, 64Ki or 16Mi".into())
}
