//! `downhill train`, and what it shares with `downhill resume`: a session that is run and told of.

use std::path::Path;
use std::time::Instant;

use downhill::compile::TrainPlan;
use downhill::config::Config;
use downhill::run::{Assertion, RunDir};
use downhill::run::{OnDeviceLost, Outcome, Session};
use downhill::train::{EpochRecord, RunEnd, RunHandle, Trainer};
use downhill::{Error, GpuOptions, units};

use super::args::{RunArgs, TrainArgs};
use super::resume::go_on;
use super::view::View;
use super::{STOPPED, Stopped, say};

/// A run says so where its device waits for data longer than this share of its time.
const LIMITED: f64 = 0.1;

pub(super) fn gpu_options(how: &RunArgs) -> GpuOptions {
    GpuOptions { adapter: how.adapter.clone(), ..GpuOptions::default() }
}

pub(super) fn train(args: &TrainArgs) -> anyhow::Result<()> {
    // `--resume` may be followed by the run, or stand before the config.
    let (config, resume) = match (&args.config, &args.resume) {
        (None, Some(Some(path))) if path.is_file() => (Some(path), Some(None)),
        (config, resume) => (config.as_ref(), resume.as_ref().map(Option::as_ref)),
    };
    let Some(file) = config else {
        let Some(Some(run)) = resume else {
            return Err(Error::Config("a config, or the run to go on with, is needed".into()).into());
        };
        return go_on(run, &settings(args)?, None, &args.how);
    };
    if file.is_dir() && resume.is_some() {
        return go_on(file, &settings(args)?, None, &args.how);
    }
    let mut config = Config::load(file, &args.settings)?;
    config.options.seed = args.seed.unwrap_or(config.options.seed);
    config.options.steps = args.steps.or(config.options.steps);
    config.memory = args.memory.or(config.memory);
    if let Some(named) = resume {
        let run = named.or(args.out.as_ref()).cloned().or_else(|| RunDir::last(&name_of(file)));
        if let Some(run) = run.filter(|run| RunDir::exists(run)) {
            return go_on(&run, &[], Some(config), &args.how);
        }
    }
    let weights = args.init.as_deref().map(downhill::run::load).transpose()?;
    let path =
        resume.flatten().or(args.out.as_ref()).cloned().unwrap_or_else(|| RunDir::next(&name_of(file)));
    let session =
        Session::start(config, &path, &gpu_options(&args.how), weights.as_deref(), &check(&args.how))?;
    run(session, &args.how, Some(file))
}

/// That the plans of a run will tell what is asserted.
pub(super) fn check(how: &RunArgs) -> impl Fn(&TrainPlan) -> Result<(), Error> {
    |plan| how.assertions.iter().try_for_each(|assertion| assertion.check_plan(plan))
}

/// The options that change a config, as settings of a run that has one.
fn settings(args: &TrainArgs) -> Result<Vec<String>, Error> {
    if args.init.is_some() {
        let text =
            "--init: a run that is there goes on from its own weights; leave it out, or begin another run";
        return Err(Error::Config(text.into()));
    }
    let seed = args.seed.map(|seed| format!("seed={seed}"));
    let steps = args.steps.map(|steps| format!("train.steps={steps}"));
    let memory = args.memory.map(|bytes| format!("train.memory={bytes}"));
    Ok(args.settings.iter().cloned().chain(seed).chain(steps).chain(memory).collect())
}

/// What a config's runs are named after.
fn name_of(config: &Path) -> String {
    config.file_stem().map_or_else(|| "run".into(), |s| s.to_string_lossy().into_owned())
}

/// Ctrl-C and SIGTERM stop the run; a second one ends the process where it is.
fn stop_on_signals(handle: RunHandle) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if handle.is_stopped() {
            std::process::exit(STOPPED.into());
        }
        handle.stop();
    })?;
    Ok(())
}

/// Runs a session and tells of it; `file` is the config it was begun with.
pub(super) fn run(mut session: Session, how: &RunArgs, file: Option<&Path>) -> anyhow::Result<()> {
    let start = Instant::now();
    stop_on_signals(session.handle())?;
    if how.talks() {
        introduce(&session);
    }
    let mut view = View::new(how, &session);
    let on_lost = if how.on_device_lost == "retry" { OnDeviceLost::Retry } else { OnDeviceLost::Fail };
    let result = session.run_or(on_lost, view.observer());
    view.end(result.as_ref().ok())?;
    let path = session.dir().path().display().to_string();
    let program = std::env::args().next().unwrap_or_else(|| "downhill".into());
    let outcome = result.inspect_err(|err| {
        // Those that checkpoints help with.
        if matches!(err, Error::DeviceLost(_) | Error::Io { .. } | Error::Gpu(_)) {
            eprintln!("kept     what was saved; go on with: {program} resume {path}");
        }
    })?;
    if outcome.end == RunEnd::Stopped {
        let step = outcome.step;
        if how.talks() {
            say(&format!(
                "stopped  after step {step}, and saved; go on with:\n         {program} resume {path}"
            ));
        }
        return Err(Stopped.into());
    }
    if how.talks() {
        conclude(&session, &outcome, start);
    }
    if let Some(file) = file.filter(|_| how.talks()) {
        let (file, lr) = (file.display(), session.config().update.optimizer.lr() / 3.0);
        say(&format!(
            "next     {program} train {file} --set optimizer.lr={lr:.0e}    a smaller learning rate\n         \
             {program} train {file} --init {path}/model.safetensors    go on from these weights\n         \
             {program} explain {file}    each kernel of a step, and the memory"
        ));
    }
    if how.profile {
        super::profile::profile(session, how.talks())?;
    }
    Ok(assert(how, outcome.last.as_ref())?)
}

/// What a person wants to know before the first step.
fn introduce(session: &Session) {
    let (gpu, data, train_plan) = (session.gpu(), session.data(), session.trainer().plan());
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
        "model    {} parameters, {} dispatches a step, {} on the device",
        train_plan.parameter_count(),
        train_plan.dispatches(),
        units::bytes(gpu.ledger().total())
    ));
    for choice in &train_plan.budget_choice.choices {
        say(&format!("memory   {choice}"));
    }
    for note in session.notes() {
        say(&format!("note     {note}"));
    }
    if let Some(step) = session.from() {
        let (total, path) = (session.trainer().total_steps(), session.dir().path().display());
        say(&format!("resume   {path} after step {step} of {total}"));
    }
}

/// What a person wants to know after the last step.
fn conclude(session: &Session, outcome: &Outcome, start: Instant) {
    let trainer = session.trainer();
    if let Some(last) = &outcome.last {
        let loss = last.eval_loss.map(|l| format!(", eval loss {l:.4}")).unwrap_or_default();
        let accuracy =
            last.eval_accuracy.map(|a| format!(", eval accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
        let took = units::seconds(start.elapsed().as_secs_f64());
        say(&format!(
            "done     {} steps in {took}: train loss {:.4}{loss}{accuracy}",
            outcome.step, last.train_loss
        ));
    }
    if outcome.end == RunEnd::EarlyStopped {
        say("stopped  early: the epochs got no better");
    }
    if let Some((value, epoch)) = trainer.best_epoch() {
        say(&format!("best     epoch {epoch}, {value:.6}; the weights are those of its end"));
    }
    if let Some(text) = limited(trainer, start.elapsed().as_secs_f64()) {
        say(&format!("data     {text}"));
    }
    let skipped = trainer.skipped_steps().unwrap_or(0);
    if skipped > 0 {
        say(&format!("skipped  {skipped} steps, their gradients not being finite"));
    }
    let dir = session.dir();
    let files = [
        "config.toml",
        "data.json",
        "metrics.jsonl",
        "model.safetensors",
        "average.safetensors",
        downhill::run::CHECKPOINTS,
    ];
    let events = session.config().watch.tensorboard.then_some("events.out.tfevents.*");
    let there = files.into_iter().filter(|file| dir.path().join(file).exists());
    let files: Vec<&str> = there.chain(events).collect();
    say(&format!("run      {}/ ({})", dir.path().display(), files.join(", ")));
}

/// Says which assertions hold of the last epoch; the error has the others.
pub(super) fn assert(how: &RunArgs, last: Option<&EpochRecord>) -> Result<(), Error> {
    let assertions = &how.assertions;
    let Some(last) = last else {
        let untrained = |first| Err(Error::Assertion(format!("asserted {first}, but no epoch was told")));
        return assertions.first().map_or(Ok(()), untrained);
    };
    let values = last.values();
    for assertion in assertions.iter().filter(|_| how.talks()) {
        if let Ok(value) = assertion.check(&values) {
            say(&format!("holds    {assertion}: it is {value:?}"));
        }
    }
    Assertion::check_all(assertions, &values)
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
