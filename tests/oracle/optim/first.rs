//! SGD, RMSProp, Adam and AdamW.

use serde::Deserialize;

use super::Slots;

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// First b = g, then b = μb + (1−τ)g. Nesterov: g += μb, else g = b. w −= ηg.
    Torch,
    /// v = μv − ηg, w += v.
    Velocity,
    /// m = μm + (1−μ)g from 0, w −= ηm.
    Average,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    pub lr: f64,
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    pub form: Form,
}

/// L2; s = αs + (1−α)g². Centred: m = αm + (1−α)g and s − m² for s. d = √s + ε.
/// Momentum: b = μb + g/d, w −= ηb; else w −= ηg/d.
/// Bias correction (not centred): ŝ = s / (1−αᵗ) for s.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsProp {
    pub lr: f64,
    pub alpha: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub centered: bool,
    pub bias_correction: bool,
}

/// L2, or where `decoupled` (AdamW) w ← w(1 − ηλ) first. m = m + (1−β₁)(g−m), v = β₂v + (1−β₂)g²,
/// w −= η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε). AMSGrad: the running maximum of v in place of v.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub amsgrad: bool,
    #[serde(default)]
    pub decoupled: bool,
}

/// torch's defaults.
pub const SGD: Sgd =
    Sgd { lr: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0, form: Form::Torch };
pub const RMSPROP: RmsProp = RmsProp {
    lr: 1e-2,
    alpha: 0.99,
    eps: 1e-8,
    weight_decay: 0.0,
    momentum: 0.0,
    centered: false,
    bias_correction: false,
};
pub const ADAM: Adam =
    Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false, decoupled: false };
pub const ADAMW: Adam = Adam { weight_decay: 1e-2, decoupled: true, ..ADAM };

impl Sgd {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, momentum, dampening, nesterov, weight_decay, form } = *self;
        let g = g + weight_decay * w;
        let extras = nesterov || dampening != 0.0;
        match form {
            Form::Torch => {
                assert!(!nesterov || (momentum > 0.0 && dampening == 0.0), "torch refuses {self:?}");
                if momentum == 0.0 {
                    return w - lr * g;
                }
                let b = &mut slots.first;
                *b = if t == 1 { g } else { momentum * *b + (1.0 - dampening) * g };
                let direction = if nesterov { g + momentum * *b } else { *b };
                w - lr * direction
            }
            Form::Velocity => {
                assert!(!extras, "not defined: {self:?}");
                slots.first = momentum * slots.first - lr * g;
                w + slots.first
            }
            Form::Average => {
                assert!(!extras, "not defined: {self:?}");
                slots.first = momentum * slots.first + (1.0 - momentum) * g;
                w - lr * slots.first
            }
        }
    }
}

impl RmsProp {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, alpha, eps, weight_decay, momentum, centered, bias_correction } = *self;
        let g = g + weight_decay * w;
        slots.second = alpha * slots.second + (1.0 - alpha) * g * g;
        let mut square = slots.second;
        if bias_correction {
            assert!(!centered, "not defined: {self:?}");
            square /= 1.0 - alpha.powi(t);
        }
        if centered {
            slots.first = alpha * slots.first + (1.0 - alpha) * g;
            square -= slots.first * slots.first;
        }
        let scaled = g / (square.sqrt() + eps);
        if momentum == 0.0 {
            return w - lr * scaled;
        }
        slots.third = momentum * slots.third + scaled;
        w - lr * slots.third
    }
}

impl Adam {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, betas: [beta1, beta2], eps, weight_decay, amsgrad, decoupled } = *self;
        let (w, g) = if decoupled { (w * (1.0 - lr * weight_decay), g) } else { (w, g + weight_decay * w) };
        slots.first += (1.0 - beta1) * (g - slots.first);
        slots.second = beta2 * slots.second + (1.0 - beta2) * g * g;
        let mut v = slots.second;
        if amsgrad {
            slots.third = slots.third.max(v);
            v = slots.third;
        }
        let (correction1, correction2) = (1.0 - beta1.powi(t), 1.0 - beta2.powi(t));
        w - lr / correction1 * slots.first / (v.sqrt() / correction2.sqrt() + eps)
    }
}
