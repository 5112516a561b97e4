//! `downhill optimizers`

use clap::Args;
use downhill::report;

use super::println;

/// List the optimizers: equations, sources, defaults, and what an update moves and keeps
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill optimizers
  downhill optimizers --markdown > docs/optimizers.md")]
pub struct OptimizersArgs {
    /// Print the page docs/optimizers.md
    #[arg(long)]
    markdown: bool,
}

impl OptimizersArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let text = if self.markdown { report::optimizers_page() } else { report::optimizers_text() };
        println(text.trim_end());
        Ok(())
    }
}
