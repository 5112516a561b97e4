//! Schedules by factors: constant, step, multistep, exponential, linear.

use serde::{Deserialize, Serialize};

use super::About;
use super::rule::{Rule, above_zero, at_least_one};
use crate::error::Result;
use crate::optim::refuse_of;

/// base·factor for the first `total_iters` steps, then base.
///
/// Source: torch.optim.lr_scheduler.ConstantLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// In [0, 1].
    pub factor: f64,
    /// Steps of the reduced rate.
    pub total_iters: u64,
}

/// base·gamma^⌊k/step_size⌋
///
/// Source: torch.optim.lr_scheduler.StepLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Steps from one reduction to the next.
    pub step_size: u64,
    /// Above 0.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

/// base·gamma^(milestones reached)
///
/// Source: torch.optim.lr_scheduler.MultiStepLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiStep {
    /// Steps at which the rate is reduced, in rising order. A step that is named twice counts twice.
    pub milestones: Vec<u64>,
    /// Above 0.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

/// base·gamma^k
///
/// Source: torch.optim.lr_scheduler.ExponentialLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// Above 0.
    pub gamma: f64,
}

/// base·(start_factor + (end_factor − start_factor)·min(k, total_iters)/total_iters)
///
/// Source: torch.optim.lr_scheduler.LinearLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// In (0, 1].
    pub start_factor: f64,
    /// In [0, 1].
    pub end_factor: f64,
    /// Steps from one to the other.
    pub total_iters: u64,
}

fn tenth() -> f64 {
    0.1
}

impl Default for Constant {
    fn default() -> Self {
        Constant { factor: 1.0 / 3.0, total_iters: 5 }
    }
}

impl Default for Linear {
    fn default() -> Self {
        Linear { start_factor: 1.0 / 3.0, end_factor: 1.0, total_iters: 5 }
    }
}

/// Checks that `value` is in [0, 1].
fn share(key: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(refuse_of(&format!("schedule.{key}"), value, "a factor is at least 0 and at most 1"))
}

impl Constant {
    pub(super) const ABOUT: About = About {
        equation: "base·factor for the first total_iters steps, then base",
        source: None,
        torch: Some("ConstantLR"),
        example: "",
    };
}

impl Rule for Constant {
    fn validate(&self) -> Result<()> {
        share("factor", self.factor)
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        base * if k < self.total_iters { self.factor } else { 1.0 }
    }
}

impl Step {
    pub(super) const ABOUT: About = About {
        equation: "base·gamma^⌊k/step_size⌋",
        source: None,
        torch: Some("StepLR"),
        example: "step_size = 30",
    };
}

impl Rule for Step {
    fn validate(&self) -> Result<()> {
        at_least_one("step_size", self.step_size)?;
        above_zero("gamma", self.gamma, "gamma")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        base * self.gamma.powf((k / self.step_size) as f64)
    }
}

impl MultiStep {
    pub(super) const ABOUT: About = About {
        equation: "base·gamma^(milestones ≤ k)",
        source: None,
        torch: Some("MultiStepLR"),
        example: "milestones = [30, 80]",
    };
}

impl Rule for MultiStep {
    fn validate(&self) -> Result<()> {
        if !self.milestones.is_sorted() {
            return Err(refuse_of("schedule.milestones", &self.milestones, "milestones rise"));
        }
        above_zero("gamma", self.gamma, "gamma")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        base * self.gamma.powi(self.milestones.iter().filter(|&&m| k >= m).count() as i32)
    }
}

impl Exponential {
    pub(super) const ABOUT: About = About {
        equation: "base·gamma^k",
        source: None,
        torch: Some("ExponentialLR"),
        example: "gamma = 0.99",
    };
}

impl Rule for Exponential {
    fn validate(&self) -> Result<()> {
        above_zero("gamma", self.gamma, "gamma")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        base * self.gamma.powf(k as f64)
    }
}

impl Linear {
    pub(super) const ABOUT: About = About {
        equation: "base·(start_factor + (end_factor − start_factor)·min(k, total_iters)/total_iters)",
        source: None,
        torch: Some("LinearLR"),
        example: "",
    };
}

impl Rule for Linear {
    fn validate(&self) -> Result<()> {
        share("start_factor", self.start_factor)?;
        above_zero("start_factor", self.start_factor, "a factor to start from")?;
        share("end_factor", self.end_factor)?;
        at_least_one("total_iters", self.total_iters)
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let share = k.min(self.total_iters) as f64 / self.total_iters as f64;
        base * (self.start_factor + (self.end_factor - self.start_factor) * share)
    }
}
