//! Adafactor: a second moment kept as one number a row and one a column.

use serde::{Deserialize, Serialize};

use super::{About, Passes, Rule, Scalars, Trials, UpdateKernel, at_least_zero, refuse, row};
use crate::error::Result;

/// `adafactor`: R and C are running means of the mean of g² along each row and column of a matrix, v = RC/max(mean R, ε₁);
/// elsewhere v is one of g². u = g/√max(v, ε₁²); w ← w(1 − ηλ) − ρ·max(ε₂, rms(w))/max(1, rms(u)/d)·u, where ρ = min(η, 1/√t)
/// and the running means keep 1 − t^beta2_decay. A tensor of more than two axes is a batch of matrices. Five dispatches.
///
/// Source: torch.optim.Adafactor; Shazeer and Stern 2018.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adafactor {
    /// Largest relative step η, at least 0.
    pub lr: f64,
    /// The power of t by which the running means take in new squares, at most 0.
    pub beta2_decay: f64,
    /// ε₁, whose square is the least second moment, and ε₂, the least size of a tensor's weights.
    pub eps: [f64; 2],
    /// The bound of the root mean square of u, at least 1.
    pub d: f64,
    /// Weight decay λ, at least 0: decoupled from the gradient.
    pub weight_decay: f64,
}

impl Default for Adafactor {
    fn default() -> Self {
        let eps = [f64::from(f32::EPSILON), 1e-3];
        Adafactor { lr: 1e-2, beta2_decay: -0.8, eps, d: 1.0, weight_decay: 0.0 }
    }
}

/// The least ε₁: its square is still a normal f32.
const LEAST_EPS: f64 = 1.1e-19;

impl Adafactor {
    pub(super) const ABOUT: About = About {
        equation: "R, C ← running means of the mean of g² along rows and columns, of which 1 − t^beta2_decay is kept; \
                   v = RC/max(mean R, ε₁), without two axes a running mean of g²; u = g/√max(v, ε₁²); \
                   w ← w(1 − ηλ) − min(η, 1/√t)·max(ε₂, rms(w))/max(1, rms(u)/d)·u",
        source: "Shazeer and Stern 2018",
        torch: Some("Adafactor"),
        forms: &[],
        trials: Trials { kernel: &[], parabola: "lr = 0.1", valley: "lr = 5e-3" },
    };
}

impl Rule for Adafactor {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        if !self.beta2_decay.is_finite() || self.beta2_decay > 0.0 {
            return Err(refuse("beta2_decay", self.beta2_decay, "a power of at most 0 is needed, as -0.8"));
        }
        let [first, second] = self.eps;
        if !first.is_finite() || first < LEAST_EPS || !second.is_finite() || second < 0.0 {
            let allowed = "two numbers are needed: the first at least 1.1e-19, for its square is a second moment in \
                           f32, the other at least 0";
            return Err(refuse("eps", self.eps, allowed));
        }
        if !self.d.is_finite() || self.d < 1.0 {
            return Err(refuse("d", self.d, "a root mean square of at least 1 is needed"));
        }
        Ok(())
    }

    fn kernel(&self) -> UpdateKernel {
        let mut kernel = UpdateKernel::new("optim/adafactor", "adafactor_update", &["variance"], 40);
        // Gradient and weight twice more than once: for rows, for columns, for sums.
        (kernel.passes, kernel.bytes_per_parameter) = (Passes::Factored, 28);
        kernel
    }

    /// `[min(η, 1/√t), t^beta2_decay, ε₁, ε₁², ε₂, d, ηλ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let (t, [first, second]) = (t as f64, self.eps);
        let rho = lr.min(1.0 / t.sqrt());
        let shrink = lr * self.weight_decay;
        row([rho, t.powf(self.beta2_decay), first, first * first, second, self.d, shrink])
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
    fn steps_are_relative_and_at_most_one_over_the_root_of_t() {
        let rule = Optimizer::Adafactor(Adafactor { weight_decay: 0.1, ..Adafactor::default() });
        let eps = f64::from(f32::EPSILON);
        let decay = 16f64.powf(-0.8);
        assert_close(rule.scalars(16, 0.5), [0.25, decay, eps, eps * eps, 1e-3, 1.0, 0.05]);
        assert_close(rule.scalars(1, 0.5), [0.5, 1.0, eps, eps * eps, 1e-3, 1.0, 0.05]);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let rule = Adafactor::default();
        let wrong = |rule: Adafactor| rule.validate().unwrap_err().to_string();
        for (err, key) in [
            (wrong(Adafactor { d: 0.5, ..rule.clone() }), "optimizer.d = 0.5"),
            (wrong(Adafactor { beta2_decay: 0.1, ..rule.clone() }), "optimizer.beta2_decay = 0.1"),
            (wrong(Adafactor { eps: [1e-30, 1e-3], ..rule.clone() }), "optimizer.eps = [1e-30, 0.001]"),
            (wrong(Adafactor { lr: -1.0, ..rule }), "optimizer.lr = -1.0"),
        ] {
            assert!(err.contains(key), "{err}");
        }
    }
}
