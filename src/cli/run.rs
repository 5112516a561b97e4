//! Runs a session and reports it: what `train` and `resume` share.

use std::path::Path;
use std::time::Instant;

use downhill::Error;
use downhill::compile::TrainPlan;
use downhill::config::Config;
use downhill::run::{Assertion, OnDeviceLost, Outcome, RunDir, Session, Worker};
use downhill::train::{EpochRecord, RunEnd, RunHandle};

use super::exit::{STOPPED, Stopped};
use super::output::{eprintln, println};
use super::ranks::ranks;
use super::run_args::RunArgs;
use super::view::{Json, View};
use super::{next, profile, program, report, summary};

/// Checks before the run starts that its plans report every metric asserted.
pub(super) fn check_assertions(how: &RunArgs) -> impl Fn(&TrainPlan) -> Result<(), Error> {
    |plan| how.assertions.iter().try_for_each(|assertion| assertion.check_plan(plan))
}

/// Refuses settings of `[init]` for a run that has its own weights.
pub(super) fn check_own_weights(settings: &[String]) -> Result<(), Error> {
    let of_init = |setting: &&String| {
        let key = setting.split('=').next().unwrap_or_default().trim();
        key == "init" || key.starts_with("init.")
    };
    settings.iter().find(of_init).map_or(Ok(()), |setting| {
        Err(Error::Config(format!(
            "--set {setting}: a run that exists resumes from its own weights; leave it out, or start another run"
        )))
    })
}

/// Resumes the run at `path` with these settings changed, or with a whole config in place of its own.
pub(super) fn resume(
    path: &Path,
    settings: &[String],
    config: Option<Config>,
    how: &RunArgs,
) -> anyhow::Result<()> {
    check_own_weights(settings)?;
    check_shared(how)?;
    report::check_folder(how.report.as_ref().and_then(|file| file.as_deref()))?;
    let is_changed = match &config {
        Some(config) => {
            let stored = Config::load(&path.join("config.toml"), &[])?.with_places_of(config);
            config.clone().filled_from(&stored).with_tiles_of(&stored) != stored
        }
        None => !settings.is_empty(),
    };
    if RunDir::is_finished(path) && !is_changed {
        let last = RunDir::last_epoch(path)?;
        if how.json {
            let step = last.as_ref().map_or(0, |last| last.step);
            Json::new(path).end(&Outcome { end: RunEnd::Finished, step, last: None })?;
        } else if how.is_verbose() {
            println(&format!("done     {} is finished; there is nothing to resume", path.display()));
        }
        Worker::dismiss(&ranks())?;
        let reported = report_run(path, how, true);
        return Ok(assert(how, last.as_ref()).and(reported)?);
    }
    let (options, check) = (how.adapter.shared_gpu_options(), check_assertions(how));
    let session = match config {
        None if how.data.data_root.is_some() && RunDir::exists(path) => {
            let config = how.data.load(&path.join("config.toml"), settings)?;
            Session::resume_as(path, &options, config, &check)?
        }
        Some(config) => Session::resume_as(path, &options, config, &check)?,
        None => Session::resume(path, &options, settings, &check)?,
    };
    run_session(session, how, None)
}

/// Refuses what several ranks do not do.
pub(super) fn check_shared(how: &RunArgs) -> Result<(), Error> {
    let refused = |what: &str, remedy: &str| {
        Err(Error::Config(format!(
            "{what} is for one process, and {} ranks were started; {remedy}",
            ranks().count()
        )))
    };
    match () {
        () if ranks().is_alone() => Ok(()),
        () if how.profile => {
            refused("--profile", "leave it out, or train with one rank to see the kernels' times")
        }
        () if how.on_device_lost == "retry" => {
            refused("--on-device-lost retry", "downhill resume goes on with a run")
        }
        () => Ok(()),
    }
}

/// Trains along with the session of rank 0.
pub(super) fn work(how: &RunArgs) -> anyhow::Result<()> {
    let Some(mut worker) = Worker::join(&how.adapter.shared_gpu_options())? else { return Ok(()) };
    stop_on_signals(worker.handle())?;
    match worker.run()?.end {
        RunEnd::Stopped => Err(Stopped.into()),
        RunEnd::Finished | RunEnd::EarlyStopped => Ok(()),
    }
}

/// The first Ctrl-C or SIGTERM stops the run after its step; the second ends the process at once.
pub(super) fn stop_on_signals(handle: RunHandle) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if handle.is_stopped() {
            std::process::exit(STOPPED.into());
        }
        handle.stop();
    })?;
    Ok(())
}

/// Runs a session and reports it. `file` is the config of a new run.
pub(super) fn run_session(mut session: Session, how: &RunArgs, file: Option<&Path>) -> anyhow::Result<()> {
    let start = Instant::now();
    stop_on_signals(session.handle())?;
    if how.is_verbose() {
        summary::introduce(&session);
    }
    let mut view = View::new(how, &session);
    let on_lost = if how.on_device_lost == "retry" { OnDeviceLost::Retry } else { OnDeviceLost::Fail };
    let result = session.run_or(on_lost, view.observer());
    view.end(result.as_ref().ok())?;
    let path = session.dir().path().display().to_string();
    let program = program::name();
    let folder = session.dir().path().to_owned();
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(err) => {
            // Errors after which a checkpoint helps.
            let helps = matches!(err, Error::DeviceLost(_) | Error::Io { .. } | Error::Gpu(_));
            let is_present = session.dir().is_present();
            if helps && is_present {
                eprintln(&format!("kept     the last checkpoint; resume with: {program} resume {path}"));
            }
            // A run that a process has open counts as running.
            drop(session);
            if is_present {
                // This error is the one to tell.
                let _ = report_run(&folder, how, false);
            }
            return Err(err.into());
        }
    };
    if outcome.end == RunEnd::Stopped {
        let step = outcome.step;
        if how.is_verbose() {
            println(&format!(
                "stopped  after step {step}, and saved; resume with:\n         {program} resume {path}"
            ));
        }
        drop(session);
        if let Err(err) = report_run(&folder, how, false) {
            eprintln(&format!("warning: no report: {err}"));
        }
        return Err(Stopped.into());
    }
    if how.is_verbose() {
        summary::conclude(&session, &outcome, start.elapsed());
    }
    if how.is_verbose() {
        next::offer(&session, file, program);
    }
    if how.profile {
        profile::profile(session, how.is_verbose())?;
    } else {
        drop(session);
    }
    let reported = report_run(&folder, how, true);
    // An assertion that fails is the error to tell, whatever becomes of the report.
    let asserted = assert(how, outcome.last.as_ref());
    if let (Err(_), Err(err)) = (&asserted, &reported) {
        eprintln(&format!("warning: no report: {err}"));
    }
    Ok(asserted.and(reported)?)
}

/// Writes the report that `--report` asks for, and names it in the last line.
fn report_run(run: &Path, how: &RunArgs, evaluates: bool) -> Result<(), Error> {
    let Some(file) = &how.report else { return Ok(()) };
    let line = report::write_run(run, file.as_deref(), evaluates.then_some((&how.data, &how.adapter)))?;
    if how.is_verbose() {
        println(&line);
    }
    Ok(())
}

/// Reports the assertions that hold for the last epoch. The error lists the others.
fn assert(how: &RunArgs, last: Option<&EpochRecord>) -> Result<(), Error> {
    let assertions = &how.assertions;
    let Some(last) = last else {
        let untrained = |first| Err(Error::Assertion(format!("asserted {first}, but no epoch was reported")));
        return assertions.first().map_or(Ok(()), untrained);
    };
    let values = last.values();
    for assertion in assertions.iter().filter(|_| how.is_verbose()) {
        if let Ok(value) = assertion.check(&values) {
            println(&format!("holds    {assertion}: it is {value:?}"));
        }
    }
    Assertion::check_all(assertions, &values)
}
