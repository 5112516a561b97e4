//! `downhill doctor`

use std::io::IsTerminal;

use clap::Args;
use downhill::doctor::{Options, examine};

use super::say;

/// `downhill doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill doctor
  downhill doctor --adapter software --all
  downhill doctor --json

Every kernel is run on small problems and compared with a reference in f64; how far it may be off follows from rounding
in f32. A kernel that is wrong is named with the keys of a config that go around it.
Exit code: 0 all is well; 1 a kernel is wrong, or no adapter answers; 2 the command line is wrong.")]
pub struct DoctorArgs {
    /// Which adapter: auto, software, an index of `downhill adapters`, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    pub adapter: String,
    /// Test the kernels of both families, where the adapter can run both
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<()> {
    let mut options = Options { adapter: args.adapter.clone(), all: args.all, ..Options::default() };
    if std::io::stderr().is_terminal() {
        options.progress = |what| eprintln!("{what}");
    }
    let report = examine(&options)?;
    if args.json {
        say(&serde_json::to_string_pretty(&report.json())?);
    } else {
        say(report.text().trim_end());
    }
    report.fault().map_or(Ok(()), |fault| Err(fault.into()))
}
