//! RMSProp.

use serde::{Deserialize, Serialize};

use super::{
    About, Form, Rule, Scalars, Trials, UpdateKernel, at_least_zero, below_one, correction, moving, refuse,
    row,
};
use crate::error::Result;

/// `rmsprop`: g ← g + λw; s ← αs + (1 − α)g²; w ← w − ηg/(√s + ε).
///
/// Centred, the root is of s − m² with m ← αm + (1 − α)g. With momentum b ← μb + g/(√s + ε), w ← w − ηb. With
/// bias correction s/(1 − αᵗ) stands for s, so that a steady gradient moves w by η from the first step on.
///
/// Source: torch.optim.RMSprop, whose names and defaults these are; `bias_correction` is an addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// α in [0, 1): the share of the running means that a step keeps.
    pub alpha: f64,
    /// ε, added to the root; at least 0. At 0, a weight that has had no gradient becomes NaN, as in torch.
    pub eps: f64,
    /// L2 weight decay λ, at least 0.
    pub weight_decay: f64,
    /// Momentum μ, at least 0; 0 keeps no slot.
    pub momentum: f64,
    /// Divide by the root of the variance, not of the mean square.
    pub centered: bool,
    /// Divide s by 1 − αᵗ. Not with `centered`.
    pub bias_correction: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
            bias_correction: false,
        }
    }
}

impl RmsProp {
    pub(super) const ABOUT: About = About {
        equation: "s ← αs + (1 − α)g²; w ← w − ηg/(√s + ε), with g ← g + λw",
        source: "Tieleman and Hinton 2012",
        torch: Some("RMSprop"),
        forms: &[
            Form::new("momentum = 0.9", "b ← μb + g/(√s + ε); w ← w − ηb", "as torch.optim.RMSprop"),
            Form::new("centered = true", "m ← αm + (1 − α)g; √(s − m²) for √s", "Graves 2013"),
            Form::new("centered = true, momentum = 0.9", "both: b ← μb + g/(√(s − m²) + ε)", "Graves 2013"),
            Form::new("bias_correction = true", "√(s/(1 − αᵗ)) for √s", "an addition"),
        ],
        trials: Trials {
            kernel: &[
                "weight_decay = 0.05",
                "weight_decay = 0.05, bias_correction = true",
                "weight_decay = 0.05, centered = true",
                "lr = 0.005, weight_decay = 0.05, momentum = 0.7",
                "lr = 0.005, weight_decay = 0.05, momentum = 0.7, bias_correction = true",
                "lr = 0.005, weight_decay = 0.05, momentum = 0.7, centered = true, alpha = 0.9, eps = 1e-3",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 0.01",
        },
    };
}

impl Rule for RmsProp {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        below_one("alpha", self.alpha, "alpha")?;
        at_least_zero("eps", self.eps, "eps")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        at_least_zero("momentum", self.momentum, "momentum")?;
        if self.bias_correction && self.centered {
            let allowed = "not with centered = true: after one step the corrected variance is 0, \
                           and the step would be lr * g / eps";
            return Err(refuse("bias_correction", true, allowed));
        }
        Ok(())
    }

    fn kernel(&self) -> UpdateKernel {
        let (entry, slots, flops): (_, &[_], _) = match (self.centered, self.momentum != 0.0) {
            (false, false) => ("rmsprop_update", &["square_avg"], 12),
            (false, true) => ("rmsprop_momentum_update", &["square_avg", "momentum_buffer"], 14),
            (true, false) => ("rmsprop_centered_update", &["square_avg", "grad_avg"], 17),
            (true, true) => {
                ("rmsprop_centered_momentum_update", &["square_avg", "grad_avg", "momentum_buffer"], 19)
            }
        };
        UpdateKernel::new("optim/rmsprop", entry, slots, flops)
    }

    /// `[η, α, 1 − α, ε, λ, μ, unbias, 0]`; unbias is 1/(1 − αᵗ) with bias correction, else 1.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let unbias = if self.bias_correction { 1.0 / correction(self.alpha, t) } else { 1.0 };
        let Self { alpha, eps, weight_decay, momentum, .. } = *self;
        row([lr, alpha, 1.0 - alpha, eps, weight_decay, momentum, unbias])
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
    fn scalars_with_and_without_correction() {
        let plain = RmsProp { weight_decay: 0.02, momentum: 0.7, eps: 1e-6, ..RmsProp::default() };
        let corrected = RmsProp { bias_correction: true, ..plain.clone() };
        // 0.99^1000 = e^(1000 ln 0.99) = 4.317124741065786e-5
        for (t, power) in [(1, 0.99), (2, 0.9801), (1000, 4.317124741065786e-5)] {
            let row = |unbias| [0.3, 0.99, 0.01, 1e-6, 0.02, 0.7, unbias, 0.0];
            assert_close(Optimizer::RmsProp(plain.clone()).scalars(t, 0.3), row(1.0));
            assert_close(Optimizer::RmsProp(corrected.clone()).scalars(t, 0.3), row(1.0 / (1.0 - power)));
        }
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let rms = RmsProp::default;
        let refused = [
            (RmsProp { lr: -1.0, ..rms() }, "optimizer.lr = -1.0: a learning rate is finite and at least 0"),
            (RmsProp { alpha: 1.0, ..rms() }, "optimizer.alpha = 1.0: alpha is at least 0 and below 1"),
            (RmsProp { alpha: f64::NAN, ..rms() }, "optimizer.alpha = NaN"),
            (RmsProp { eps: -1e-8, ..rms() }, "optimizer.eps = -1e-8"),
            (RmsProp { weight_decay: -0.5, ..rms() }, "optimizer.weight_decay = -0.5"),
            (RmsProp { momentum: -0.5, ..rms() }, "optimizer.momentum = -0.5"),
            (RmsProp { bias_correction: true, centered: true, ..rms() }, "not with centered = true"),
        ];
        for (rule, message) in refused {
            let err = rule.validate().expect_err(message).to_string();
            assert!(err.contains(message), "{err}");
        }
        RmsProp { bias_correction: true, momentum: 0.9, eps: 0.0, ..rms() }.validate().unwrap();
    }
}
