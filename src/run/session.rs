//! A session: a run of a config in its directory, started or resumed, and brought to its end.

use super::checkpoint::{Checkpoint, Checkpointer, Identity};
use super::config_diff::check_same_run;
use super::dir::{CHECKPOINTS, CONFIG, Claim, RunDir};
use super::init::{InitReport, initialise};
use super::open::{identity, open, share_state};
use super::state::RunState;
use super::system::System;
use super::tensorboard::EventFile;
use super::tiles;
use super::weights::{load, save};
use crate::compile::TrainPlan;
use crate::config::Config;
use crate::data::{Arrays, Dataset};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::plan::NamedTensor;
use crate::train::{Checkpointing, Observer, Outcome, RunEnd, RunHandle, Trainer};
use crate::units::plural;
use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

/// Delays before each attempt to reopen a lost device. The count resets after a new checkpoint.
const DELAYS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// The action on a lost device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDeviceLost {
    /// End with [`Error::DeviceLost`]. Checkpoints stay.
    #[default]
    Fail,
    /// Open the device again, and resume from the last checkpoint.
    Retry,
}

/// A run of a config in its directory. Nothing is printed: [`Session::notes`] and the observer report.
///
/// ```no_run
/// use downhill::prelude::*;
/// use downhill::config::Config;
/// use downhill::run::Session;
///
/// # fn main() -> Result<(), Error> {
/// let run = "runs/mine".as_ref();
/// let mut session = if RunDir::exists(run) {
///     Session::resume(run, &GpuOptions::default(), &[], &|_| Ok(()))?
/// } else {
///     let config = Config::load("examples/digits.toml".as_ref(), &[])?;
///     Session::start(config, run, &GpuOptions::default(), None, &|_| Ok(()))?
/// };
/// let outcome = session.run(&mut ())?;
/// println!("{:?} {:?}", outcome.end, outcome.last);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session {
    config: Config,
    options: GpuOptions,
    gpu: Gpu,
    data: Dataset,
    trainer: Trainer,
    /// Dropped before the directory, so that its last writes happen under the lock.
    checkpoints: Checkpointer,
    dir: RunDir,
    handle: RunHandle,
    notes: Vec<String>,
    from: Option<u64>,
    init: Option<InitReport>,
    /// None until the files of the run are begun.
    system: Option<System>,
}

/// Writes into a config what its plan decided: the samples evaluated at once.
fn fill(config: &mut Config, trainer: &Trainer) {
    let evaluated = trainer.plan().eval_batches.map(|batches| batches.rows);
    config.options.eval_batch = config.options.eval_batch.or(evaluated);
}

impl Session {
    /// Starts a run. Every fault of the config, and every fault that `check` finds in the plan, is found before the
    /// directory is made. `init`: weights to start from, in place of those of the config's `[init]`.
    ///
    /// # Errors
    /// Errors of the config, the data, the device and the weights; as [`RunDir::claim`].
    pub fn start(
        config: Config,
        path: &Path,
        options: &GpuOptions,
        init: Option<&[NamedTensor]>,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        Self::start_in(config, None, &|| RunDir::claim(path), options, init, check)
    }

    /// [`Session::start`] on arrays of the program; the config's `data.source` is `"memory"`. The run's config then has the
    /// shape of a sample, and [`Session::resume_on`] resumes it.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start_on(
        config: Config,
        arrays: &Arrays,
        path: &Path,
        options: &GpuOptions,
        init: Option<&[NamedTensor]>,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        Self::start_in(config, Some(arrays), &|| RunDir::claim(path), options, init, check)
    }

    /// [`Session::start`] in `runs/<name>-<number>`, as [`RunDir::claim_next`] makes it.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start_next(
        config: Config,
        name: &str,
        options: &GpuOptions,
        init: Option<&[NamedTensor]>,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        Self::start_in(config, None, &|| RunDir::claim_next(name), options, init, check)
    }

    fn start_in(
        mut config: Config,
        arrays: Option<&Arrays>,
        claim: &dyn Fn() -> Result<Claim>,
        options: &GpuOptions,
        init: Option<&[NamedTensor]>,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        let data = config.dataset_of(arrays)?;
        config.data.describe(&data);
        let (gpu, mut trainer) = open(&config, &data, options)?;
        check(trainer.plan())?;
        fill(&mut config, &trainer);
        let report = match init {
            Some(weights) => trainer.load_state_dict(weights).map(|()| None)?,
            None => initialise(&mut trainer, &config.init)?,
        };
        // The whole model, whatever the file lacks.
        let start = report.is_some().then(|| trainer.state_dict()).transpose()?;
        let init = start.as_deref().or(init);
        let claim = claim()?;
        let path = claim.path();
        let folder = path.join(CHECKPOINTS);
        let mut checkpoints = Checkpointer::open(
            &folder,
            config.checkpoints.clone(),
            identity(&config, &gpu, trainer.plan()),
            &data,
        )?;
        // Remains of a run that never wrote a first line.
        checkpoints.clear()?;
        let first = RunDir::first_weights(path);
        match init {
            // The weights are stored nowhere else.
            Some(weights) => save(&first, weights)?,
            None if first.exists() => {
                fs::remove_file(&first).map_err(|err| Error::io("cannot remove", &first, &err))?;
            }
            None => {}
        }
        let text = config.to_toml_in(path);
        let dir = claim.begin(&text)?;
        report.as_ref().map_or(Ok(()), |report| dir.keep_init(report))?;
        let checkpoints = checkpoints.after(dir.metrics()?);
        let handle = trainer.handle();
        let notes = tiles::notes(&config, &gpu, trainer.plan());
        let mut session = Session {
            config,
            options: options.clone(),
            gpu,
            data,
            dir,
            trainer,
            checkpoints,
            handle,
            notes,
            from: None,
            init: report,
            system: None,
        };
        session.keep_origins()?;
        Ok(session)
    }

    /// Resumes a run from its newest complete checkpoint, or from its beginning where it has none. `settings` change
    /// its config, as `train.epochs=40`: only keys that change no bit of the steps that are done. `check` receives
    /// the plans before anything is changed.
    ///
    /// # Errors
    /// As [`Session::start`]; [`Error::Checkpoint`] where the run is done, in use, or was another: a changed config or
    /// changed data.
    pub fn resume(
        path: &Path,
        options: &GpuOptions,
        settings: &[String],
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        let dir = RunDir::reopen(path)?;
        let config = Config::load(&path.join(CONFIG), settings)?;
        Self::resume_with(dir, None, options, config, check)
    }

    /// [`Session::resume`] of a run on arrays of a program, which are given again: their fingerprint has to be that of the
    /// run.
    ///
    /// # Errors
    /// As [`Session::resume`].
    pub fn resume_on(
        path: &Path,
        arrays: &Arrays,
        options: &GpuOptions,
        settings: &[String],
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        let dir = RunDir::reopen(path)?;
        let config = Config::load(&path.join(CONFIG), settings)?;
        Self::resume_with(dir, Some(arrays), options, config, check)
    }

    /// [`Session::resume`] with a config that must be the run's but for the same keys.
    ///
    /// # Errors
    /// As [`Session::resume`].
    pub fn resume_as(
        path: &Path,
        options: &GpuOptions,
        config: Config,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        Self::resume_with(RunDir::reopen(path)?, None, options, config, check)
    }

    fn resume_with(
        mut dir: RunDir,
        arrays: Option<&Arrays>,
        options: &GpuOptions,
        config: Config,
        check: &dyn Fn(&TrainPlan) -> Result<()>,
    ) -> Result<Session> {
        let path = dir.path().to_owned();
        let stored = Config::load(&path.join(CONFIG), &[])?;
        // Files may lie elsewhere: the fingerprint of the data decides.
        let stored = stored.with_places_of(&config);
        let kept = tiles::kept(&config, &stored);
        let mut config = config.filled_from(&stored).with_tiles_of(&stored);
        check_same_run(&stored.to_toml(), &config.to_toml(), &path)?;
        let is_changed = stored != config;
        let finished = RunDir::is_finished(&path);
        if finished && !is_changed {
            return Err(Error::Checkpoint(format!(
                "{} is done: {} is there",
                path.display(),
                dir.weights().display()
            )));
        }
        let data = config.dataset_of(arrays)?;
        let (gpu, mut trainer) = open(&config, &data, options)?;
        check(trainer.plan())?;
        fill(&mut config, &trainer);
        let own = identity(&config, &gpu, trainer.plan());
        let mut checkpoints =
            Checkpointer::open(&dir.checkpoints(), config.checkpoints.clone(), own.clone(), &data)?;
        let (saved, mut notes) = find_checkpoint(&config, &own, &trainer, &checkpoints)?;
        notes.extend(kept.into_iter().chain(tiles::notes(&config, &gpu, trainer.plan())));
        // Before anything is changed.
        saved.iter().try_for_each(|saved| checkpoints.check_data(saved))?;
        if finished {
            check_extension(&dir, &trainer, saved.as_ref())?;
            dir.unfinish()?;
        }
        dir.replace_config(&config.to_toml_in(&path))?;
        let from = restore_from(saved.as_ref(), &mut trainer, &mut checkpoints, &mut dir)?;
        let checkpoints = checkpoints.after(dir.metrics()?);
        let handle = trainer.handle();
        let options = options.clone();
        let mut session = Session {
            config,
            options,
            gpu,
            data,
            trainer,
            checkpoints,
            dir,
            handle,
            notes,
            from,
            init: None,
            system: None,
        };
        session.keep_origins()?;
        Ok(session)
    }

    /// Stores how data became numbers, and what the run runs on.
    fn keep_origins(&mut self) -> Result<()> {
        let system = System::of(&self.gpu, self.trainer.plan(), &self.data);
        self.system = Some(system.begin(self.dir.path(), self.trainer.steps_done())?);
        self.data.encoding().map_or(Ok(()), |encoding| self.dir.keep_encoding(encoding))
    }

    /// Trains to the end, and writes the weights.
    ///
    /// # Errors
    /// As [`Trainer::run_with_checkpoints`].
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        self.run_or(OnDeviceLost::Fail, observer)
    }

    /// [`Session::run`] with an action on a lost device.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_or(&mut self, on_device_lost: OnDeviceLost, observer: &mut dyn Observer) -> Result<Outcome> {
        let result = self.run_through(on_device_lost, observer);
        let step = self.trainer.steps_done();
        let end = match &result {
            Ok(outcome) => outcome.end.name(),
            Err(err) => {
                self.dir.fail(step, err);
                RunState::after(err).name()
            }
        };
        let kept = self.system.as_mut().map_or(Ok(()), |system| system.end(self.dir.path(), step, end));
        // The first of two errors counts.
        let outcome = result?;
        kept.map(|()| outcome)
    }

    fn run_through(&mut self, on_device_lost: OnDeviceLost, observer: &mut dyn Observer) -> Result<Outcome> {
        if on_device_lost == OnDeviceLost::Retry && !self.gpu.ranks().is_alone() {
            return Err(Error::Config(
                "a lost device is opened again by one process alone; where ranks share a run, resume it"
                    .into(),
            ));
        }
        share_state(&self.trainer, self.gpu.ranks())?;
        let (mut tries, mut reached) = (0, None);
        let (outcome, weights) = loop {
            let mut events = self.event_file()?;
            let mut all = (&mut self.dir, &mut (&mut events, &mut *observer));
            let lost = match self.trainer.run_with_checkpoints(&mut all, &mut self.checkpoints) {
                Err(Error::DeviceLost(why)) => why,
                Err(err) => return Err(err),
                Ok(outcome) if outcome.end == RunEnd::Stopped => break (outcome, None),
                Ok(outcome) => match self.trainer.weights() {
                    Err(Error::DeviceLost(why)) => why,
                    Err(err) => return Err(err),
                    Ok(weights) => break (outcome, Some(weights)),
                },
            };
            if on_device_lost == OnDeviceLost::Fail {
                return Err(Error::DeviceLost(lost));
            }
            // A newer checkpoint shows that reopening helped.
            tries = if self.from > reached { 0 } else { tries };
            reached = reached.max(self.from);
            loop {
                let Some(pause) = DELAYS.get(tries) else { return Err(Error::DeviceLost(lost)) };
                thread::sleep(*pause);
                tries += 1;
                match self.reopen_device() {
                    Ok(()) => break,
                    Err(err) if tries == DELAYS.len() => {
                        return Err(Error::DeviceLost(format!(
                            "{lost}; and it cannot be opened again: {err}"
                        )));
                    }
                    Err(_) => {}
                }
            }
        };
        if let Some((weights, average)) = weights {
            RunDir::save_weights(self.dir.path(), &weights, average.as_deref())?;
        }
        let last = match outcome.last {
            Some(last) => Some(last),
            None => RunDir::last_epoch(self.dir.path())?,
        };
        Ok(Outcome { last, ..outcome })
    }

    /// Opens TensorBoard's file, where the config asks for it. Steps in earlier files that will be repeated no longer
    /// count.
    fn event_file(&self) -> Result<Option<EventFile>> {
        if !self.config.watch.tensorboard {
            return Ok(None);
        }
        let (path, done) = (self.dir.path(), self.trainer.steps_done());
        if done == 0 && !EventFile::is_in(path) {
            return EventFile::create(path).map(Some);
        }
        EventFile::resume(path, done).map(Some)
    }

    /// Opens the device again and goes back to the last checkpoint.
    fn reopen_device(&mut self) -> Result<()> {
        // Checkpoints that were handed over before are still written.
        let _ = self.checkpoints.finish();
        // Frees the memory of a device that did not answer.
        self.gpu.lose();
        let (gpu, mut trainer) = open(&self.config, &self.data, &self.options)?;
        let own = identity(&self.config, &gpu, trainer.plan());
        let rule = self.config.checkpoints.clone();
        let mut checkpoints = Checkpointer::open(&self.dir.checkpoints(), rule, own.clone(), &self.data)?;
        let (saved, notes) = find_checkpoint(&self.config, &own, &trainer, &checkpoints)?;
        let from = restore_from(saved.as_ref(), &mut trainer, &mut checkpoints, &mut self.dir)?;
        trainer.use_handle(&self.handle);
        self.checkpoints = checkpoints.after(self.dir.metrics()?);
        (self.gpu, self.trainer, self.from) = (gpu, trainer, from);
        self.notes.extend(notes);
        Ok(())
    }

    /// Notes for the user on how the run is resumed (damaged checkpoints that were skipped, another adapter), and on tiles of
    /// products that were measured elsewhere or are not used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The weights that it started from, where this process started it by the config's `[init]`.
    pub fn init(&self) -> Option<&InitReport> {
        self.init.as_ref()
    }

    /// The step of the checkpoint that it resumed from, if there was one.
    pub fn from(&self) -> Option<u64> {
        self.from
    }

    /// A handle that reports how far the run is, and stops it, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Its config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Its device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its directory.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Its trainer.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }
}

/// The newest complete checkpoint, checked to be one of this run, with notes for the user. Nothing is changed.
fn find_checkpoint(
    config: &Config,
    own: &Identity,
    trainer: &Trainer,
    checkpoints: &Checkpointer,
) -> Result<(Option<Checkpoint>, Vec<String>)> {
    let (saved, damaged) = checkpoints.latest()?;
    let mut notes: Vec<String> = damaged.iter().map(|err| format!("passed over: {err}")).collect();
    let Some(saved) = saved else { return Ok((None, notes)) };
    let place = checkpoints.path(saved.steps_done());
    if own.config_hash != saved.identity.config_hash {
        // As this version writes it: a key that it added has its default. The files may lie elsewhere.
        let theirs = Config::parse(&saved.identity.config, &[]);
        let theirs = theirs.map(|theirs| theirs.with_places_of(config).filled_from(config).to_toml());
        check_same_run(theirs.as_deref().unwrap_or(&saved.identity.config), &own.config, &place)?;
    }
    let (was, is) = (&saved.identity.batch_layout, &own.batch_layout);
    if was != is {
        return Err(Error::Checkpoint(format!(
            "{} was written by a run with {was}, and this one has {is}: the memory there is, or watch.statistics, decides \
             that; give it as much as it had (train.memory), or begin a new run",
            place.display()
        )));
    }
    trainer.check_schedule(&saved.snapshot)?;
    for (what, was, is) in [
        ("version", &saved.identity.version, &own.version),
        ("adapter", &saved.identity.adapter, &own.adapter),
    ] {
        if was != is {
            notes.push(format!(
                "the {what} is another: {} was written with {was}, and this is {is}; the bits from here on may differ \
                 from those of a run that was never left",
                place.display()
            ));
        }
    }
    if saved.ends_in_an_epoch() && trainer.total_steps() > saved.steps_done() {
        return Err(Error::Checkpoint(format!(
            "{} is of the end of a run within an epoch, whose evaluation stands in metrics.jsonl: with more steps it would \
             not be there. Begin a new run, or leave the number of steps",
            place.display()
        )));
    }
    Ok((Some(saved), notes))
}

/// Refuses to resume a run that is done, except for more steps after a checkpoint of its end.
fn check_extension(dir: &RunDir, trainer: &Trainer, saved: Option<&Checkpoint>) -> Result<()> {
    let path = dir.path().display();
    let (steps, epochs) = dir.reported()?;
    let of_the_end =
        saved.is_some_and(|saved| (saved.steps_done(), saved.epochs_reported()) == (steps, epochs));
    if !of_the_end {
        return Err(Error::Checkpoint(format!(
            "{path} is done after {}, and its last checkpoint is not of its end: what is there cannot be gone on with; \
             checkpoint.every_epochs = 1 keeps one",
            plural(steps, "step")
        )));
    }
    if steps >= trainer.total_steps() {
        return Err(Error::Checkpoint(format!(
            "{path} is done after {}, and these settings ask for no more",
            plural(steps, "step")
        )));
    }
    Ok(())
}

/// Restores a trainer and its directory from a checkpoint, or to the beginning; gives the checkpoint's step.
fn restore_from(
    saved: Option<&Checkpoint>,
    trainer: &mut Trainer,
    checkpoints: &mut Checkpointer,
    dir: &mut RunDir,
) -> Result<Option<u64>> {
    let Some(saved) = saved else {
        checkpoints.clear()?;
        let first = RunDir::first_weights(dir.path());
        if first.exists() {
            trainer.load_state_dict(&load(&first)?)?;
        }
        dir.rewind(0, 0)?;
        return Ok(None);
    };
    let step = saved.steps_done();
    checkpoints.resume_from(saved)?;
    trainer.restore(&saved.snapshot)?;
    dir.rewind(step, saved.epochs_reported())?;
    Ok(Some(step))
}
