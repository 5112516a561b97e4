//! Adamax: Adam with a decaying maximum of the gradient.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, adam_numbers, correction, row};
use crate::error::Result;

/// `adamax`: g ← g + λw; m ← m + (1 − β₁)(g − m); u ← max(β₂u, |g| + ε); w ← w − η/(1 − β₁ᵗ)·m/u.
///
/// Source: torch.optim.Adamax, whose names and defaults these are; Kingma and Ba 2015.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamax {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): the shares of the two running means that a step keeps.
    pub betas: [f64; 2],
    /// ε, added to the size of a gradient; at least 0.
    pub eps: f64,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
}

impl Default for Adamax {
    fn default() -> Self {
        Adamax { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Adamax {
    pub(super) const ABOUT: About = About {
        equation: "m as adam's; u ← max(β₂u, |g| + ε); w ← w − η/(1 − β₁ᵗ)·m/u, with g ← g + λw",
        source: "Kingma and Ba 2015",
        torch: Some("Adamax"),
        forms: &[],
        trials: Trials {
            kernel: &["weight_decay = 0.1", "betas = [0.5, 0.9], eps = 0.05"],
            parabola: "lr = 0.1",
            valley: "lr = 0.03",
        },
    };
}

impl Rule for Adamax {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/adamax", "adamax_update", &["exp_avg", "exp_inf"], 12)
    }

    /// `[η/(1 − β₁ᵗ), 1 − β₁, β₂, ε, λ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        row([lr / correction(beta1, t), 1.0 - beta1, beta2, self.eps, self.weight_decay])
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
    fn the_first_moment_alone_is_corrected() {
        let row = Optimizer::Adamax(Adamax { weight_decay: 0.25, ..Adamax::default() }).scalars(2, 0.5);
        assert_close(row, [0.5 / 0.19, 0.1, 0.999, 1e-8, 0.25]);
    }
}
