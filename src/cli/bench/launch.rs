//! `downhill bench launch`

use clap::Args;
use downhill::bench::LaunchBench;

use super::common::CommonArgs;
use crate::cli::parse;

/// The cost of a dispatch, of the barrier before it, and of a load that waits for another
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench launch
  downhill bench launch --dispatches 1,64,4096 --svg launch.svg
  downhill bench launch --chase 16KiB,1MiB,64MiB --json")]
pub struct LaunchArgs {
    /// Dispatches of a submission, 4096 at most [default: 1,16,1024, or 1,16,128 with --quick]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = parse::count)]
    dispatches: Vec<usize>,
    /// Sizes of the buffers of the pointer chases [default: 16KiB,16MiB, or 16KiB,256KiB with --quick]
    #[arg(long, value_name = "BYTES,..", value_delimiter = ',', value_parser = parse::memory)]
    chase: Vec<u64>,
    /// Arguments of every benchmark
    #[command(flatten)]
    common: CommonArgs,
}

impl LaunchArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let bench = LaunchBench { dispatches: self.dispatches.clone(), chase: self.chase.clone() };
        self.common.measure(|gpu, options| bench.run(gpu, options))
    }
}
