//! When a run keeps a checkpoint, and which ones stay.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::files::{Contents, Identity, Saved};
use super::shelf::{self, Entry, Shelf};
use super::writer::{Desk, Fingerprint, Writer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::train::observer::{EpochRecord, Observer};
use crate::train::trainer::Trainer;
use crate::train::watched::Watched;

/// How often a run keeps checkpoints, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoints {
    /// After every so many steps, counted over the whole run.
    pub every_steps: Option<u64>,
    /// After every so many minutes since the last.
    pub every_minutes: Option<f64>,
    /// After every so many epochs and their evaluation.
    pub every_epochs: Option<u64>,
    /// How many of the last are kept, at least one. 2 unless said otherwise, so that there is one to go back to.
    pub keep_last: usize,
    /// How many of the best are kept besides, each epoch among them being kept when it ends. None unless said otherwise.
    pub keep_best: usize,
    /// What says which are the best, as [`EpochRecord::value`] takes it: the evaluation's loss, or the training's where
    /// nothing is evaluated, unless said otherwise.
    pub metric: Option<String>,
}

impl Default for Checkpoints {
    /// Every five minutes, the last two.
    fn default() -> Self {
        Checkpoints {
            every_steps: None,
            every_minutes: Some(5.0),
            every_epochs: None,
            keep_last: 2,
            keep_best: 0,
            metric: None,
        }
    }
}

/// Keeps the checkpoints of a run in a folder.
///
/// ```no_run
/// # use downhill::prelude::*;
/// # use downhill::train::{Checkpoints, Identity, Keeper};
/// # fn run(gpu: &Gpu, data: &Dataset, mut trainer: Trainer) -> Result<(), Error> {
/// let rule = Checkpoints { every_steps: Some(100), ..Checkpoints::default() };
/// let identity = Identity::new("my net, lr 3e-3".into(), gpu.adapter().name.clone(), trainer.blueprint());
/// let mut keeper = Keeper::open("checkpoints".as_ref(), rule, identity, data)?;
/// if let Some(saved) = keeper.latest()?.0 {
///     keeper.go_on_from(&saved)?; // the same data, and nothing newer is left
///     trainer.restore(&saved.snapshot)?;
/// }
/// trainer.run_kept(&mut (), &mut keeper)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    rule: Checkpoints,
    identity: Identity,
    watched: Watched,
    shelf: Shelf,
    writer: Writer,
    last: Instant,
    /// Steps done at the last checkpoint.
    kept: Option<u64>,
    /// One is due as soon as the epoch is told.
    owed: bool,
}

impl Keeper {
    /// Opens the folder of a run's checkpoints, which need not be there yet.
    ///
    /// # Errors
    /// [`Error::Config`] for a rule that cannot be followed, [`Error::Io`] where the folder cannot be read.
    pub fn open(folder: &Path, rule: Checkpoints, identity: Identity, data: &Dataset) -> Result<Keeper> {
        rule.check()?;
        let watched = Watched::or_loss(rule.metric.as_deref(), data.eval().is_some());
        let shelf = Shelf::open(folder, &watched)?;
        let writer = Writer::new(Desk {
            shelf: shelf.clone(),
            rule: rule.clone(),
            watched: watched.clone(),
            metrics: None,
            data: data.clone(),
            fingerprint: Fingerprint::Unknown,
        });
        let (folder, last) = (folder.to_owned(), Instant::now());
        Ok(Keeper { folder, rule, identity, watched, shelf, writer, last, kept: None, owed: false })
    }

    /// Has every checkpoint wait until `metrics` is synced: a file that is never behind it.
    #[must_use]
    pub fn after(mut self, metrics: File) -> Keeper {
        self.writer.desk_mut().iter_mut().for_each(|desk| desk.metrics = metrics.try_clone().ok());
        self
    }

    /// The newest checkpoint that is whole, if there is one, and what is wrong with the newer ones.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there are checkpoints and every one is damaged.
    pub fn latest(&self) -> Result<(Option<Saved>, Vec<Error>)> {
        let mut damaged = Vec::new();
        for entry in self.shelf.entries.iter().rev() {
            match self.shelf.read(entry.step) {
                Ok(saved) => return Ok((Some(saved), damaged)),
                Err(err @ Error::Checkpoint(_)) => damaged.push(err),
                Err(other) => return Err(other),
            }
        }
        if damaged.is_empty() {
            return Ok((None, damaged));
        }
        let each: Vec<String> = damaged.iter().map(|err| format!("  {err}")).collect();
        Err(Error::Checkpoint(format!(
            "no checkpoint in {} is whole:\n{}\nRemove that folder to begin the run anew",
            self.folder.display(),
            each.join("\n")
        )))
    }

    /// Goes on from a checkpoint: the data must be those it was made with, and what is newer is removed.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the data differ.
    pub fn go_on_from(&mut self, saved: &Saved) -> Result<()> {
        let Some(desk) = self.writer.desk_mut() else { return Ok(()) };
        let now = desk.fingerprint.get(&desk.data)?;
        if now != saved.identity.data {
            return Err(Error::Checkpoint(format!(
                "the data are not those of the run: \"{}\" has the fingerprint {now}, and {} was written with {}. Bring \
                 the data back as they were, or begin a new run",
                desk.data.name(),
                self.shelf.path(saved.steps_done()).display(),
                saved.identity.data
            )));
        }
        desk.shelf.cut(saved.steps_done())?;
        self.shelf = desk.shelf.clone();
        self.kept = Some(saved.steps_done());
        Ok(())
    }

    /// Removes every checkpoint: the run begins anew.
    ///
    /// # Errors
    /// [`Error::Io`] where one cannot be removed.
    pub fn begin_anew(&mut self) -> Result<()> {
        let Some(desk) = self.writer.desk_mut() else { return Ok(()) };
        desk.shelf.clear()?;
        self.shelf = desk.shelf.clone();
        Ok(())
    }

    /// Where the checkpoint after `step` steps is.
    pub fn path(&self, step: u64) -> PathBuf {
        self.shelf.path(step)
    }

    /// Before the first step: the data are read for their fingerprint beside the run.
    pub(in crate::train) fn begin(&mut self) {
        if let Some(desk) = self.writer.desk_mut() {
            desk.fingerprint.begin(&desk.data);
        }
    }

    /// The step after `step` at which a checkpoint is due.
    pub(in crate::train) fn next_step(&self, step: u64) -> Option<u64> {
        self.rule.every_steps.map(|every| (step / every + 1).saturating_mul(every))
    }

    /// When one is due whatever the step.
    pub(in crate::train) fn deadline(&self) -> Option<Instant> {
        let after = Duration::try_from_secs_f64(60.0 * self.rule.every_minutes?).ok()?;
        self.last.checked_add(after)
    }

    /// After steps have landed. What is due at the end of an epoch waits for its evaluation.
    pub(in crate::train) fn after_steps(&mut self, trainer: &Trainer) -> Result<()> {
        let by_step = self.rule.every_steps.is_some_and(|every| trainer.steps_done().is_multiple_of(every));
        let by_time = self.deadline().is_some_and(|deadline| Instant::now() >= deadline);
        self.owed |= by_step || by_time;
        if self.kept == Some(trainer.steps_done()) {
            // Taken here before, perhaps with the value of its epoch.
            (self.last, self.owed) = (Instant::now(), false);
        } else if self.owed && !trainer.owes_an_epoch() {
            self.keep(trainer)?;
        }
        Ok(())
    }

    /// After an epoch has been told.
    pub(in crate::train) fn after_epoch(&mut self, trainer: &Trainer, epoch: &EpochRecord) -> Result<()> {
        let by_epoch = self.rule.every_epochs.is_some_and(|every| epoch.epoch.is_multiple_of(every));
        let value = self.watched.value(epoch);
        let is_best = value.is_some_and(|value| self.is_best(value));
        if self.owed || by_epoch || is_best {
            self.write(trainer, value)?;
        }
        Ok(())
    }

    /// Whether a value is among those to be kept for it.
    fn is_best(&self, value: f64) -> bool {
        let entries = &self.shelf.entries;
        let kept = shelf::best(entries, self.rule.keep_best, &self.watched);
        let worst = kept.last().and_then(|step| entries.iter().find(|entry| entry.step == *step));
        let better =
            worst.and_then(|entry| entry.metric).is_none_or(|worst| self.watched.better(value, worst, 0.0));
        self.rule.keep_best > 0 && (kept.len() < self.rule.keep_best || better)
    }

    /// Keeps a checkpoint now, unless the last one is of this very step.
    ///
    /// # Errors
    /// A lost device; what went wrong with an earlier checkpoint.
    pub fn keep(&mut self, trainer: &Trainer) -> Result<()> {
        if self.kept == Some(trainer.steps_done()) && !self.owed {
            return Ok(());
        }
        self.write(trainer, None)
    }

    fn write(&mut self, trainer: &Trainer, metric: Option<f64>) -> Result<()> {
        let (layout, snapshot) = trainer.whole_state()?;
        let step = snapshot.steps_done();
        let saved = Saved { identity: self.identity.clone(), metric, snapshot };
        self.writer.send(Contents { layout, watched: self.watched.clone(), saved })?;
        // As the thread will do it.
        let entries = &mut self.shelf.entries;
        shelf::add(entries, Entry { step, metric });
        let kept = shelf::kept(entries, self.rule.keep_last, self.rule.keep_best, &self.watched);
        entries.retain(|entry| kept.contains(&entry.step));
        (self.last, self.kept, self.owed) = (Instant::now(), Some(step), false);
        Ok(())
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// What kept a checkpoint from being written.
    pub fn finish(&mut self) -> Result<()> {
        self.writer.finish()
    }

    /// Tells of what has been written.
    pub(in crate::train) fn tell(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.writer.written()?.iter().try_for_each(|record| observer.checkpoint(record))
    }
}

impl Checkpoints {
    /// Refuses what cannot be followed.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        if self.every_steps == Some(0) || self.every_epochs == Some(0) {
            return wrong(
                "checkpoint: every 1 step or epoch is the most often; leave the key out for none".into(),
            );
        }
        match self.every_minutes {
            Some(minutes) if !(minutes.is_finite() && minutes > 0.0) => {
                wrong(format!("checkpoint.every_minutes = {minutes}: a number above 0 is needed"))
            }
            _ if self.keep_last == 0 => wrong(
                "checkpoint.keep_last = 0: at least the last one is kept, for resume to go on from".into(),
            ),
            _ => Ok(()),
        }
    }
}
