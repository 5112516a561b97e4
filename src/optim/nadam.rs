//! NAdam: Adam with Nesterov's momentum.

use serde::{Deserialize, Serialize};

use super::{
    About, Rule, Scalars, Trials, UpdateKernel, adam_numbers, at_least_zero, correction, decays, row,
};
use crate::error::Result;

/// `nadam`: μₜ = β₁(1 − ½·0.96^(tψ)), Πₜ = μ₁·…·μₜ; m and v as [`Adam`](super::Adam)'s;
/// w ← w − η((1 − μₜ)/(1 − Πₜ)·g + μₜ₊₁/(1 − Πₜ₊₁)·m)/(√v/√(1 − β₂ᵗ) + ε).
///
/// Source: torch.optim.NAdam, whose names and defaults these are; Dozat 2016.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdam {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): the shares of the two running means that a step keeps.
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
    pub(super) const ABOUT: About = About {
        equation: "m and v as adam's; μₜ = β₁(1 − ½·0.96^(tψ)), Πₜ = μ₁·…·μₜ; w ← w − η((1 − μₜ)/(1 − Πₜ)·g \
                   + μₜ₊₁/(1 − Πₜ₊₁)·m)/(√v/√(1 − β₂ᵗ) + ε), with g ← g + λw",
        source: "Dozat 2016",
        torch: Some("NAdam"),
        forms: &[],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, decoupled_weight_decay = true, betas = [0.5, 0.9], eps = 1e-3",
                "lr = 0.01, weight_decay = 0.1, momentum_decay = 0.5, betas = [0.999, 0.9999]",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 0.03",
        },
    };

    fn momentum(&self, t: u64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }

    /// ln Πₜ, as t·ln β₁ + Σ ln(1 − q^s/2) over s from 1 to t, with q = 0.96^ψ. The logarithm's series makes the sum a
    /// geometric one, so that late steps cost no more than early ones.
    fn log_product(&self, t: u64) -> f64 {
        let (t, rate) = (t as f64, -0.96f64.ln() * self.momentum_decay);
        let term = |k: i32| {
            let rate = rate * f64::from(k);
            let powers = if rate == 0.0 { t } else { -(-rate * t).exp_m1() / rate.exp_m1() };
            powers * 0.5f64.powi(k) / f64::from(k)
        };
        // The 64th term is 2⁻⁶⁴ of the first, or less.
        t * self.betas[0].ln() - (1..=64).map(term).sum::<f64>()
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
        let (mu, next, log) = (self.momentum(t), self.momentum(t + 1), self.log_product(t));
        let [decay, shrink] = decays(self.decoupled_weight_decay, lr, self.weight_decay);
        row([
            lr * (1.0 - mu) / -log.exp_m1(),
            lr * next / -(log + next.ln()).exp_m1(),
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            1.0 / correction(beta2, t).sqrt(),
            self.eps,
            decay,
            shrink,
        ])
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
    fn rows_are_torch_s() {
        let rule = NAdam::default();
        // torch: mu = 0.9 (1 - 0.5 * 0.96^(t 0.004)); the products of the first three.
        let mu = |t: f64| 0.9 * (1.0 - 0.5 * (0.96f64.ln() * t * 0.004).exp());
        let third = mu(1.0) * mu(2.0) * mu(3.0);
        let row = Optimizer::NAdam(rule).scalars(3, 0.5);
        let unbias = 1.0 / (1.0 - 0.999f64.powi(3)).sqrt();
        let (take, go) = (0.5 * (1.0 - mu(3.0)) / (1.0 - third), 0.5 * mu(4.0) / (1.0 - third * mu(4.0)));
        assert_close(row, [take, go, 0.1, 0.999, 0.001, unbias, 1e-8]);
    }

    #[test]
    fn the_product_of_momenta_is_the_product_of_momenta() {
        for (beta1, momentum_decay) in
            [(0.9, 4e-3), (0.9, 0.0), (0.999, 1e-9), (1.0 - 1e-7, 0.3), (1.0 - 1e-7, 200.0), (0.0, 4e-3)]
        {
            let rule = NAdam { betas: [beta1, 0.999], momentum_decay, ..NAdam::default() };
            let (mut sum, mut t) = (0.0, 0);
            for until in [1, 2, 3, 10, 1000, 1_000_000] {
                sum += (t + 1..=until).map(|i| rule.momentum(i).ln()).sum::<f64>();
                t = until;
                let log = rule.log_product(t);
                // Each of t factors is off by two roundings, and so is each sum; the series by a few of its own.
                let allowed = (t + 8) as f64 * f64::EPSILON * (1.0 + sum.abs());
                let same = log == sum || (log - sum).abs() <= allowed;
                assert!(same, "{beta1}, {momentum_decay}, {t}: {log} and {sum}");
            }
        }
        // Long after the momentum has come to beta1, in a net that has trained a million steps.
        assert_close(
            Optimizer::NAdam(NAdam::default()).scalars(1_000_000, 0.5),
            [0.05, 0.45, 0.1, 0.999, 0.001, 1.0, 1e-8],
        );
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = NAdam::default();
        let err = NAdam { momentum_decay: -1.0, ..rule }.validate().unwrap_err().to_string();
        assert!(err.contains("optimizer.momentum_decay = -1.0"), "{err}");
    }
}
