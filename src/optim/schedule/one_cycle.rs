//! The one-cycle schedule: up, then down further, with momentum the other way.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::About;
use super::rule::{Rule, above_zero};
use crate::error::Result;
use crate::optim::{below_one_of, refuse_of};

/// From base/div_factor up to base, and down to base/div_factor/final_div_factor: the optimizer's `lr` is torch's
/// `max_lr`. Momentum goes from `max_momentum` to `base_momentum` and back. Past the last step the rate stays.
///
/// Source: torch.optim.lr_scheduler.OneCycleLR, which refuses steps past the last; Smith and Topin 2017.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// Steps of the cycle. Default: the steps of the run, or of its part of a sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u64>,
    /// The share of the steps in which the rate rises, in [0, 1).
    pub pct_start: f64,
    /// `cos` or `linear`.
    pub anneal_strategy: Anneal,
    /// Cycle momentum too.
    pub cycle_momentum: bool,
    /// Momentum at the peak of the rate, in [0, 1).
    pub base_momentum: f64,
    /// Momentum at its ends, in [0, 1).
    pub max_momentum: f64,
    /// base divided by the first rate, above 0.
    pub div_factor: f64,
    /// The first rate divided by the last, above 0.
    pub final_div_factor: f64,
    /// Fall as long as the rise, and only then to the last rate.
    pub three_phase: bool,
}

/// The curve from one rate to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// Along half a cosine.
    Cos,
    /// Along a line.
    Linear,
}

impl Default for OneCycle {
    fn default() -> Self {
        OneCycle {
            total_steps: None,
            pct_start: 0.3,
            anneal_strategy: Anneal::Cos,
            cycle_momentum: true,
            base_momentum: 0.85,
            max_momentum: 0.95,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }
}

impl OneCycle {
    pub(super) const ABOUT: About = About {
        equation: "from base/div_factor up to base over pct_start of total_steps, then down to base/div_factor/final_div_factor; momentum from max_momentum to base_momentum and back",
        source: Some("Smith and Topin 2017"),
        torch: Some("OneCycleLR"),
        example: "",
    };

    /// A value that is `low`, then `high`, then `last`, with `low` again before it in three phases.
    fn along(&self, k: u64, low: f64, high: f64, last: f64) -> f64 {
        let total = self.total_steps.unwrap_or(1) as f64;
        let up = self.pct_start * total;
        let phases = if self.three_phase {
            vec![(up - 1.0, low, high), (2.0 * up - 2.0, high, low), (total - 1.0, low, last)]
        } else {
            vec![(up - 1.0, low, high), (total - 1.0, high, last)]
        };
        let k = (k as f64).min(total - 1.0);
        let mut start = 0.0;
        for (i, &(end, from, to)) in phases.iter().enumerate() {
            if k <= end || i + 1 == phases.len() {
                let share = if end == start { 1.0 } else { (k - start) / (end - start) };
                return match self.anneal_strategy {
                    Anneal::Cos => to + (from - to) / 2.0 * (1.0 + (PI * share).cos()),
                    Anneal::Linear => (to - from) * share + from,
                };
            }
            start = end;
        }
        last
    }
}

impl Rule for OneCycle {
    fn validate(&self) -> Result<()> {
        if self.total_steps == Some(0) {
            return Err(refuse_of("schedule.total_steps", 0, "a whole number from 1 on is needed"));
        }
        below_one_of("schedule.pct_start", self.pct_start, "a share")?;
        below_one_of("schedule.base_momentum", self.base_momentum, "momentum")?;
        below_one_of("schedule.max_momentum", self.max_momentum, "momentum")?;
        above_zero("div_factor", self.div_factor, "a divisor")?;
        above_zero("final_div_factor", self.final_div_factor, "a divisor")
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let first = base / self.div_factor;
        self.along(k, first, base, first / self.final_div_factor)
    }

    fn momentum(&self, k: u64) -> Option<f64> {
        let (most, least) = (self.max_momentum, self.base_momentum);
        self.cycle_momentum.then(|| self.along(k, most, least, most))
    }

    fn set_length(&mut self, total: u64) {
        self.total_steps.get_or_insert(total);
    }
}
