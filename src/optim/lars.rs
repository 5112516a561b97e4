//! LARS: SGD with each tensor's gradient brought to the length of its weights.

use serde::{Deserialize, Serialize};

use super::{
    About, Form, Rule, Scalars, Trials, UpdateKernel, at_least_zero, look_ahead, moving, refuse, row,
};
use crate::error::Result;

/// `lars`: g ← g + λw; d = trust·‖w‖/(‖g‖ + ε)·g, norms over the tensor, d = g where either is 0; b ← μb + (1 − τ)d, first
/// b = d; w ← w − ηb. Three dispatches.
///
/// Source: You et al. 2017; momentum as torch.optim.SGD's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lars {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// Momentum μ, at least 0.
    pub momentum: f64,
    /// Dampening τ: the share of a new step that the momentum leaves out. Without momentum it has no effect.
    pub dampening: f64,
    /// Look ahead along the momentum; needs μ > 0 and τ = 0.
    pub nesterov: bool,
    /// Weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
    /// The length of a step relative to the weights, at least 0.
    pub trust_coefficient: f64,
    /// ε, added to the norm of the gradient; at least 0.
    pub eps: f64,
}

impl Default for Lars {
    fn default() -> Self {
        Lars {
            lr: 1.0,
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            trust_coefficient: 1e-3,
            eps: 1e-8,
        }
    }
}

impl Lars {
    pub(super) const ABOUT: About = About {
        equation: "d = trust_coefficient·‖w‖/(‖g‖ + ε)·g, with g ← g + λw; b ← μb + (1 − τ)d, first b = d; \
                   w ← w − ηb",
        source: "You et al. 2017",
        torch: None,
        forms: &[Form::new("nesterov = true", "b as before; w ← w − η(d + μb)", "as torch.optim.SGD")],
        trials: Trials {
            kernel: &[],
            parabola: "lr = 1.0, trust_coefficient = 0.05",
            valley: "lr = 1.0, momentum = 0.9",
        },
    };
}

impl Rule for Lars {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        at_least_zero("momentum", self.momentum, "momentum")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        at_least_zero("trust_coefficient", self.trust_coefficient, "a trust coefficient")?;
        at_least_zero("eps", self.eps, "eps")?;
        if !self.dampening.is_finite() {
            return Err(refuse("dampening", self.dampening, "dampening is finite"));
        }
        look_ahead(self.nesterov, self.momentum, self.dampening)
    }

    fn kernel(&self) -> UpdateKernel {
        let kernel = UpdateKernel::new("optim/lars", "lars_update", &["momentum_buffer"], 17);
        UpdateKernel {
            constants: vec![("NESTEROV", self.nesterov.into())],
            ..kernel.by_tensor("lars_sums", 28)
        }
    }

    /// `[η, μ, 1 − τ, λ, μ, trust, ε]`, the second and third 0 and 1 at the first step, and at all without momentum.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let mu = self.momentum;
        let whole = t == 1 || mu == 0.0;
        let (keep, take) = if whole { (0.0, 1.0) } else { (mu, 1.0 - self.dampening) };
        row([lr, keep, take, self.weight_decay, mu, self.trust_coefficient, self.eps])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        moving(&mut self.momentum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    #[test]
    fn the_first_step_is_taken_whole() {
        let rule = Optimizer::Lars(Lars { dampening: 0.25, ..Lars::default() });
        assert_close(rule.scalars(1, 0.5), [0.5, 0.0, 1.0, 0.0, 0.9, 1e-3, 1e-8]);
        assert_close(rule.scalars(2, 0.5), [0.5, 0.9, 0.75, 0.0, 0.9, 1e-3, 1e-8]);
        let plain = Optimizer::Lars(Lars { dampening: 0.25, momentum: 0.0, ..Lars::default() });
        assert_close(plain.scalars(2, 0.5), [0.5, 0.0, 1.0, 0.0, 0.0, 1e-3, 1e-8]);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let err =
            Lars { dampening: 0.1, nesterov: true, ..Lars::default() }.validate().unwrap_err().to_string();
        assert!(err.contains("needs momentum above 0 and dampening = 0"), "{err}");
    }
}
