//! The learning rate of each update, and the rows of the optimizer's table that follow from it.

use super::records::EpochRecord;
use super::rule::Rule;
use crate::optim::schedule::{Exponential, Metric, PlateauState};
use crate::optim::{Clip, Group, Interval, ROW, SCALARS, Schedule, Update, table_row};
use serde::{Deserialize, Serialize};

/// The state of a run's learning rate: the schedule, and a rate that was set in place of the optimizer's. The optimizer and
/// the schedule's unit are the plan's, whose [`Update`] each call takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LearningRate {
    /// Set by [`Trainer::set_lr`](super::Trainer::set_lr).
    set: Option<f64>,
    /// The schedule, with its lengths filled in.
    schedule: Option<Schedule>,
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
            set: None,
            schedule: update.schedule.as_ref().map(|schedule| schedule.resolve(total)),
            plateau: PlateauState::default(),
            is_range_test: false,
        }
    }

    /// A range test: the rate grows from `from` by `growth` each update, in place of everything else that decides it.
    pub fn range_test(from: f64, growth: f64) -> LearningRate {
        LearningRate {
            set: Some(from),
            schedule: Some(Schedule::Exponential(Exponential { gamma: growth })),
            plateau: PlateauState::default(),
            is_range_test: true,
        }
    }

    /// Sets the rate that the schedule starts from, in place of the optimizer's.
    pub fn set(&mut self, lr: f64) {
        self.set = Some(lr);
    }

    /// The schedule's step at an update, counted from 1, in an epoch, counted from 0.
    fn schedule_step(&self, rule: &Update, update: u64, epoch: u64) -> u64 {
        match rule.interval {
            Interval::Epoch if !self.is_range_test => epoch,
            _ => update - 1,
        }
    }

    /// The rate of an update, counted from 1, in an epoch, counted from 0, for an optimizer whose own rate is `own`: that
    /// of a group keeps its ratio to the run's.
    pub fn lr(&self, rule: &Update, update: u64, epoch: u64, own: f64) -> f64 {
        let run = rule.optimizer.lr();
        let base = match self.set {
            None => own,
            Some(lr) if own == run => lr,
            Some(lr) => lr * own / run,
        };
        match &self.schedule {
            None => base,
            Some(Schedule::Plateau(plateau)) => self.plateau.lr(plateau, base),
            Some(schedule) => schedule.lr(base, self.schedule_step(rule, update, epoch)),
        }
    }

    /// The rate of the run's optimizer.
    pub fn lr_of_run(&self, rule: &Update, update: u64, epoch: u64) -> f64 {
        self.lr(rule, update, epoch, rule.optimizer.lr())
    }

    /// The scalars of an update for a group.
    fn scalars(&self, rule: &Update, group: &Group, update: u64, epoch: u64) -> [f32; SCALARS] {
        let steady;
        let optimizer = if self.is_range_test {
            steady = group.optimizer.steady();
            &steady
        } else {
            &group.optimizer
        };
        let lr = self.lr(rule, update, epoch, optimizer.lr()) * group.lr_factor;
        let step = self.schedule_step(rule, update, epoch);
        let momentum = self.schedule.as_ref().and_then(|schedule| schedule.momentum(step));
        match momentum.and_then(|momentum| optimizer.with_momentum(momentum)) {
            Some(cycled) => cycled.scalars(update, lr),
            None => optimizer.scalars(update, lr),
        }
    }

    /// Rows of the optimizer's table, f64 rounded once: a row for each group and each of the `count` updates after the
    /// first `done`, in an epoch, counted from 0.
    pub fn table(
        &self,
        rule: Rule<'_>,
        steps_per_epoch: u64,
        done: u64,
        count: usize,
        epoch: u64,
    ) -> Vec<f32> {
        let Rule { update: rule, groups, .. } = rule;
        let clip = match rule.clip {
            Some(Clip::Value(max)) => max,
            _ => 0.0,
        };
        let mut table = Vec::with_capacity(count * groups.groups.len() * ROW);
        for update in done + 1..=done + count as u64 {
            let keep = rule.average.map_or(1.0, |average| average.keep(update, steps_per_epoch));
            for group in &groups.groups {
                table.extend(table_row(&self.scalars(rule, group, update, epoch), clip, keep));
            }
        }
        table
    }

    /// Takes in the metric that a plateau monitors.
    pub fn observe(&mut self, rule: &Update, epoch: &EpochRecord) {
        let Some(Schedule::Plateau(plateau)) = &self.schedule else { return };
        let value = match plateau.metric {
            Metric::EvalLoss => epoch.eval_loss,
            Metric::EvalAccuracy => epoch.eval_accuracy,
            Metric::TrainLoss => Some(epoch.train_loss),
        };
        // A plan without the metric is refused.
        let Some(value) = value else { return };
        self.plateau.observe(plateau, self.set.unwrap_or(rule.optimizer.lr()), value);
    }

    /// True where both follow the same schedule, lengths included.
    pub fn has_schedule_of(&self, other: &LearningRate) -> bool {
        self.schedule == other.schedule
    }
}
