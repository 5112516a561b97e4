//! `downhill bench`

use std::io::IsTerminal;

use downhill::bench::{self, MatmulBench, OptimBench, Options, Report, Subject, workloads};
use downhill::config::Config;
use downhill::{Error, Gpu, GpuOptions};

use super::args::{Bench, BenchCommonArgs, BenchTrainArgs};
use super::{draw, say};

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
        Bench::Matmul(args) => {
            let bench = MatmulBench { sizes: args.sizes.clone() };
            measure(&args.common, |gpu, options| bench.run(gpu, options))
        }
        Bench::Train(args) => {
            let subjects = subjects(args)?;
            measure(&args.common, |gpu, options| bench::train(gpu, options, subjects))
        }
    }
}

/// The net of a config, or the built-in ones that are asked for.
fn subjects(args: &BenchTrainArgs) -> Result<Vec<Subject<'static>>, Error> {
    let Some(path) = &args.config else {
        let all = workloads();
        let names: Vec<String> = all.iter().map(|w| w.name.clone()).collect();
        if let Some(unknown) = args.nets.iter().find(|part| !names.iter().any(|name| name.contains(*part))) {
            return Err(Error::Config(format!(
                "no built-in net has \"{unknown}\" in its name; there are: {}",
                names.join(", ")
            )));
        }
        let wanted = |name: &str| args.nets.is_empty() || args.nets.iter().any(|part| name.contains(part));
        return Ok(all.into_iter().filter(|w| wanted(&w.name)).map(Subject::from).collect());
    };
    let config = Config::load(path, &args.settings)?;
    let data = config.dataset()?;
    let name = path.file_stem().map_or_else(|| "config".into(), |stem| stem.to_string_lossy().into_owned());
    let trainer = move |gpu: &Gpu| config.trainer(gpu, &data);
    Ok(vec![Subject { name, trainer: Box::new(trainer) }])
}

/// Opens the adapter, runs the benchmark, and puts the results where they are wanted.
fn measure(
    args: &BenchCommonArgs,
    run: impl FnOnce(&Gpu, &Options) -> Result<Report, Error>,
) -> anyhow::Result<()> {
    // The checks of a debug build are no part of what is measured.
    let gpu = Gpu::open(&GpuOptions {
        adapter: args.adapter.clone(),
        shader_checks: false,
        ..GpuOptions::default()
    })?;
    let mut options = Options::new(args.quick);
    if let Some(runs) = args.runs {
        options.effort = options.effort.exactly(runs as usize);
    }
    if std::io::stderr().is_terminal() {
        options.progress = |what| eprintln!("{what}");
    }
    let report = run(&gpu, &options)?;
    draw(args.svg.as_deref(), &report.figure)?;
    let text = match (args.json, args.csv) {
        (true, _) => serde_json::to_string_pretty(&report.json())?,
        (_, true) => report.csv(),
        _ => report.markdown(),
    };
    say(text.trim_end());
    Ok(())
}
