//! Schedule-free AdamW and SGD: a running mean in place of a schedule.

use serde::{Deserialize, Serialize};

use super::{
    About, AverageKernel, Rule, Scalars, Trials, UpdateKernel, adam_numbers, at_least_zero, correction,
    moving, refuse, row,
};
use crate::error::Result;

/// `schedule_free_adamw`: the parameters hold y. v ← β₂v + (1 − β₂)g²; d = g/(√v/√(1 − β₂ᵗ) + ε) + λy; η′ = η·min(1, t/warmup);
/// y ← y + c(z − y) − η′(1 − β₁(1 − c))d; z ← z − η′d; c = cₜ is the share of step t in the weighted mean x of all z.
///
/// Evaluation and saved weights use x = y + (1 − 1/β₁)(z − y). It takes no schedule: cₜ depends on the rate of
/// `warmup_steps` alone.
///
/// Source: Defazio et al. 2024, "The Road Less Scheduled", and their package `schedulefree`, whose names and defaults these are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFreeAdamW {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// β₁ in (0, 1), how far gradients are taken from z towards x; β₂ in [0, 1).
    pub betas: [f64; 2],
    /// ε, added to the root; at least 0.
    pub eps: f64,
    /// Decoupled weight decay λ at y, at least 0.
    pub weight_decay: f64,
    /// Steps over which the learning rate grows linearly from 0.
    pub warmup_steps: u64,
    /// The weight of step t in the mean x grows as t^r; from 0 to 100.
    pub r: f64,
    /// The weight of a step grows with this power of the largest learning rate so far; from 0 to 100.
    pub weight_lr_power: f64,
}

impl Default for ScheduleFreeAdamW {
    fn default() -> Self {
        ScheduleFreeAdamW {
            lr: 2.5e-3,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

impl ScheduleFreeAdamW {
    pub(super) const ABOUT: About = About {
        equation: "v ← β₂v + (1 − β₂)g²; d = g/(√v/√(1 − β₂ᵗ) + ε) + λy; y ← y + c(z − y) − η(1 − β₁(1 − \
                   c))d; z ← z − ηd; w is y in training, x = y + (1 − 1/β₁)(z − y) in evaluation",
        source: "Defazio et al. 2024",
        torch: None,
        forms: &[],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, warmup_steps = 9",
                "lr = 0.01, weight_decay = 0.1, r = 1.5, betas = [0.5, 0.9], eps = 1e-3",
            ],
            parabola: "lr = 0.1",
            valley: "lr = 0.1",
        },
    };

    fn averaging(&self) -> Averaging {
        let ScheduleFreeAdamW { warmup_steps, r, weight_lr_power, .. } = *self;
        Averaging { warmup_steps, r, weight_lr_power }
    }
}

impl Rule for ScheduleFreeAdamW {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        adam_numbers(self.lr, self.betas, self.eps, self.weight_decay)?;
        if self.betas[0] == 0.0 {
            return Err(refuse(
                "betas",
                self.betas,
                "the first beta is above 0: x is computed from y by its inverse",
            ));
        }
        self.averaging().validate()
    }

    fn kernel(&self) -> UpdateKernel {
        kernel("schedule_free_adamw_update", &["z", "exp_avg_sq"], self.betas[0], 21)
    }

    /// `[η′, η′(1 − β₁(1 − c)), c, λ, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let [beta1, beta2] = self.betas;
        let (share, step) = self.averaging().of(t, lr);
        let back = step * (1.0 - beta1 * (1.0 - share));
        let unbias = 1.0 / correction(beta2, t).sqrt();
        row([step, back, share, self.weight_decay, beta2, 1.0 - beta2, unbias, self.eps])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        Some(&mut self.betas[0])
    }

    fn make_steady(&mut self) {
        self.warmup_steps = 0;
    }
}

/// `schedule_free_sgd`: as [`ScheduleFreeAdamW`] with d = g + λy and μ for β₁.
///
/// Source: the same package's SGDScheduleFree, whose names and defaults these are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFreeSgd {
    /// Learning rate η, at least 0.
    pub lr: f64,
    /// μ in (0, 1): how far gradients are taken from z towards x.
    pub momentum: f64,
    /// Weight decay λ at y, at least 0.
    pub weight_decay: f64,
    /// Steps over which the learning rate grows linearly from 0.
    pub warmup_steps: u64,
    /// The weight of step t in the mean x grows as t^r; from 0 to 100.
    pub r: f64,
    /// The weight of a step grows with this power of the largest learning rate so far; from 0 to 100.
    pub weight_lr_power: f64,
}

impl Default for ScheduleFreeSgd {
    fn default() -> Self {
        ScheduleFreeSgd {
            lr: 1.0,
            momentum: 0.9,
            weight_decay: 0.0,
            warmup_steps: 0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

impl ScheduleFreeSgd {
    pub(super) const ABOUT: About = About {
        equation: "d = g + λy; y ← y + c(z − y) − η(1 − μ(1 − c))d; z ← z − ηd; w is y in training, x = y \
                   + (1 − 1/μ)(z − y) in evaluation",
        source: "Defazio et al. 2024",
        torch: None,
        forms: &[],
        trials: Trials {
            kernel: &[
                "lr = 0.01, weight_decay = 0.1",
                "lr = 0.01, weight_decay = 0.1, warmup_steps = 5, momentum = 0.5",
            ],
            parabola: "lr = 0.7",
            valley: "lr = 3e-3",
        },
    };

    fn averaging(&self) -> Averaging {
        let ScheduleFreeSgd { warmup_steps, r, weight_lr_power, .. } = *self;
        Averaging { warmup_steps, r, weight_lr_power }
    }
}

impl Rule for ScheduleFreeSgd {
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        at_least_zero("lr", self.lr, "a learning rate")?;
        if !(self.momentum > 0.0 && self.momentum < 1.0) {
            return Err(refuse("momentum", self.momentum, "momentum is above 0 and below 1"));
        }
        at_least_zero("weight_decay", self.weight_decay, "weight decay")?;
        self.averaging().validate()
    }

    fn kernel(&self) -> UpdateKernel {
        kernel("schedule_free_sgd_update", &["z"], self.momentum, 13)
    }

    /// `[η′, η′(1 − μ(1 − c)), c, λ]`.
    fn scalars(&self, t: u64, lr: f64) -> Scalars {
        let (share, step) = self.averaging().of(t, lr);
        row([step, step * (1.0 - self.momentum * (1.0 - share)), share, self.weight_decay])
    }

    fn remove_decay(&mut self) {
        self.weight_decay = 0.0;
    }

    fn momentum(&mut self) -> Option<&mut f64> {
        moving(&mut self.momentum)
    }

    fn make_steady(&mut self) {
        self.warmup_steps = 0;
    }
}

/// The weight of each step in the mean x.
#[derive(Debug, Clone, Copy)]
struct Averaging {
    warmup_steps: u64,
    r: f64,
    weight_lr_power: f64,
}

impl Averaging {
    fn validate(self) -> Result<()> {
        for (key, power) in [("r", self.r), ("weight_lr_power", self.weight_lr_power)] {
            if !(0.0..=100.0).contains(&power) {
                let allowed = "a power from 0 to 100 is needed; at 100 the mean is of the last steps alone";
                return Err(refuse(key, power, allowed));
            }
        }
        Ok(())
    }

    /// The share of step `t` in the mean of the steps up to it, and its learning rate.
    ///
    /// Step s weighs s^r·min(1, s/warmup)^p, p being `weight_lr_power`: the rate itself, if it has always been the same,
    /// cancels.
    fn of(self, t: u64, lr: f64) -> (f64, f64) {
        let (warmup, r) = (self.warmup_steps, self.r);
        let rising = r + self.weight_lr_power;
        if t <= warmup {
            return (1.0 / power_sum(rising, t), lr * t as f64 / warmup as f64);
        }
        let mut sum = power_sum(r, t);
        if warmup > 0 {
            let less = power_sum(r, warmup) - power_sum(rising, warmup);
            sum -= (warmup as f64 / t as f64).powf(r) * less;
        }
        (1.0 / sum, lr)
    }
}

/// Σ (s/n)^a over s from 1 to n, for a from 0 on.
///
/// The first ones are added up; the rest by Euler's and Maclaurin's formula, whose terms then fall by 25² each or more: the
/// sixth is below the rounding of the sum.
fn power_sum(a: f64, n: u64) -> f64 {
    let first = n.min(32 + 4 * a.ceil() as u64);
    let f = |s: u64| (s as f64 / n as f64).powf(a);
    let sum: f64 = (1..=first).map(f).sum();
    if first == n {
        return sum;
    }
    // The sum of the antiderivative and the derivatives at x = s.
    let at = |s: u64| {
        let x = s as f64;
        let mut derivative = f(s) * a / x;
        let mut total = f(s) * (x / (a + 1.0) + 0.5) + derivative / 12.0;
        let mut order = 1.0;
        for denominator in [-720.0, 30_240.0, -1_209_600.0, 47_900_160.0] {
            derivative *= (a - order) * (a - order - 1.0) / (x * x);
            order += 2.0;
            total += derivative / denominator;
        }
        total
    };
    sum + at(n) - at(first)
}

fn kernel(entry: &'static str, slots: &[&'static str], beta: f64, flops: u32) -> UpdateKernel {
    let x_weight = ((1.0 - 1.0 / beta) as f32).to_bits();
    let average =
        AverageKernel { entry: "schedule_free_average", constants: vec![("X_WEIGHT", x_weight)], base: "z" };
    let kernel = UpdateKernel::new("optim/schedule_free", entry, slots, flops);
    UpdateKernel { average: Some(average), ..kernel }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::optim::tests::assert_close;

    /// Shares and rates against the package's own recurrence, its sum kept step by step.
    #[test]
    fn shares_are_those_of_a_running_mean() {
        for (warmup_steps, r, weight_lr_power) in [
            (0, 0.0, 2.0),
            (5, 0.0, 2.0),
            (5, 1.5, 1.0),
            (7, 0.3, 0.0),
            (40_000, 0.0, 2.0),
            (40_000, 2.5, 0.5),
            (3, 12.0, 2.0),
        ] {
            let rule = Averaging { warmup_steps, r, weight_lr_power };
            let (lr, mut sum) = (0.5, 0.0);
            for t in 1..=100_000u64 {
                let warm = if t <= warmup_steps { t as f64 / warmup_steps as f64 } else { 1.0 };
                let weight = (t as f64).powf(r) * (lr * warm).powf(weight_lr_power);
                sum += weight;
                if t > 300 && t % 4999 != 0 && t.abs_diff(warmup_steps) > 2 {
                    continue;
                }
                let (share, rate) = rule.of(t, lr);
                // A sum of t numbers is off by t roundings; powers by a few.
                let allowed = (t as f64 + 64.0) * f64::EPSILON;
                assert!((share * sum / weight - 1.0).abs() <= allowed, "{rule:?}, {t}: {share}");
                assert!((rate / (lr * warm) - 1.0).abs() <= 2.0 * f64::EPSILON, "{rule:?}, {t}: {rate}");
            }
        }
        assert_eq!(Averaging { warmup_steps: 0, r: 0.0, weight_lr_power: 2.0 }.of(4, 0.5), (0.25, 0.5));
    }

    /// Weights that grow past any number leave shares that do not: from r/t on the mean forgets.
    #[test]
    fn shares_of_a_steep_and_long_run_are_finite() {
        let rule = Averaging { warmup_steps: 1000, r: 100.0, weight_lr_power: 100.0 };
        for t in [1, 500, 1000, 1001, 1_000_000, 1_000_000_000_000] {
            let (share, _) = rule.of(t, 1.0);
            assert!(share > 0.0 && share <= 1.0, "{t}: {share}");
        }
        let t = 1e12;
        let (share, _) = rule.of(t as u64, 1.0);
        assert!((share * t / 101.0 - 1.0).abs() <= 1e-9, "{share}");
    }

    #[test]
    fn the_first_step_is_the_gradient_s() {
        // c = 1: y becomes z, and z takes a step of the whole rate, and so does y.
        let row = Optimizer::ScheduleFreeSgd(ScheduleFreeSgd::default()).scalars(1, 0.5);
        assert_close(row, [0.5, 0.5, 1.0]);
    }

    #[test]
    fn bad_numbers_are_refused() {
        let adamw = ScheduleFreeAdamW::default();
        let sgd = ScheduleFreeSgd::default();
        for (err, key) in [
            (ScheduleFreeAdamW { betas: [0.0, 0.9], ..adamw.clone() }.validate(), "betas"),
            (ScheduleFreeAdamW { r: -1.0, ..adamw.clone() }.validate(), "r = -1.0"),
            (ScheduleFreeAdamW { r: 101.0, ..adamw }.validate(), "r = 101.0: a power from 0 to 100"),
            (ScheduleFreeSgd { momentum: 0.0, ..sgd.clone() }.validate(), "momentum"),
            (ScheduleFreeSgd { weight_lr_power: f64::NAN, ..sgd }.validate(), "weight_lr_power"),
        ] {
            let err = err.unwrap_err().to_string();
            assert!(err.contains(key), "{err}");
        }
    }
}
