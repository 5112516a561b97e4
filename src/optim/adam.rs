//! Adam and AdamW: one kernel. Two numbers of the row choose between decay by the gradient and by the weight.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{About, Form, Rule, Scalars, Trials, UpdateKernel, adam_numbers, correction, refuse, row};
use crate::error::Result;

/// The largest |m| and the largest v of each block of moments in 8 bits: what their codes are parts of.
pub const ABSMAX: &str = "absmax";

/// `adam`: g ← g + λw; m ← m + (1 − β₁)(g − m); v ← β₂v + (1 − β₂)g²;
/// w ← w − η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
///
/// Source: torch.optim.Adam, whose names and defaults these are; as in Kingma and Ba's Algorithm 1, ε is
/// added after the correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ and β₂, each in [0, 1): the shares of the two running means that a step keeps.
    pub betas: [f64; 2],
    /// ε, added to the root; at least 0. At 0, a weight that has had no gradient becomes NaN, as in torch.
    pub eps: f64,
    /// L2 weight decay λ, at least 0: part of the gradient.
    pub weight_decay: f64,
    /// Divide by the largest v so far (uncorrected, as torch keeps it), not by the present one.
    pub amsgrad: bool,
    /// Bits in which m and v are kept between steps: 32, or 8 for tensors of 4,096 numbers and more, in blocks of
    /// 256 that share a scale. Not with `amsgrad`.
    ///
    /// In 8 bits a moment is rounded to the nearest code, so a change by less than half the way to the next is lost, which
    /// is 0.8% of the moment where it is the largest of its block and more elsewhere; but all follow the largest, whose
    /// size is an f32.
    #[serde(deserialize_with = "bits")]
    pub state_bits: u32,
}

/// `adamw`: w ← w − ηλw, then as [`Adam`] without its decay.
///
/// Source: torch.optim.AdamW, whose names and defaults these are (λ = 0.01).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// As [`Adam::betas`].
    pub betas: [f64; 2],
    /// As [`Adam::eps`].
    pub eps: f64,
    /// Decoupled weight decay λ, at least 0: a step shrinks the weight by ηλ of itself.
    pub weight_decay: f64,
    /// As [`Adam::amsgrad`].
    pub amsgrad: bool,
    /// As [`Adam::state_bits`].
    #[serde(deserialize_with = "bits")]
    pub state_bits: u32,
}

/// Reads `state_bits`. Its type alone would ask for any whole number.
fn bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct Bits;

    impl Visitor<'_> for Bits {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("32 or 8")
        }

        fn visit_i64<E: de::Error>(self, bits: i64) -> Result<u32, E> {
            u32::try_from(bits).map_err(|_| E::invalid_value(de::Unexpected::Signed(bits), &self))
        }

        fn visit_u64<E: de::Error>(self, bits: u64) -> Result<u32, E> {
            u32::try_from(bits).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(bits), &self))
        }
    }

    deserializer.deserialize_any(Bits)
}

impl Default for Adam {
    fn default() -> Self {
        Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false, state_bits: 32 }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { lr, betas, eps, amsgrad, state_bits, .. } = Adam::default();
        AdamW { lr, betas, eps, weight_decay: 1e-2, amsgrad, state_bits }
    }
}

impl Adam {
    pub(super) const ABOUT: About = About {
        equation: "m ← m + (1 − β₁)(g − m); v ← β₂v + (1 − β₂)g²; w ← w − η/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + \
                   ε), with g ← g + λw",
        source: "Kingma and Ba 2015",
        torch: Some("Adam"),
        forms: &[
            Form::new("amsgrad = true", "p ← max(p, v); p in place of v in the step", "Reddi et al. 2018"),
            Form::new(
                "state_bits = 8",
                "m and v kept as a byte each in blocks of 256, if their tensor has 4,096 numbers or more",
                "Dettmers et al. 2022",
            ),
        ],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, amsgrad = true, betas = [0.9, 0.9]",
                "lr = 0.01, weight_decay = 0.1, betas = [0.2, 0.9], eps = 1e-3",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 0.03",
        },
    };

    /// The row but for its two decays, which come last.
    fn row(&self, t: u64, lr: f64, decay: f64, shrink: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        let step_size = lr / correction(beta1, t);
        let unbias = 1.0 / correction(beta2, t).sqrt();
        row([step_size, 1.0 - beta1, beta2, 1.0 - beta2, unbias, self.eps, decay, shrink])
    }
}

impl AdamW {
    pub(super) const ABOUT: About = About {
        equation: "w ← w − ηλw; then as adam, with g as it is",
        source: "Loshchilov and Hutter 2019",
        torch: Some("AdamW"),
        forms: Adam::ABOUT.forms,
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, amsgrad = true, betas = [0.9, 0.9]",
            ],
            parabola: "lr = 0.1, weight_decay = 0.0",
            valley: "lr = 0.03, weight_decay = 0.0",
        },
    };

    /// The Adam of the same numbers.
    fn coupled(&self) -> Adam {
        let Self { lr, betas, eps, weight_decay, amsgrad, state_bits } = *self;
        Adam { lr, betas, eps, weight_decay, amsgrad, state_bits }
    }
}

impl Rule for Adam {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)?;
        match (self.state_bits, self.amsgrad) {
            (32, _) | (8, false) => Ok(()),
            (8, true) => Err(refuse("state_bits", 8, "amsgrad is kept in 32 bits; leave out one of the two")),
            (bits, _) => Err(refuse("state_bits", bits, "moments are kept in 32 bits, or in 8")),
        }
    }

    fn kernel(&self) -> UpdateKernel {
        let slots = ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];
        if self.state_bits == 8 {
            UpdateKernel::new("optim/adam_8bit", "adam_8bit_update", &["exp_avg", "exp_avg_sq", ABSMAX], 40)
                .in_8_bits()
        } else if self.amsgrad {
            UpdateKernel::new("optim/adam", "adam_amsgrad_update", &slots, 18)
        } else {
            UpdateKernel::new("optim/adam", "adam_update", &slots[..2], 17)
        }
    }

    /// `[η/(1 − β₁ᵗ), 1 − β₁, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε, λ, 0]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        self.row(t, lr, self.weight_decay, 0.0)
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        Some(&mut self.betas[0])
    }
}

impl Rule for AdamW {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        self.coupled().validate()
    }

    fn kernel(&self) -> UpdateKernel {
        self.coupled().kernel()
    }

    /// `[η/(1 − β₁ᵗ), 1 − β₁, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε, 0, ηλ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        self.coupled().row(t, lr, 0.0, lr * self.weight_decay)
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
    fn scalars_are_corrected_and_the_decay_has_its_own_place() {
        let adam = Adam { weight_decay: 0.25, ..Adam::default() };
        let adamw = AdamW { weight_decay: 0.25, ..AdamW::default() };
        // 0.9^1000 = 1.747871251722651e-46, 0.999^1000 = 0.36769542477096373
        let powers = [(1, 0.9, 0.999), (2, 0.81, 0.998001), (1000, 0.0, 0.36769542477096373_f64)];
        for (t, power1, power2) in powers {
            let row = |decay, shrink| {
                let unbias = 1.0 / (1.0 - power2).sqrt();
                [0.5 / (1.0 - power1), 0.1, 0.999, 0.001, unbias, 1e-8, decay, shrink]
            };
            assert_close(Optimizer::Adam(adam.clone()).scalars(t, 0.5), row(0.25, 0.0));
            assert_close(Optimizer::AdamW(adamw.clone()).scalars(t, 0.5), row(0.0, 0.125));
        }
        let memoryless = Adam { betas: [0.0, 0.0], ..Adam::default() };
        assert_close(memoryless.row(1, 0.5, 0.0, 0.0).map(|x| x as f32), [0.5, 1., 0., 1., 1., 1e-8]);
    }

    #[test]
    fn refuses_what_torch_refuses_and_what_no_kernel_keeps() {
        let adam = Adam::default;
        let refused = [
            (Adam { lr: -0.1, ..adam() }, "optimizer.lr = -0.1: a learning rate is finite and at least 0"),
            (Adam { betas: [1.0, 0.999], ..adam() }, "optimizer.betas = [1.0, 0.999]: each beta is"),
            (Adam { betas: [0.9, -0.1], ..adam() }, "optimizer.betas = [0.9, -0.1]"),
            (Adam { betas: [0.9, f64::NAN], ..adam() }, "optimizer.betas = [0.9, NaN]"),
            (Adam { eps: -1e-8, ..adam() }, "optimizer.eps = -1e-8: eps is finite and at least 0"),
            (Adam { weight_decay: f64::NAN, ..adam() }, "optimizer.weight_decay = NaN"),
            (
                Adam { state_bits: 4, ..adam() },
                "optimizer.state_bits = 4: moments are kept in 32 bits, or in 8",
            ),
            (
                Adam { state_bits: 8, amsgrad: true, ..adam() },
                "optimizer.state_bits = 8: amsgrad is kept in 32",
            ),
        ];
        for (rule, message) in refused {
            let err = rule.validate().expect_err(message).to_string();
            assert!(err.contains(message), "{err}");
        }
        assert!(AdamW { betas: [0.9, 1.0], ..AdamW::default() }.validate().is_err());
        Adam { lr: 0.0, betas: [0.0, 0.0], eps: 0.0, ..adam() }.validate().unwrap();
    }
}
