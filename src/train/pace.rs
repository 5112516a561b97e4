//! The learning rate of each update: the optimizer's or what was said in its place, by the schedule.

use serde::{Deserialize, Serialize};

use super::blueprint::Blueprint;
use super::observer::EpochRecord;
use super::snapshot::Snapshot;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::optim::schedule::{Exponential, Metric, PlateauState};
use crate::optim::{Group, Interval, Optimizer, Schedule, Update};

/// What the learning rate depends on besides the count of updates.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    /// The schedule, its lengths filled in.
    schedule: Option<Schedule>,
    /// What it remembers.
    plateau: PlateauState,
    /// What [`Trainer::set_lr`] said.
    set: Option<f64>,
}

/// Refuses a plateau that watches what no epoch of the run will tell.
pub(super) fn check(update: &Update, evaluates: bool, counts: bool) -> Result<()> {
    let Some(Schedule::Plateau(rule)) = &update.schedule else { return Ok(()) };
    let missing = match rule.metric {
        Metric::EvalLoss | Metric::EvalAccuracy if !evaluates => {
            "there are no samples to evaluate on; keep some (data.eval_fraction), or set metric = \"train_loss\""
        }
        Metric::EvalAccuracy if !counts => {
            "evaluation counts no right predictions: the targets are no classes, or the loss is a function of batches; \
             set metric = \"eval_loss\" and mode = \"min\""
        }
        _ => return Ok(()),
    };
    Err(Error::Config(format!("schedule.metric = \"{}\": {missing}", rule.metric.name())))
}

impl Pace {
    /// For a run of `total` steps in epochs of `steps`.
    pub fn new(update: &Update, total: u64, steps: usize) -> Pace {
        let total = match update.interval {
            Interval::Step => total,
            Interval::Epoch => total.div_ceil(steps.max(1) as u64),
        };
        let schedule = update.schedule.as_ref().map(|schedule| schedule.resolve(total));
        Pace { schedule, ..Pace::default() }
    }
}

impl Trainer {
    /// Sets the learning rate of the steps to come, in place of the optimizer's: what the schedule starts from, where there
    /// is one. A group of parameters whose own differs keeps its ratio.
    pub fn set_lr(&mut self, lr: f64) {
        self.pace.set = Some(lr);
    }

    /// Has the rate grow from `from` by `growth` each update, in place of everything else that it would go by; tells what
    /// that was, as `schedule = "cosine"`.
    ///
    /// # Errors
    /// [`Error::Config`] for groups whose rate has no ratio to the run's, which is 0.
    pub(super) fn sweep(&mut self, from: f64, growth: f64) -> Result<Vec<String>> {
        let Blueprint { rule, groups, .. } = &mut self.blueprint;
        let groups = &mut groups.groups;
        if rule.optimizer.lr() == 0.0 && groups.iter().any(|group| group.optimizer.lr() != 0.0) {
            return Err(Error::Config(
                "optimizer.lr = 0.0: a group of parameters has a rate of its own, which keeps its ratio to this one in a \
                 range test; give lr a number above 0"
                    .into(),
            ));
        }
        let mut left_out: Vec<String> =
            rule.schedule.iter().map(|own| format!("schedule = \"{}\"", own.name())).collect();
        let steady = rule.optimizer.steady();
        left_out.extend(rule.optimizer.differing(&steady));
        for group in groups {
            group.optimizer = group.optimizer.steady();
        }
        rule.optimizer = steady;
        rule.interval = Interval::Step;
        let schedule = Some(Schedule::Exponential(Exponential { gamma: growth }));
        self.pace = Pace { schedule, set: Some(from), ..Pace::default() };
        Ok(left_out)
    }

    /// The learning rate of the next step, if no step before it was skipped.
    pub fn lr(&self) -> f64 {
        self.rate(&self.blueprint.rule.optimizer, self.step + 1)
    }

    /// How often the schedule was stepped before update `t`, the first being 1.
    fn stepped(&self, t: u64, epoch: u64) -> u64 {
        match self.blueprint.rule.interval {
            Interval::Step => t - 1,
            Interval::Epoch => epoch,
        }
    }

    /// The learning rate of update `t` for an optimizer of the run: a group's own, before its factor.
    pub(super) fn rate(&self, optimizer: &Optimizer, t: u64) -> f64 {
        self.rate_in(self.epoch, optimizer, t)
    }

    /// [`Trainer::rate`] in an epoch, counted from 0.
    pub(super) fn rate_in(&self, epoch: u64, optimizer: &Optimizer, t: u64) -> f64 {
        let (own, run) = (optimizer.lr(), self.blueprint.rule.optimizer.lr());
        let base = match self.pace.set {
            None => own,
            Some(lr) if own == run => lr,
            Some(lr) => lr * own / run,
        };
        match &self.pace.schedule {
            None => base,
            Some(Schedule::Plateau(rule)) => self.pace.plateau.lr(rule, base),
            Some(schedule) => schedule.lr(base, self.stepped(t, epoch)),
        }
    }

    /// The scalars of update `t` for a group.
    pub(super) fn scalars(&self, group: &Group, t: u64) -> [f32; crate::optim::SCALARS] {
        let lr = self.rate(&group.optimizer, t) * group.lr_factor;
        let momentum =
            self.pace.schedule.as_ref().and_then(|schedule| schedule.momentum(self.stepped(t, self.epoch)));
        match momentum.and_then(|momentum| group.optimizer.with_momentum(momentum)) {
            Some(cycled) => cycled.scalars(t, lr),
            None => group.optimizer.scalars(t, lr),
        }
    }

    /// Refuses a state whose schedule is of another length.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with what to do.
    pub(crate) fn check_schedule(&self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.host.pace.schedule == self.pace.schedule {
            return Ok(());
        }
        Err(Error::Checkpoint(
            "the schedule is as long as the run, so with other epochs or steps every learning rate so far would have been \
             another: give the schedule's own length (schedule.t_max, total_iters, total_steps) from the start"
                .into(),
        ))
    }

    /// Tells the schedule of an epoch.
    pub(super) fn observe(&mut self, epoch: &EpochRecord) {
        let Some(Schedule::Plateau(rule)) = &self.pace.schedule else { return };
        let value = match rule.metric {
            Metric::EvalLoss => epoch.eval_loss,
            Metric::EvalAccuracy => epoch.eval_accuracy,
            Metric::TrainLoss => Some(epoch.train_loss),
        };
        // A plan without what is watched is refused.
        let Some(value) = value else { return };
        let base = self.pace.set.unwrap_or(self.blueprint.rule.optimizer.lr());
        self.pace.plateau.observe(rule, base, value);
    }
}
