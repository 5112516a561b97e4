//! LAMB: Adam whose step is as long as the weights of its tensor.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, adam_numbers, correction, refuse, row};
use crate::error::Result;

/// `lamb`: m and v as [`Adam`](super::Adam)'s; u = m/(1 − β₁ᵗ)/(√v/√(1 − β₂ᵗ) + ε) + λw; w ← w − η·‖w‖/‖u‖·u, norms over
/// the tensor, the quotient 1 where either is 0. Three dispatches.
///
/// Source: You et al. 2020, algorithm 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): the shares of the two running means that a step keeps.
    pub betas: [f64; 2],
    /// ε, added to the root; above 0.
    pub eps: f64,
    /// Weight decay λ, at least 0: part of the step whose length is made that of the weights.
    pub weight_decay: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-6, weight_decay: 1e-2 }
    }
}

impl Lamb {
    pub(super) const ABOUT: About = About {
        equation: "m and v as adam's; u = m/(1 − β₁ᵗ)/(√v/√(1 − β₂ᵗ) + ε) + λw; w ← w − η·‖w‖/‖u‖·u",
        source: "You et al. 2020",
        torch: None,
        forms: &[],
        trials: Trials {
            kernel: &[],
            parabola: "lr = 0.05, weight_decay = 0.0",
            valley: "lr = 5e-3, weight_decay = 0.0",
        },
    };
}

impl Rule for Lamb {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)?;
        if self.eps == 0.0 {
            return Err(refuse(
                "eps",
                self.eps,
                "above 0: one weight without a gradient would spoil its tensor's norm",
            ));
        }
        Ok(())
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/lamb", "lamb_update", &["exp_avg", "exp_avg_sq"], 34)
            .by_tensor("lamb_sums", 40)
    }

    /// `[η, 1 − β₁, β₂, 1 − β₂, 1/(1 − β₁ᵗ), 1/√(1 − β₂ᵗ), ε, λ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        let unbias = [1.0 / correction(beta1, t), 1.0 / correction(beta2, t).sqrt()];
        row([lr, 1.0 - beta1, beta2, 1.0 - beta2, unbias[0], unbias[1], self.eps, self.weight_decay])
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
    fn both_moments_are_corrected() {
        let row = Optimizer::Lamb(Lamb::default()).scalars(2, 0.5);
        let unbias = 1.0 / (1.0 - 0.999f64.powi(2)).sqrt();
        assert_close(row, [0.5, 0.1, 0.999, 0.001, 1.0 / 0.19, unbias, 1e-6, 0.01]);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = Lamb::default();
        let err = Lamb { eps: 0.0, ..rule }.validate().unwrap_err().to_string();
        assert!(err.contains("optimizer.eps = 0.0"), "{err}");
    }
}
