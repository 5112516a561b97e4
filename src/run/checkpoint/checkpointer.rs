//! Saves the checkpoints of a run when they are due, and prunes them by their rule.

use super::format::{Checkpoint, Contents, Identity};
use super::store::{self, CheckpointStore, Entry};
use super::writer::{Desk, Fingerprint, Writer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::train::{CheckpointOptions, Checkpointing, EpochRecord, Monitor, Observer, Trainer};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Saves the checkpoints of a run in a folder.
///
/// ```no_run
/// # use downhill::prelude::*;
/// # use downhill::run::{Checkpointer, Identity};
/// # use downhill::train::CheckpointOptions;
/// # fn run(gpu: &Gpu, data: &Dataset, mut trainer: Trainer) -> Result<(), Error> {
/// let rule = CheckpointOptions { every_steps: Some(100), ..CheckpointOptions::default() };
/// let identity = Identity::new("my net, lr 3e-3".into(), gpu.adapter().name.clone(), trainer.plan());
/// let mut checkpoints = Checkpointer::open("checkpoints".as_ref(), rule, identity, data)?;
/// if let Some(checkpoint) = checkpoints.latest()?.0 {
///     checkpoints.resume_from(&checkpoint)?; // the same data, and newer checkpoints are removed
///     trainer.restore(&checkpoint.snapshot)?;
/// }
/// trainer.run_with_checkpoints(&mut (), &mut checkpoints)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Checkpointer {
    rule: CheckpointOptions,
    identity: Identity,
    monitor: Monitor,
    store: CheckpointStore,
    writer: Writer,
    last: Instant,
    /// Steps done at the last checkpoint.
    saved: Option<u64>,
    /// A checkpoint is due as soon as the epoch is reported.
    is_owed: bool,
}

impl Checkpointer {
    /// Opens the folder of a run's checkpoints, which need not be there yet; the folder around it must be.
    ///
    /// # Errors
    /// [`Error::Config`] for a rule that cannot be followed, [`Error::Io`] where the folder cannot be read.
    pub fn open(
        folder: &Path,
        rule: CheckpointOptions,
        identity: Identity,
        data: &Dataset,
    ) -> Result<Checkpointer> {
        rule.check()?;
        let monitor = Monitor::or_loss(rule.metric.as_deref(), data.eval().is_some());
        let store = CheckpointStore::open(folder, &monitor)?;
        let writer = Writer::new(Desk {
            store: store.clone(),
            rule: rule.clone(),
            monitor: monitor.clone(),
            metrics: None,
            data: data.clone(),
            fingerprint: Fingerprint::Unknown,
        });
        let last = Instant::now();
        Ok(Checkpointer { rule, identity, monitor, store, writer, last, saved: None, is_owed: false })
    }

    /// Syncs `metrics` before each checkpoint, so that this file is never behind a checkpoint.
    #[must_use]
    pub fn after(mut self, metrics: File) -> Checkpointer {
        self.writer.desk_mut().iter_mut().for_each(|desk| desk.metrics = metrics.try_clone().ok());
        self
    }

    /// The newest complete checkpoint, if there is one, and the faults of the newer ones.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there are checkpoints and every one is damaged.
    pub fn latest(&self) -> Result<(Option<Checkpoint>, Vec<Error>)> {
        self.store.latest()
    }

    /// Checks that the data are those that a checkpoint was made with.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where they differ.
    pub fn check_data(&mut self, saved: &Checkpoint) -> Result<()> {
        let Some(desk) = self.writer.desk_mut() else { return Ok(()) };
        let now = desk.fingerprint.get(&desk.data)?;
        saved.check_data(&now, &desk.data, &self.store.path(saved.steps_done()))
    }

    /// Resumes from a checkpoint: the data must be those that it was made with, and newer checkpoints are removed.
    ///
    /// # Errors
    /// As [`Checkpointer::check_data`].
    pub fn resume_from(&mut self, saved: &Checkpoint) -> Result<()> {
        self.check_data(saved)?;
        let Some(desk) = self.writer.desk_mut() else { return Ok(()) };
        desk.store.cut(saved.steps_done())?;
        self.store = desk.store.clone();
        self.saved = Some(saved.steps_done());
        Ok(())
    }

    /// Removes every checkpoint: the run begins again.
    ///
    /// # Errors
    /// [`Error::Io`] where one cannot be removed.
    pub fn clear(&mut self) -> Result<()> {
        let Some(desk) = self.writer.desk_mut() else { return Ok(()) };
        desk.store.clear()?;
        self.store = desk.store.clone();
        Ok(())
    }

    /// The path of the checkpoint after `step` steps.
    pub fn path(&self, step: u64) -> PathBuf {
        self.store.path(step)
    }

    /// True where a value is among the best.
    fn is_best(&self, value: f64) -> bool {
        let entries = &self.store.entries;
        let kept = store::best(entries, self.rule.keep_best, &self.monitor);
        let worst = kept.last().and_then(|step| entries.iter().find(|entry| entry.step == *step));
        let better =
            worst.and_then(|entry| entry.metric).is_none_or(|worst| self.monitor.better(value, worst, 0.0));
        self.rule.keep_best > 0 && (kept.len() < self.rule.keep_best || better)
    }

    fn write(&mut self, trainer: &Trainer, metric: Option<f64>) -> Result<()> {
        let (layout, snapshot) = trainer.checkpoint_state()?;
        let step = snapshot.steps_done();
        let checkpoint = Checkpoint { identity: self.identity.clone(), metric, snapshot };
        self.writer.send(Contents { layout, monitor: self.monitor.clone(), checkpoint })?;
        // The store of the thread changes likewise.
        let entries = &mut self.store.entries;
        store::add(entries, Entry { step, metric });
        let kept = store::kept(entries, self.rule.keep_last, self.rule.keep_best, &self.monitor);
        entries.retain(|entry| kept.contains(&entry.step));
        (self.last, self.saved, self.is_owed) = (Instant::now(), Some(step), false);
        Ok(())
    }

    /// The time at which a checkpoint is due, whatever the step.
    fn next_deadline(&self) -> Option<Instant> {
        let after = Duration::try_from_secs_f64(60.0 * self.rule.every_minutes?).ok()?;
        self.last.checked_add(after)
    }
}

impl Checkpointing for Checkpointer {
    /// Begins to read the data for their fingerprint, in parallel with the run.
    fn start(&mut self) -> Result<()> {
        if let Some(desk) = self.writer.desk_mut() {
            desk.fingerprint.begin(&desk.data);
        }
        Ok(())
    }

    fn next_step(&self, step: u64) -> Option<u64> {
        self.rule.every_steps.map(|every| (step / every + 1).saturating_mul(every))
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn after_steps(&mut self, trainer: &Trainer) -> Result<()> {
        let by_step = self.rule.every_steps.is_some_and(|every| trainer.steps_done().is_multiple_of(every));
        let by_time = self.deadline().is_some_and(|deadline| Instant::now() >= deadline);
        self.is_owed |= by_step || by_time;
        if self.saved == Some(trainer.steps_done()) {
            // Taken here before, perhaps with the value of its epoch.
            (self.last, self.is_owed) = (Instant::now(), false);
        } else if self.is_owed && !trainer.has_unreported_epoch() {
            self.save(trainer)?;
        }
        Ok(())
    }

    fn after_epoch(&mut self, trainer: &Trainer, epoch: &EpochRecord) -> Result<()> {
        let by_epoch = self.rule.every_epochs.is_some_and(|every| epoch.epoch.is_multiple_of(every));
        let value = self.monitor.value(epoch);
        let is_best = value.is_some_and(|value| self.is_best(value));
        if self.is_owed || by_epoch || is_best {
            self.write(trainer, value)?;
        }
        Ok(())
    }

    fn report(&mut self, observer: &mut dyn Observer) -> Result<()> {
        self.writer.written()?.iter().try_for_each(|record| observer.checkpoint(record))
    }

    /// Saves a checkpoint now, unless the last one is of this very step.
    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        if self.saved == Some(trainer.steps_done()) && !self.is_owed {
            return Ok(());
        }
        self.write(trainer, None)
    }

    fn finish(&mut self) -> Result<()> {
        self.writer.finish()
    }
}
