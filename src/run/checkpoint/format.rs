//! The files of one checkpoint.

use crate::atomic_file::sync_folder;
use crate::compile::TrainPlan;
use crate::data::Dataset;
use crate::engine::{BufferContents, WeightLayout};
use crate::error::{Error, Result};
use crate::plan::weights_to_bytes;
use crate::train::{BestWeights, Monitor, Progress, Snapshot};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

pub(super) const MODEL: &str = "model.safetensors";
pub(super) const AVERAGE: &str = "average.safetensors";
const STATE: &str = "state.safetensors";
const PROGRESS: &str = "checkpoint.json";
const CHECKSUMS: &str = "checksums.txt";
/// The prefix of the buffers of the best epoch.
const BEST: &str = "best.";
/// The format of these files.
const FORMAT: u32 = 2;

/// The identity of a run: the parts that must be the same to resume from a checkpoint, and those that may differ at the
/// price of equal bits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// The config with every default filled in, or any text that describes the run.
    pub config: String,
    /// XXH3 of that text.
    pub config_hash: String,
    /// [`Dataset::fingerprint`](crate::data::Dataset::fingerprint) in hexadecimal.
    pub data: String,
    /// The version of this crate.
    pub version: String,
    /// The adapter with its driver. Others round differently.
    pub adapter: String,
    /// The layout of batches, which the memory budget may decide, and which decides bits.
    pub batch_layout: String,
}

impl Identity {
    /// The identity of a run of this plan, by this version of the crate.
    pub fn new(config: String, adapter: String, plan: &TrainPlan) -> Identity {
        let config_hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(config.as_bytes()));
        let (batches, evaluated) = (plan.batches, plan.eval_batches.map_or(0, |batches| batches.rows));
        let checked = if plan.checked { "checked" } else { "not checked" };
        let batch_layout = format!(
            "batches of {} in parts of {}, {evaluated} samples evaluated at once, steps {checked}",
            batches.rows, batches.micro
        );
        let version = env!("CARGO_PKG_VERSION").into();
        Identity { config, config_hash, data: String::new(), version, adapter, batch_layout }
    }
}

/// `checkpoint.json`
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    format: u32,
    step: u64,
    epoch: u64,
    /// The metric that decides which is best.
    monitor: Monitor,
    /// Its value in the epoch that ended here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    metric: Option<f64>,
    identity: Identity,
    /// Batches that the weights of the best epoch had seen, where they are kept.
    best_batches_seen: Option<u64>,
    progress: Progress,
}

/// A checkpoint as it was written.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The run it belongs to.
    pub identity: Identity,
    /// The monitored metric, where an epoch ended here.
    pub metric: Option<f64>,
    /// The state of the run.
    pub snapshot: Snapshot,
}

impl Checkpoint {
    /// Steps done when it was taken.
    pub fn steps_done(&self) -> u64 {
        self.snapshot.progress.step
    }

    /// True at the end of a run that ended within an epoch and has reported it.
    pub fn ends_in_an_epoch(&self) -> bool {
        self.snapshot.progress.step_in_epoch > 0
            && self.snapshot.progress.epochs_reported > self.snapshot.progress.epoch
    }

    /// Refuses to go on from it with data of another fingerprint. `place`: where it is.
    pub(in crate::run) fn check_data(&self, fingerprint: &str, data: &Dataset, place: &Path) -> Result<()> {
        if fingerprint == self.identity.data {
            return Ok(());
        }
        Err(Error::Checkpoint(format!(
            "the data are not those of the run: \"{}\" has the fingerprint {fingerprint}, and {} was written with {}. Bring \
             the data back as they were, or begin a new run",
            data.name(),
            place.display(),
            self.identity.data
        )))
    }

    /// Epochs reported to observers by then.
    pub fn epochs_reported(&self) -> u64 {
        self.snapshot.progress.epochs_reported
    }
}

/// The contents of a checkpoint.
#[derive(Debug)]
pub(in crate::run) struct Contents {
    pub layout: WeightLayout,
    pub monitor: Monitor,
    pub checkpoint: Checkpoint,
}

impl Contents {
    /// Writes the files into `folder`, which is there, and syncs them.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut sums = String::new();
        let mut sum = |name: &str| -> Result<()> {
            sums.push_str(&format!("{:016x}  {name}\n", sync_and_hash(&folder.join(name))?));
            Ok(())
        };
        let Snapshot { buffers, best, progress } = &self.checkpoint.snapshot;
        let (model, average) = self.layout.weights(buffers);
        put(&folder.join(MODEL), &weights_to_bytes(&model)?)?;
        sum(MODEL)?;
        if let Some(average) = &average {
            put(&folder.join(AVERAGE), &weights_to_bytes(average)?)?;
            sum(AVERAGE)?;
        }
        write_state(&folder.join(STATE), buffers, best.as_ref())?;
        sum(STATE)?;
        let document = Document {
            format: FORMAT,
            step: progress.step,
            epoch: progress.epoch,
            monitor: self.monitor.clone(),
            metric: self.checkpoint.metric,
            identity: self.checkpoint.identity.clone(),
            best_batches_seen: best.as_ref().map(|best| best.batches_seen),
            progress: progress.clone(),
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|err| Error::Checkpoint(format!("{}: {err}", folder.display())))?;
        put(&folder.join(PROGRESS), (text + "\n").as_bytes())?;
        sum(PROGRESS)?;
        put(&folder.join(CHECKSUMS), sums.as_bytes())?;
        sync_and_hash(&folder.join(CHECKSUMS))?;
        sync_folder(folder)
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || File::create(path)?.write_all(bytes);
    write().map_err(|err| Error::io("cannot write", path, &err))
}

/// Syncs a file and hashes what can be read of it.
fn sync_and_hash(path: &Path) -> Result<u64> {
    let file = File::options().read(true).write(true).open(path);
    file.and_then(|file| file.sync_all()).map_err(|err| Error::io("cannot write", path, &err))?;
    hash(path).map_err(|err| Error::io("cannot read", path, &err))
}

fn hash(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut hash, mut block) = (File::open(path)?, Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hash.digest()),
            n => hash.update(&block[..n]),
        }
    }
}

fn write_state(path: &Path, buffers: &BufferContents, best: Option<&BestWeights>) -> Result<()> {
    let own = buffers.iter().map(|(name, bytes)| (name.clone(), bytes));
    let best =
        best.into_iter().flat_map(|best| &best.buffers).map(|(name, bytes)| (format!("{BEST}{name}"), bytes));
    let mut views = Vec::new();
    for (name, bytes) in own.chain(best) {
        let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)
            .map_err(|err| Error::Checkpoint(format!("buffer \"{name}\": {err}")))?;
        views.push((name, view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .map_err(|err| Error::io("cannot write", path, &std::io::Error::other(err.to_string())))
}

/// Reads a checkpoint and checks every byte of it.
///
/// # Errors
/// [`Error::Checkpoint`] with what is damaged; [`Error::Io`] where the system would not read it, and [`Error::Data`]
/// where it is in the format of another version: neither may be skipped.
pub(super) fn read(folder: &Path) -> Result<Checkpoint> {
    let damaged = |what: String| Error::Checkpoint(format!("{}: {what}", folder.display()));
    let unread = |name: &str, err: std::io::Error| match err.kind() {
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
            damaged(format!("{name}: {err}"))
        }
        _ => Error::io("cannot read", folder.join(name), &err),
    };
    let text = |name: &str| fs::read_to_string(folder.join(name)).map_err(|err| unread(name, err));
    let sums = text(CHECKSUMS)?;
    let mut checked = Vec::new();
    for line in sums.lines() {
        let known =
            line.split_once("  ").filter(|(_, name)| [MODEL, AVERAGE, STATE, PROGRESS].contains(name));
        let Some((sum, name)) = known else {
            return Err(damaged(format!(
                "{CHECKSUMS} is damaged: the line {line:?} is no checksum of a file"
            )));
        };
        let found = hash(&folder.join(name)).map_err(|err| unread(name, err))?;
        if format!("{found:016x}") != sum {
            return Err(damaged(format!(
                "{name} is damaged: its checksum is {found:016x}, and {sum} was written"
            )));
        }
        checked.push(name);
    }
    if let Some(missing) = [MODEL, STATE, PROGRESS].iter().find(|name| !checked.contains(*name)) {
        return Err(damaged(format!("{CHECKSUMS} is damaged: it has no line for {missing}")));
    }
    let progress = text(PROGRESS)?;
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let wrong = |err: serde_json::Error| damaged(format!("{PROGRESS}: {err}"));
    let Format { format } = serde_json::from_str(&progress).map_err(wrong)?;
    if format != FORMAT {
        let place = folder.display();
        return Err(Error::Data(format!(
            "{place}: it is in format {format}, and this version reads format {FORMAT}"
        )));
    }
    let document: Document = serde_json::from_str(&progress).map_err(wrong)?;
    let bytes = fs::read(folder.join(STATE)).map_err(|err| unread(STATE, err))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|err| damaged(format!("{STATE}: {err}")))?;
    let (mut buffers, mut best) = (BufferContents::new(), BufferContents::new());
    for (name, view) in tensors.tensors() {
        match name.strip_prefix(BEST) {
            Some(name) => best.push((name.to_owned(), view.data().to_vec())),
            None => buffers.push((name, view.data().to_vec())),
        }
    }
    let best = document.best_batches_seen.map(|batches_seen| BestWeights { buffers: best, batches_seen });
    let snapshot = Snapshot { buffers, best, progress: document.progress };
    Ok(Checkpoint { identity: document.identity, metric: document.metric, snapshot })
}

/// The value of the monitored metric at a checkpoint, without a check of the rest; none where another one was monitored.
pub(super) fn metric(folder: &Path, monitor: &Monitor) -> Option<f64> {
    #[derive(Deserialize)]
    struct Rated {
        monitor: Monitor,
        metric: Option<f64>,
    }
    let text = fs::read_to_string(folder.join(PROGRESS)).ok()?;
    let rated: Rated = serde_json::from_str(&text).ok()?;
    rated.metric.filter(|_| rated.monitor == *monitor)
}
