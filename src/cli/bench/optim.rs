//! `downhill bench optim`

use clap::Args;
use downhill::bench::OptimBench;

use super::common::{CommonArgs, PythonArg};
use crate::cli::parse;

/// Updates of optimizers: fused, one dispatch a tensor, one dispatch an op; with copy and triad for comparison
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench optim
  downhill bench optim --optimizers adamw,sgd --sizes 1Ki,1Mi,16Mi --tensors 1,1000
  downhill bench optim --optimizers adamw --python /path/to/venv/bin/python
  downhill bench optim --csv > optim.csv")]
pub struct OptimArgs {
    /// Optimizers; momentum is sgd with momentum = 0.9 [default: all]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    optimizers: Vec<String>,
    /// Parameters in all, as 4096, 64Ki or 16Mi [default: 1Ki to 64Mi by factors of four, as far as they fit and an
    /// update takes at most 0.2 s at peak speed; with --quick 1Ki and 64Ki]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = parse::count)]
    sizes: Vec<usize>,
    /// Number of tensors that share the parameters
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,100,1000", value_parser = parse::count)]
    tensors: Vec<usize>,
    /// PyTorch beside the results
    #[command(flatten)]
    python: PythonArg,
    /// Arguments of every benchmark
    #[command(flatten)]
    common: CommonArgs,
}

impl OptimArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let (optimizers, sizes) = (self.optimizers.clone(), self.sizes.clone());
        let bench = OptimBench { optimizers, sizes, tensors: self.tensors.clone() };
        self.common.measure_beside(Some(&self.python), |gpu, options| bench.run(gpu, options))
    }
}
