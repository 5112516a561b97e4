//! `downhill bench`

mod atlas;
mod common;
mod launch;
mod matmul;
mod optim;
mod train;

use clap::Args;

use super::commands::commands;

/// Measure the adapter, and how near the kernels come to what it can do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench launch
  downhill bench optim
  downhill bench matmul --sizes 256,1024 --json
  downhill bench train examples/digits.toml
  downhill bench optim --optimizers adamw --svg adamw.svg
  downhill bench atlas --out atlas.json

Every result is checked against a reference in f64 before it is timed. docs/benchmarks.md explains the numbers.
Exit code: 0; 1 no adapter, or a wrong result; 2 the command line or the config is wrong.")]
pub struct BenchArgs {
    /// The benchmark
    #[command(subcommand)]
    benchmark: Benchmark,
}

commands! {
    /// The benchmarks.
    Benchmark {
        Launch(launch::LaunchArgs),
        Optim(optim::OptimArgs),
        Matmul(matmul::MatmulArgs),
        Train(train::TrainArgs),
        Atlas(atlas::AtlasArgs),
    }
}

impl BenchArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        self.benchmark.run()
    }
}
