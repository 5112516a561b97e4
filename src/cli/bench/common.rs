//! Arguments of every benchmark.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use downhill::bench::{Options, Report};
use downhill::{Error, Gpu, GpuOptions};

use crate::cli::output::{draw, eprintln, println};
use crate::cli::run_args::AdapterArg;

/// Arguments of every benchmark.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The adapter
    #[command(flatten)]
    pub(super) adapter: AdapterArg,
    /// Run for seconds with small arrays: a check that the benchmark works, not a result to report
    #[arg(long)]
    pub(super) quick: bool,
    /// Print JSON, numbers in seconds, bytes and their quotients
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// Print CSV, numbers as in JSON
    #[arg(long)]
    pub(super) csv: bool,
    /// Draw a figure into this file
    #[arg(long, value_name = "FILE.svg")]
    pub(super) svg: Option<PathBuf>,
    /// Timed runs of each candidate [default: 15, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: Option<u32>,
}

/// PyTorch beside the results.
#[derive(Debug, Args)]
pub struct PythonArg {
    /// Measure PyTorch's times of the same work too, by this Python, which has torch: on CUDA where torch has it, else on
    /// the processor
    #[arg(long, value_name = "PATH")]
    pub(super) python: Option<PathBuf>,
}

impl CommonArgs {
    /// Opens the adapter, runs the benchmark, and prints its report.
    pub(super) fn measure(
        &self,
        run: impl FnOnce(&Gpu, &Options) -> Result<Report, Error>,
    ) -> anyhow::Result<()> {
        self.measure_beside(None, run)
    }

    /// The same with PyTorch's times, where a Python is named.
    pub(super) fn measure_beside(
        &self,
        python: Option<&PythonArg>,
        run: impl FnOnce(&Gpu, &Options) -> Result<Report, Error>,
    ) -> anyhow::Result<()> {
        // The shader checks of a debug build are not part of the measurement.
        let gpu = Gpu::open(&GpuOptions { shader_checks: false, ..self.adapter.gpu_options() })?;
        let python = python.and_then(|python| python.python.clone());
        let mut options = Options { python, ..Options::new(self.quick) };
        if let Some(runs) = self.runs {
            options.effort = options.effort.exactly(runs as usize);
        }
        if std::io::stderr().is_terminal() {
            options.progress = eprintln;
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
