//! `downhill compare`

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::report::{self, CompareOptions, Comparison, Weighing};

use super::output::println;
use super::parse;

/// Compare two runs: their metrics, weights and configs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill compare runs/digits-1 runs/digits-2
  downhill compare runs/gpu runs/software --tolerance 1e-4 --no-weights
  downhill compare runs/digits-1 runs/digits-2 --weights --json

Compares metrics.jsonl step by step and epoch by epoch, without the timings samples_per_second and data_wait, then the
final weights, where both runs have them. A metric differs where it is off by more than the tolerance times the larger
of both numbers; a weight, by more than the tolerance times the largest of its tensor. At 0 every bit counts. Keys of
config.toml that differ are listed, and do not change the result. A last line of metrics.jsonl that is cut off, as by a
process that was killed, is left out, and a note says so.
Exit code: 0 the runs are alike; 1 a file cannot be read; 2 the command line is wrong; 3 the runs differ.")]
pub struct CompareArgs {
    /// A run directory
    #[arg(value_name = "RUN_A")]
    a: PathBuf,
    /// The run directory to compare with it
    #[arg(value_name = "RUN_B")]
    b: PathBuf,
    /// Largest difference of two numbers, as a share of the larger
    #[arg(long, value_name = "T", default_value = "0", value_parser = parse::tolerance, allow_negative_numbers = true)]
    tolerance: f64,
    /// Fail where a run has no weights
    #[arg(long, conflicts_with = "no_weights")]
    weights: bool,
    /// Skip the weights
    #[arg(long)]
    no_weights: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl CompareArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let weights = match (self.weights, self.no_weights) {
            (true, _) => Weighing::Needed,
            (_, true) => Weighing::LeftOut,
            _ => Weighing::WhereThere,
        };
        let options = CompareOptions { tolerance: self.tolerance, weights };
        let comparison = Comparison::new(&self.a, &self.b, &options)?;
        if self.json {
            println(&serde_json::to_string_pretty(&report::compare_json(&comparison))?);
        } else {
            println(report::compare_text(&comparison).trim_end());
        }
        if comparison.alike() {
            return Ok(());
        }
        Err(Error::Assertion(format!("{} and {} are not alike", self.a.display(), self.b.display())).into())
    }
}
