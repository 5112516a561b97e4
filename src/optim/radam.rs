//! RAdam: Adam whose adaptive rate waits until its variance is tractable.

use serde::{Deserialize, Serialize};

use super::{About, Rule, Scalars, Trials, UpdateKernel, adam_numbers, correction, decays, row};
use crate::error::Result;

/// `radam`: ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ); m and v as [`Adam`](super::Adam)'s, m̂ = m/(1 − β₁ᵗ).
/// Where ρₜ > 5: w ← w − η·rₜ·√(1 − β₂ᵗ)·m̂/(√v + ε), rₜ² = (ρₜ−4)(ρₜ−2)ρ∞/((ρ∞−4)(ρ∞−2)ρₜ); else w ← w − η·m̂.
///
/// Source: torch.optim.RAdam, whose names and defaults these are; Liu et al. 2019.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RAdam {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): the shares of the two running means that a step keeps.
    pub betas: [f64; 2],
    /// ε, added to the root; at least 0.
    pub eps: f64,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
    /// Decay the weight itself by ηλ, as AdamW does, in place of the gradient.
    pub decoupled_weight_decay: bool,
}

impl Default for RAdam {
    fn default() -> Self {
        RAdam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled_weight_decay: false }
    }
}

impl RAdam {
    pub(super) const ABOUT: About = About {
        equation: "m and v as adam's, m̂ = m/(1 − β₁ᵗ); ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ); \
                   where ρₜ > 5: w ← w − ηrₜ√(1 − β₂ᵗ)·m̂/(√v + ε), rₜ² = (ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ \
                   − 2)ρₜ); else w ← w − ηm̂; with g ← g + λw",
        source: "Liu et al. 2019",
        torch: Some("RAdam"),
        forms: &[],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, decoupled_weight_decay = true, betas = [0.5, 0.95], eps = 1e-3",
                "lr = 0.01, weight_decay = 0.1, betas = [0.9, 0.5]",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 2e-3, betas = [0.9, 0.99]",
        },
    };

    /// rₜ·√(1 − β₂ᵗ) where the variance is tractable.
    fn rectified(&self, t: u64) -> Option<f64> {
        let beta2 = self.betas[1];
        let (limit, corrected) = (2.0 / (1.0 - beta2) - 1.0, correction(beta2, t));
        let rho = limit - 2.0 * t as f64 * beta2.powf(t as f64) / corrected;
        let squared = (rho - 4.0) * (rho - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * rho);
        (rho > 5.0).then(|| (squared * corrected).sqrt())
    }
}

impl Rule for RAdam {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn kernel(&self) -> UpdateKernel {
        UpdateKernel::new("optim/radam", "radam_update", &["exp_avg", "exp_avg_sq"], 17)
    }

    /// `[η/(1 − β₁ᵗ)·(rₜ√(1 − β₂ᵗ) or 1), 1 − β₁, β₂, 1 − β₂, 1 or 0, ε, λ or 0, 0 or ηλ]`; 1 and rₜ where ρₜ > 5.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        let rectified = self.rectified(t);
        let step_size = lr / correction(beta1, t) * rectified.unwrap_or(1.0);
        let [decay, shrink] = decays(self.decoupled_weight_decay, lr, self.weight_decay);
        let adaptive = if rectified.is_some() { 1.0 } else { 0.0 };
        row([step_size, 1.0 - beta1, beta2, 1.0 - beta2, adaptive, self.eps, decay, shrink])
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
    fn the_rate_adapts_from_the_sixth_step_on() {
        let rule = RAdam::default();
        let adaptive: Vec<u64> = (1..=8).filter(|&t| rule.rectified(t).is_some()).collect();
        assert_eq!(adaptive, [6, 7, 8]);
        assert!((rule.rectified(10_000_000).unwrap() - 1.0).abs() < 1e-12);
        let row = Optimizer::RAdam(rule).scalars(2, 0.5);
        assert_close(row, [0.5 / 0.19, 0.1, 0.999, 0.001, 0.0, 1e-8]);
    }
}
