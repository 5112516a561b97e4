//! Reduces the rate where a metric no longer improves: the schedule with a state.

use serde::{Deserialize, Serialize};

use super::About;
use super::rule::{Rule, above_zero, at_least_zero};
use crate::error::Result;
use crate::optim::refuse_of;

/// The rate times `factor` after more than `patience` epochs in a row that were not better than the best.
///
/// Source: torch.optim.lr_scheduler.ReduceLROnPlateau.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// The metric that is compared once an epoch.
    pub metric: Metric,
    /// The better direction: less (`min`) or more (`max`).
    pub mode: Mode,
    /// In (0, 1).
    pub factor: f64,
    /// Epochs without a better metric before the rate is reduced.
    pub patience: u64,
    /// The least improvement that counts, at least 0.
    pub threshold: f64,
    /// The unit of the threshold: a share of the best (`rel`) or a difference (`abs`).
    pub threshold_mode: ThresholdMode,
    /// Epochs after a reduction that do not count.
    pub cooldown: u64,
    /// The least rate, at least 0.
    pub min_lr: f64,
    /// A reduction by no more than this is skipped.
    pub eps: f64,
}

/// The metric of a [`Plateau`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The loss on the evaluation part.
    EvalLoss,
    /// The accuracy on the evaluation part.
    EvalAccuracy,
    /// The epoch's mean loss in training.
    TrainLoss,
}

impl Metric {
    /// Its name in a config.
    pub fn name(self) -> &'static str {
        match self {
            Metric::EvalLoss => "eval_loss",
            Metric::EvalAccuracy => "eval_accuracy",
            Metric::TrainLoss => "train_loss",
        }
    }
}

/// The better direction of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Less.
    Min,
    /// More.
    Max,
}

/// The unit of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// A share of the best.
    Rel,
    /// A difference from the best.
    Abs,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau {
            metric: Metric::EvalLoss,
            mode: Mode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Rel,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
        }
    }
}

impl Plateau {
    pub(super) const ABOUT: About = About {
        equation: "the rate times factor after more than patience epochs in a row without a better metric",
        source: None,
        torch: Some("ReduceLROnPlateau"),
        example: "",
    };

    /// True where `value` is better than `best` by more than the threshold.
    fn better(&self, value: f64, best: f64) -> bool {
        let margin = match self.threshold_mode {
            ThresholdMode::Rel => best * self.threshold,
            ThresholdMode::Abs => self.threshold,
        };
        match self.mode {
            Mode::Min => value < best - margin,
            Mode::Max => value > best + margin,
        }
    }
}

impl Rule for Plateau {
    fn validate(&self) -> Result<()> {
        above_zero("factor", self.factor, "a factor")?;
        if self.factor >= 1.0 {
            return Err(refuse_of("schedule.factor", self.factor, "a factor is below 1"));
        }
        at_least_zero("threshold", self.threshold, "a threshold")?;
        at_least_zero("min_lr", self.min_lr, "a learning rate")?;
        at_least_zero("eps", self.eps, "eps")?;
        if (self.metric == Metric::EvalAccuracy) != (self.mode == Mode::Max) {
            let allowed = "more is better of eval_accuracy (\"max\"), less of a loss (\"min\")";
            return Err(refuse_of("schedule.mode", self.mode, allowed));
        }
        Ok(())
    }

    /// The rate before any reduction: [`PlateauState`] has the rate of the run.
    fn lr(&self, base: f64, _: u64) -> f64 {
        base
    }

    fn fits_a_sequence(&self) -> bool {
        false
    }
}

/// The state of a [`Plateau`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlateauState {
    best: Option<f64>,
    bad_epochs: u64,
    cooldown: u64,
    reductions: u32,
}

impl PlateauState {
    /// Observes the metric of an epoch, `base` being the optimizer's learning rate. True where the rate is reduced.
    pub fn observe(&mut self, rule: &Plateau, base: f64, value: f64) -> bool {
        if self.best.is_none_or(|best| rule.better(value, best)) {
            self.best = Some(value);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.bad_epochs = 0;
        }
        if self.bad_epochs <= rule.patience {
            return false;
        }
        self.cooldown = rule.cooldown;
        self.bad_epochs = 0;
        let old = self.lr(rule, base);
        let new = (old * rule.factor).max(rule.min_lr);
        let reduced = old - new > rule.eps;
        self.reductions += u32::from(reduced);
        reduced
    }

    /// The learning rate now.
    pub fn lr(&self, rule: &Plateau, base: f64) -> f64 {
        (0..self.reductions).fold(base, |lr, _| (lr * rule.factor).max(rule.min_lr))
    }
}
