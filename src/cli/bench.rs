//! `downhill bench`

use std::io::IsTerminal;

use downhill::bench::{OptimBench, Options, Report};
use downhill::{Error, Gpu, GpuOptions};

use super::args::{Bench, BenchCommonArgs};
use super::say;

pub(super) fn bench(what: &Bench) -> anyhow::Result<()> {
    match what {
        Bench::Optim(args) => {
            let bench = OptimBench {
                optimizers: args.optimizers.clone(),
                sizes: args.sizes.clone(),
                tensors: args.tensors.clone(),
            };
            measure(&args.common, |gpu, options| bench.run(gpu, options))
        }
        Bench::Matmul(_) | Bench::Train(_) => todo!(),
    }
}

/// Opens the adapter, runs the benchmark, and puts the results where they are wanted.
fn measure(
    args: &BenchCommonArgs,
    run: impl FnOnce(&Gpu, &Options) -> Result<Report, Error>,
) -> anyhow::Result<()> {
    // The checks of a debug build are no part of what is measured.
    let gpu = Gpu::open(&GpuOptions { adapter: args.adapter.clone(), shader_checks: false, ..GpuOptions::default() })?;
    let mut options = Options::new(args.quick);
    if let Some(runs) = args.runs {
        options.effort.rounds = runs as usize;
    }
    if std::io::stderr().is_terminal() {
        options.progress = |what| eprintln!("{what}");
    }
    let report = run(&gpu, &options)?;
    if let Some(path) = &args.svg {
        std::fs::write(path, report.figure.svg()).map_err(|err| Error::io("cannot write", path, &err))?;
    }
    let text = match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(&report.json())?,
        (_, true) => report.csv(),
        _ => report.markdown(),
    };
    say(text.trim_end());
    Ok(())
}
