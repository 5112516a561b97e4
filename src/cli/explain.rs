//! `downhill explain`

use std::path::PathBuf;

use clap::Args;
use downhill::compile::Orders;
use downhill::config::Tune;
use downhill::gpu::Reads;
use downhill::kernel::{Family, Target};
use downhill::report;

use super::output::println;
use super::parse;
use super::run_args::DataRootArg;

/// Show what a run would do, without a GPU: kernels, parameters, buffers, peak memory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill explain examples/digits.toml
  downhill explain examples/digits.toml --set data.batch_size=512 --json
  downhill explain examples/digits.toml --memory 512KiB
  downhill explain examples/tiny_gpt.toml --tune examples/tiny_gpt.tune.toml
  downhill explain examples/digits.toml --replicas 64

A product by matmul_block has a tile: rows, columns and K of a slab, as 64x32x16, and the parts of K where it is cut;
\"tuned\" stands after one that --tune or the config's [tune] names.

With --memory it shows how the run would keep to that limit: streamed samples, micro-batches.

With --replicas it shows what so many nets of the config would take that train at once, in the same dispatches: buffers that
all share, and buffers that each has for itself.

For GPUs each kernel has a predicted time. It is that of a nominal card of the size of an H200 (132 multiprocessors of 128
lanes, 1.7 GHz, 4 TB/s), the same on every machine, since the kernels of products are chosen by it. It is not measured.")]
pub struct ExplainArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a setting, as data.batch_size=64 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The data
    #[command(flatten)]
    data: DataRootArg,
    /// Kind of adapter: gpu (tiled kernels), or software (subgroup kernels that read uniform buffers and images)
    #[arg(long, default_value = "gpu", value_name = "KIND", value_parser = ["gpu", "software"])]
    target: String,
    /// Limit of all buffers on the device together, as 256MiB, in place of the config's
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    memory: Option<u64>,
    /// Make products by the tiles of this file, as downhill tune writes it, or of a run's config.toml
    #[arg(long, value_name = "FILE")]
    tune: Option<PathBuf>,
    /// Nets that train at once, which may differ in weights, seeds and learning rates
    #[arg(long, default_value_t = 1, value_name = "R")]
    replicas: usize,
    /// With --replicas: each net goes through the samples in its own order, or all in one
    #[arg(long, default_value = "own", value_name = "ORDER", value_parser = ["own", "shared"])]
    order: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let mut config = self.data.load(&self.config, &self.settings)?;
        if let Some(file) = &self.tune {
            config.tune = Tune::load(file)?;
        }
        let data = config.dataset()?;
        let family = if self.target == "software" { Family::Subgroup } else { Family::Tiled };
        // As on Mesa's software adapter before version 25, on a processor without AVX-512.
        let reads = if family == Family::Subgroup { Reads::IMAGES } else { Reads::Storage };
        let mut target = Target::new(family).with_reads(reads);
        target.memory.budget = self.memory.or(config.memory);
        let orders = if self.order == "shared" { Orders::Shared } else { Orders::Own };
        let alone = config.plan(&data, target.with_reads(Reads::Storage))?;
        let plan = alone.replicated(self.replicas, orders)?.reading(config.options.target(target));
        if self.json {
            println(&serde_json::to_string_pretty(&report::explain_json(&plan))?);
        } else {
            println(report::explain_text(&plan).trim_end());
        }
        Ok(())
    }
}
