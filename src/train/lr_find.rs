//! The learning-rate range test: a training whose rate grows from step to step, until the loss does.

use super::lr_curve::{LrEnd, LrPoint, LrSweep, Smoothed, diverged};
use super::observer::{Observer, StepRecord};
use super::trainer::Trainer;
use crate::error::{Error, Result};

/// Trains `steps` steps with the learning rate going from `from` to `to` by a constant factor, and looks where the loss
/// falls. η = from·(to/from)^(i/(steps − 1)) at step i, from 0.
///
/// The test ends early where the smoothed loss passes four times the best so far, or a loss is not finite. It goes by the
/// run's optimizer, groups and clipping, but without its schedule, warm-up and decay of the rate; a group's own
/// learning rate keeps its ratio. A step that is skipped for its gradients has no point, and its rate is tried again.
///
/// ```no_run
/// # use downhill::prelude::*;
/// # fn run(trainer: Trainer) -> Result<(), Error> {
/// let sweep = LrFinder::default().run(trainer, &mut ())?;
/// match sweep.suggestion() {
///     Ok(suggestion) => println!("lr = {:.1e}", suggestion.valley),
///     Err(why) => println!("no suggestion: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// Source: Smith 2015, "Cyclical Learning Rates for Training Neural Networks", section 3.3; exponential, smoothed and stopped
/// as fastai's `lr_find`, whose defaults these are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrFinder {
    /// Of the first step. 1e-7 unless said otherwise.
    pub from: f64,
    /// Of the last step. 10 unless said otherwise.
    pub to: f64,
    /// At least 2; over the ends of epochs where they are more than an epoch has. 100 unless said otherwise.
    pub steps: u64,
    /// β of the running mean of the loss, in [0, 1): 0 leaves the losses as they are. 0.98 unless said otherwise.
    pub smooth: f64,
}

impl Default for LrFinder {
    fn default() -> Self {
        LrFinder { from: 1e-7, to: 10.0, steps: 100, smooth: 0.98 }
    }
}

impl LrFinder {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Config`] with the number and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let LrFinder { from, to, steps, smooth } = *self;
        for (key, lr) in [("from", from), ("to", to)] {
            if !(lr.is_finite() && lr > 0.0) {
                return Err(Error::Config(format!(
                    "{key} = {lr:?}: a learning rate to test is finite and above 0"
                )));
            }
        }
        if from >= to {
            return Err(Error::Config(format!(
                "from = {from:?} and to = {to:?}: the learning rate grows over the test, so it goes from the smaller to \
                 the larger"
            )));
        }
        if steps < 2 {
            return Err(Error::Config(format!(
                "steps = {steps}: at least 2 are needed, one at either end, and about 100 for a suggestion"
            )));
        }
        if !(0.0..1.0).contains(&smooth) {
            return Err(Error::Config(format!("smooth = {smooth:?}: it is at least 0 and below 1")));
        }
        Ok(())
    }

    /// Runs the test from the trainer's weights, which are spent by it. The observer hears of every step that
    /// is done.
    ///
    /// # Errors
    /// Wrong numbers; a loss that is not finite at the first step; a lost device; the observer's own.
    pub fn run(&self, mut trainer: Trainer, observer: &mut dyn Observer) -> Result<LrSweep> {
        self.validate()?;
        let growth = (self.to / self.from).powf(1.0 / (self.steps - 1) as f64);
        let left_out = trainer.sweep(self.from, growth)?;
        let mut test = Test { smoothed: Smoothed::new(self.smooth), best: f64::INFINITY, points: Vec::new() };
        let mut end = None;
        while end.is_none() && test.points.len() < self.steps as usize {
            let left = self.steps - test.points.len() as u64;
            let mut heard = Ok(());
            let mut sink = |steps: &[StepRecord]| {
                heard = observer.steps(steps);
                end = end.or_else(|| steps.iter().find_map(|step| test.take(step)));
                // The steps that are on their way are of no use.
                if heard.is_err() || end.is_some() { Err(Error::Cancelled) } else { Ok(()) }
            };
            let went = trainer.advance_into(left, &mut sink);
            heard?;
            match went {
                _ if end.is_some() => {}
                Ok(()) => {}
                Err(Error::Diverged { lr, .. }) => end = Some(LrEnd::NotFinite { lr }),
                // So many steps overflowed in f16 that no loss scale was left: the weights are too large.
                Err(Error::Config(_)) => end = Some(LrEnd::NotFinite { lr: trainer.lr() }),
                Err(err) => return Err(err),
            }
        }
        if test.points.is_empty() {
            return Err(Error::Data(
                "the loss is not finite at the first step, before any update: look for infinite or missing values in the \
                 data, and for a loss or weights that make them; no learning rate mends it"
                    .into(),
            ));
        }
        let (steps, smooth) = (self.steps, self.smooth);
        Ok(LrSweep { steps, smooth, points: test.points, end: end.unwrap_or(LrEnd::Whole), left_out })
    }
}

/// A test on its way.
struct Test {
    smoothed: Smoothed,
    best: f64,
    points: Vec<LrPoint>,
}

impl Test {
    /// Takes a step; tells where the test is at its end.
    fn take(&mut self, step: &StepRecord) -> Option<LrEnd> {
        let StepRecord { lr, loss, .. } = *step;
        if !loss.is_finite() {
            return Some(LrEnd::NotFinite { lr });
        }
        if step.checks.is_some_and(|checks| checks.skipped) {
            return None;
        }
        let smoothed = self.smoothed.add(loss);
        let at = self.points.len() as u64 + 1;
        self.points.push(LrPoint { step: at, lr, loss, smoothed });
        self.best = self.best.min(smoothed);
        diverged(smoothed, self.best, self.points[0].smoothed).then_some(LrEnd::Diverged { lr })
    }
}
