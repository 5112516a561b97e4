//! Learning rates over the steps of a run: torch's schedulers as functions of how often they have been stepped.
//!
//! A schedule goes from the optimizer's learning rate, `base`, and k, the updates (or epochs) done, to the learning rate.
//! All but [`Plateau`] are pure, so a run can go on from anywhere. Each equals torch's scheduler of the same keys.

mod curves;
mod one_cycle;
mod plateau;
mod steps;

use serde::{Deserialize, Serialize};
use toml::Table;

pub use curves::{Cosine, CosineRestarts, InverseSqrt, Polynomial};
pub use one_cycle::{Anneal, OneCycle};
pub use plateau::{Metric, Mode, Plateau, PlateauState, ThresholdMode};
pub use steps::{Constant, Exponential, Linear, MultiStep, StepDown};

use super::{at_least_zero_of, refuse_of};
use crate::error::{Error, Result};

/// A schedule with its numbers; in a config a table with the key `name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Schedule {
    /// `constant`: a fraction of the rate at first, then the rate.
    Constant(Constant),
    /// `step`: down by a factor every so many steps.
    Step(StepDown),
    /// `multistep`: down by a factor at each milestone.
    #[serde(rename = "multistep")]
    MultiStep(MultiStep),
    /// `exponential`: down by a factor every step.
    Exponential(Exponential),
    /// `linear`: along a line, as warm-ups go.
    Linear(Linear),
    /// `cosine`: down along half a cosine.
    Cosine(Cosine),
    /// `cosine_restarts`: that, from the start again and again.
    CosineRestarts(CosineRestarts),
    /// `one_cycle`: up, and down further, momentum the other way.
    OneCycle(OneCycle),
    /// `polynomial`: down to 0 by a power.
    Polynomial(Polynomial),
    /// `plateau`: down by a factor where a metric no longer gets better.
    Plateau(Plateau),
    /// `inverse_sqrt`: up along a line, then down as 1/√t.
    InverseSqrt(InverseSqrt),
    /// `sequence`: one after the other.
    Sequence(Sequence),
}

/// What a schedule counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Updates.
    #[default]
    Step,
    /// Epochs.
    Epoch,
}

/// Schedules one after the other: the i-th from its milestone on, where it begins anew.
///
/// Source: torch.optim.lr_scheduler.SequentialLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Any but `plateau` and `sequence`.
    pub schedules: Vec<Schedule>,
    /// Where each but the first begins, rising: one fewer than schedules.
    pub milestones: Vec<u64>,
}

/// The names with the keys each takes beside `name`.
const TABLE: &[(&str, &[&str])] = &[
    ("constant", Constant::KEYS),
    ("step", StepDown::KEYS),
    ("multistep", MultiStep::KEYS),
    ("exponential", Exponential::KEYS),
    ("linear", Linear::KEYS),
    ("cosine", Cosine::KEYS),
    ("cosine_restarts", CosineRestarts::KEYS),
    ("one_cycle", OneCycle::KEYS),
    ("polynomial", Polynomial::KEYS),
    ("plateau", Plateau::KEYS),
    ("inverse_sqrt", InverseSqrt::KEYS),
    ("sequence", &["schedules", "milestones"]),
];

impl Schedule {
    /// Every name a config can give.
    pub const NAMES: [&str; TABLE.len()] = {
        let mut names = [""; TABLE.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = TABLE[i].0;
            i += 1;
        }
        names
    };

    /// The keys that schedule `name` takes beside `name` itself; `None` for an unknown one.
    pub fn keys(name: &str) -> Option<&'static [&'static str]> {
        TABLE.iter().find(|(n, _)| *n == name).map(|(_, keys)| *keys)
    }

    /// Its name in a config.
    pub fn name(&self) -> String {
        let table = Table::try_from(self).unwrap_or_default();
        table.get("name").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        match self {
            Schedule::Constant(s) => s.validate(),
            Schedule::Step(s) => s.validate(),
            Schedule::MultiStep(s) => s.validate(),
            Schedule::Exponential(s) => s.validate(),
            Schedule::Linear(s) => s.validate(),
            Schedule::Cosine(s) => s.validate(),
            Schedule::CosineRestarts(s) => s.validate(),
            Schedule::OneCycle(s) => s.validate(),
            Schedule::Polynomial(s) => s.validate(),
            Schedule::Plateau(s) => s.validate(),
            Schedule::InverseSqrt(s) => s.validate(),
            Schedule::Sequence(s) => s.validate(),
        }
    }

    /// The same with the lengths that were left out: those of a run of `total` steps (or epochs).
    pub fn resolve(&self, total: u64) -> Schedule {
        let total = total.max(1);
        let mut resolved = self.clone();
        match &mut resolved {
            Schedule::Cosine(s) => s.t_max = s.t_max.or(Some(total)),
            Schedule::OneCycle(s) => s.total_steps = s.total_steps.or(Some(total)),
            Schedule::Polynomial(s) => s.total_iters = s.total_iters.or(Some(total)),
            Schedule::Sequence(s) => {
                let starts = std::iter::once(0).chain(s.milestones.iter().copied());
                let ends = s.milestones.iter().copied().chain([total]);
                for ((schedule, start), end) in s.schedules.iter_mut().zip(starts).zip(ends) {
                    *schedule = schedule.resolve(end.saturating_sub(start));
                }
            }
            _ => {}
        }
        resolved
    }

    /// The learning rate after `k` steps of the schedule, `base` being the optimizer's. For [`Schedule::Plateau`] it is
    /// that before any reduction; see [`PlateauState`].
    pub fn lr(&self, base: f64, k: u64) -> f64 {
        match self {
            Schedule::Constant(s) => base * s.factor_at(k),
            Schedule::Step(s) => base * s.factor_at(k),
            Schedule::MultiStep(s) => base * s.factor_at(k),
            Schedule::Exponential(s) => base * s.factor_at(k),
            Schedule::Linear(s) => base * s.factor_at(k),
            Schedule::Cosine(s) => s.lr(base, k),
            Schedule::CosineRestarts(s) => s.lr(base, k),
            Schedule::OneCycle(s) => s.lr(base, k),
            Schedule::Polynomial(s) => base * s.factor_at(k),
            Schedule::Plateau(_) => base,
            Schedule::InverseSqrt(s) => base * s.factor_at(k),
            Schedule::Sequence(s) => {
                let (schedule, since) = s.at(k);
                schedule.lr(base, since)
            }
        }
    }

    /// What sgd's momentum, or the first of the betas, is after `k` steps, where the schedule cycles it.
    pub fn momentum(&self, k: u64) -> Option<f64> {
        match self {
            Schedule::OneCycle(s) => s.momentum(k),
            Schedule::Sequence(s) => {
                let (schedule, since) = s.at(k);
                schedule.momentum(since)
            }
            _ => None,
        }
    }

    /// Whether it ever cycles momentum.
    pub fn cycles_momentum(&self) -> bool {
        match self {
            Schedule::OneCycle(s) => s.cycle_momentum,
            Schedule::Sequence(s) => s.schedules.iter().any(Schedule::cycles_momentum),
            _ => false,
        }
    }
}

impl Sequence {
    /// The schedule that is on after `k` steps, and how many of them are its own.
    fn at(&self, k: u64) -> (&Schedule, u64) {
        let i = self.milestones.iter().filter(|&&m| k >= m).count();
        (&self.schedules[i], k - if i == 0 { 0 } else { self.milestones[i - 1] })
    }

    fn validate(&self) -> Result<()> {
        let (schedules, milestones) = (self.schedules.len(), &self.milestones);
        if schedules == 0 || milestones.len() + 1 != schedules {
            let allowed =
                format!("a sequence of {schedules} schedules has {} milestones", schedules.max(1) - 1);
            return Err(refuse_of("schedule.milestones", milestones, &allowed));
        }
        if milestones.first() == Some(&0) || milestones.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(refuse_of("schedule.milestones", milestones, "they rise, from 1 on"));
        }
        for (i, schedule) in self.schedules.iter().enumerate() {
            if matches!(schedule, Schedule::Plateau(_) | Schedule::Sequence(_)) {
                let text =
                    format!("schedule.schedules[{i}]: a sequence has neither a plateau nor a sequence in it");
                return Err(Error::Config(text));
            }
            let place = format!("schedule.schedules[{i}].");
            schedule.validate().map_err(|err| err.renamed("schedule.", &place))?;
        }
        Ok(())
    }
}

/// A number above 0 under the key `schedule.KEY`.
fn above_zero(key: &str, value: f64, what: &str) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(refuse_of(&format!("schedule.{key}"), value, &format!("{what} is finite and above 0")))
}

fn at_least_zero(key: &str, value: f64, what: &str) -> Result<()> {
    at_least_zero_of(&format!("schedule.{key}"), value, what)
}

/// A count of at least 1.
fn at_least_one(key: &str, value: u64) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(refuse_of(&format!("schedule.{key}"), value, "a whole number from 1 on is needed"))
}

#[cfg(test)]
mod tests;
