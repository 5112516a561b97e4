//! Schedules along curves: cosine, cosine with restarts, polynomial, inverse square root.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::About;
use super::rule::{Rule, above_zero, at_least_one, at_least_zero};
use crate::error::Result;

/// eta_min + (base − eta_min)·(1 + cos(πk/t_max))/2; past `t_max` it rises again, as torch's does.
///
/// Source: torch.optim.lr_scheduler.CosineAnnealingLR.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Steps from base to `eta_min`. Default: the steps of the run, or of its part of a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_max: Option<u64>,
    /// The least rate, at least 0.
    pub eta_min: f64,
}

/// As [`Cosine`] over `t_0` steps, then over `t_mult` times as many, and so on, each from base again.
///
/// Source: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineRestarts {
    /// Steps of the first fall.
    pub t_0: u64,
    /// At least 1.
    #[serde(default = "one")]
    pub t_mult: u64,
    /// The least rate, at least 0.
    #[serde(default)]
    pub eta_min: f64,
}

/// base·(1 − min(k, total_iters)/total_iters)^power
///
/// Source: torch.optim.lr_scheduler.PolynomialLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polynomial {
    /// Steps until the rate is 0. Default: the steps of the run, or of its part of a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_iters: Option<u64>,
    /// Above 0.
    pub power: f64,
}

/// base·min(t/warmup, √(warmup/t)), t = k + 1: base is the peak. With `d_model` the rate of the first transformer,
/// base·d_model^(−½)·min(t^(−½), t·warmup^(−3/2)), where base is a factor.
///
/// Source: Vaswani et al. 2017 ("Noam").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseSqrt {
    /// Steps of the rise, at least 1.
    pub warmup_steps: u64,
    /// The width of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<u64>,
}

fn one() -> u64 {
    1
}

impl Default for Polynomial {
    fn default() -> Self {
        Polynomial { total_iters: None, power: 1.0 }
    }
}

fn half_cosine(base: f64, least: f64, share: f64) -> f64 {
    least + (base - least) * (1.0 + (PI * share).cos()) / 2.0
}

impl Cosine {
    pub(super) const ABOUT: About = About {
        equation: "eta_min + (base − eta_min)·(1 + cos(πk/t_max))/2",
        source: Some("Loshchilov and Hutter 2017"),
        torch: Some("CosineAnnealingLR"),
        example: "",
    };
}

impl Rule for Cosine {
    fn validate(&self) -> Result<()> {
        self.t_max.map_or(Ok(()), |n| at_least_one("t_max", n))?;
        at_least_zero("eta_min", self.eta_min, "a learning rate")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        half_cosine(base, self.eta_min, k as f64 / self.t_max.unwrap_or(1) as f64)
    }

    fn set_length(&mut self, total: u64) {
        self.t_max.get_or_insert(total);
    }
}

impl CosineRestarts {
    pub(super) const ABOUT: About = About {
        equation: "as cosine over t_0 steps, then over t_mult times as many, and so on, each from base again",
        source: Some("Loshchilov and Hutter 2017"),
        torch: Some("CosineAnnealingWarmRestarts"),
        example: "t_0 = 100",
    };
}

impl Rule for CosineRestarts {
    fn validate(&self) -> Result<()> {
        at_least_one("t_0", self.t_0)?;
        at_least_one("t_mult", self.t_mult)?;
        at_least_zero("eta_min", self.eta_min, "a learning rate")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let (mut since, mut length) = (k, self.t_0);
        if self.t_mult == 1 {
            since %= length;
        }
        while since >= length {
            since -= length;
            length = length.saturating_mul(self.t_mult);
        }
        half_cosine(base, self.eta_min, since as f64 / length as f64)
    }
}

impl Polynomial {
    pub(super) const ABOUT: About = About {
        equation: "base·(1 − min(k, total_iters)/total_iters)^power",
        source: None,
        torch: Some("PolynomialLR"),
        example: "",
    };
}

impl Rule for Polynomial {
    fn validate(&self) -> Result<()> {
        self.total_iters.map_or(Ok(()), |n| at_least_one("total_iters", n))?;
        above_zero("power", self.power, "a power")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let total = self.total_iters.unwrap_or(1);
        base * (1.0 - k.min(total) as f64 / total as f64).powf(self.power)
    }

    fn set_length(&mut self, total: u64) {
        self.total_iters.get_or_insert(total);
    }
}

impl InverseSqrt {
    pub(super) const ABOUT: About = About {
        equation: "base·min(t/warmup_steps, √(warmup_steps/t)) with t = k + 1; with d_model base·d_model^(−½)·min(t^(−½), t·warmup_steps^(−3/2))",
        source: Some("Vaswani et al. 2017"),
        torch: None,
        example: "warmup_steps = 4000",
    };
}

impl Rule for InverseSqrt {
    fn validate(&self) -> Result<()> {
        at_least_one("warmup_steps", self.warmup_steps)?;
        self.d_model.map_or(Ok(()), |n| at_least_one("d_model", n))
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let (t, warmup) = ((k + 1) as f64, self.warmup_steps as f64);
        let factor = match self.d_model {
            None => (t / warmup).min((warmup / t).sqrt()),
            Some(width) => t.powf(-0.5).min(t * warmup.powf(-1.5)) / (width as f64).sqrt(),
        };
        base * factor
    }
}
