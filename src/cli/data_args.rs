//! What can be said to `downhill data`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Subcommand};
use downhill::data::synth::Kind;

/// `downhill data`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill data synth spirals --count 1000 --out data")]
pub struct DataArgs {
    /// What to do
    #[command(subcommand)]
    pub what: DataCommand,
}

/// What is done with data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Make data, for benchmarks and tutorials: as many samples as you like, the same for the same seed
    Synth(SynthArgs),
}

/// `downhill data synth`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill data synth digits28 --count 5000000 --seed 1 --out data/many
  downhill data synth teacher --count 10000 --out data --force

Each sample comes from seed and number alone: the first 1000 of 2000 are those of --count 1000. Memory does not grow
with the count. Files get their names when all of them are whole.
Exit code: 0; 1 a file cannot be written; 2 the command line is wrong, or a file is there already.")]
pub struct SynthArgs {
    /// What to make
    #[arg(value_parser = kinds())]
    pub kind: String,
    /// How many samples to train on; of digits28 a sixth as many come with them to evaluate on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    pub count: u64,
    /// The directory to write to, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of what is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}

/// The names of what can be made, with a line each.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(|(_, name, about)| PossibleValue::new(name).help(about)))
}
