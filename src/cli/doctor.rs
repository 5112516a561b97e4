//! `downhill doctor`

use std::io::IsTerminal;

use clap::Args;
use downhill::doctor::{Options, examine};

use super::output::{eprintln, println};
use super::run_args::AdapterArg;

/// Test every kernel on an adapter, and say what to install and what to avoid
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill doctor
  downhill doctor --adapter software --all
  downhill doctor --json

Runs every kernel on small problems and compares it with a reference in f64. The bounds follow from rounding in f32.
The report names a wrong kernel with the keys of a config that avoid it.
Exit code: 0 every kernel is right; 1 a kernel is wrong, or no adapter answers; 2 the command line is wrong.")]
pub struct DoctorArgs {
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Test the kernels of both families, where the adapter can run both
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DoctorArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let mut options = Options { device: self.adapter.gpu_options(), all: self.all, ..Options::default() };
        if std::io::stderr().is_terminal() {
            options.progress = eprintln;
        }
        let report = examine(&options)?;
        if self.json {
            println(&serde_json::to_string_pretty(&report.json())?);
        } else {
            println(report.text().trim_end());
        }
        report.fault().map_or(Ok(()), |fault| Err(fault.into()))
    }
}
