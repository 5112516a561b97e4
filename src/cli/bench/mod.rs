//! `downhill bench`

mod matmul;
mod optim;
mod train;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use downhill::bench::{Options, Report};
use downhill::{Error, Gpu, GpuOptions};

use super::run_args::AdapterArg;
use super::{commands, draw, println};

/// Measure the adapter, and how near the kernels come to what it can do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench optim
  downhill bench matmul --sizes 256,1024 --json
  downhill bench train examples/digits.toml
  downhill bench optim --optimizers adamw --svg adamw.svg

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
        Optim(optim::OptimArgs),
        Matmul(matmul::MatmulArgs),
        Train(train::TrainArgs),
    }
}

impl BenchArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        self.benchmark.run()
    }
}

/// Arguments of every benchmark.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Run for seconds with small arrays: a check that the benchmark works, not a result to report
    #[arg(long)]
    quick: bool,
    /// Print JSON, numbers in seconds, bytes and their quotients
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, numbers as in JSON
    #[arg(long)]
    csv: bool,
    /// Draw a figure into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Timed runs of each candidate [default: 15, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
}

impl CommonArgs {
    /// Opens the adapter, runs the benchmark, and prints its report.
    fn measure(&self, run: impl FnOnce(&Gpu, &Options) -> Result<Report, Error>) -> anyhow::Result<()> {
        // The shader checks of a debug build are not part of the measurement.
        let gpu = Gpu::open(&GpuOptions { shader_checks: false, ..self.adapter.gpu_options() })?;
        let mut options = Options::new(self.quick);
        if let Some(runs) = self.runs {
            options.effort = options.effort.exactly(runs as usize);
        }
        if std::io::stderr().is_terminal() {
            options.progress = |what| eprintln!("{what}");
        }
        let report = run(&gpu, &options)?;
        draw(self.svg.as_deref(), &report.figure)?;
        let text = match (self.json, self.csv) {
            (true, _) => serde_json::to_string_pretty(&report.json())?,
            (_, true) => report.csv(),
            _ => report.markdown(),
        };
        println(text.trim_end());
        Ok(())
    }
}
