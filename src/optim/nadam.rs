//! NAdam: Adam with Nesterov's momentum.

use serde::{Deserialize, Serialize};

use super::{Rule, Scalars, UpdateKernel, adam_numbers, at_least_zero, correction, row};
use crate::error::Result;

/// `nadam`: μₜ = β₁(1 − ½·0.96^(tψ)), Πₜ = μ₁⋯μₜ; m and v as [`Adam`](super::Adam)'s;
/// w ← w − η((1 − μₜ)/(1 − Πₜ)·g + μₜ₊₁/(1 − Πₜ₊₁)·m)/(√v/√(1 − β₂ᵗ) + ε).
///
/// Source: torch.optim.NAdam, whose names and defaults these are; Dozat 2016.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdam {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): how much of the two running averages a step keeps.
    pub betas: [f64; 2],
    /// ε, added to the root; at least 0.
    pub eps: f64,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
    /// ψ, at least 0: how fast the momentum grows towards β₁.
    pub momentum_decay: f64,
    /// Decay the weight itself by ηλ, as AdamW does, in place of the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for NAdam {
    fn default() -> Self {
        NAdam {
            lr: 2e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
        }
    }
}

impl NAdam {
    pub(super) const KEYS: &[&str] =
        &["lr", "betas", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay"];

    fn momentum(&self, t: u64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }

    /// Πₜ. It ends where nothing of it is left beside 1, so that late steps cost no more than early ones.
    fn product(&self, t: u64) -> f64 {
        let mut product = 1.0;
        for i in 1..=t {
            product *= self.momentum(i);
            if product < 1e-18 {
                return 0.0;
            }
        }
        product
    }
}

impl Rule for NAdam {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)?;
        at_least_zero("momentum_decay", self.momentum_decay, "momentum decay")
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/nadam", "nadam_update", &["exp_avg", "exp_avg_sq"], 22)
    }

    /// `[η(1 − μₜ)/(1 − Πₜ), ημₜ₊₁/(1 − Πₜ₊₁), 1 − β₁, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε, λ or 0, 0 or ηλ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        let (mu, next, product) = (self.momentum(t), self.momentum(t + 1), self.product(t));
        let (decay, shrink) = if self.decoupled_weight_decay {
            (0.0, lr * self.weight_decay)
        } else {
            (self.weight_decay, 0.0)
        };
        row([
            lr * (1.0 - mu) / (1.0 - product),
            lr * next / (1.0 - product * next),
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            1.0 / correction(beta2, t).sqrt(),
            self.eps,
            decay,
            shrink,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::{assert_close, round_trip};

    #[test]
    fn the_product_of_momenta_is_torch_s() {
        let rule = NAdam::default();
        // torch: mu = 0.9 (1 - 0.5 * 0.96^(t 0.004)); the products of the first three.
        let mu = |t: f64| 0.9 * (1.0 - 0.5 * (0.96f64.ln() * t * 0.004).exp());
        let third = mu(1.0) * mu(2.0) * mu(3.0);
        assert!((rule.product(3) - third).abs() < 1e-15);
        assert_eq!(rule.product(1_000_000), 0.0);
        let row = Optimizer::NAdam(rule).scalars(3, 0.5);
        let unbias = 1.0 / (1.0 - 0.999f64.powi(3)).sqrt();
        let (take, go) = (0.5 * (1.0 - mu(3.0)) / (1.0 - third), 0.5 * mu(4.0) / (1.0 - third * mu(4.0)));
        assert_close(row, [take, go, 0.1, 0.999, 0.001, unbias, 1e-8]);
    }

    #[test]
    fn serde_keeps_every_key_and_bad_numbers_are_refused() {
        let (lr, betas, eps, weight_decay, momentum_decay) = (0.5, [0.7, 0.8], 1e-3, 0.1, 0.01);
        let rule = NAdam { lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay: true };
        round_trip("nadam", Optimizer::NAdam(rule.clone()), NAdam::KEYS);
        let err = NAdam { momentum_decay: -1.0, ..rule }.validate().unwrap_err().to_string();
        assert!(err.contains("optimizer.momentum_decay = -1.0"), "{err}");
    }
}
