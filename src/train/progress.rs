//! Everything that a run goes on from, taken off the device and put back.

use serde::{Deserialize, Serialize};

use super::early_stopping::Patience;
use super::exact;
use super::pace::Pace;
use super::scaling::Known;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::kernel::feed::{BUFFERS, STATE};
use crate::kernel::update::{AVERAGE, PARAMETERS};

/// Contents of buffers of the device, by name.
pub(super) type Buffers = Vec<(String, Vec<u8>)>;

/// The state of a run between two steps: weights, kept buffers, the optimizer's slots, averages, the counts of steps and
/// of what was skipped, the loss scale, what the schedule and early stopping remember, and the place in the shuffled
/// epoch.
///
/// Taken by [`Trainer::snapshot`]. A trainer of the same model, data and options that goes on from it makes the same
/// steps, to the bit, as the one it was taken from.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) buffers: Buffers,
    pub(super) best: Option<Best>,
    pub(super) host: Host,
}

/// The weights of the best epoch, where early stopping keeps them.
#[derive(Debug, Clone)]
pub(super) struct Best {
    pub buffers: Buffers,
    /// Batches that they had seen.
    pub batches: u64,
}

/// What the host knows of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Host {
    pub pace: Pace,
    pub known: Known,
    pub step: u64,
    pub at: usize,
    pub passes: u64,
    pub epoch: u64,
    pub told: u64,
    pub tracked: u64,
    pub summed: u64,
    pub samples: usize,
    #[serde(with = "exact")]
    pub sums: Vec<f64>,
    pub seconds: f64,
    pub waited: f64,
    pub patience: Patience,
    /// Batches that the best epoch's weights had seen.
    pub best_batches: Option<u64>,
}

impl Snapshot {
    /// Steps done when it was taken.
    pub fn steps_done(&self) -> u64 {
        self.host.step
    }

    /// Bytes that it holds of the device's buffers.
    pub fn bytes(&self) -> usize {
        let best = self.best.iter().flat_map(|best| &best.buffers);
        self.buffers.iter().chain(best).map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Trainer {
    /// Names of the buffers whose contents outlive a step.
    fn kept(&self) -> Vec<&'static str> {
        let slots = self.blueprint.rule.optimizer.kernel().slots;
        let all = [PARAMETERS, BUFFERS, AVERAGE, STATE].into_iter().chain(slots);
        all.filter(|name| self.memory.find(name).is_some()).collect()
    }

    fn read_buffers(&self, names: impl IntoIterator<Item = &'static str>) -> Result<Buffers> {
        let read = |name: &'static str| {
            let buffer = self.memory.get(name);
            let bytes = pollster::block_on(self.gpu.read_by(&self.saving, buffer, 0, buffer.bytes()))?;
            Ok((name.to_owned(), bytes))
        };
        names.into_iter().map(read).collect()
    }

    /// Keeps the weights as those of the best epoch.
    pub(super) fn keep_best(&mut self) -> Result<()> {
        self.make_average()?;
        // A schedule-free optimizer's average is made of what it keeps beside the weights.
        let base = self.blueprint.rule.optimizer.kernel().average.map(|average| average.base);
        let buffers = self.read_weights(base)?;
        self.best = Some(Best { buffers, batches: self.batches_seen() });
        Ok(())
    }

    /// The buffers that weights files are made of, and others besides.
    pub(super) fn read_weights(&self, besides: Option<&'static str>) -> Result<Buffers> {
        let names = [PARAMETERS, BUFFERS, AVERAGE].into_iter().chain(besides);
        self.read_buffers(names.filter(|name| self.memory.find(name).is_some()))
    }

    /// Puts the weights of the best epoch in the place of the last one's, where they are kept.
    pub(super) fn take_best(&mut self) {
        let Some(best) = self.best.take() else { return };
        for (name, bytes) in &best.buffers {
            self.gpu.write(self.memory.get(name), 0, bytes);
        }
        self.tracked = best.batches.wrapping_sub(self.passes);
    }

    /// Reads the state of the run.
    ///
    /// # Errors
    /// A lost device.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            buffers: self.read_buffers(self.kept())?,
            best: self.best.clone(),
            host: Host {
                pace: self.pace.clone(),
                known: self.known,
                step: self.step,
                at: self.at,
                passes: self.passes,
                epoch: self.epoch,
                told: self.told,
                tracked: self.tracked,
                summed: self.summed,
                samples: self.samples,
                sums: self.sums.clone(),
                seconds: self.seconds,
                waited: self.data_waited,
                patience: self.patience,
                best_batches: self.best.as_ref().map(|best| best.batches),
            },
        })
    }

    /// Goes back, or on, to a state of a run of the same model, data and options.
    ///
    /// # Errors
    /// [`Error::Weights`] where buffers differ in name or size: another model, optimizer or adapter's layout.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let own = self.kept().into_iter().map(|name| (name, self.memory.get(name).bytes()));
        let theirs = snapshot.buffers.iter().map(|(name, bytes)| (name.as_str(), bytes.len() as u64));
        let (mut own, mut theirs): (Vec<_>, Vec<_>) = (own.collect(), theirs.collect());
        own.sort_unstable();
        theirs.sort_unstable();
        if own != theirs {
            let told = |list: &[(&str, u64)]| {
                list.iter().map(|(name, bytes)| format!("{name}: {bytes} B")).collect::<Vec<_>>().join(", ")
            };
            return Err(Error::Weights(format!(
                "the state is of another run: it holds {}, and this run has {}",
                told(&theirs),
                told(&own)
            )));
        }
        pollster::block_on(self.drop_flights())?;
        for (name, bytes) in &snapshot.buffers {
            self.gpu.write(self.memory.get(name), 0, bytes);
        }
        let host = &snapshot.host;
        self.pace = host.pace.clone();
        self.known = host.known;
        (self.step, self.at, self.passes) = (host.step, host.at, host.passes);
        (self.epoch, self.told, self.tracked) = (host.epoch, host.told, host.tracked);
        (self.summed, self.samples) = (host.summed, host.samples);
        self.sums.clone_from(&host.sums);
        (self.seconds, self.data_waited) = (host.seconds, host.waited);
        (self.patience, self.best) = (host.patience, snapshot.best.clone());
        self.order = self.current_order();
        Ok(())
    }
}
