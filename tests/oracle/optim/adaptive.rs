//! NAdam, RAdam, Adamax, Adagrad, Adadelta and Lion, by torch's names and, but for Lion, meaning.

use serde::Deserialize;

use super::Slots;

/// L2 or decoupled. m, v as Adam's; μₜ = β₁(1 − ½·0.96^{tψ}), Πₜ their product up to t;
/// d = √(v/(1−β₂ᵗ)) + ε; w −= η(1−μₜ)/(1−Πₜ)·g/d + ημₜ₊₁/(1−Πₜ₊₁)·m/d. ψ is `momentum_decay`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NAdam {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub momentum_decay: f64,
    pub decoupled_weight_decay: bool,
}

/// L2 or decoupled. m, v as Adam's; ρ∞ = 2/(1−β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ), m̂ = m/(1−β₁ᵗ).
/// Where ρₜ > 5: w −= η·m̂·r·√(1−β₂ᵗ)/(√v + ε), r² = (ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ); else w −= ηm̂.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RAdam {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub decoupled_weight_decay: bool,
}

/// L2. m as Adam's, u = max(β₂u, |g| + ε); w −= η/(1−β₁ᵗ)·m/u.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adamax {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
}

/// L2. s = s₀ + Σg²; w −= η/(1 + (t−1)·decay)·g/(√s + ε).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adagrad {
    pub lr: f64,
    pub lr_decay: f64,
    pub weight_decay: f64,
    pub initial_accumulator_value: f64,
    pub eps: f64,
}

/// L2. s = ρs + (1−ρ)g²; δ = √(Δ+ε)/√(s+ε)·g; then Δ = ρΔ + (1−ρ)δ²; w −= ηδ.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adadelta {
    pub lr: f64,
    pub rho: f64,
    pub eps: f64,
    pub weight_decay: f64,
}

/// w −= η(sign(β₁m + (1−β₁)g) + λw), the sign of 0 being 0; then m = β₂m + (1−β₂)g.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lion {
    pub lr: f64,
    pub betas: [f64; 2],
    pub weight_decay: f64,
}

pub const NADAM: NAdam = NAdam {
    lr: 2e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weight_decay: 0.0,
    momentum_decay: 4e-3,
    decoupled_weight_decay: false,
};
pub const RADAM: RAdam =
    RAdam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled_weight_decay: false };
pub const ADAMAX: Adamax = Adamax { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
pub const ADAGRAD: Adagrad =
    Adagrad { lr: 1e-2, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 };
pub const ADADELTA: Adadelta = Adadelta { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay: 0.0 };
pub const LION: Lion = Lion { lr: 1e-4, betas: [0.9, 0.99], weight_decay: 0.0 };

/// w and g after decay, by the weight or by the gradient.
fn decayed(w: f64, g: f64, lr: f64, weight_decay: f64, decoupled: bool) -> (f64, f64) {
    if decoupled { (w * (1.0 - lr * weight_decay), g) } else { (w, g + weight_decay * w) }
}

impl Slots {
    /// The running means of g and g².
    fn moments(&mut self, g: f64, [beta1, beta2]: [f64; 2]) -> (f64, f64) {
        self.first = beta1 * self.first + (1.0 - beta1) * g;
        self.second = beta2 * self.second + (1.0 - beta2) * g * g;
        (self.first, self.second)
    }
}

impl NAdam {
    /// μₜ.
    fn momentum(&self, t: i32) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96_f64.powf(f64::from(t) * self.momentum_decay))
    }

    /// Πₜ.
    fn product(&self, t: i32) -> f64 {
        (1..=t).map(|t| self.momentum(t)).product()
    }

    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let (w, g) = decayed(w, g, self.lr, self.weight_decay, self.decoupled_weight_decay);
        let (m, v) = slots.moments(g, self.betas);
        let d = (v / (1.0 - self.betas[1].powi(t))).sqrt() + self.eps;
        let of_gradient = (1.0 - self.momentum(t)) / (1.0 - self.product(t));
        let of_mean = self.momentum(t + 1) / (1.0 - self.product(t + 1));
        w - self.lr * (of_gradient * g + of_mean * m) / d
    }
}

impl RAdam {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let (w, g) = decayed(w, g, self.lr, self.weight_decay, self.decoupled_weight_decay);
        let (m, v) = slots.moments(g, self.betas);
        let mean = m / (1.0 - self.betas[0].powi(t));
        let power = self.betas[1].powi(t);
        let most = 2.0 / (1.0 - self.betas[1]) - 1.0;
        let rho = most - 2.0 * f64::from(t) * power / (1.0 - power);
        if rho <= 5.0 {
            return w - self.lr * mean;
        }
        let square = (rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho);
        w - self.lr * mean * square.sqrt() * (1.0 - power).sqrt() / (v.sqrt() + self.eps)
    }
}

impl Adamax {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let [beta1, beta2] = self.betas;
        let g = g + self.weight_decay * w;
        slots.first = beta1 * slots.first + (1.0 - beta1) * g;
        slots.second = (beta2 * slots.second).max(g.abs() + self.eps);
        w - self.lr / (1.0 - beta1.powi(t)) * slots.first / slots.second
    }
}

impl Adagrad {
    pub(super) fn update(&self, w: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let g = g + self.weight_decay * w;
        slots.second += g * g;
        let sum = self.initial_accumulator_value + slots.second;
        w - self.lr / (1.0 + f64::from(t - 1) * self.lr_decay) * g / (sum.sqrt() + self.eps)
    }
}

impl Adadelta {
    pub(super) fn update(&self, w: f64, g: f64, _t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, rho, eps, weight_decay } = *self;
        let g = g + weight_decay * w;
        slots.second = rho * slots.second + (1.0 - rho) * g * g;
        let delta = ((slots.third + eps) / (slots.second + eps)).sqrt() * g;
        slots.third = rho * slots.third + (1.0 - rho) * delta * delta;
        w - lr * delta
    }
}

impl Lion {
    pub(super) fn update(&self, w: f64, g: f64, _t: i32, slots: &mut Slots) -> f64 {
        let [beta1, beta2] = self.betas;
        let blend = beta1 * slots.first + (1.0 - beta1) * g;
        let sign = if blend == 0.0 { 0.0 } else { blend.signum() };
        slots.first = beta2 * slots.first + (1.0 - beta2) * g;
        w - self.lr * (sign + self.weight_decay * w)
    }
}
