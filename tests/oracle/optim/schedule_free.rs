//! Schedule-free AdamW and SGD (Defazio et al. 2024), with the three sequences of the paper.
//!
//! z takes the steps, x is a weighted mean of z₁, z₂, …, and y = (1−β)z + βx is where gradients are taken:
//! the parameters hold y, and x is evaluated. Step t, at γ = η·min(1, t/warmup): z −= γ(u + λy), with u the
//! gradient (SGD) or g/(√(v/(1−β₂ᵗ)) + ε) (AdamW, whose first moment is y's share of x); then x takes zₜ with
//! the weight tʳ·(max γ)^power. All three start at w. The authors' package keeps y and z only.

use serde::Deserialize;

use super::Slots;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFreeAdamW {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub warmup_steps: i32,
    pub r: f64,
    pub weight_lr_power: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleFreeSgd {
    pub lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub warmup_steps: i32,
    pub r: f64,
    pub weight_lr_power: f64,
}

pub const SCHEDULE_FREE_ADAMW: ScheduleFreeAdamW = ScheduleFreeAdamW {
    lr: 2.5e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weight_decay: 0.0,
    warmup_steps: 0,
    r: 0.0,
    weight_lr_power: 2.0,
};
pub const SCHEDULE_FREE_SGD: ScheduleFreeSgd = ScheduleFreeSgd {
    lr: 1.0,
    momentum: 0.9,
    weight_decay: 0.0,
    warmup_steps: 0,
    r: 0.0,
    weight_lr_power: 2.0,
};

/// z and x of one parameter, the sum of the weights so far and the largest rate so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequences {
    pub(super) x: f64,
    z: f64,
    weights: f64,
    peak: f64,
}

/// What the two rules share.
struct Averaging {
    lr: f64,
    beta: f64,
    warmup_steps: i32,
    r: f64,
    weight_lr_power: f64,
}

impl Averaging {
    /// z by `direction`, then x; y is returned.
    fn advance(&self, y: f64, direction: f64, t: i32, free: &mut Sequences) -> f64 {
        if t == 1 {
            (free.x, free.z) = (y, y);
        }
        let warm = if t <= self.warmup_steps { f64::from(t) / f64::from(self.warmup_steps) } else { 1.0 };
        let rate = self.lr * warm;
        free.peak = free.peak.max(rate);
        free.z -= rate * direction;
        let weight = f64::from(t).powf(self.r) * free.peak.powf(self.weight_lr_power);
        free.weights += weight;
        let share = if free.weights == 0.0 { 0.0 } else { weight / free.weights };
        free.x = (1.0 - share) * free.x + share * free.z;
        (1.0 - self.beta) * free.z + self.beta * free.x
    }
}

impl ScheduleFreeAdamW {
    pub(super) fn update(&self, y: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, betas: [beta, beta2], eps, weight_decay, warmup_steps, r, weight_lr_power } = *self;
        slots.second = beta2 * slots.second + (1.0 - beta2) * g * g;
        let direction = g / ((slots.second / (1.0 - beta2.powi(t))).sqrt() + eps) + weight_decay * y;
        let averaging = Averaging { lr, beta, warmup_steps, r, weight_lr_power };
        averaging.advance(y, direction, t, &mut slots.free)
    }
}

impl ScheduleFreeSgd {
    pub(super) fn update(&self, y: f64, g: f64, t: i32, slots: &mut Slots) -> f64 {
        let Self { lr, momentum: beta, weight_decay, warmup_steps, r, weight_lr_power } = *self;
        let averaging = Averaging { lr, beta, warmup_steps, r, weight_lr_power };
        averaging.advance(y, g + weight_decay * y, t, &mut slots.free)
    }
}
