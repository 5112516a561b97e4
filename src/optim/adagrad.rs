//! Adagrad: the gradient over the root of the sum of all squares so far.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, at_least_zero, row};
use crate::error::Result;

/// `adagrad`: g ← g + λw; s ← s + g²; w ← w − η/(1 + (t − 1)·lr_decay)·g/(√s + ε).
///
/// Source: torch.optim.Adagrad, whose names and defaults these are; Duchi et al. 2011.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// The decay of the learning rate, at least 0.
    pub lr_decay: f64,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
    /// The first value of s, at least 0.
    pub initial_accumulator_value: f64,
    /// ε, added to the root; at least 0.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { lr: 1e-2, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl Adagrad {
    pub(super) const ABOUT: About = About {
        equation: "s ← s + g²; w ← w − η/(1 + (t − 1)·lr_decay)·g/(√s + ε), with g ← g + λw",
        source: "Duchi et al. 2011",
        torch: Some("Adagrad"),
        forms: &[],
        trials: Trials {
            kernel: &["weight_decay = 0.1", "lr_decay = 0.1, initial_accumulator_value = 0.5, eps = 0.1"],
            parabola: "lr = 0.5",
            valley: "lr = 0.5",
        },
    };
}

impl Rule for Adagrad {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        at_least_zero("lr_decay", self.lr_decay, "a decay")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        at_least_zero("initial_accumulator_value", self.initial_accumulator_value, "a sum of squares")?;
        at_least_zero("eps", self.eps, "eps")
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/adagrad", "adagrad_update", &["sum"], 10)
    }

    /// `[η/(1 + (t − 1)·lr_decay), ε, λ, where s starts]`, the last 0 after the first step.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let first = if t == 1 { self.initial_accumulator_value } else { 0.0 };
        row([lr / (1.0 + (t - 1) as f64 * self.lr_decay), self.eps, self.weight_decay, first])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn make_steady(&mut self) {
        self.lr_decay = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    #[test]
    fn the_sum_starts_once_and_the_rate_falls() {
        let rule = Adagrad { lr_decay: 0.5, initial_accumulator_value: 2.0, ..Adagrad::default() };
        assert_close(Optimizer::Adagrad(rule.clone()).scalars(1, 0.5), [0.5, 1e-10, 0.0, 2.0]);
        assert_close(Optimizer::Adagrad(rule).scalars(3, 0.5), [0.25, 1e-10, 0.0, 0.0]);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = Adagrad::default();
        let err = Adagrad { initial_accumulator_value: -1.0, ..rule }.validate().unwrap_err().to_string();
        assert!(err.contains("optimizer.initial_accumulator_value = -1.0"), "{err}");
    }
}
