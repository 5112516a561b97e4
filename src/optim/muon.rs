//! Muon: momentum made orthogonal for matrices, AdamW for other parameters.

use serde::{Deserialize, Serialize};

use super::adam::AdamW;
use super::newton_schulz::{AdjustLr, NewtonSchulz};
use super::{
    About, Form, Passes, Rule, Scalars, Trials, UpdateKernel, at_least_zero, below_one, moving, refuse, row,
};
use crate::error::Result;

/// `muon`: for matrices b ← μb + (1 − μ)g, d = μb + (1 − μ)g (b itself without `nesterov`), X = what Newton–Schulz makes of
/// d, w ← w(1 − ηλ) − η·factor·X. Other parameters, and matrices of a group with `use_muon = false`, by AdamW with the
/// numbers of `adamw`; a schedule moves both rates alike.
///
/// Newton–Schulz: X = d/max(‖d‖, ε), then `ns_steps` times X ← aX + (bA + cA²)X with A = XXᵀ, in f32.
///
/// Source: torch.optim.Muon, which computes it in bfloat16; Jordan et al. 2024.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Learning rate η of matrices, at least 0.
    pub lr: f64,
    /// Momentum μ, in [0, 1).
    pub momentum: f64,
    /// Look ahead along the momentum.
    pub nesterov: bool,
    /// Weight decay λ of matrices, at least 0: decoupled from the gradient.
    pub weight_decay: f64,
    /// a, b and c of Newton–Schulz.
    pub ns_coefficients: [f64; 3],
    /// The number of Newton–Schulz steps, 0 to 99.
    pub ns_steps: u32,
    /// ε, the least divisor; above 0.
    pub eps: f64,
    /// The factor of a matrix's step.
    pub adjust_lr_fn: AdjustLr,
    /// Update matrices by Muon. A group of embeddings or heads sets it to false.
    pub use_muon: bool,
    /// AdamW for other parameters.
    pub adamw: MuonAdamW,
}

/// The numbers of [`AdamW`] beside Muon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonAdamW {
    /// Learning rate at the start, at least 0. A schedule moves it as it moves Muon's.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1).
    pub betas: [f64; 2],
    /// ε, at least 0.
    pub eps: f64,
    /// Weight decay, at least 0.
    pub weight_decay: f64,
}

impl MuonAdamW {
    fn rule(&self) -> AdamW {
        let Self { lr, betas, eps, weight_decay } = *self;
        AdamW { lr, betas, eps, weight_decay, ..AdamW::default() }
    }
}

impl Default for MuonAdamW {
    fn default() -> Self {
        MuonAdamW { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-2 }
    }
}

impl Default for Muon {
    fn default() -> Self {
        Muon {
            lr: 1e-3,
            momentum: 0.95,
            nesterov: true,
            weight_decay: 0.1,
            ns_coefficients: [3.4445, -4.775, 2.0315],
            ns_steps: 5,
            eps: 1e-7,
            adjust_lr_fn: AdjustLr::Original,
            use_muon: true,
            adamw: MuonAdamW::default(),
        }
    }
}

impl Muon {
    pub(super) const ABOUT: About = About {
        equation: "matrices: b ← μb + (1 − μ)g; X = NewtonSchulz(μb + (1 − μ)g); \
                   w ← w(1 − ηλ) − η·√max(1, rows/columns)·X. All else, and where `use_muon` is false: adamw",
        source: "Jordan et al. 2024",
        torch: Some("Muon"),
        forms: &[Form::new(
            "nesterov = false, adjust_lr_fn = \"match_rms_adamw\"",
            "X = NewtonSchulz(b); w ← w(1 − ηλ) − η·0.2·√max(rows, columns)·X",
            "Liu et al. 2025",
        )],
        trials: Trials {
            kernel: &[],
            parabola: "lr = 0.1, adamw = { lr = 0.1, weight_decay = 0.0 }",
            valley: "adamw = { lr = 0.03, weight_decay = 0.0 }",
        },
    };
}

impl Rule for Muon {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        below_one("momentum", self.momentum, "momentum")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        if !self.ns_coefficients.iter().all(|c| c.is_finite()) {
            return Err(refuse("ns_coefficients", self.ns_coefficients, "three finite numbers are needed"));
        }
        if self.ns_steps >= 100 {
            return Err(refuse("ns_steps", self.ns_steps, "fewer than 100 are allowed; 5 are usual"));
        }
        at_least_zero("eps", self.eps, "eps")?;
        if (self.eps as f32) < f32::MIN_POSITIVE {
            return Err(refuse(
                "eps",
                self.eps,
                "above 0 is needed: a matrix without a gradient is divided by it",
            ));
        }
        self.adamw.rule().validate().map_err(|err| err.renamed("optimizer.", "optimizer.adamw."))
    }

    fn kernel(&self) -> UpdateKernel {
        let slots = ["momentum_buffer", "exp_avg", "exp_avg_sq"];
        let mut kernel = UpdateKernel::new("optim/muon", "muon_update", &slots, 12);
        let Muon { ns_steps: steps, eps, adjust_lr_fn: adjust, .. } = *self;
        let schulz = NewtonSchulz { coefficients: self.ns_coefficients, steps, eps, adjust };
        kernel.constants.push(("NESTEROV", u32::from(self.nesterov)));
        // Gradient, momentum, direction, step and weight of a matrix; the products move more.
        (kernel.passes, kernel.bytes_per_parameter) = (Passes::Orthogonal(schulz), 28);
        kernel
    }

    /// For matrices `[η, μ, 1 − μ, ηλ]`; for other parameters the row of [`AdamW`].
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        if self.use_muon {
            return row([lr, self.momentum, 1.0 - self.momentum, lr * self.weight_decay]);
        }
        let own = self.adamw.lr;
        let scheduled = if self.lr > 0.0 { own * (lr / self.lr) } else { own };
        self.adamw.rule().scalars(t, scheduled)
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
        self.adamw.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        moving(&mut self.momentum)
    }

    fn set_axes(&mut self, axes: usize) {
        self.use_muon = self.use_muon && axes == 2;
    }

    fn of_matrices(&self) -> bool {
        self.use_muon
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    #[test]
    fn a_schedule_moves_both_rates() {
        let muon = Muon { lr: 0.02, ..Muon::default() };
        assert_close(Optimizer::Muon(muon.clone()).scalars(3, 0.01), [0.01, 0.95, 0.05, 0.001]);
        let others = Optimizer::Muon(Muon { use_muon: false, ..muon });
        let unbias = 1.0 / (1.0 - 0.999f64.powi(2)).sqrt();
        assert_close(others.scalars(2, 0.01), [5e-4 / 0.19, 0.1, 0.999, 0.001, unbias, 1e-8, 0.0, 5e-6]);
    }

    #[test]
    fn steps_are_as_long_as_the_shape_says() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(AdjustLr::Original.factor(8, 2), 2.0);
        close(AdjustLr::Original.factor(2, 8), 1.0);
        close(AdjustLr::MatchRmsAdamw.factor(2, 100), 2.0);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = Muon::default();
        let wrong = |rule: Muon| rule.validate().unwrap_err().to_string();
        let adamw = MuonAdamW { betas: [1.0, 0.6], ..rule.adamw.clone() };
        for (err, key) in [
            (wrong(Muon { momentum: 1.0, ..rule.clone() }), "optimizer.momentum = 1.0"),
            (wrong(Muon { ns_steps: 100, ..rule.clone() }), "optimizer.ns_steps = 100"),
            (wrong(Muon { eps: 0.0, ..rule.clone() }), "optimizer.eps = 0.0"),
            (wrong(Muon { adamw, ..rule }), "optimizer.adamw.betas = [1.0, 0.6]"),
        ] {
            assert!(err.contains(key), "{err}");
        }
    }
}
