//! The host prepares a net's next steps, and adds their results to its progress: in one way for a net alone and for one of
//! several.

use super::progress::Progress;
use super::records::{EpochRecord, StepRecord};
use super::rule::Rule;
use crate::compile::{TrainPlan, table_updates};
use crate::engine::{Evaluation, NetWindow, StepResult, Window, WindowClock};
use crate::error::Error;
use crate::optim::Update;

impl Progress {
    /// The device's clock at the next submission.
    pub(super) fn clock(&self, rule: Rule<'_>) -> WindowClock {
        WindowClock {
            micro_batches: self.micro_batches,
            batches_seen: self.batches_seen(),
            seed: rule.options.chance_seed(),
            skipped_offset: self.skipped.skipped_offset(self.step),
            max_norm: rule.update.max_norm(),
        }
    }

    /// The next `steps` steps, with their rows of the optimizer's table. If steps may be skipped, the table also has the rows
    /// before the first that the device may still need.
    pub(super) fn next(&self, plan: &TrainPlan, rule: Rule<'_>, steps: usize) -> NetWindow {
        let (unknown, updates) = if plan.checked { self.skipped.table(self.step) } else { (0, self.step) };
        debug_assert!(unknown + steps <= table_updates(plan.checked), "the table has a row for each update");
        let steps_per_epoch = plan.batches.steps() as u64;
        let table = self.lr.table(rule, steps_per_epoch, updates, unknown + steps, self.epoch);
        NetWindow { window: self.window(steps), table, clock: self.clock(rule) }
    }

    /// Adds the results of a window: gives the records of its good steps, and the error that ends the run at the first other
    /// one.
    pub(super) fn take_results(
        &mut self,
        update: &Update,
        window: &Window,
        results: &[StepResult],
    ) -> (Vec<StepRecord>, Option<Error>) {
        let mut records = Vec::with_capacity(window.steps);
        for (step, result) in (window.steps_done + 1..).zip(results) {
            let epoch = window.epoch + 1;
            let skipped_before = result.gradient_check.map_or(0, |check| check.skipped_steps);
            let lr = self.lr.lr_of_run(update, step - skipped_before, window.epoch);
            self.epoch_totals.begin(epoch);
            let goes_on = match result.gradient_check {
                None => result.loss.is_finite(),
                Some(check) => match self.skipped.observe(step, check) {
                    Ok(goes_on) => goes_on,
                    Err(err) => return (records, Some(err)),
                },
            };
            if !goes_on {
                return (records, Some(Error::Diverged { step, epoch, lr, loss: result.loss }));
            }
            // A step that is skipped for its loss adds nothing to the epoch.
            if result.loss.is_finite() {
                self.epoch_totals.add(result);
            }
            records.push(StepRecord {
                step,
                epoch,
                loss: result.loss,
                lr,
                metrics: result.metrics.clone(),
                gradient_check: result.gradient_check,
            });
        }
        (records, None)
    }

    /// Ends the epoch that is trained, with its evaluation: gives its record, and lets a plateau see it. `waits`: samples are
    /// streamed.
    ///
    /// # Errors
    /// [`Error::Diverged`] where the evaluation's loss is not finite.
    pub(super) fn end_epoch(
        &mut self,
        plan: &TrainPlan,
        update: &Update,
        evaluated: Option<Evaluation>,
        waits: bool,
    ) -> Result<EpochRecord, Error> {
        let epoch = self.epochs_reported + 1;
        if let Some(bad) = evaluated.as_ref().filter(|evaluated| !evaluated.loss.is_finite()) {
            let lr = self.lr.lr_of_run(update, self.step + 1, self.epoch);
            return Err(Error::Diverged { step: self.step, epoch, lr, loss: bad.loss as f32 });
        }
        let totals = &self.epoch_totals;
        let (means, seconds) = (totals.means(), totals.seconds.max(1e-9));
        let record = EpochRecord {
            epoch,
            step: self.step,
            train_loss: means[0],
            eval_loss: evaluated.as_ref().map(|evaluated| evaluated.loss),
            eval_accuracy: evaluated.as_ref().and_then(|evaluated| evaluated.accuracy),
            eval_confusion: evaluated.as_ref().and_then(|evaluated| evaluated.confusion.clone()),
            train_metrics: plan.metrics_of(&means),
            eval_metrics: evaluated.map(|evaluated| evaluated.metrics).unwrap_or_default(),
            samples_per_second: totals.samples as f64 / seconds,
            data_wait: waits.then(|| totals.data_wait / seconds),
        };
        self.lr.observe(update, &record);
        self.epochs_reported = epoch;
        let totals = &mut self.epoch_totals;
        (totals.seconds, totals.data_wait) = (0.0, 0.0);
        Ok(record)
    }
}
