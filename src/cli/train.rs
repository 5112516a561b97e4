//! `downhill train`

use std::path::{Path, PathBuf};
use std::time::Instant;

use downhill::config::Config;
use downhill::kernel::Target;
use downhill::train::{self, Assertion, EpochRecord, EventFile, RunDir, Trainer};
use downhill::{Error, Gpu, GpuOptions, units};

use super::args::TrainArgs;
use super::progress::Progress;
use super::say;

/// A run says so where its device waits for data longer than this share of its time.
const LIMITED: f64 = 0.1;

pub(super) fn train(args: &TrainArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut config = Config::load(&args.config, &args.settings)?;
    config.options.seed = args.seed.unwrap_or(config.options.seed);
    config.options.steps = args.steps.or(config.options.steps);
    let data = config.dataset()?;
    let weights = args.init.as_deref().map(train::load).transpose()?;

    // Everything that can be wrong is found before the run directory is made.
    config.memory = args.memory.or(config.memory);
    let options =
        GpuOptions { adapter: args.adapter.clone(), memory: config.memory, ..GpuOptions::default() };
    let gpu = match Gpu::open(&options) {
        Ok(gpu) => gpu,
        Err(err) => {
            // A config that cannot work is worth more words than a missing adapter.
            config.blueprint(&data, Target::new(downhill::kernel::Family::Tiled))?;
            return Err(err.into());
        }
    };
    let blueprint = config.blueprint(&data, Target::of(&gpu))?;
    args.assertions.iter().try_for_each(|assertion| assertion.check_plan(&blueprint))?;
    let (dispatches, batches) = (blueprint.dispatches(), blueprint.batches);
    let mut trainer = Trainer::from_blueprint(&gpu, blueprint, &data, &config.options)?;
    if let Some(weights) = &weights {
        trainer.load_state_dict(weights)?;
    }
    let path = args.out.clone().unwrap_or_else(|| default_dir(&args.config));
    let dir = RunDir::create(&path, &config.to_toml())?;
    if let Some(encoding) = data.encoding() {
        dir.keep_encoding(encoding)?;
    }

    let adapter = gpu.adapter();
    say(&format!(
        "adapter  {} ({}, {}); {}",
        adapter.name,
        adapter.kind.name(),
        adapter.backend,
        gpu.chosen_because()
    ));
    say(&format!(
        "data     {}: {} to train on, {} to evaluate on",
        data.name(),
        data.train().len(),
        data.eval().map_or(0, downhill::data::Part::len)
    ));
    say(&format!(
        "model    {} parameters, {dispatches} dispatches a step, {} on the device",
        trainer.blueprint().parameter_count(),
        units::bytes(gpu.ledger().total())
    ));
    for choice in &trainer.blueprint().fit.choices {
        say(&format!("memory   {choice}"));
    }
    let total = trainer.total_steps();
    let epochs = total.div_ceil(batches.steps() as u64);
    let board = config.watch.tensorboard.then(|| EventFile::create(dir.path())).transpose()?;
    let mut progress = Progress::new(dir, total, epochs, batches.rows);
    let result = trainer.run(&mut (&mut progress, board));
    progress.clear();
    let last = result?;
    let mut average = trainer.average_state_dict()?;
    let weights = match average.take_if(|_| trainer.trains_beside()) {
        Some(weights) => weights,
        None => trainer.state_dict()?,
    };
    train::save(&progress.dir().weights(), &weights)?;
    if let Some(average) = &average {
        train::save(&progress.dir().average_weights(), average)?;
    }

    if let Some(last) = &last {
        let loss = last.eval_loss.map(|l| format!(", eval loss {l:.4}")).unwrap_or_default();
        let accuracy =
            last.eval_accuracy.map(|a| format!(", eval accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
        let took = units::seconds(start.elapsed().as_secs_f64());
        say(&format!(
            "done     {} steps in {took}: train loss {:.4}{loss}{accuracy}",
            last.step, last.train_loss
        ));
    }
    if let Some(text) = limited(&trainer, start.elapsed().as_secs_f64()) {
        say(&format!("data     {text}"));
    }
    let skipped = trainer.skipped_steps()?;
    if skipped > 0 {
        say(&format!("skipped  {skipped} steps, their gradients not being finite"));
    }
    let shown = progress.dir().path().display();
    let kept = if data.encoding().is_some() { ", data.json" } else { "" };
    let averaged = if average.is_some() { ", average.safetensors" } else { "" };
    let events = if config.watch.tensorboard { ", events.out.tfevents.*" } else { "" };
    say(&format!(
        "run      {shown}/ (config.toml{kept}, metrics.jsonl, model.safetensors{averaged}{events})"
    ));
    let program = std::env::args().next().unwrap_or_else(|| "downhill".into());
    let file = args.config.display();
    say(&format!(
        "next     {program} train {file} --set optimizer.lr={:.0e}    a smaller learning rate\n         \
         {program} train {file} --init {shown}/model.safetensors    go on from these weights\n         \
         {program} explain {file}    each kernel of a step, and the memory",
        config.update.optimizer.lr() / 3.0
    ));
    Ok(assert(&args.assertions, last.as_ref())?)
}

/// Says which assertions hold of the last epoch; the error has the others.
fn assert(assertions: &[Assertion], last: Option<&EpochRecord>) -> Result<(), Error> {
    let Some(last) = last else {
        let untrained = |first| Err(Error::Assertion(format!("asserted {first}, but no step was done")));
        return assertions.first().map_or(Ok(()), untrained);
    };
    for assertion in assertions {
        if let Ok(value) = assertion.check(last) {
            say(&format!("holds    {assertion}: it is {value:?}"));
        }
    }
    Assertion::check_all(assertions, last)
}

/// That the device waited for samples, and what helps; nothing where it did not wait much.
fn limited(trainer: &Trainer, seconds: f64) -> Option<String> {
    let (waited, workers) = trainer.waited().zip(trainer.workers())?;
    let share = waited.as_secs_f64() / seconds;
    (share > LIMITED).then(|| {
        format!(
            "the device waited for samples {:.0}% of the time: more threads (data.workers, {workers} now) may help, or \
             a file that needs no decoding (downhill data convert)",
            100.0 * share
        )
    })
}

/// `runs/<config name>-<number>`
fn default_dir(config: &Path) -> PathBuf {
    let name = config.file_stem().map_or_else(|| "run".into(), |s| s.to_string_lossy().into_owned());
    RunDir::next(&name)
}
