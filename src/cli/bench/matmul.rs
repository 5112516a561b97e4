//! `downhill bench matmul`

use clap::Args;
use downhill::bench::MatmulBench;

use super::common::{CommonArgs, PythonArg};
use crate::cli::parse;

/// Matrix products against the adapter's roofline
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench matmul
  downhill bench matmul --python python3
  downhill bench matmul --sizes 64,512,2048 --svg roofline.svg")]
pub struct MatmulArgs {
    /// Sides of the square products [default: 64 to 2048 by factors of two; to 1024 on a software adapter]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = parse::count)]
    sizes: Vec<usize>,
    /// PyTorch beside the results
    #[command(flatten)]
    python: PythonArg,
    /// Arguments of every benchmark
    #[command(flatten)]
    common: CommonArgs,
}

impl MatmulArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let bench = MatmulBench { sizes: self.sizes.clone() };
        self.common.measure_beside(Some(&self.python), |gpu, options| bench.run(gpu, options))
    }
}
