//! The learning-rate range test: a training whose rate grows from step to step, until the loss does.

use super::lr::LearningRate;
use super::lr_curve::{LrEnd, LrPoint, LrSweep, Smoothed, diverged};
use super::observer::Observer;
use super::records::StepRecord;
use super::trainer::Trainer;
use crate::compile::TrainPlan;
use crate::error::{Error, Result};

/// Trains `steps` steps while the learning rate grows from `from` to `to` by a constant factor, and finds where the loss
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
    /// Learning rate of the first step. Default: 1e-7.
    pub from: f64,
    /// Learning rate of the last step. Default: 10.
    pub to: f64,
    /// Steps, at least 2. They go over the ends of epochs. Default: 100.
    pub steps: u64,
    /// β of the running mean of the loss, in [0, 1). 0 leaves the losses as they are. Default: 0.98.
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

    /// Runs the test from the trainer's weights, and consumes them. The observer receives every step that is done.
    ///
    /// # Errors
    /// Wrong numbers; a loss that is not finite at the first step; a lost device; the observer's own.
    pub fn run(&self, mut trainer: Trainer, observer: &mut dyn Observer) -> Result<LrSweep> {
        self.validate()?;
        let growth = (self.to / self.from).powf(1.0 / (self.steps - 1) as f64);
        let left_out = left_out(trainer.plan())?;
        trainer.progress.lr = LearningRate::range_test(self.from, growth);
        let mut test = Test::new(self.smooth, observer);
        while test.end.is_none() && test.points.len() < self.steps as usize {
            let left = self.steps - test.points.len() as u64;
            let advanced = pollster::block_on(trainer.advance_observed(left, &mut test));
            std::mem::replace(&mut test.heard, Ok(()))?;
            match advanced {
                _ if test.end.is_some() => {}
                Ok(()) => {}
                Err(Error::Diverged { lr, .. }) => test.end = Some(LrEnd::NotFinite { lr }),
                // Steps overflowed in f16 until no loss scale was left: the weights are too large.
                Err(Error::Config(_)) => test.end = Some(LrEnd::NotFinite { lr: trainer.lr() }),
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
        Ok(LrSweep { steps, smooth, points: test.points, end: test.end.unwrap_or(LrEnd::Whole), left_out })
    }
}

/// The settings of a run that the test leaves out, as `schedule = "cosine"`.
///
/// # Errors
/// [`Error::Config`] for groups whose rate has no ratio to the run's, which is 0.
fn left_out(plan: &TrainPlan) -> Result<Vec<String>> {
    let optimizer = &plan.rule.optimizer;
    if optimizer.lr() == 0.0 && plan.groups.groups.iter().any(|group| group.optimizer.lr() != 0.0) {
        return Err(Error::Config(
            "optimizer.lr = 0.0: a group of parameters has a rate of its own, which keeps its ratio to this one in a range \
             test; give lr a number above 0"
                .into(),
        ));
    }
    let schedule = plan.rule.schedule.iter().map(|own| format!("schedule = \"{}\"", own.name()));
    Ok(schedule.chain(optimizer.differing(&optimizer.steady())).collect())
}

/// A test in progress. It observes the steps, and cancels them when it ends.
struct Test<'o> {
    observer: &'o mut dyn Observer,
    smoothed: Smoothed,
    best: f64,
    points: Vec<LrPoint>,
    end: Option<LrEnd>,
    /// The observer's answer.
    heard: Result<()>,
}

impl<'o> Test<'o> {
    fn new(smooth: f64, observer: &'o mut dyn Observer) -> Self {
        Test {
            observer,
            smoothed: Smoothed::new(smooth),
            best: f64::INFINITY,
            points: Vec::new(),
            end: None,
            heard: Ok(()),
        }
    }

    /// Adds a step's point; gives the end of the test where this step is it.
    fn add(&mut self, step: &StepRecord) -> Option<LrEnd> {
        let StepRecord { lr, loss, .. } = *step;
        if !loss.is_finite() {
            return Some(LrEnd::NotFinite { lr });
        }
        if step.gradient_check.is_some_and(|check| check.skipped) {
            return None;
        }
        let smoothed = self.smoothed.add(loss);
        let number = self.points.len() as u64 + 1;
        self.points.push(LrPoint { step: number, lr, loss, smoothed });
        self.best = self.best.min(smoothed);
        diverged(smoothed, self.best, self.points[0].smoothed).then_some(LrEnd::Diverged { lr })
    }
}

impl Observer for Test<'_> {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        // Steps that were in flight at the end are of no use.
        if self.end.is_some() || self.heard.is_err() {
            return Ok(());
        }
        self.heard = self.observer.steps(steps);
        self.end = steps.iter().find_map(|step| self.add(step));
        if self.heard.is_err() || self.end.is_some() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
