//! Times candidates: a warm-up, then all candidates in turn, round after round.
//!
//! A sample has enough turns for the resolution of the clock, in one submission and one pass. Candidates take turns
//! within a round, so a machine that slows down slows all of them.

use std::time::Instant;

use crate::error::Result;
use crate::gpu::{Dispatch, Gpu};

/// The amount of measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort {
    /// Samples of each candidate.
    pub rounds: usize,
    /// Least length of a sample, in seconds.
    pub least: f64,
    /// Most seconds for all samples of one candidate together. The first [`Effort::FEWEST`] are taken in any case.
    pub most: f64,
}

impl Effort {
    /// Enough for numbers to be reported.
    pub const FULL: Effort = Effort { rounds: 15, least: 0.01, most: 2.0 };
    /// Enough to see that it works.
    pub const QUICK: Effort = Effort { rounds: 3, least: 0.001, most: 0.2 };
    /// Samples that are taken in any case.
    pub const FEWEST: usize = 3;

    /// Exactly `rounds` samples.
    pub fn exactly(self, rounds: usize) -> Effort {
        Effort { rounds, most: f64::INFINITY, ..self }
    }

    /// Number of rounds where one sample of the slowest candidate takes `sample` seconds.
    fn rounds(&self, sample: f64) -> usize {
        ((self.most / sample) as usize).max(Effort::FEWEST).min(self.rounds)
    }
}

/// Most turns of a sample.
const MOST_TURNS: usize = 10_000;
/// Most dispatches of a sample.
const MOST_DISPATCHES: usize = 20_000;

/// A candidate: the dispatches of a turn, for each of the sets of buffers that turns go through.
#[derive(Debug)]
pub(super) struct Work {
    /// Those of the first set, then those of the second, ...
    pub dispatches: Vec<Dispatch>,
    /// Dispatches of a turn.
    pub turn: usize,
}

impl Work {
    /// One dispatch a turn.
    pub fn single(dispatches: Vec<Dispatch>) -> Work {
        Work { dispatches, turn: 1 }
    }
}

/// Seconds of a turn, one number a round.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// From the beginning of recording until the device is done.
    pub wall: Vec<f64>,
    /// By the device's timestamps; empty where it has none.
    pub device: Vec<f64>,
}

impl Times {
    /// By the device where it has a clock, else by the wall's.
    pub fn best(&self) -> &[f64] {
        if self.device.is_empty() { &self.wall } else { &self.device }
    }
}

struct Runner<'w> {
    work: &'w Work,
    turns: usize,
    /// The set that comes next.
    at: usize,
}

impl Runner<'_> {
    /// Runs the turns of a sample: seconds by the wall and by the device.
    fn sample(&mut self, gpu: &Gpu, watch: Option<&crate::gpu::Stopwatch>) -> Result<(f64, Option<f64>)> {
        let Work { dispatches, turn } = self.work;
        let sets = dispatches.len() / turn;
        let mut pieces = Vec::new();
        let mut left = self.turns;
        while left > 0 {
            let now = left.min(sets - self.at);
            pieces.push(&dispatches[self.at * turn..(self.at + now) * turn]);
            self.at = (self.at + now) % sets;
            left -= now;
        }
        let start = Instant::now();
        let mut recorder = gpu.recorder();
        recorder.lap(watch, 0, &pieces);
        let device = match watch {
            Some(watch) => Some(gpu.stop(recorder, watch)?[0]),
            None => {
                recorder.submit()?;
                gpu.wait()?;
                None
            }
        };
        Ok((start.elapsed().as_secs_f64(), device))
    }
}

/// Times every candidate, in the order given.
///
/// # Errors
/// A lost device.
pub(super) fn time(gpu: &Gpu, works: &[&Work], effort: Effort) -> Result<Vec<Times>> {
    let watch = gpu.stopwatch(1)?;
    let watch = watch.as_ref();
    let mut runners: Vec<Runner<'_>> = works.iter().map(|work| Runner { work, turns: 1, at: 0 }).collect();
    let mut slowest = 0.0_f64;
    for runner in &mut runners {
        // The first run may compile. The second shows how many turns a sample needs; the next ones try that number.
        runner.sample(gpu, watch)?;
        loop {
            let (wall, _) = runner.sample(gpu, watch)?;
            let most = MOST_TURNS.min(MOST_DISPATCHES / runner.work.turn).max(1);
            if wall >= effort.least || runner.turns >= most {
                slowest = slowest.max(wall);
                break;
            }
            let enough = (runner.turns as f64 * 1.2 * effort.least / wall.max(1e-9)).ceil() as usize;
            runner.turns = enough.clamp(runner.turns + 1, 10 * runner.turns).min(most);
        }
    }
    let mut times = vec![Times::default(); works.len()];
    for _ in 0..effort.rounds(slowest) {
        for (runner, times) in runners.iter_mut().zip(&mut times) {
            let (wall, device) = runner.sample(gpu, watch)?;
            let turns = runner.turns as f64;
            times.wall.push(wall / turns);
            times.device.extend(device.filter(|s| *s > 0.0).map(|s| s / turns));
        }
    }
    for times in &mut times {
        // A clock that did not move in some sample is too coarse to be used.
        if times.device.len() < times.wall.len() {
            times.device.clear();
        }
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_samples_are_fewer() {
        assert_eq!([0.01, 0.2, 0.5, 10.0].map(|sample| Effort::FULL.rounds(sample)), [15, 10, 4, 3]);
        assert_eq!(Effort::FULL.exactly(7).rounds(10.0), 7);
        assert_eq!(Effort::FULL.exactly(2).rounds(10.0), 2);
    }
}
