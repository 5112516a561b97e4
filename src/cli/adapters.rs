//! `downhill adapters`

use clap::Args;
use downhill::{gpu, report};

use super::output::println;

/// List every adapter, and which one would be chosen and why
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill adapters
  downhill adapters --adapter nvidia --json")]
pub struct AdaptersArgs {
    /// Show which adapter this would choose: auto, software, an index, or part of a name
    #[arg(long, default_value = "auto", value_name = "WHICH")]
    adapter: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl AdaptersArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let list = pollster::block_on(gpu::adapters());
        let (chosen, why) = gpu::choose(&self.adapter, &list)?;
        if self.json {
            println(&serde_json::to_string_pretty(&report::adapter_json(&list, chosen, &why))?);
        } else {
            println(report::adapter_table(&list, chosen, &why).trim_end());
        }
        Ok(())
    }
}
