//! A run of a sweep in its folder: what a run alone leaves there, and its checkpoints until it has ended.

use std::fs;
use std::path::{Path, PathBuf};

use super::row::{Ended, Row};
use crate::atomic_file::write_whole;
use crate::config::{Config, Recorded, Sweep};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::run::checkpoint::{Checkpoint, CheckpointStore, Contents, Fingerprint, Identity};
use crate::run::dir::{CHECKPOINTS, CONFIG, METRICS, RunDir};
use crate::run::init::InitReport;
use crate::run::tensorboard::EventFile;
use crate::train::{EpochRecord, Fleet, Monitor, Observer, ReplicaEnd, Snapshot, StepRecord};

/// Steps that metrics.jsonl has of a run, at most, where it has not all.
const MOST_STEPS: u64 = 1_000;

/// A run of a sweep.
#[derive(Debug)]
pub(super) struct Replica {
    pub index: usize,
    pub folder: String,
    /// Its value of each swept key.
    pub values: Vec<String>,
    pub config: Config,
    pub identity: Option<Identity>,
    pub init: Option<InitReport>,
    pub ended: Option<Ended>,
    open: Option<Open>,
    /// Steps done at its last checkpoint.
    saved: Option<u64>,
}

/// Its files, while it trains.
#[derive(Debug)]
struct Open {
    dir: RunDir,
    events: Option<EventFile>,
}

impl Replica {
    pub fn new(index: usize, folder: String, values: Vec<String>, config: Config) -> Replica {
        Replica {
            index,
            folder,
            values,
            config,
            identity: None,
            init: None,
            ended: None,
            open: None,
            saved: None,
        }
    }

    pub fn row(&self) -> Row {
        Row {
            replica: self.index,
            folder: self.folder.clone(),
            values: self.values.clone(),
            ended: self.ended.clone(),
        }
    }

    /// Makes its folder with its config.
    pub fn make(&self, sweep: &Path) -> Result<()> {
        let path = sweep.join(&self.folder);
        fs::create_dir_all(&path).map_err(|err| Error::io("cannot make the directory", &path, &err))?;
        write_whole(&path.join(CONFIG), self.config.to_toml_in(&path).as_bytes())
    }

    fn path(&self, sweep: &Path) -> PathBuf {
        sweep.join(&self.folder)
    }

    fn store(&self, sweep: &Path) -> Result<CheckpointStore> {
        CheckpointStore::open(&self.path(sweep).join(CHECKPOINTS), &monitor())
    }

    /// Takes a run that was left back to its last checkpoint, or to its beginning; gives its state.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for data that are not those of the checkpoint.
    pub fn reopen(
        &mut self,
        sweep: &Path,
        keys: &Sweep,
        data: &Dataset,
        fingerprint: &mut Fingerprint,
    ) -> Result<Option<Snapshot>> {
        let path = self.path(sweep);
        if !path.join(METRICS).exists() {
            return Ok(None);
        }
        let store = self.store(sweep)?;
        let saved = store.latest()?.0;
        if let Some(saved) = &saved {
            saved.check_data(&fingerprint.get(data)?, data, &store.path(saved.steps_done()))?;
        }
        let (step, epochs) =
            saved.as_ref().map_or((0, 0), |saved| (saved.steps_done(), saved.epochs_reported()));
        let mut dir = RunDir::reopen(&path)?;
        dir.unfinish()?;
        match keys.steps {
            Recorded::All => dir.rewind(step, epochs)?,
            Recorded::Some => dir.rewind_some(step, epochs)?,
        }
        let events = match self.config.watch.tensorboard {
            true => Some(EventFile::resume(&path, step)?),
            false => None,
        };
        self.open = Some(Open { dir, events });
        self.saved = saved.as_ref().map(|saved| saved.steps_done());
        Ok(saved.map(|saved| saved.snapshot))
    }

    /// Its files; they are made at its first record.
    fn open(&mut self, sweep: &Path, data: &Dataset) -> Result<&mut Open> {
        if self.open.is_none() {
            let path = self.path(sweep);
            let dir = RunDir::claim(&path)?.begin(&self.config.to_toml_in(&path))?;
            self.init.as_ref().map_or(Ok(()), |report| dir.keep_init(report))?;
            data.encoding().map_or(Ok(()), |encoding| dir.keep_encoding(encoding))?;
            let events = match self.config.watch.tensorboard {
                true => Some(EventFile::create(&path)?),
                false => None,
            };
            self.open = Some(Open { dir, events });
        }
        self.open.as_mut().ok_or(Error::Cancelled)
    }

    pub fn steps(
        &mut self,
        sweep: &Path,
        keys: &Sweep,
        data: &Dataset,
        total: u64,
        steps: &[StepRecord],
    ) -> Result<()> {
        let Open { dir, events } = self.open(sweep, data)?;
        events.steps(steps)?;
        let every = match keys.steps {
            Recorded::All => return dir.steps(steps),
            Recorded::Some => total.div_ceil(MOST_STEPS),
        };
        let is_told =
            |step: &&StepRecord| step.step == 1 || step.step.is_multiple_of(every) || step.step == total;
        let told: Vec<StepRecord> = steps.iter().filter(is_told).cloned().collect();
        dir.steps(&told)
    }

    pub fn epoch(&mut self, sweep: &Path, data: &Dataset, epoch: &EpochRecord) -> Result<()> {
        let Open { dir, events } = self.open(sweep, data)?;
        events.epoch(epoch)?;
        dir.epoch(epoch)
    }

    /// Ends the run: weights, or the error that ended it; its checkpoints are of no more use.
    pub fn end(
        &mut self,
        sweep: &Path,
        fleet: &Fleet,
        net: usize,
        end: &ReplicaEnd,
        keeps: bool,
    ) -> Result<()> {
        let path = self.path(sweep);
        if let (ReplicaEnd::Failed(err), Some(open)) = (end, &mut self.open) {
            open.dir.fail(fleet.steps_done(net), err);
        }
        let has_weights = !matches!(end, ReplicaEnd::Failed(_)) && fleet.has_begun(net);
        if keeps && has_weights {
            let (weights, average) = fleet.weights(net)?;
            RunDir::save_weights(&path, &weights, average.as_deref())?;
        }
        self.open = None;
        self.store(sweep)?.clear()?;
        let _ = fs::remove_dir(path.join(CHECKPOINTS));
        Ok(())
    }

    /// Removes its weights.
    pub fn drop_weights(&self, sweep: &Path) -> Result<()> {
        RunDir::remove_weights(&self.path(sweep))
    }

    /// True where its weights are there.
    pub fn has_weights(&self, sweep: &Path) -> bool {
        RunDir::is_finished(&self.path(sweep))
    }

    /// Saves its state, unless its last checkpoint is of this very step.
    pub fn save(
        &mut self,
        sweep: &Path,
        fleet: &Fleet,
        net: usize,
        data: &Dataset,
        fingerprint: &mut Fingerprint,
    ) -> Result<()> {
        let step = fleet.steps_done(net);
        if step == 0 || self.saved == Some(step) {
            return Ok(());
        }
        let Some(mut identity) = self.identity.clone() else { return Ok(()) };
        identity.data = fingerprint.get(data)?;
        if let Some(open) = &self.open {
            let synced = open.dir.metrics()?.sync_data();
            synced.map_err(|err| Error::io("cannot write", self.path(sweep).join(METRICS), &err))?;
        }
        let (layout, snapshot) = fleet.checkpoint_state(net)?;
        let checkpoint = Checkpoint { identity, metric: None, snapshot };
        let mut store = self.store(sweep)?;
        store.put(&Contents { layout, monitor: monitor(), checkpoint })?;
        store.prune(1, 0, &monitor())?;
        self.saved = Some(step);
        Ok(())
    }
}

/// Checkpoints of a sweep are not rated.
fn monitor() -> Monitor {
    Monitor::new("train_loss")
}
