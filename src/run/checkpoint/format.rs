//! The files of one checkpoint.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::train::Blueprint;
use crate::train::run_dir::sync_folder;
use crate::train::snapshot::{Best, Buffers, Host, Snapshot};
use crate::train::state::Layout;
use crate::train::watched::Watched;
use crate::train::weights;

pub(super) const MODEL: &str = "model.safetensors";
pub(super) const AVERAGE: &str = "average.safetensors";
const STATE: &str = "state.safetensors";
const HOST: &str = "checkpoint.json";
const CHECKSUMS: &str = "checksums.txt";
/// What begins the name of a tensor that early stopping keeps.
const BEST: &str = "best.";
/// The format of these files.
const FORMAT: u32 = 1;

/// What a run must be the same in to go on from a checkpoint, and what it may differ in at the price of its bits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// The config with every default filled in, or what else says what the run is.
    pub config: String,
    /// XXH3 of that text.
    pub config_hash: String,
    /// [`Dataset::fingerprint`](crate::data::Dataset::fingerprint) in hexadecimal.
    pub data: String,
    /// The version of this crate.
    pub version: String,
    /// The adapter with its driver: others round otherwise.
    pub adapter: String,
    /// What was chosen for the sake of memory and decides bits: how batches are cut.
    pub cut: String,
}

impl Identity {
    /// Of this version of the crate, for a run of these plans.
    pub fn new(config: String, adapter: String, plans: &Blueprint) -> Identity {
        let config_hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(config.as_bytes()));
        let (batches, evaluated) = (plans.batches, plans.eval_batches.map_or(0, |batches| batches.rows));
        let checked = if plans.checked { "checked" } else { "not checked" };
        let cut = format!(
            "batches of {} in parts of {}, {evaluated} samples evaluated at once, steps {checked}",
            batches.rows, batches.micro
        );
        let version = env!("CARGO_PKG_VERSION").into();
        Identity { config, config_hash, data: String::new(), version, adapter, cut }
    }
}

/// `checkpoint.json`
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    format: u32,
    step: u64,
    epoch: u64,
    /// Which metric says what is best.
    watched: Watched,
    /// Its value in the epoch that ended here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    metric: Option<f64>,
    identity: Identity,
    host: Host,
}

/// A checkpoint as it was written.
#[derive(Debug, Clone)]
pub struct Saved {
    /// What the run was.
    pub identity: Identity,
    /// The watched metric, where an epoch ended here.
    pub metric: Option<f64>,
    /// The state of the run.
    pub snapshot: Snapshot,
}

impl Saved {
    /// Steps done when it was taken.
    pub fn steps_done(&self) -> u64 {
        self.snapshot.host.step
    }

    /// Whether it is of the end of a run that ended within an epoch, which has been told.
    pub fn ends_in_an_epoch(&self) -> bool {
        self.snapshot.host.at > 0 && self.snapshot.host.told > self.snapshot.host.epoch
    }

    /// Epochs told to observers by then.
    pub fn epochs_told(&self) -> u64 {
        self.snapshot.host.told
    }
}

/// Everything that becomes a checkpoint.
#[derive(Debug)]
pub(super) struct Contents {
    pub layout: Layout,
    pub watched: Watched,
    pub saved: Saved,
}

impl Contents {
    /// Writes the files into `folder`, which is there, and syncs them.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut sums = String::new();
        let mut sum = |name: &str| -> Result<()> {
            sums.push_str(&format!("{:016x}  {name}\n", sync_and_hash(&folder.join(name))?));
            Ok(())
        };
        let Snapshot { buffers, best, host } = &self.saved.snapshot;
        let (model, average) = self.layout.weights(buffers);
        put(&folder.join(MODEL), &weights::serialise(&model)?)?;
        sum(MODEL)?;
        if let Some(average) = &average {
            put(&folder.join(AVERAGE), &weights::serialise(average)?)?;
            sum(AVERAGE)?;
        }
        write_state(&folder.join(STATE), buffers, best.as_ref())?;
        sum(STATE)?;
        let document = Document {
            format: FORMAT,
            step: host.step,
            epoch: host.epoch,
            watched: self.watched.clone(),
            metric: self.saved.metric,
            identity: self.saved.identity.clone(),
            host: host.clone(),
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|err| Error::Checkpoint(format!("{}: {err}", folder.display())))?;
        put(&folder.join(HOST), (text + "\n").as_bytes())?;
        sum(HOST)?;
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

fn write_state(path: &Path, buffers: &Buffers, best: Option<&Best>) -> Result<()> {
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
/// [`Error::Checkpoint`] with what is damaged; [`Error::Io`] where the system would not read it, and [`Error::Data`] where
/// it is in the format of another version: neither is to be passed over.
pub(super) fn read(folder: &Path) -> Result<Saved> {
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
        let known = line.split_once("  ").filter(|(_, name)| [MODEL, AVERAGE, STATE, HOST].contains(name));
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
    if let Some(missing) = [MODEL, STATE, HOST].iter().find(|name| !checked.contains(*name)) {
        return Err(damaged(format!("{CHECKSUMS} is damaged: it has no line for {missing}")));
    }
    let host = text(HOST)?;
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let wrong = |err: serde_json::Error| damaged(format!("{HOST}: {err}"));
    let Format { format } = serde_json::from_str(&host).map_err(wrong)?;
    if format != FORMAT {
        let place = folder.display();
        return Err(Error::Data(format!(
            "{place}: it is in format {format}, and this version reads format {FORMAT}"
        )));
    }
    let document: Document = serde_json::from_str(&host).map_err(wrong)?;
    let bytes = fs::read(folder.join(STATE)).map_err(|err| unread(STATE, err))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|err| damaged(format!("{STATE}: {err}")))?;
    let (mut buffers, mut best) = (Buffers::new(), Buffers::new());
    for (name, view) in tensors.tensors() {
        match name.strip_prefix(BEST) {
            Some(name) => best.push((name.to_owned(), view.data().to_vec())),
            None => buffers.push((name, view.data().to_vec())),
        }
    }
    let best = document.host.best_batches.map(|batches| Best { buffers: best, batches });
    let snapshot = Snapshot { buffers, best, host: document.host };
    Ok(Saved { identity: document.identity, metric: document.metric, snapshot })
}

/// The value of the watched metric at a checkpoint, without a check of the rest; none where another one was watched.
pub(super) fn metric(folder: &Path, watched: &Watched) -> Option<f64> {
    #[derive(Deserialize)]
    struct Rated {
        watched: Watched,
        metric: Option<f64>,
    }
    let text = fs::read_to_string(folder.join(HOST)).ok()?;
    let rated: Rated = serde_json::from_str(&text).ok()?;
    rated.metric.filter(|_| rated.watched == *watched)
}
