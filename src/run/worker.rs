//! A run that ranks share: rank 0 has its session, with the directory and everything that is written; each other rank is a
//! worker, which receives the config and the state from rank 0 and trains along.

use super::open::open_own;
use crate::config::Config;
use crate::error::Result;
use crate::gpu::GpuOptions;
use crate::ranks::{Matter, Ranks};
use crate::train::{Outcome, RunHandle, Snapshot, Trainer};

/// A rank that trains along with the session of rank 0. It writes nothing, and reports nothing.
#[derive(Debug)]
pub struct Worker {
    trainer: Trainer,
    handle: RunHandle,
    ranks: Ranks,
}

impl Worker {
    /// Waits for the config of rank 0, and opens data and device. `None` where rank 0 has nothing to train.
    ///
    /// # Errors
    /// Errors of the config, the data and the device; [`Error::Rank`](crate::error::Error::Rank) for those of another rank.
    pub fn join(options: &GpuOptions) -> Result<Option<Worker>> {
        let ranks = options.ranks.clone();
        let text = ranks.broadcast(Matter::Config, &[])?;
        if text.is_empty() {
            return Ok(None);
        }
        let config = Config::parse(&String::from_utf8_lossy(&text), &[])?;
        let data = config.dataset()?;
        let (_, trainer) = open_own(&config, &data, options)?;
        let handle = trainer.handle();
        Ok(Some(Worker { trainer, handle, ranks }))
    }

    /// Tells the workers that there is nothing to train.
    ///
    /// # Errors
    /// [`Error::Rank`](crate::error::Error::Rank) for the error of another rank.
    pub fn dismiss(ranks: &Ranks) -> Result<()> {
        ranks.broadcast(Matter::Config, &[]).map(drop)
    }

    /// Trains to the end, from the state that rank 0 begins from.
    ///
    /// # Errors
    /// As [`Trainer::run`]; [`Error::Rank`](crate::error::Error::Rank) for the error of another rank.
    pub fn run(&mut self) -> Result<Outcome> {
        let state = self.ranks.broadcast(Matter::Start, &[])?;
        self.trainer.restore(&Snapshot::from_bytes(&state)?)?;
        self.trainer.run(&mut ())
    }

    /// A handle that stops the run, on all ranks after the same step, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }
}
