//! The commands that train nothing: `explain`, `adapters`, `optimizers`, `completions`.

use clap::CommandFactory;
use downhill::config::Config;
use downhill::gpu;
use downhill::kernel::{Family, Target};
use downhill::report;

use super::args::{AdapterArgs, Cli, ExplainArgs, OptimizersArgs};
use super::say;

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config, &args.settings)?;
    let data = config.dataset()?;
    let family = if args.target == "software" { Family::Subgroup } else { Family::Tiled };
    let mut target = Target::new(family);
    target.memory.budget = args.memory.or(config.memory);
    let train_plan = config.plan(&data, target)?;
    if args.json {
        say(&serde_json::to_string_pretty(&report::explain_json(&train_plan))?);
    } else {
        say(report::explain_text(&train_plan).trim_end());
    }
    Ok(())
}

pub(super) fn adapters(args: &AdapterArgs) -> anyhow::Result<()> {
    let list = pollster::block_on(gpu::adapters());
    let (chosen, why) = gpu::choose(&args.adapter, &list)?;
    if args.json {
        say(&serde_json::to_string_pretty(&report::adapter_json(&list, chosen, &why))?);
    } else {
        say(report::adapter_table(&list, chosen, &why).trim_end());
    }
    Ok(())
}

pub(super) fn optimizers(args: &OptimizersArgs) {
    let text = if args.markdown { report::optimizers_page() } else { report::optimizers_text() };
    say(text.trim_end());
}

pub(super) fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "downhill", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
}
