//! What can be said of a finished run: `eval` and `predict`.

use std::path::PathBuf;

use clap::Args;
use downhill::run::Assertion;

/// Which run, and which of its weights.
#[derive(Debug, Args)]
pub struct FinishedArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// These weights in place of the run's own
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
    /// The run's average of the weights, average.safetensors
    #[arg(long, conflicts_with = "weights")]
    pub average: bool,
    /// Samples that go through the model at once [default: eval: what is cheap, as in training; predict: the
    /// run's batch size, 256 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
}

/// `downhill eval`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill eval runs/digits-1
  downhill eval runs/digits-1 --part train --json
  downhill eval runs/garden-1 --data next_year.csv
  downhill eval runs/digits-1 --average

Evaluates a finished run's weights: the loss, the accuracy and the metrics are those that the run's last epoch
had in metrics.jsonl, to the bit on the same adapter (of the average, where the run evaluated that: --average).
Other data are encoded as the run's were: means, categories, classes and vocabulary are those of data.json.
Exit code: 0; 1 no weights, data that do not fit, or no adapter; 2 the command line or the config is wrong; 3 an
assertion does not hold.")]
pub struct EvalArgs {
    /// Which run
    #[command(flatten)]
    pub of: FinishedArgs,
    /// Other data of the same kind: a file or folder, a packed data set, or a config (.toml) whose [data] names them
    #[arg(long, value_name = "PATH", conflicts_with = "part")]
    pub data: Option<PathBuf>,
    /// Which part of the run's own data
    #[arg(long, value_name = "PART", default_value = "eval", value_parser = ["train", "eval"])]
    pub part: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// What must hold, as "eval_accuracy >= 0.95", also of --data and --part train (repeatable)
    #[arg(long = "assert", value_name = "NAME OP NUMBER", value_parser = Assertion::parse)]
    pub assertions: Vec<Assertion>,
}

/// `downhill predict`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill predict runs/garden-1 new_rows.csv --out predictions.csv
  cat new_rows.csv | downhill predict runs/garden-1 --format jsonl
  downhill predict runs/cats-1 photos/ --top 3
  downhill predict runs/digits-1 images.npy

A run of a table takes CSV with the columns it was trained on, from a file or standard input; one of images PNG
and JPEG files and folders of them; one of arrays, or of the digits, an NPY or IDX file, samples along the first
axis. Classes come with their probabilities, numbers in the target's own unit. A batch is read, then written.
A text goes on with `downhill sample`.
Exit code: 0; 1 inputs that do not fit, no weights, or no adapter; 2 the command line or the config is wrong.")]
pub struct PredictArgs {
    /// Which run
    #[command(flatten)]
    pub of: FinishedArgs,
    /// What to predict for: a file, or images and folders of them; `-` for standard input [default: -]
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Write into this file, which appears whole or not at all, in place of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The format [default: jsonl where --out ends in .jsonl, else csv]
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"])]
    pub format: Option<String>,
    /// Only the K likeliest classes
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
}
