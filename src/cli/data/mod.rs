//! `downhill data`

mod convert;
mod inspect;
mod source;
mod synth;

use clap::Args;

use super::commands::commands;

/// Inspect data, convert them to one packed file, or generate synthetic data
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill data synth spirals --count 1000 --out data
  downhill data inspect photos --rows 5
  downhill data convert photos --out photos.dhd")]
pub struct DataArgs {
    /// The command to run
    #[command(subcommand)]
    command: DataCommand,
}

commands! {
    /// The commands on data.
    DataCommand {
        Synth(synth::SynthArgs),
        Convert(convert::ConvertArgs),
        Inspect(inspect::InspectArgs),
    }
}

impl DataArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        self.command.run()
    }
}
