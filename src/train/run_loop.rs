//! A whole run: epochs with an evaluation after each, checkpoints, early stopping, and its end.

use std::time::Instant;

use super::checkpoint::Keeper;
use super::observer::{EpochRecord, Observer, RunEnd, RunStart, StepRecord};
use super::trainer::Trainer;
use crate::error::{Error, Result};

impl Trainer {
    /// Trains by the options: epochs with an evaluation after each, observed.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a step's or an evaluation's loss is not finite; [`Error::Cancelled`] where the
    /// [`RunHandle`](super::RunHandle) or the observer stops it; a lost device; the observer's own.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Option<EpochRecord>> {
        pollster::block_on(self.run_async(observer, None))
    }

    /// [`Trainer::run`] that keeps checkpoints: as often as `keeper` says, and where the run is stopped.
    ///
    /// # Errors
    /// As [`Trainer::run`]; a checkpoint that cannot be written.
    pub fn run_kept(
        &mut self,
        observer: &mut dyn Observer,
        keeper: &mut Keeper,
    ) -> Result<Option<EpochRecord>> {
        pollster::block_on(self.run_async(observer, Some(keeper)))
    }

    /// [`Trainer::run`] and [`Trainer::run_kept`] without blocking the thread.
    ///
    /// # Errors
    /// As they.
    pub async fn run_async(
        &mut self,
        observer: &mut dyn Observer,
        mut keeper: Option<&mut Keeper>,
    ) -> Result<Option<EpochRecord>> {
        let start = self.start();
        self.handle.start(&start);
        observer.start(&start)?;
        if let Some(keeper) = &mut keeper {
            keeper.begin();
        }
        let mut last = None;
        let end = loop {
            if self.handle.is_stopped() {
                return self.leave(observer, keeper);
            }
            if self.owes_an_epoch() {
                let record = match self.end_epoch(observer).await {
                    Err(Error::Cancelled) => return self.leave(observer, keeper),
                    other => other?,
                };
                if let Some(keeper) = &mut keeper {
                    keeper.after_epoch(self, &record)?;
                }
                last = Some(record);
            }
            if let Some(keeper) = &mut keeper {
                keeper.tell(observer)?;
            }
            if self.patience.over {
                break RunEnd::EarlyStopped;
            }
            if self.step >= self.total_steps() {
                break RunEnd::Finished;
            }
            let until = keeper.as_ref().and_then(|keeper| keeper.next_step(self.step));
            self.deadline = keeper.as_ref().and_then(|keeper| keeper.deadline());
            let until = until.into_iter().chain(self.next_statistics()).fold(self.total_steps(), u64::min);
            self.train_until(until, observer).await?;
            if let Some(keeper) = &mut keeper {
                keeper.after_steps(self)?;
            }
        };
        if let Some(keeper) = &mut keeper {
            keeper.finish()?;
            keeper.tell(observer)?;
        }
        self.take_best();
        observer.end(end, self.step)?;
        Ok(last)
    }

    fn start(&self) -> RunStart {
        RunStart {
            step: self.step,
            total_steps: self.total_steps(),
            steps_per_epoch: self.blueprint.batches.steps() as u64,
            batch_size: self.blueprint.batches.rows,
            parameters: self.blueprint.parameter_count(),
            memory: self.gpu.ledger().total(),
            budget: self.gpu.ledger().budget(),
        }
    }

    /// Trains to the step, the end of the epoch, the deadline, or until it is stopped, and lands everything.
    async fn train_until(&mut self, step: u64, observer: &mut dyn Observer) -> Result<()> {
        let (start, waited) = (Instant::now(), self.waited());
        let (handle, trained) = (self.handle.clone(), self.trained);
        let mut sink = |steps: &[StepRecord]| {
            handle.steps(steps, trained + start.elapsed());
            match observer.steps(steps) {
                // What is on its way still lands, and is kept.
                Err(Error::Cancelled) => {
                    handle.stop();
                    Ok(())
                }
                other => other,
            }
        };
        self.part_of_epoch(step - self.step, &mut sink).await?;
        self.land_all(&mut sink).await?;
        let took = start.elapsed();
        self.trained += took;
        self.seconds += took.as_secs_f64();
        let waited = self.waited().zip(waited).map(|(now, then)| (now - then).as_secs_f64());
        self.data_waited += waited.unwrap_or(0.0);
        match self.told_statistics().map_or(Ok(()), |record| observer.statistics(&record)) {
            Err(Error::Cancelled) => {
                self.handle.stop();
                Ok(())
            }
            other => other,
        }
    }

    /// Whether an epoch, or the part of one that the run ends in, is trained and not told yet.
    pub(super) fn owes_an_epoch(&self) -> bool {
        let begun = self.epoch + u64::from(self.at > 0 && self.step >= self.total_steps());
        begun > self.told
    }

    /// Evaluates, and tells of the epoch.
    async fn end_epoch(&mut self, observer: &mut dyn Observer) -> Result<EpochRecord> {
        let epoch = self.told + 1;
        let evaluated = self.evaluate_async(true).await?;
        if let Some(bad) = evaluated.as_ref().filter(|e| !e.loss.is_finite()) {
            return Err(Error::Diverged { step: self.step, epoch, lr: self.lr(), loss: bad.loss as f32 });
        }
        let (train_loss, train_metrics) = self.means(&self.sums, self.samples);
        let record = EpochRecord {
            epoch,
            step: self.step,
            train_loss,
            eval_loss: evaluated.as_ref().map(|e| e.loss),
            eval_accuracy: evaluated.as_ref().and_then(|e| e.accuracy),
            eval_confusion: evaluated.as_ref().and_then(|e| e.confusion.clone()),
            train_metrics,
            eval_metrics: evaluated.map(|e| e.metrics).unwrap_or_default(),
            samples_per_second: self.samples as f64 / self.seconds.max(1e-9),
            data_wait: self.waited().map(|_| self.data_waited / self.seconds.max(1e-9)),
        };
        self.observe(&record);
        self.told = epoch;
        (self.seconds, self.data_waited) = (0.0, 0.0);
        if let Some(rule) = &self.options.early_stopping {
            let watched = rule.watched(self.blueprint.eval_batches.is_some());
            let keep = rule.restore_best;
            if self.patience.observe(rule, &watched, &record) && keep {
                self.keep_best()?;
            }
        }
        self.handle.epoch(&record);
        match observer.epoch(&record) {
            Err(Error::Cancelled) => self.handle.stop(),
            other => other?,
        }
        Ok(record)
    }

    /// Keeps what there is, and ends.
    fn leave(
        &mut self,
        observer: &mut dyn Observer,
        keeper: Option<&mut Keeper>,
    ) -> Result<Option<EpochRecord>> {
        if let Some(keeper) = keeper {
            keeper.keep(self)?;
            keeper.finish()?;
            keeper.tell(observer)?;
        }
        self.handle.clear();
        observer.end(RunEnd::Stopped, self.step)?;
        Err(Error::Cancelled)
    }
}
