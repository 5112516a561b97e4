//! The learning rate of each update, and the rows of the optimizer's table that follow from it.

use super::records::EpochRecord;
use crate::compile::TrainPlan;
use crate::optim::schedule::{Exponential, Metric, PlateauState};
use crate::optim::{Clip, Group, Interval, ROW, SCALARS, Schedule, Update, table_row};
use serde::{Deserialize, Serialize};

/// The learning rate of a run: the optimizer's or one that was set in its place, by the schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LearningRate {
    /// The optimizer's.
    base: f64,
    /// Set by [`Trainer::set_lr`](super::Trainer::set_lr).
    set: Option<f64>,
    /// The schedule, with its lengths filled in.
    schedule: Option<Schedule>,
    /// The unit that the schedule counts.
    interval: Interval,
    /// The state of a plateau.
    plateau: PlateauState,
    /// A range test: optimizers go without warm-up and decay of their own.
    is_range_test: bool,
}

impl LearningRate {
    /// The learning rate of a run of `total` steps in epochs of `steps`.
    pub fn new(update: &Update, total: u64, steps: usize) -> LearningRate {
        let total = match update.interval {
            Interval::Step => total,
            Interval::Epoch => total.div_ceil(steps.max(1) as u64),
        };
        LearningRate {
            base: update.optimizer.lr(),
            set: None,
            schedule: update.schedule.as_ref().map(|schedule| schedule.resolve(total)),
            interval: update.interval,
            plateau: PlateauState::default(),
            is_range_test: false,
        }
    }

    /// A range test: the rate grows from `from` by `growth` each update, in place of everything else that decides it.
    pub fn range_test(update: &Update, from: f64, growth: f64) -> LearningRate {
        LearningRate {
            base: update.optimizer.lr(),
            set: Some(from),
            schedule: Some(Schedule::Exponential(Exponential { gamma: growth })),
            interval: Interval::Step,
            plateau: PlateauState::default(),
            is_range_test: true,
        }
    }

    /// Sets the rate that the schedule starts from, in place of the optimizer's.
    pub fn set(&mut self, lr: f64) {
        self.set = Some(lr);
    }

    /// The schedule's step at an update, counted from 1, in an epoch, counted from 0.
    fn schedule_step(&self, update: u64, epoch: u64) -> u64 {
        match self.interval {
            Interval::Step => update - 1,
            Interval::Epoch => epoch,
        }
    }

    /// The rate of an update, counted from 1, in an epoch, counted from 0, for an optimizer whose own rate is `own`: that
    /// of a group keeps its ratio to the run's.
    pub fn lr(&self, update: u64, epoch: u64, own: f64) -> f64 {
        let base = match self.set {
            None => own,
            Some(lr) if own == self.base => lr,
            Some(lr) => lr * own / self.base,
        };
        match &self.schedule {
            None => base,
            Some(Schedule::Plateau(rule)) => self.plateau.lr(rule, base),
            Some(schedule) => schedule.lr(base, self.schedule_step(update, epoch)),
        }
    }

    /// The rate of the run's optimizer.
    pub fn lr_of_run(&self, update: u64, epoch: u64) -> f64 {
        self.lr(update, epoch, self.base)
    }

    /// The scalars of an update for a group.
    fn scalars(&self, group: &Group, update: u64, epoch: u64) -> [f32; SCALARS] {
        let steady;
        let optimizer = if self.is_range_test {
            steady = group.optimizer.steady();
            &steady
        } else {
            &group.optimizer
        };
        let lr = self.lr(update, epoch, optimizer.lr()) * group.lr_factor;
        let step = self.schedule_step(update, epoch);
        let momentum = self.schedule.as_ref().and_then(|schedule| schedule.momentum(step));
        match momentum.and_then(|momentum| optimizer.with_momentum(momentum)) {
            Some(cycled) => cycled.scalars(update, lr),
            None => optimizer.scalars(update, lr),
        }
    }

    /// Rows of the optimizer's table, f64 rounded once: a row for each group and each of the `count` updates after the
    /// first `done`, in an epoch, counted from 0.
    pub fn table(&self, plan: &TrainPlan, done: u64, count: usize, epoch: u64) -> Vec<f32> {
        let clip = match plan.rule.clip {
            Some(Clip::Value(max)) => max,
            _ => 0.0,
        };
        let steps = plan.batches.steps() as u64;
        let mut table = Vec::with_capacity(count * plan.groups.groups.len() * ROW);
        for update in done + 1..=done + count as u64 {
            let keep = plan.rule.average.map_or(1.0, |average| average.keep(update, steps));
            for group in &plan.groups.groups {
                table.extend(table_row(&self.scalars(group, update, epoch), clip, keep));
            }
        }
        table
    }

    /// Observes the metric that a plateau monitors.
    pub fn observe(&mut self, epoch: &EpochRecord) {
        let Some(Schedule::Plateau(rule)) = &self.schedule else { return };
        let value = match rule.metric {
            Metric::EvalLoss => epoch.eval_loss,
            Metric::EvalAccuracy => epoch.eval_accuracy,
            Metric::TrainLoss => Some(epoch.train_loss),
        };
        // A plan without the metric is refused.
        let Some(value) = value else { return };
        self.plateau.observe(rule, self.set.unwrap_or(self.base), value);
    }

    /// True where both follow the same schedule, lengths included.
    pub fn has_schedule_of(&self, other: &LearningRate) -> bool {
        self.schedule == other.schedule
    }
}
