//! Adadelta: steps of the size of recent steps.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, at_least_zero, refuse, row};
use crate::error::Result;

/// `adadelta`: g ← g + λw; s ← ρs + (1 − ρ)g²; δ = √(Δ + ε)/√(s + ε)·g; Δ ← ρΔ + (1 − ρ)δ²; w ← w − ηδ.
///
/// Source: torch.optim.Adadelta, whose names and defaults these are; Zeiler 2012.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adadelta {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// ρ in [0, 1]: the share of the two running means that a step keeps.
    pub rho: f64,
    /// ε, within both roots; at least 0.
    pub eps: f64,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Adadelta { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Adadelta {
    pub(super) const ABOUT: About = About {
        equation: "s ← ρs + (1 − ρ)g²; δ = √(Δ + ε)/√(s + ε)·g; Δ ← ρΔ + (1 − ρ)δ²; w ← w − ηδ, with g ← g \
                   + λw",
        source: "Zeiler 2012",
        torch: Some("Adadelta"),
        forms: &[],
        trials: Trials {
            kernel: &["weight_decay = 0.1", "rho = 0.5, eps = 1e-3"],
            parabola: "lr = 1.0, eps = 1e-3",
            valley: "lr = 0.2",
        },
    };
}

impl Rule for Adadelta {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        if !(0.0..=1.0).contains(&self.rho) {
            return Err(refuse("rho", self.rho, "rho is at least 0 and at most 1"));
        }
        at_least_zero("eps", self.eps, "eps")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/adadelta", "adadelta_update", &["square_avg", "acc_delta"], 17)
    }

    /// `[η, ρ, 1 − ρ, ε, λ]`, the same for each step.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        debug_assert!(t > 0, "steps count from 1");
        row([lr, self.rho, 1.0 - self.rho, self.eps, self.weight_decay])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    #[test]
    fn rows_do_not_depend_on_the_step() {
        for t in [1, 1000] {
            assert_close(Optimizer::Adadelta(Adadelta::default()).scalars(t, 0.5), [0.5, 0.9, 0.1, 1e-6]);
        }
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = Adadelta::default();
        let err = Adadelta { rho: 1.5, ..rule }.validate().unwrap_err().to_string();
        assert!(err.contains("optimizer.rho = 1.5"), "{err}");
    }
}
