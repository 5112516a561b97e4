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
  downhill data synth spirals --count 1000 --out data
  downhill data inspect photos --rows 5
  downhill data convert photos --out photos.dhd")]
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
    /// Write data of any source as one packed file, which opens at once and is read as it is
    Convert(ConvertArgs),
    /// Say what data are: shapes, types, counts, means, first samples, and the config that uses them
    Inspect(InspectArgs),
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

/// What says which data.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// A config, whose [data] is taken, or the data: a folder of images, or a file
    #[arg(value_name = "CONFIG.toml|PATH")]
    pub path: PathBuf,
    /// Override or add a setting, as data.source.target=price (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

/// `downhill data convert`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data convert photos --out photos.dhd
  downhill data convert photos --set data.source.size=[64,64] --out photos.dhd
  downhill data convert net.toml --out net.dhd --force

A config then says source = { pack = \"FILE.dhd\" }. Samples are those of the source, scaled as there; what is held
out to evaluate on stays so. Memory does not grow with the data. The file gets its name when it is whole.
Exit code: 0; 1 the data are at fault, or the file cannot be written; 2 the command line or the config is wrong,
or a file is there already.")]
pub struct ConvertArgs {
    /// Which data
    #[command(flatten)]
    pub which: WhichArgs,
    /// The file to write
    #[arg(long, value_name = "FILE.dhd")]
    pub out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// `downhill data inspect`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data inspect photos
  downhill data inspect examples/digits.toml --rows 3
  downhill data inspect prices.csv --set data.source.target=price --json
  downhill data inspect photos.dhd --verify

Numbers are as the model gets them: scaled. Of more than --most numbers of a field some are looked at, evenly spread
over its samples, and the report says so.
Exit code: 0; 1 the data are at fault; 2 the command line or the config is wrong.")]
pub struct InspectArgs {
    /// Which data
    #[command(flatten)]
    pub which: WhichArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Compare the checksums of a packed file
    #[arg(long)]
    pub verify: bool,
    /// Show so many samples to train on
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub rows: usize,
    /// Look at no more than about so many million numbers of a field
    #[arg(long, value_name = "MILLIONS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub most: u64,
}
