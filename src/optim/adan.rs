//! Adan: Adam with the change of the gradient as Nesterov's momentum.

use serde::{Deserialize, Serialize};

use super::{About, Form, Rule, Scalars, Trials, UpdateKernel, adam_numbers, correction, row};
use crate::error::Result;

/// `adan`: d = g − g′ with g′ the gradient before, first d = 0; m ← m + (1 − β₁)(g − m); v ← v + (1 − β₂)(d − v);
/// n ← β₃n + (1 − β₃)(g + β₂d)²; w ← (w − η(m/(1 − β₁ᵗ) + β₂v/(1 − β₂ᵗ))/(√n/√(1 − β₃ᵗ) + ε))/(1 + ηλ).
///
/// Source: Xie et al. 2022, "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", and the authors'
/// package `adan`, whose names and defaults these are. Its betas are 1 − β of the paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adan {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁, β₂ and β₃, each in [0, 1): the shares of the running means of g, of its change and of the squares that a step
    /// keeps.
    pub betas: [f64; 3],
    /// ε, added to the root; at least 0. At 0, a weight that has had no gradient becomes NaN.
    pub eps: f64,
    /// Weight decay λ, at least 0: divides the weight by 1 + ηλ after the step.
    pub weight_decay: f64,
    /// Decay the weight by ηλ of itself before the step, as AdamW does.
    pub no_prox: bool,
}

impl Default for Adan {
    fn default() -> Self {
        Adan { lr: 1e-3, betas: [0.98, 0.92, 0.99], eps: 1e-8, weight_decay: 0.0, no_prox: false }
    }
}

impl Adan {
    pub(super) const ABOUT: About = About {
        equation: "d = g − g′ with g′ the gradient before, first d = 0; m ← m + (1 − β₁)(g − m); v ← v + (1 − β₂)(d − v); \
                   n ← β₃n + (1 − β₃)(g + β₂d)²; w ← (w − η(m/(1 − β₁ᵗ) + β₂v/(1 − β₂ᵗ))/(√n/√(1 − β₃ᵗ) + ε))/(1 + ηλ)",
        source: "Xie et al. 2022",
        torch: None,
        forms: &[Form::new(
            "no_prox = true",
            "w(1 − ηλ) in the place of w, and no division by 1 + ηλ",
            "Xie et al. 2022",
        )],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, no_prox = true",
                "lr = 0.01, betas = [0.5, 0.3, 0.9], eps = 1e-3",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 0.03",
        },
    };
}

impl Rule for Adan {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)
    }

    fn kernel(&self) -> UpdateKernel {
        let slots = ["exp_avg", "exp_avg_sq", "exp_avg_diff", "neg_pre_grad"];
        UpdateKernel::new("optim/adan", "adan_update", &slots, 32)
    }

    /// `[sη/(1 − β₁ᵗ), sηβ₂/(1 − β₂ᵗ), 1 − β₁, β₂, 1 − β₂, β₃, 1 − β₃, 1/√(1 − β₃ᵗ), ε, sηλ, 0 at first, then 1]`, with
    /// s = 1/(1 + ηλ), or 1 without the proximal decay.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2, beta3] = self.betas;
        let decay = lr * self.weight_decay;
        let scale = if self.no_prox { 1.0 } else { 1.0 / (1.0 + decay) };
        row([
            scale * lr / correction(beta1, t),
            scale * lr * beta2 / correction(beta2, t),
            1.0 - beta1,
            beta2,
            1.0 - beta2,
            beta3,
            1.0 - beta3,
            1.0 / correction(beta3, t).sqrt(),
            self.eps,
            scale * decay,
            if t == 1 { 0.0 } else { 1.0 },
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
    fn decay_divides_and_the_first_step_has_no_difference() {
        let rule = Adan { betas: [0.9, 0.8, 0.5], weight_decay: 0.5, ..Adan::default() };
        let row = |rule: &Adan, t| Optimizer::Adan(rule.clone()).scalars(t, 0.5);
        let unbias = 1.0 / 0.5f64.sqrt();
        let first = [4.0, 1.6, 0.1, 0.8, 0.2, 0.5, 0.5, unbias, 1e-8, 0.2, 0.0];
        assert_close(row(&rule, 1), first);
        let unbias = 1.0 / 0.75f64.sqrt();
        let plain = [0.5 / 0.19, 0.4 / 0.36, 0.1, 0.8, 0.2, 0.5, 0.5, unbias, 1e-8, 0.25, 1.0];
        assert_close(row(&Adan { no_prox: true, ..rule }, 2), plain);
    }

    #[test]
    fn three_betas_are_checked() {
        let rule = Adan { betas: [0.9, 0.9, 1.0], ..Adan::default() };
        let err = rule.validate().unwrap_err().to_string();
        assert!(
            err.contains("optimizer.betas = [0.9, 0.9, 1.0]: each beta is at least 0 and below 1"),
            "{err}"
        );
    }
}
