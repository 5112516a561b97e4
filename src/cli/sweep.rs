//! `downhill sweep`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use downhill::Error;
use downhill::compile::Orders;
use downhill::config::{Axis, Config, Keep, Recorded, Sweep as Keys, seeds};
use downhill::run::{Sweep, SweepBase, SweepSource, ranked};
use downhill::train::FleetEnd;
use downhill::{report, units};
use toml::Value;

use super::exit::Stopped;
use super::output::{eprintln, println};
use super::parse;
use super::ranks::ranks;
use super::run::stop_on_signals;
use super::run_args::{AdapterArg, DataRootArg};
use super::summary::introduce_adapter;
use super::view::SweepView;

/// Train many runs of a config at once, which differ in learning rates, seeds or other settings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-4..1e-1:log:8 --seeds 0..8
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-3,1e-2 --grid optimizer.weight_decay=0.0,0.1
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-4..1:log:27 --halving 3:1
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-4..1:log:2 --random 100 --halving 4:1:eval_accuracy --asha
  downhill sweep examples/digits.toml --zip optimizer.lr=1e-3,3e-3 --zip data.batch_size=64,256
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-3,1e-2 --steps all --keep all --out S
  downhill sweep S --resume

VALUES are 1e-4..1e-1:log:8 (eight numbers of equal ratios, both ends among them), 0.1..0.9:lin:5, 0..8 (whole numbers, the
end not among them), or a list with commas, as 1e-3,1e-2 or adam,sgd; as TOML [\"adam\", \"sgd\"]. The same keys may stand in
the config's section [sweep].

Runs train in the same dispatches, and each has the bits of its run alone. Runs of other layers, batch sizes or optimizers
train in fleets of their own, one after the other. A part held out for evaluation is the same for all runs, whatever their
seeds.

--halving 3:1 judges all runs after 1, 3, 9 .. epochs: the best third goes on, at least one. With --asha each is judged as it
arrives, against those before it, and its place is free for another.

The folder holds sweep.toml (what is trained), sweep.jsonl (epochs, judgements and ends), replicas.csv (the table), and a
folder for each run as train leaves it: config.toml, metrics.jsonl, model.safetensors. So downhill train FOLDER/config.toml
trains a run again alone, to equal bits. Ctrl-C and SIGTERM save a checkpoint of each run.
Exit code: 0; 1 the sweep failed, or every run did; 2 the command line or a config is wrong; 130 it was stopped.")]
pub struct SweepArgs {
    /// The config file; or with --resume the folder of a sweep
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a setting in all runs, as train.epochs=5 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// A key of the config and its values; each value of one goes with each of the others (repeatable)
    #[arg(long, value_name = "KEY=VALUES")]
    grid: Vec<String>,
    /// A key and its values; those of several --zip go together, the first with the first (repeatable)
    #[arg(long, value_name = "KEY=VALUES")]
    zip: Vec<String>,
    /// Draw N runs from the values of --grid, in place of all combinations
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Repeat each run with these seeds, as 0..8 or 0,1,2
    #[arg(long, value_name = "SEEDS")]
    seeds: Option<String>,
    /// Each run goes through the samples in its own order, or all in the config's, so that a batch is read once for all
    #[arg(long, value_name = "ORDER", value_parser = ["own", "shared"])]
    order: Option<String>,
    /// Keep one in FACTOR runs after FIRST epochs, one in FACTOR of those after FIRST times FACTOR, and so on, by the metric
    /// [default metric: the evaluation's loss]
    #[arg(long, value_name = "FACTOR:FIRST[:METRIC]")]
    halving: Option<String>,
    /// Judge each run as it arrives, in place of waiting for all
    #[arg(long)]
    asha: bool,
    /// Train at most R runs at once [default: as many as fit]
    #[arg(long, value_name = "R")]
    at_once: Option<usize>,
    /// Weights to keep: all, none, or those of the best K, as best:K [default: best:5]
    #[arg(long, value_name = "WHICH", value_parser = Keep::parse)]
    keep: Option<Keep>,
    /// The number that says which runs are best, as eval_accuracy [default: the evaluation's loss]
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// Steps in each run's metrics.jsonl: all, or some, which is at most 1,000 [default: some]
    #[arg(long, value_name = "WHICH", value_parser = ["all", "some"])]
    steps: Option<String>,
    /// Limit of all buffers on the device together, as 256MiB, in place of the config's
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    memory: Option<u64>,
    /// The folder of the sweep [default: runs/<config name>-sweep-<number>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a sweep that was stopped: CONFIG is its folder, or --out names it
    #[arg(long)]
    resume: bool,
    /// At the end write a report as downhill report does, an HTML file [default: report.html in the folder]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    report: Option<Option<PathBuf>>,
    /// The data
    #[command(flatten)]
    data: DataRootArg,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print one object a line: the start, epochs, judgements, ends of runs, and the table
    #[arg(long)]
    json: bool,
}

impl SweepArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        super::report::check_folder(self.report.as_ref().and_then(|file| file.as_deref()))?;
        let mut sweep = self.open()?;
        stop_on_signals(sweep.handle())?;
        if !self.quiet && !self.json {
            introduce(&sweep);
        }
        let mut view = SweepView::new(self.quiet, self.json, &sweep);
        let end = sweep.run(&mut view);
        view.end();
        let end = end?;
        if !ranks().is_first() {
            return match end {
                FleetEnd::Stopped => Err(Stopped.into()),
                FleetEnd::Finished => Ok(()),
            };
        }
        let (rows, path) = (sweep.rows(), sweep.path().display());
        if end == FleetEnd::Stopped {
            if !self.quiet && !self.json {
                println(&format!("stopped  {}, and saved; go on with:", report::sweep_ends(&rows)));
                println(&format!("         downhill sweep {path} --resume"));
            }
            if let Err(err) = self.write_report(sweep.path()) {
                eprintln(&format!("warning: no report: {err}"));
            }
            return Err(Stopped.into());
        }
        if self.json {
            let table = report::sweep_json(&rows, sweep.swept(), sweep.monitor());
            println(
                &serde_json::json!({ "event": "end", "sweep": path.to_string(), "table": table }).to_string(),
            );
        } else if !self.quiet {
            println(&format!(
                "done     {} in {}\n",
                units::plural(rows.len(), "run"),
                units::seconds(start.elapsed().as_secs_f64())
            ));
            println(report::sweep_text(&rows, sweep.swept(), sweep.monitor()).trim_end());
            conclude(&sweep);
        }
        let reported = self.write_report(sweep.path());
        match ranked(&rows, sweep.monitor()).is_empty() {
            true => Err(Error::Data(format!("every run failed; {path}/sweep.jsonl says why")).into()),
            false => Ok(reported?),
        }
    }

    /// Writes the report that `--report` asks for, and names it in the last line.
    fn write_report(&self, folder: &Path) -> Result<(), Error> {
        let Some(file) = &self.report else { return Ok(()) };
        let line = super::report::write_sweep(folder, file.as_deref(), None, super::report::POINTS as usize)?;
        if !self.quiet && !self.json {
            println(&line);
        }
        Ok(())
    }

    fn open(&self) -> anyhow::Result<Sweep> {
        let options = self.adapter.shared_gpu_options();
        if !options.ranks.is_first() {
            return Ok(Sweep::join(&options)?);
        }
        if self.resume && self.config.is_dir() {
            let others = !self.settings.is_empty() || self.has_keys() || self.out.is_some();
            if others {
                return Err(Error::Config(
                    "--resume of a folder goes on with the sweep as it is: leave the other options out"
                        .into(),
                )
                .into());
            }
            return Ok(Sweep::resume(&self.config, &options)?);
        }
        let mut settings = self.settings.clone();
        settings.extend(self.memory.map(|bytes| format!("train.memory={bytes}")));
        let base = Config::load_from(&self.config, &settings, self.data.data_root.as_deref())?;
        let source = SweepSource {
            base: SweepBase::File { path: &self.config, data_root: self.data.data_root.as_deref() },
            settings: &settings,
            keys: self.keys(base.sweep)?,
        };
        let name = self
            .config
            .file_stem()
            .map_or_else(|| "config".into(), |stem| stem.to_string_lossy().into_owned());
        match &self.out {
            Some(out) if self.resume && Sweep::exists(out) => {
                Sweep::check_same(&source, out)?;
                Ok(Sweep::resume(out, &options)?)
            }
            Some(out) => Ok(Sweep::start(&source, out, &options)?),
            None if self.resume => Err(Error::Config(
                "--resume: the folder of the sweep is needed, as downhill sweep FOLDER --resume, or by --out"
                    .into(),
            )
            .into()),
            None => Ok(Sweep::start_next(&source, &name, &options)?),
        }
    }

    fn has_keys(&self) -> bool {
        let SweepArgs {
            grid,
            zip,
            random,
            seeds,
            order,
            halving,
            asha,
            at_once,
            keep,
            metric,
            steps,
            memory,
            ..
        } = self;
        !grid.is_empty()
            || !zip.is_empty()
            || random.is_some()
            || seeds.is_some()
            || order.is_some()
            || halving.is_some()
            || *asha
            || at_once.is_some()
            || keep.is_some()
            || metric.is_some()
            || steps.is_some()
            || memory.is_some()
    }

    /// The section `[sweep]` with what the command line says.
    fn keys(&self, mut keys: Keys) -> Result<Keys, Error> {
        for (flag, texts, table) in
            [("--grid", &self.grid, &mut keys.grid), ("--zip", &self.zip, &mut keys.zip)]
        {
            for text in texts {
                let axis = Axis::parse(flag, text)?;
                let values = text.split_once('=').map_or("", |(_, values)| values.trim());
                if texts
                    .iter()
                    .filter(|other| other.split('=').next().is_some_and(|key| key.trim() == axis.key))
                    .count()
                    > 1
                {
                    return Err(Error::Config(format!(
                        "{flag} {}: the key is there twice; give all its values at once",
                        axis.key
                    )));
                }
                table.insert(axis.key, Value::String(values.to_owned()));
            }
        }
        if let Some(text) = &self.seeds {
            keys.seeds = seeds(text)?;
        }
        if let Some(order) = &self.order {
            keys.order = if order == "shared" { Orders::Shared } else { Orders::Own };
        }
        if let Some(steps) = &self.steps {
            keys.steps = if steps == "all" { Recorded::All } else { Recorded::Some };
        }
        keys.random = self.random.or(keys.random);
        keys.halving = self.halving.clone().or(keys.halving);
        keys.asha |= self.asha;
        keys.at_once = self.at_once.or(keys.at_once);
        keys.keep = self.keep.unwrap_or(keys.keep);
        keys.metric = self.metric.clone().or(keys.metric);
        Ok(keys)
    }
}

fn introduce(sweep: &Sweep) {
    introduce_adapter(sweep.gpu());
    let (runs, fleets) = sweep.counts();
    let in_fleets = if fleets > 1 {
        format!(", in {fleets} fleets of like ones, one after the other")
    } else {
        String::new()
    };
    let by = match sweep.swept() {
        [] => String::new(),
        keys => format!(", by {}", keys.join(", ")),
    };
    println(&format!("sweep    {}{by}{in_fleets}", units::plural(runs, "run")));
    println(&format!("folder   {}/", sweep.path().display()));
}

fn conclude(sweep: &Sweep) {
    let (rows, path) = (sweep.rows(), sweep.path());
    if let Some((best, value)) = ranked(&rows, sweep.monitor()).first() {
        println(&format!("best     {}: {} {value:.6}", best.folder, sweep.monitor().metric));
        let config = path.join(&best.folder).join("config.toml");
        println(&format!("next     downhill train {}    train it alone, to equal bits", shown(&config)));
        if path.join(&best.folder).join("model.safetensors").exists() {
            println(&format!(
                "         downhill eval {}    evaluate its weights",
                shown(&path.join(&best.folder))
            ));
        }
    }
    println(&format!(
        "sweep    {}/ (sweep.toml, sweep.jsonl, replicas.csv, a folder for each run)",
        path.display()
    ));
}

/// A path as a shell takes it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=".contains(c));
    if is_plain { text } else { format!("'{text}'") }
}
