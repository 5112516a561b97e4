//! Everything that a run goes on from, taken off the device and put back.

use super::pace::Pace;
use super::scaling::Known;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::kernel::feed::{BUFFERS, STATE};
use crate::kernel::update::{AVERAGE, PARAMETERS};

/// The state of a run between two steps: weights, kept buffers, the optimizer's slots, averages, the counts of steps and
/// of what was skipped, the loss scale, what the schedule remembers, and the place in the shuffled epoch.
///
/// Taken by [`Trainer::snapshot`]. A trainer of the same model, data and options that goes on from it makes the same
/// steps, to the bit, as the one it was taken from.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Bytes of the device's buffers, by name.
    buffers: Vec<(String, Vec<u8>)>,
    pace: Pace,
    known: Known,
    step: u64,
    at: usize,
    passes: u64,
    epoch: u64,
    tracked: u64,
    summed: u64,
    samples: usize,
    sums: Vec<f64>,
}

impl Snapshot {
    /// Steps done when it was taken.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Bytes that it holds of the device's buffers.
    pub fn bytes(&self) -> usize {
        self.buffers.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

impl Trainer {
    /// Names of the buffers whose contents outlive a step.
    fn kept(&self) -> Vec<&'static str> {
        let slots = self.blueprint.rule.optimizer.kernel().slots;
        let all = [PARAMETERS, BUFFERS, AVERAGE, STATE].into_iter().chain(slots);
        all.filter(|name| self.memory.find(name).is_some()).collect()
    }

    /// Reads the state of the run.
    ///
    /// # Errors
    /// A lost device.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let read = |name: &'static str| {
            let buffer = self.memory.get(name);
            let bytes = pollster::block_on(self.gpu.read_by(&self.saving, buffer, 0, buffer.bytes()))?;
            Ok((name.to_owned(), bytes))
        };
        Ok(Snapshot {
            buffers: self.kept().into_iter().map(read).collect::<Result<_>>()?,
            pace: self.pace.clone(),
            known: self.known,
            step: self.step,
            at: self.at,
            passes: self.passes,
            epoch: self.epoch,
            tracked: self.tracked,
            summed: self.summed,
            samples: self.samples,
            sums: self.sums.clone(),
        })
    }

    /// Goes back, or on, to a state of a run of the same model, data and options.
    ///
    /// # Errors
    /// [`Error::Weights`] where buffers differ in name or size: another model, optimizer or adapter's layout.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let own: Vec<(&str, u64)> =
            self.kept().into_iter().map(|name| (name, self.memory.get(name).bytes())).collect();
        let theirs: Vec<(&str, u64)> =
            snapshot.buffers.iter().map(|(name, bytes)| (name.as_str(), bytes.len() as u64)).collect();
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
        self.pace = snapshot.pace.clone();
        self.known = snapshot.known;
        (self.step, self.at, self.passes) = (snapshot.step, snapshot.at, snapshot.passes);
        (self.epoch, self.tracked) = (snapshot.epoch, snapshot.tracked);
        (self.summed, self.samples) = (snapshot.summed, snapshot.samples);
        self.sums.clone_from(&snapshot.sums);
        self.order = self.current_order();
        Ok(())
    }
}
