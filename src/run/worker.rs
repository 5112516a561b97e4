//! A run that ranks share: rank 0 has its session, with the directory and everything that is written; each other rank is a
//! worker, which receives the config and the state from rank 0 and trains along.

use super::checkpoint::Identity;
use super::session::{choose_threads, identity};
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::ranks::{Matter, Ranks};
use crate::train::{Outcome, RunHandle, Snapshot, Trainer};
use crate::units::plural;

/// Samples of each field that are compared between ranks.
const COMPARED: usize = 64;

/// A rank that trains along with the session of rank 0. It writes nothing, and reports nothing.
#[derive(Debug)]
pub struct Worker {
    trainer: Trainer,
    handle: RunHandle,
    /// What must be the same on all ranks.
    likeness: String,
    ranks: Ranks,
}

impl Worker {
    /// Waits for the config of rank 0, and opens data and device. `None` where rank 0 has nothing to train.
    ///
    /// # Errors
    /// Errors of the config, the data and the device; [`Error::Rank`] for those of another rank.
    pub fn join(options: &GpuOptions) -> Result<Option<Worker>> {
        let ranks = options.ranks.clone();
        let text = ranks.exchange(Matter::Config, &[], false)?.first();
        if text.is_empty() {
            return Ok(None);
        }
        let config = Config::parse(&String::from_utf8_lossy(&text), &[])?;
        let data = config.dataset()?;
        choose_threads(&config, &data, options, 1)?;
        let gpu = Gpu::open(&config.gpu_options(options))?;
        let trainer = config.trainer(&gpu, &data)?;
        let handle = trainer.handle();
        let likeness = likeness(&identity(&config, &gpu, trainer.plan()), &data)?;
        Ok(Some(Worker { trainer, handle, likeness, ranks }))
    }

    /// Tells the workers that there is nothing to train.
    ///
    /// # Errors
    /// [`Error::Rank`] for the error of another rank.
    pub fn dismiss(ranks: &Ranks) -> Result<()> {
        ranks.exchange(Matter::Config, &[], false).map(drop)
    }

    /// Trains to the end, from the state that rank 0 begins from.
    ///
    /// # Errors
    /// As [`Trainer::run`]; [`Error::Rank`] for the error of another rank.
    pub fn run(&mut self) -> Result<Outcome> {
        let state = exchange_start(&self.ranks, &self.likeness, &[])?;
        self.trainer.restore(&Snapshot::from_bytes(&state)?)?;
        self.trainer.run(&mut ())
    }

    /// A handle that stops the run, on all ranks after the same step, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }
}

/// Gives the workers the config of the run.
pub(super) fn share_config(ranks: &Ranks, config: &Config) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    ranks.exchange(Matter::Config, config.to_toml().as_bytes(), false).map(drop)
}

/// Gives the workers the state that the run begins from, once all are found to train the same.
pub(super) fn share_start(gpu: &Gpu, config: &Config, data: &Dataset, trainer: &Trainer) -> Result<()> {
    if gpu.ranks().is_alone() {
        return Ok(());
    }
    let own = likeness(&identity(config, gpu, trainer.plan()), data)?;
    exchange_start(gpu.ranks(), &own, &trainer.snapshot()?.to_bytes()?).map(drop)
}

/// What must be the same on all ranks: the layout of batches, and the data by some of their samples.
fn likeness(identity: &Identity, data: &Dataset) -> Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in std::iter::once(data.train()).chain(data.eval()) {
        let count = COMPARED.min(part.len());
        let some = (0..count).map(|i| part.source_index((i * part.len() / count) as u32));
        let some: Vec<u32> = some.collect();
        for (_, field) in part.fields() {
            let mut bytes = vec![0; count * field.sample_bytes()];
            field.gather(&some, &mut bytes).map_err(|(_, err)| err)?;
            hash.update(&bytes);
        }
    }
    Ok(format!(
        "{}, {}, samples {:016x}",
        identity.batch_layout,
        plural(data.train().len(), "training sample"),
        hash.digest()
    ))
}

/// Meets the other ranks before the first step; gives the state of rank 0.
fn exchange_start(ranks: &Ranks, likeness: &str, state: &[u8]) -> Result<Vec<u8>> {
    let own = [&(likeness.len() as u64).to_le_bytes()[..], likeness.as_bytes(), state].concat();
    let mut parts = ranks.exchange(Matter::Start, &own, false)?.parts;
    let split = |part: &[u8]| {
        let length = part.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes)) as usize;
        (String::from_utf8_lossy(part.get(8..8 + length).unwrap_or_default()).into_owned(), 8 + length)
    };
    let (first, header) = split(&parts[0]);
    for (rank, part) in parts.iter().enumerate() {
        let (other, _) = split(part);
        if other != first {
            return Err(Error::Rank(format!(
                "rank 0 and rank {rank} do not train the same: {first}; and {other}. Data have to be the same for all ranks, \
                 and memory so large that batches go alike (train.memory sets it)"
            )));
        }
    }
    Ok(parts.swap_remove(0).split_off(header))
}
