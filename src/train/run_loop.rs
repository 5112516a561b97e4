//! The loop of a run, from top to bottom: report a finished epoch, end where it is time, train up to the next stop, save.

use super::checkpointing::Checkpointing;
use super::observer::Observer;
use super::records::{EpochRecord, Outcome, RunEnd, RunStart, StepRecord};
use super::trainer::Trainer;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::metrics::StatisticsRecord;
use crate::ranks::Matter;
use std::time::Duration;

/// The point up to which steps are submitted.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// The last step, counted from the beginning of the run; within the current epoch.
    step: u64,
    /// Stop submitting steps at this time. At least one window is submitted.
    deadline: Option<Instant>,
    /// Take statistics after this step.
    statistics: Option<u64>,
}

impl Trainer {
    /// Trains by the options: epochs with an evaluation after each, observed. A run that the
    /// [`RunHandle`](super::RunHandle) or the observer stops ends well, as [`RunEnd::Stopped`].
    ///
    /// # Errors
    /// [`Error::Diverged`] where a step's or an evaluation's loss is not finite; a lost device; the observer's own.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        pollster::block_on(self.run_async(observer, &mut ()))
    }

    /// [`Trainer::run`] that saves checkpoints, as [`run::Checkpointer`](crate::run::Checkpointer) does; and where the run
    /// is stopped.
    ///
    /// # Errors
    /// As [`Trainer::run`]; a checkpoint that cannot be written.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_with_checkpoints(
        &mut self,
        observer: &mut dyn Observer,
        checkpoints: &mut dyn Checkpointing,
    ) -> Result<Outcome> {
        pollster::block_on(self.run_async(observer, checkpoints))
    }

    /// [`Trainer::run_with_checkpoints`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async(
        &mut self,
        observer: &mut dyn Observer,
        checkpoints: &mut dyn Checkpointing,
    ) -> Result<Outcome> {
        let start = self.run_start();
        self.handle.start(&start);
        self.must_stop = false;
        observer.start(&start)?;
        checkpoints.start()?;
        let mut last = None;
        let end = loop {
            if self.is_stopped() {
                break RunEnd::Stopped;
            }
            // 1. An epoch is trained but not reported: evaluate, update plateau and early stopping, report.
            if self.has_unreported_epoch() {
                let epoch = match self.finish_epoch(observer).await {
                    Err(Error::Cancelled) => break RunEnd::Stopped,
                    epoch => epoch?,
                };
                checkpoints.after_epoch(self, &epoch)?;
                last = Some(epoch);
            }
            checkpoints.report(observer)?;
            // 2. Is the run over?
            if self.progress.step >= self.total_steps() {
                break RunEnd::Finished;
            }
            if self.progress.early_stopping.is_over() {
                break RunEnd::EarlyStopped;
            }
            // 3. Train up to whatever is due next: end of epoch, checkpoint, statistics, deadline.
            self.train_until(self.next_stop(checkpoints), observer).await?;
            // 4. Save a checkpoint if one is due.
            checkpoints.after_steps(self)?;
        };
        self.finish(end, observer, checkpoints)?;
        Ok(Outcome { end, step: self.progress.step, last })
    }

    fn run_start(&self) -> RunStart {
        let ledger = self.engine.gpu().ledger();
        RunStart {
            step: self.progress.step,
            total_steps: self.total_steps(),
            steps_per_epoch: self.plan.batches.steps() as u64,
            batch_size: self.plan.batches.rows,
            parameters: self.plan.parameter_count(),
            memory: ledger.total(),
            budget: ledger.budget(),
        }
    }

    /// The next point at which something other than a step is due.
    fn next_stop(&self, checkpoints: &dyn Checkpointing) -> Until {
        let done = self.progress.step;
        let every = self.options.statistics.filter(|&every| every > 0);
        let statistics = every.map(|every| (done / every + 1).saturating_mul(every));
        let due = checkpoints.next_step(done).into_iter().chain(statistics);
        let step = due.fold(self.total_steps().min(self.end_of_epoch()), u64::min);
        Until { step, deadline: checkpoints.deadline(), statistics }
    }

    /// The last step of the current epoch.
    fn end_of_epoch(&self) -> u64 {
        self.progress.step + (self.plan.batches.steps() - self.progress.step_in_epoch) as u64
    }

    /// Trains up to a step of the current epoch, or to the deadline, or until the run is stopped; receives everything.
    async fn train_until(&mut self, until: Until, observer: &mut dyn Observer) -> Result<()> {
        let waited = self.engine.data_wait();
        self.clock.start();
        self.submit_until(until, observer).await?;
        let statistics = self.drain(observer).await?;
        self.count_time(waited);
        statistics.map_or(Ok(()), |statistics| self.hear(observer.statistics(&statistics)))
    }

    /// Submits steps up to a step of the current epoch, or to the deadline, or until the run is stopped. The last window
    /// stays in flight.
    async fn submit_until(&mut self, until: Until, observer: &mut dyn Observer) -> Result<()> {
        self.engine.restart_pacing();
        let mut is_first = true;
        while self.progress.step < until.step && !self.is_stopped() {
            if !is_first && until.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            is_first = false;
            let left = (until.step - self.progress.step) as usize;
            let window = self.progress.window(self.engine.next_steps(&self.plan).min(left));
            if !self.engine.is_ready(&self.plan, &window) {
                // The device must not wait for what the host would read while the device works.
                self.drain(observer).await?;
            }
            if let Err(err) = self.submit(window.steps, until.statistics).await {
                // The steps before it are done.
                self.drain(observer).await?;
                return Err(err);
            }
            if self.engine.windows_in_flight() > 1 {
                self.receive(observer).await?;
            }
        }
        Ok(())
    }

    /// Adds the time since the clock was started to that of the epoch. `waited`: the wait for samples at that time.
    fn count_time(&mut self, waited: Option<Duration>) {
        let seconds = self.clock.stop().as_secs_f64();
        let waited = self.engine.data_wait().zip(waited).map(|(now, then)| (now - then).as_secs_f64());
        self.progress.count_time(seconds, waited);
    }

    /// Submits the next `steps` steps, or as many as there are samples for.
    async fn submit(&mut self, steps: usize, statistics: Option<u64>) -> Result<()> {
        if self.plan.ranks > 1 {
            return self.submit_shared().await;
        }
        let (steps, samples) = self.engine.take_samples(&[self.progress.window(steps)])?;
        let net = self.progress.next(&self.plan, self.rule(), steps);
        let (window, passes) = (net.window, samples[0].passes());
        let with_statistics = statistics == Some(window.steps_done + window.steps as u64);
        self.engine.submit_steps(&self.plan, &[net], samples, with_statistics).await?;
        self.progress.advance(&window, passes, self.plan.batches.steps());
        Ok(())
    }

    /// Submits the next step, of which each rank does its share. All learn whether one was asked to stop.
    async fn submit_shared(&mut self) -> Result<()> {
        let net = self.progress.next(&self.plan, self.rule(), 1);
        let stop = self.handle.is_stopped();
        let (passes, stop) = self.engine.submit_shared_step(&self.plan, &net, stop).await?;
        self.must_stop |= stop;
        self.progress.advance(&net.window, passes, self.plan.batches.steps());
        Ok(())
    }

    /// True where the run must stop: where ranks share it, once all know, so that all stop after the same step.
    fn is_stopped(&self) -> bool {
        if self.plan.ranks > 1 { self.must_stop } else { self.handle.is_stopped() }
    }

    /// Receives every window in flight; gives the statistics of the last step, where they were taken.
    async fn drain(&mut self, observer: &mut dyn Observer) -> Result<Option<StatisticsRecord>> {
        let mut statistics = None;
        while self.engine.windows_in_flight() > 0 {
            statistics = self.receive(observer).await?;
        }
        Ok(statistics)
    }

    /// Waits for the oldest window in flight, and reports its steps; gives its statistics.
    async fn receive(&mut self, observer: &mut dyn Observer) -> Result<Option<StatisticsRecord>> {
        let Some(completed) = self.engine.receive(&self.plan).await? else { return Ok(None) };
        self.handle.waited(self.engine.device_wait(), self.engine.data_wait());
        let Some((window, results)) = completed.nets.first() else { return Ok(None) };
        let (steps, fault) = self.progress.take_results(&self.plan.rule, window, results);
        self.handle.steps(&steps, self.clock.total());
        self.hear(observer.steps(&steps))?;
        fault.map_or(Ok(()), Err)?;
        self.engine.pace(window.steps);
        Ok(completed.statistics)
    }

    /// An observer that cancels stops the run: steps in flight are still received, and kept.
    fn hear(&self, answer: Result<()>) -> Result<()> {
        match answer {
            Err(Error::Cancelled) => {
                self.handle.stop();
                Ok(())
            }
            other => other,
        }
    }

    /// Evaluates, updates plateau and early stopping, and reports the epoch.
    async fn finish_epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochRecord> {
        let (clock, handle) = (self.progress.clock(self.rule()), self.handle.clone());
        self.agree_on_time()?;
        let is_shared = self.plan.ranks > 1;
        // A stop does not cancel an evaluation that ranks share: all go through it, and stop then.
        let mut between = || match observer.evaluating() {
            Err(Error::Cancelled) if is_shared => {
                handle.stop();
                Ok(())
            }
            answer if is_shared => answer,
            answer => handle.goes_on(answer),
        };
        let evaluated = self.engine.evaluate(&self.plan, &[clock], &mut between).await?;
        let evaluated = evaluated.and_then(|nets| nets.into_iter().next());
        let waits = self.engine.data_wait().is_some();
        let record = self.progress.end_epoch(&self.plan, &self.plan.rule, evaluated, waits)?;
        if let (Some(rule), Some(monitor)) = (&self.options.early_stopping, self.monitor())
            && self.progress.early_stopping.observe(rule, &monitor, &record)
            && rule.restore_best
        {
            self.keep_best().await?;
        }
        self.handle.epoch(&record);
        self.hear(observer.epoch(&record))?;
        Ok(record)
    }

    /// Has all ranks report the time that rank 0 took, and stop where one was asked to.
    fn agree_on_time(&mut self) -> Result<()> {
        if self.plan.ranks == 1 {
            return Ok(());
        }
        let own = bytemuck::cast_slice(&self.progress.time()).to_vec();
        let gathered = self.engine.gpu().ranks().exchange(Matter::Epoch, &own, self.handle.is_stopped())?;
        self.must_stop |= gathered.stop;
        if let Some(Ok(time)) = gathered.parts().next().map(bytemuck::try_pod_read_unaligned::<[f64; 2]>) {
            self.progress.set_time(time);
        }
        Ok(())
    }

    /// Saves a stopped run, waits for checkpoints, restores the best weights of a run that is over, and reports the end.
    fn finish(
        &mut self,
        end: RunEnd,
        observer: &mut dyn Observer,
        checkpoints: &mut dyn Checkpointing,
    ) -> Result<()> {
        if end == RunEnd::Stopped {
            checkpoints.save(self)?;
        }
        checkpoints.finish()?;
        checkpoints.report(observer)?;
        match end {
            RunEnd::Stopped => self.handle.clear(),
            RunEnd::Finished | RunEnd::EarlyStopped => self.restore_best(),
        }
        observer.end(end, self.progress.step)
    }

    /// Runs `count` steps, over the ends of epochs, without evaluation.
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first loss that is not finite; [`Error::Cancelled`] where the handle stops it; a lost
    /// device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn advance(&mut self, count: u64) -> Result<Vec<StepRecord>> {
        pollster::block_on(self.advance_async(count))
    }

    /// [`Trainer::advance`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn advance_async(&mut self, count: u64) -> Result<Vec<StepRecord>> {
        let mut records = Collected::default();
        self.advance_observed(count, &mut records).await?;
        Ok(records.0)
    }

    /// [`Trainer::advance`] that reports its steps to `observer` as they are received. A window stays in flight over the
    /// ends of epochs.
    pub(super) async fn advance_observed(&mut self, count: u64, observer: &mut dyn Observer) -> Result<()> {
        let (target, waited) = (self.progress.step + count, self.engine.data_wait());
        self.clock.start();
        let advanced = self.advance_to(target, observer).await;
        self.count_time(waited);
        let is_stopped = self.is_stopped();
        if is_stopped {
            self.handle.clear();
            self.must_stop = false;
        }
        advanced?;
        if is_stopped {
            return Err(Error::Cancelled);
        }
        // Nobody asks for the epochs that ended.
        self.progress.epochs_reported = self.progress.epoch;
        Ok(())
    }

    async fn advance_to(&mut self, step: u64, observer: &mut dyn Observer) -> Result<()> {
        while self.progress.step < step && !self.is_stopped() {
            let step = step.min(self.end_of_epoch());
            self.submit_until(Until { step, deadline: None, statistics: None }, observer).await?;
        }
        self.drain(observer).await.map(drop)
    }
}

/// Collects steps.
#[derive(Default)]
struct Collected(Vec<StepRecord>);

impl Observer for Collected {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.0.extend_from_slice(steps);
        Ok(())
    }
}
