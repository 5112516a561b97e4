//! Averages of the weights over the steps, kept by the update's own dispatch.

use serde::{Deserialize, Serialize};

use super::{below_one_of, refuse_of};
use crate::error::Result;

/// An average of the weights, beside the weights that are trained; evaluation may use it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Average {
    /// Exponential: avg ← decay·avg + (1 − decay)·w after each update; the first one copies.
    ///
    /// Source: torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay).
    Ema {
        /// The share of the average that a step keeps, in [0, 1).
        #[serde(default = "decay")]
        decay: f64,
        /// Evaluate with the average.
        #[serde(default = "yes")]
        eval: bool,
    },
    /// Stochastic weight averaging: the plain mean of the weights at the end of each epoch after the first
    /// `start_epoch`. Until then, and within an epoch, it is the weights' last value taken.
    ///
    /// Source: Izmailov et al. 2018, torch.optim.swa_utils.AveragedModel. Batch norm's statistics are not made anew.
    Swa {
        /// Epochs before the first that is averaged.
        #[serde(default)]
        start_epoch: u64,
        /// Evaluate with the average.
        #[serde(default = "yes")]
        eval: bool,
    },
}

fn decay() -> f64 {
    Average::DECAY
}

fn yes() -> bool {
    true
}

impl Average {
    /// The default share that an exponential average keeps.
    pub const DECAY: f64 = 0.999;

    /// True where evaluation uses it.
    pub fn eval(&self) -> bool {
        match *self {
            Average::Ema { eval, .. } | Average::Swa { eval, .. } => eval,
        }
    }

    /// The share of the average that update `t` keeps, the first being 1, in epochs of `steps` updates. 0 takes the weights,
    /// 1 leaves the average as it is.
    pub fn keep(&self, t: u64, steps: u64) -> f64 {
        match *self {
            Average::Ema { decay, .. } => {
                if t == 1 {
                    0.0
                } else {
                    decay
                }
            }
            Average::Swa { start_epoch, .. } => {
                let steps = steps.max(1);
                let ended = (t / steps).saturating_sub(start_epoch);
                match (t.is_multiple_of(steps), ended) {
                    (_, 0) => 0.0,
                    (true, n) => (n - 1) as f64 / n as f64,
                    (false, _) => 1.0,
                }
            }
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`crate::Error::Config`] with the key and what is allowed.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Average::Ema { decay, .. } => below_one_of("average.decay", decay, "a decay"),
            Average::Swa { start_epoch, .. } if start_epoch > u64::from(u32::MAX) => {
                Err(refuse_of("average.start_epoch", start_epoch, "no run has so many epochs"))
            }
            Average::Swa { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The average of a weight that is t after update t.
    fn averaged(average: Average, updates: u64, steps: u64) -> f64 {
        (1..=updates).fold(f64::NAN, |avg, t| match average.keep(t, steps) {
            0.0 => t as f64,
            keep => keep * avg + (1.0 - keep) * t as f64,
        })
    }

    #[test]
    fn swa_is_the_mean_over_the_ends_of_epochs() {
        let swa = Average::Swa { start_epoch: 2, eval: true };
        // Epochs of 5 end at 5, 10, 15, 20, 25; those from 15 on count.
        for (updates, mean) in [(4, 4.0), (12, 12.0), (15, 15.0), (19, 15.0), (20, 17.5), (26, 20.0)] {
            assert!((averaged(swa, updates, 5) - mean).abs() < 1e-12, "{updates}");
        }
    }

    #[test]
    fn ema_begins_with_the_weights() {
        let ema = Average::Ema { decay: 0.75, eval: true };
        assert_eq!(averaged(ema, 1, 9), 1.0);
        assert_eq!(averaged(ema, 3, 9), 0.75 * (0.75 + 0.25 * 2.0) + 0.25 * 3.0);
        for decay in [1.0, -0.1, f64::NAN] {
            let err = Average::Ema { decay, eval: true }.validate().unwrap_err().to_string();
            assert!(err.contains("average.decay"), "{err}");
        }
    }
}
