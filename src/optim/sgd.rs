//! Stochastic gradient descent; momentum in three forms.

use serde::{Deserialize, Serialize};

use super::{
    About, Form, Rule, Scalars, Trials, UpdateKernel, at_least_zero, look_ahead, moving, refuse, row,
};
use crate::error::Result;

/// The form of momentum. All forms start from zero; without momentum all are plain SGD.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MomentumForm {
    /// First b = g, then b ← μb + (1 − τ)g; w ← w − ηb, or w − η(g + μb) with Nesterov.
    #[default]
    Torch,
    /// A ball with friction: v ← μv − ηg; w ← w + v. At a constant η torch's without dampening,
    /// with a schedule not.
    Velocity,
    /// A running mean: m ← μm + (1 − μ)g; w ← w − ηm. `Velocity` at the rate η(1 − μ).
    Average,
}

/// `sgd`: g ← g + λw; w ← w − ηg, or with momentum as in [`MomentumForm`].
///
/// Source: torch.optim.SGD, whose names and defaults these are; `form` is an addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// Momentum μ, at least 0, and below 1 where `form` is `average`; 0 keeps no slot.
    pub momentum: f64,
    /// Dampening τ: the share of a new gradient that the momentum leaves out.
    pub dampening: f64,
    /// Look ahead along the momentum; needs μ > 0 and τ = 0.
    pub nesterov: bool,
    /// L2 weight decay λ, at least 0.
    pub weight_decay: f64,
    /// The form of momentum.
    pub form: MomentumForm,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            form: MomentumForm::Torch,
        }
    }
}

impl Sgd {
    pub(super) const ABOUT: About = About {
        equation: "w ← w − ηg, with g ← g + λw",
        source: "Robbins and Monro 1951",
        torch: Some("SGD"),
        forms: &[
            Form::new("momentum = 0.9", "b ← μb + (1 − τ)g, first b = g; w ← w − ηb", "Polyak 1964"),
            Form::new(
                "momentum = 0.9, nesterov = true",
                "b as before; w ← w − η(g + μb)",
                "Sutskever et al. 2013",
            ),
            Form::new(
                "momentum = 0.9, form = \"velocity\"",
                "v ← μv − ηg; w ← w + v",
                "Polyak 1964; an addition",
            ),
            Form::new("momentum = 0.9, form = \"average\"", "m ← μm + (1 − μ)g; w ← w − ηm", "an addition"),
        ],
        trials: Trials {
            kernel: &[
                "lr = 0.02, weight_decay = 0.05",
                "lr = 0.01, weight_decay = 0.05, momentum = 0.9",
                "lr = 0.01, weight_decay = 0.05, momentum = 0.9, dampening = 0.3",
                "lr = 0.01, weight_decay = 0.05, momentum = 0.9, nesterov = true",
                "lr = 0.01, weight_decay = 0.05, momentum = 0.9, form = 'velocity'",
                "lr = 0.01, weight_decay = 0.05, momentum = 0.9, form = 'average'",
            ],
            parabola: "lr = 0.3, momentum = 0.5",
            valley: "lr = 1e-3, momentum = 0.9",
        },
    };
}

impl Rule for Sgd {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        at_least_zero("momentum", self.momentum, "momentum")?;
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        if !self.dampening.is_finite() {
            return Err(refuse("dampening", self.dampening, "dampening is finite"));
        }
        if self.form != MomentumForm::Torch {
            let allowed = "needs form = \"torch\"; velocity and average have neither nesterov nor dampening";
            if self.nesterov {
                return Err(refuse("nesterov", true, allowed));
            }
            if self.dampening != 0.0 {
                return Err(refuse("dampening", self.dampening, allowed));
            }
        }
        look_ahead(self.nesterov, self.momentum, self.dampening)?;
        if self.form == MomentumForm::Average && self.momentum >= 1.0 {
            return Err(refuse("momentum", self.momentum, "with form = \"average\" momentum is below 1"));
        }
        Ok(())
    }

    fn kernel(&self) -> UpdateKernel {
        if self.momentum == 0.0 {
            return UpdateKernel::new("optim/sgd", "sgd_update", &[], 4);
        }
        let flops = if self.nesterov { 9 } else { 7 };
        let mut kernel = UpdateKernel::new("optim/sgd", "sgd_momentum_update", &["momentum_buffer"], flops);
        kernel.constants = vec![("NESTEROV", self.nesterov.into())];
        kernel
    }

    /// `[scale, keep, take, λ, μ, 0, 0, 0]` for b ← keep·b + take·g, w ← w − scale·b. Scale, keep and take:
    /// torch η, μ, 1 − τ, and η, 0, 1 at the first step; velocity −1, μ, −η; average η, μ, 1 − μ.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let mu = self.momentum;
        let (scale, keep, take) = match self.form {
            _ if mu == 0.0 => (lr, 0.0, 1.0),
            MomentumForm::Torch if t == 1 => (lr, 0.0, 1.0),
            MomentumForm::Torch => (lr, mu, 1.0 - self.dampening),
            MomentumForm::Velocity => (-1.0, mu, -lr),
            MomentumForm::Average => (lr, mu, 1.0 - mu),
        };
        row([scale, keep, take, self.weight_decay, mu])
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

    fn rule(momentum: f64, form: MomentumForm) -> Sgd {
        Sgd { lr: 0.5, momentum, form, weight_decay: 0.01, ..Sgd::default() }
    }

    #[test]
    fn scalars_of_each_form() {
        use MomentumForm::{Average, Torch, Velocity};
        let row = |sgd: Sgd, t| Optimizer::Sgd(sgd).scalars(t, 0.25);
        let damped = Sgd { dampening: 0.3, ..rule(0.9, Torch) };
        assert_close(row(damped.clone(), 1), [0.25, 0.0, 1.0, 0.01, 0.9, 0.0, 0.0, 0.0]);
        for t in [2, 1000] {
            assert_close(row(damped.clone(), t), [0.25, 0.9, 0.7, 0.01, 0.9, 0.0, 0.0, 0.0]);
        }
        for t in [1, 2, 1000] {
            assert_close(row(rule(0.9, Velocity), t), [-1.0, 0.9, -0.25, 0.01, 0.9, 0.0, 0.0, 0.0]);
            assert_close(row(rule(0.9, Average), t), [0.25, 0.9, 0.1, 0.01, 0.9, 0.0, 0.0, 0.0]);
            for form in [Torch, Velocity, Average] {
                assert_close(row(rule(0.0, form), t), [0.25, 0.0, 1.0, 0.01, 0.0, 0.0, 0.0, 0.0]);
            }
        }
    }

    #[test]
    fn refuses_what_torch_refuses_and_what_a_form_lacks() {
        let momentum = || rule(0.9, MomentumForm::Torch);
        let refused = [
            (Sgd { lr: -0.1, ..momentum() }, "optimizer.lr = -0.1: a learning rate is finite and at least 0"),
            (Sgd { lr: f64::NAN, ..momentum() }, "optimizer.lr = NaN"),
            (Sgd { momentum: -0.5, ..momentum() }, "optimizer.momentum = -0.5"),
            (Sgd { weight_decay: f64::INFINITY, ..momentum() }, "optimizer.weight_decay = inf"),
            (Sgd { dampening: f64::NAN, ..momentum() }, "optimizer.dampening = NaN"),
            (Sgd { nesterov: true, momentum: 0.0, ..momentum() }, "needs momentum above 0"),
            (Sgd { nesterov: true, dampening: 0.1, ..momentum() }, "they are 0.9 and 0.1"),
            (Sgd { nesterov: true, ..rule(0.9, MomentumForm::Velocity) }, "needs form = \"torch\""),
            (
                Sgd { dampening: 0.1, ..rule(0.9, MomentumForm::Average) },
                "optimizer.dampening = 0.1: needs form",
            ),
            (rule(1.0, MomentumForm::Average), "optimizer.momentum = 1.0: with form = \"average\""),
        ];
        for (sgd, message) in refused {
            let err = sgd.validate().expect_err(message).to_string();
            assert!(err.contains(message), "{err}");
        }
        Sgd { nesterov: true, ..momentum() }.validate().unwrap();
        Sgd { lr: 0.0, dampening: 0.5, ..momentum() }.validate().unwrap();
    }
}
