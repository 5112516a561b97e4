//! Lion: the sign of a blend of momentum and gradient.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, adam_numbers, row};
use crate::error::Result;

/// `lion`: w ← w − η(sign(β₁m + (1 − β₁)g) + λw); then m ← β₂m + (1 − β₂)g.
///
/// Source: Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", and its authors' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): of the blend that decides, and of the momentum that is kept.
    pub betas: [f64; 2],
    /// Decoupled weight decay λ, at least 0: a step shrinks the weight by ηλ of itself.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Lion { lr: 1e-4, betas: [0.9, 0.99], weight_decay: 0.0 }
    }
}

impl Lion {
    pub(super) const ABOUT: About = About {
        equation: "w ← w − η(sign(β₁m + (1 − β₁)g) + λw); then m ← β₂m + (1 − β₂)g",
        source: "Chen et al. 2023",
        torch: None,
        forms: &[],
        trials: Trials {
            kernel: &["lr = 0.001, weight_decay = 0.1", "lr = 0.001, weight_decay = 0.1, betas = [0.5, 0.9]"],
            parabola: "lr = 0.05",
            valley: "lr = 3e-3",
        },
    };
}

impl Rule for Lion {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, 0.0, self.weight_decay)
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/lion", "lion_update", &["exp_avg"], 10)
    }

    /// `[η, β₁, 1 − β₁, β₂, 1 − β₂, ηλ]`, the same for each step.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        debug_assert!(t > 0, "steps count from 1");
        let [beta1, beta2] = self.betas;
        row([lr, beta1, 1.0 - beta1, beta2, 1.0 - beta2, lr * self.weight_decay])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        Some(&mut self.betas[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    #[test]
    fn decay_goes_with_the_rate() {
        let row = Optimizer::Lion(Lion { weight_decay: 0.25, ..Lion::default() }).scalars(7, 0.5);
        assert_close(row, [0.5, 0.9, 0.1, 0.99, 0.01, 0.125]);
    }
}
