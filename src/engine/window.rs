//! A window of steps: recorded, submitted ahead of its losses, and landed.

use std::time::{Duration, Instant};

use super::blueprint::WINDOW;
use super::ending::table_updates;
use super::metrics::Metrics;
use super::observer::StepRecord;
use super::rows::Rows;
use super::scaling::Checks;
use super::trainer::{Trainer, add, bind};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Pending};
use crate::kernel::Precision;
use crate::kernel::feed::ORDER;
use crate::kernel::gradients::SHARES;
use crate::kernel::update::TABLE;
use crate::optim::{Clip, ROW, table_row};
use crate::plan::{METRICS, Program};

/// A submission is made this long, so that progress shows and no driver's watchdog wakes.
const SUBMISSION: Duration = Duration::from_millis(100);

/// Steps on their way.
#[derive(Debug)]
pub(super) struct Flight {
    pub pending: Pending,
    /// Statistics of the last step.
    pub statistics: Option<Pending>,
    steps: Vec<StepRecord>,
    /// Samples of each pass through the model, and the step it belongs to.
    passes: Vec<(usize, usize)>,
}

impl Trainer {
    fn scaled(&self) -> bool {
        self.blueprint.precision == Precision::F16
    }

    /// Rows of the optimizer's table for `count` updates after the first `done`.
    fn table(&self, done: u64, count: usize) -> Vec<f32> {
        let blueprint = &self.blueprint;
        let clip = match blueprint.rule.clip {
            Some(Clip::Value(max)) => max,
            _ => 0.0,
        };
        let steps = blueprint.batches.steps() as u64;
        let mut table = Vec::with_capacity(count * blueprint.groups.groups.len() * ROW);
        for t in done + 1..=done + count as u64 {
            let keep = blueprint.rule.average.map_or(1.0, |average| average.keep(t, steps));
            for group in &blueprint.groups.groups {
                table.extend(table_row(&self.scalars(group, t), clip, keep));
            }
        }
        table
    }

    /// Steps that one submission can hold.
    pub(super) fn most_steps(&self) -> usize {
        let batches = self.blueprint.batches;
        (WINDOW / batches.parts(batches.rows).count()).max(1)
    }

    /// Records the next `count` steps of the current epoch, submits them, and reads what is ready.
    pub(super) fn submit(&mut self, count: usize) -> Result<()> {
        let batches = self.blueprint.batches;
        let (rows, count) = match &mut self.streams {
            None => (Rows::of(&batches, &self.order, self.at, count), count),
            Some(streams) => streams.train.rows(self.epoch, self.at, count)?,
        };
        let (unknown, updates) =
            if self.blueprint.checked { self.known.table(self.step) } else { (0, self.step) };
        debug_assert!(unknown + count <= table_updates(self.blueprint.checked));
        let table = self.table(updates, unknown + count);
        let mut steps = Vec::with_capacity(count);
        for i in 0..count as u64 {
            let step = self.step + 1 + i;
            let lr = self.rate(&self.blueprint.rule.optimizer, step);
            let (loss, metrics, checks) = (f32::NAN, Metrics::default(), None);
            steps.push(StepRecord { step, epoch: self.epoch + 1, loss, lr, metrics, checks });
        }
        let Rows { order, passes, shares } = rows;
        self.gpu.write(self.memory.get(ORDER), 0, bytemuck::cast_slice(&order));
        self.gpu.write(self.memory.get(TABLE), 0, bytemuck::cast_slice(&table));
        if batches.in_parts() {
            self.gpu.write(self.memory.get(SHARES), 0, bytemuck::cast_slice(&shares));
        }
        self.open_window();

        // Which of the builds each pass is, and the update after the last one of a batch that goes in parts.
        let build = |rows| self.blueprint.train.iter().position(|b| b.batch == rows).unwrap_or(0);
        let builds: Vec<usize> = passes.iter().map(|&(rows, _)| build(rows)).collect();
        let kinds = builds.iter().max().map_or(0, |last| last + 1);
        bind(&self.gpu, &self.blueprint.train, &self.memory, &mut self.train, kinds)?;
        if let (Some(plan), None) = (&self.blueprint.update, &self.update) {
            self.update = Some(Program::new(&self.gpu, plan, &self.memory)?);
        }
        let readback = self.free_readback()?;
        let mut programs = Vec::with_capacity(builds.len() + count);
        // Where the programs of the last step begin, if it is looked at.
        let (mut cut, kind) = (None, builds.last().copied().unwrap_or(0));
        let watched = self.takes_statistics(self.step + count as u64);
        if let (true, Some(taken), Some(planned)) =
            (watched, &mut self.statistics, &self.blueprint.statistics)
        {
            taken.prepare(&self.gpu, planned, &self.memory, kind)?;
        }
        for (i, &build) in builds.iter().enumerate() {
            if watched && passes[i].1 + 1 == count {
                cut.get_or_insert(programs.len());
            }
            programs.push(&self.train[build].dispatches[..]);
            let ends = passes.get(i + 1).is_none_or(|next| next.1 != passes[i].1);
            programs.extend(self.update.iter().filter(|_| ends).map(|update| &update.dispatches[..]));
        }
        let bytes = (passes.len() * self.blueprint.ring.columns * 4) as u64;
        let mut recorder = self.gpu.recorder();
        if let Some(streams) = &mut self.streams {
            streams.train.land(&mut recorder, &self.memory);
        }
        let (first, last) = programs.split_at(cut.unwrap_or(programs.len()));
        recorder.sequence(first);
        let taken = self.statistics.as_ref().zip(self.blueprint.statistics.as_ref()).filter(|_| watched);
        if let Some((taken, planned)) = taken {
            taken.before(&mut recorder, &self.memory);
            recorder.sequence(last);
            taken.after(&mut recorder, planned, &self.memory, kind);
        }
        recorder.copy(self.memory.get(METRICS), 0, &readback, 0, bytes);
        let after = recorder.submit()?;
        let statistics = taken.map(|(taken, _)| taken.map(&self.gpu, after.clone()));
        if let Some(streams) = &mut self.streams {
            streams.train.take_back();
        }
        let pending = self.gpu.map(&readback, bytes, after);
        self.readback.push_back(readback);
        self.passes += passes.len() as u64;
        self.flights.push_back(Flight { pending, statistics, steps, passes });
        self.at += count;
        self.step += count as u64;
        Ok(())
    }

    /// The readback buffer that is free next. Two are in turn, and at most one submission is ahead.
    pub(super) fn free_readback(&mut self) -> Result<Buffer> {
        self.readback.pop_front().ok_or_else(|| Error::Gpu("no readback buffer is free".into()))
    }

    /// Waits for the oldest submission and gives its steps to `sink`.
    pub(super) async fn land(&mut self, sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>) -> Result<()> {
        let Some(mut flight) = self.flights.pop_front() else { return Ok(()) };
        let waiting = Instant::now();
        let bytes = self.gpu.finish(flight.pending).await?;
        let statistics = match flight.statistics {
            Some(pending) => Some(self.gpu.finish(pending).await?),
            None => None,
        };
        self.device_waited += waiting.elapsed();
        self.handle.waited(self.device_waited, self.waited());
        let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let (scaled, checked) = (self.scaled(), self.blueprint.checked);
        let (mut bad, mut fault) = (None, None);
        let mut rows = ring.chunks_exact(self.blueprint.ring.columns).zip(&flight.passes).peekable();
        for (i, step) in flight.steps.iter_mut().enumerate() {
            let (mut sums, mut samples, mut last) = (vec![0.0; self.sums.len()], 0, None);
            while let Some((row, (n, _))) = rows.next_if(|(_, (_, of))| *of == i) {
                add(&mut sums, row, *n);
                samples += n;
                last = Some(row);
            }
            let mean = |sum: &f64| (sum / samples.max(1) as f64) as f32;
            let means: Vec<f32> = sums.iter().map(mean).collect();
            step.loss = means[0];
            step.metrics = self.blueprint.metrics_of(&means);
            step.checks = last.and_then(|row| Checks::of_row(row, scaled)).filter(|_| checked);
            if self.summed != step.epoch {
                self.summed = step.epoch;
                self.samples = 0;
                self.sums.fill(0.0);
                (self.seconds, self.data_waited) = (0.0, 0.0);
            }
            let going_on = match step.checks {
                None => step.loss.is_finite(),
                Some(checks) => {
                    // The epoch may have ended since.
                    let update = step.step - checks.skipped_steps;
                    step.lr = self.rate_in(step.epoch - 1, &self.blueprint.rule.optimizer, update);
                    self.known.learn(step.step, checks).unwrap_or_else(|err| {
                        fault = Some(err);
                        false
                    })
                }
            };
            if !going_on {
                bad = Some(i);
                break;
            }
            // A step that is skipped for its loss says nothing of the epoch.
            if step.loss.is_finite() {
                self.sums.iter_mut().zip(&sums).for_each(|(all, sum)| *all += sum);
                self.samples += samples;
            }
        }
        let good = bad.unwrap_or(flight.steps.len());
        sink(&flight.steps[..good])?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        if let Some(bad) = flight.steps.get(good) {
            return Err(Error::Diverged { step: bad.step, epoch: bad.epoch, lr: bad.lr, loss: bad.loss });
        }
        if let (Some(bytes), Some(last)) = (statistics, flight.steps.last()) {
            self.keep_statistics(last.step, &bytes);
        }
        // The last submission's time decides how many steps the next one takes.
        let each = self.submitted.elapsed().as_secs_f64() / flight.steps.len() as f64;
        self.submitted = Instant::now();
        let fitting = (SUBMISSION.as_secs_f64() / each.max(1e-9)) as usize;
        self.per_submission = fitting.clamp(1, 2 * self.per_submission).min(self.most_steps());
        Ok(())
    }
}
