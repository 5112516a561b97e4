//! `downhill optimizers`

use clap::Args;
use downhill::report;

use super::output::println;

/// List the optimizers: equations, sources, defaults, and what an update moves and keeps
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill optimizers
  downhill reference optimizers > optimizers.md")]
pub struct OptimizersArgs {}

impl OptimizersArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        println(report::optimizers_text().trim_end());
        Ok(())
    }
}
