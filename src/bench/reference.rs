//! What an update must give, in f64, and how far from it f32 may be.
//!
//! The rules are written from the papers and torch's documents, one element at a time, with numbers that carry a bound
//! of their own error: so the tolerance of a check is not chosen, it follows from the formula.

use std::ops::{Add, Div, Mul, Sub};

use toml::Table;

use crate::error::{Error, Result};
use crate::optim::Optimizer;

/// Half a unit in the last place of an f32, relative; WGSL lets sums and products be either neighbour, twice this.
const UNIT: f64 = f32::EPSILON as f64;
/// What WGSL allows a division, in units.
const DIVISION: f64 = 2.5;
/// What WGSL allows a root, in units: that of 1 / inverseSqrt(x).
const ROOT: f64 = 4.5;
/// Numbers below may be flushed to 0.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

/// A number, and how far an f32 computed in its place may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub value: f64,
    pub off: f64,
}

impl Near {
    /// An f32 as it is.
    pub fn exact(value: f32) -> Near {
        Near { value: f64::from(value), off: 0.0 }
    }

    /// A scalar of the step: computed in f64, rounded once.
    pub fn scalar(value: f64) -> Near {
        Near::rounded(value, 0.0, 1.0)
    }

    fn rounded(value: f64, off: f64, units: f64) -> Near {
        Near { value, off: off + units * UNIT * (value.abs() + off) + SMALLEST }
    }

    fn sqrt(self) -> Near {
        let value = self.value.max(0.0).sqrt();
        // Between the root of the least and of the largest it may be.
        let low = (self.value - self.off).max(0.0).sqrt();
        let high = (self.value + self.off).max(0.0).sqrt();
        Near::rounded(value, (value - low).max(high - value), ROOT)
    }

    fn abs(self) -> Near {
        Near { value: self.value.abs(), off: self.off }
    }

    fn max(self, other: Near) -> Near {
        Near { value: self.value.max(other.value), off: self.off.max(other.off) }
    }

    /// Where it may be on either side of 0, so may its sign.
    fn sign(self) -> Near {
        let value = if self.value == 0.0 { 0.0 } else { self.value.signum() };
        Near { value, off: if self.value.abs() > self.off { 0.0 } else { 2.0 } }
    }

    /// a + weight (b - a)
    fn lerp(self, other: Near, weight: Near) -> Near {
        self + weight * (other - self)
    }
}

impl Add for Near {
    type Output = Near;
    fn add(self, b: Near) -> Near {
        Near::rounded(self.value + b.value, self.off + b.off, 1.0)
    }
}

impl Sub for Near {
    type Output = Near;
    fn sub(self, b: Near) -> Near {
        Near::rounded(self.value - b.value, self.off + b.off, 1.0)
    }
}

impl Mul for Near {
    type Output = Near;
    fn mul(self, b: Near) -> Near {
        let off = self.off * b.value.abs() + b.off * self.value.abs() + self.off * b.off;
        Near::rounded(self.value * b.value, off, 1.0)
    }
}

impl Div for Near {
    type Output = Near;
    fn div(self, b: Near) -> Near {
        let value = self.value / b.value;
        let least = b.value.abs() - b.off;
        let off = if least > 0.0 { (self.off + value.abs() * b.off) / least } else { f64::INFINITY };
        Near::rounded(value, off, DIVISION)
    }
}

/// An optimizer's hyperparameters by the names a config has for them.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub table: Table,
}

impl Settings {
    pub fn of(optimizer: &Optimizer) -> Result<Settings> {
        let table = Table::try_from(optimizer)
            .map_err(|err| Error::Config(format!("{optimizer:?} has no keys and values: {err}")))?;
        Ok(Settings { table })
    }

    /// The optimizer's name.
    pub fn name(&self) -> &str {
        self.table.get("name").and_then(|name| name.as_str()).unwrap_or_default()
    }

    /// A number; 0 where the optimizer has no such key.
    pub fn number(&self, key: &str) -> f64 {
        self.table.get(key).and_then(|value| value.as_float()).unwrap_or(0.0)
    }

    /// Both betas.
    pub fn betas(&self) -> [f64; 2] {
        let list = self.table.get("betas").and_then(|value| value.as_array());
        [0, 1].map(|i| list.and_then(|l| l.get(i)).and_then(|v| v.as_float()).unwrap_or(0.0))
    }

    /// 1 - beta^t for both.
    pub fn corrections(&self, t: u64) -> [f64; 2] {
        self.betas().map(|beta| 1.0 - beta.powf(t as f64))
    }

    /// NAdam's momentum of step t, that of the next, and the product of all up to t.
    pub fn nesterov(&self, t: u64) -> [f64; 3] {
        let decay = self.number("momentum_decay");
        let mu = |t: u64| self.betas()[0] * (1.0 - 0.5 * 0.96_f64.powf(t as f64 * decay));
        [mu(t), mu(t + 1), (1..=t).map(mu).product()]
    }

    /// RAdam's rectification of step t, where the variance is tractable.
    pub fn rectification(&self, t: u64) -> Option<f64> {
        let beta2 = self.betas()[1];
        let most = 2.0 / (1.0 - beta2) - 1.0;
        let power = beta2.powf(t as f64);
        let rho = most - 2.0 * t as f64 * power / (1.0 - power);
        let square = (rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho);
        (rho > 5.0).then(|| square.sqrt())
    }
}

/// An element of every array of an update.
#[derive(Debug, Clone)]
pub(super) struct Element<'a> {
    pub param: Near,
    pub grad: Near,
    pub names: &'a [&'static str],
    pub slots: Vec<Near>,
}

impl Element<'_> {
    fn slot(&mut self, name: &str) -> Result<&mut Near> {
        match self.names.iter().position(|n| *n == name) {
            Some(at) => Ok(&mut self.slots[at]),
            None => Err(Error::Config(format!(
                "the rule in bench/reference.rs wants the slot {name}, and the kernel has {:?}",
                self.names
            ))),
        }
    }

    /// m <- m + (1 - beta) (g - m)
    fn average(&mut self, name: &str, g: Near, beta: f64) -> Result<Near> {
        let slot = self.slot(name)?;
        *slot = slot.lerp(g, Near::scalar(1.0 - beta));
        Ok(*slot)
    }

    /// v <- beta v + (1 - beta) g g
    fn square_average(&mut self, name: &str, g: Near, beta: f64) -> Result<Near> {
        let slot = self.slot(name)?;
        *slot = Near::scalar(beta) * *slot + Near::scalar(1.0 - beta) * g * g;
        Ok(*slot)
    }

    /// Step t, the first being 1.
    ///
    /// # Errors
    /// An optimizer without a rule here.
    pub fn step(&mut self, s: &Settings, t: u64) -> Result<()> {
        let scalar = Near::scalar;
        let lr = s.number("lr");
        let eps = scalar(s.number("eps"));
        let decay = s.number("weight_decay");
        let [beta1, beta2] = s.betas();
        let [first, second] = s.corrections(t);
        let w = self.param;
        // Decay as a part of the gradient, but for AdamW and Lion.
        let g = if decay == 0.0 { self.grad } else { self.grad + scalar(decay) * w };
        let step = match s.name() {
            "sgd" if s.number("momentum") == 0.0 => scalar(lr) * g,
            "sgd" => {
                let take = scalar(1.0 - s.number("dampening"));
                let b = self.slot("momentum_buffer")?;
                *b = scalar(s.number("momentum")) * *b + take * g;
                scalar(lr) * *b
            }
            "rmsprop" => {
                let v = self.square_average("square_avg", g, s.number("alpha"))?;
                scalar(lr) * g / (v.sqrt() + eps)
            }
            "adam" => {
                let m = self.average("exp_avg", g, beta1)?;
                let v = self.square_average("exp_avg_sq", g, beta2)?;
                scalar(lr / first) * m / (v.sqrt() * scalar(1.0 / second.sqrt()) + eps)
            }
            "adamw" => {
                let m = self.average("exp_avg", self.grad, beta1)?;
                let v = self.square_average("exp_avg_sq", self.grad, beta2)?;
                let step = scalar(lr / first) * m / (v.sqrt() * scalar(1.0 / second.sqrt()) + eps);
                scalar(lr * decay) * w + step
            }
            "nadam" => {
                let [mu, next, product] = s.nesterov(t);
                let m = self.average("exp_avg", g, beta1)?;
                let v = self.square_average("exp_avg_sq", g, beta2)?;
                let d = (v * scalar(1.0 / second)).sqrt() + eps;
                scalar(lr * (1.0 - mu) / (1.0 - product)) * g / d
                    + scalar(lr * next / (1.0 - product * next)) * m / d
            }
            "radam" => {
                let m = self.average("exp_avg", g, beta1)?;
                let v = self.square_average("exp_avg_sq", g, beta2)?;
                match s.rectification(t) {
                    Some(r) => scalar(lr / first * r * second.sqrt()) * m / (v.sqrt() + eps),
                    None => scalar(lr / first) * m,
                }
            }
            "adamax" => {
                let m = self.average("exp_avg", g, beta1)?;
                let u = self.slot("exp_inf")?;
                *u = (scalar(beta2) * *u).max(g.abs() + eps);
                scalar(lr / first) * m / *u
            }
            "adagrad" => {
                let sum = self.slot("sum")?;
                *sum = *sum + g * g;
                let rate = lr / (1.0 + (t - 1) as f64 * s.number("lr_decay"));
                scalar(rate) * g / (sum.sqrt() + eps)
            }
            "adadelta" => {
                let rho = s.number("rho");
                let v = self.square_average("square_avg", g, rho)?;
                let last = *self.slot("acc_delta")?;
                let delta = (last + eps).sqrt() / (v + eps).sqrt() * g;
                self.square_average("acc_delta", delta, rho)?;
                scalar(lr) * delta
            }
            "lion" => {
                let m = *self.slot("exp_avg")?;
                let blend = scalar(beta1) * m + scalar(1.0 - beta1) * self.grad;
                *self.slot("exp_avg")? = scalar(beta2) * m + scalar(1.0 - beta2) * self.grad;
                scalar(lr) * blend.sign() + scalar(lr * decay) * w
            }
            other => return Err(no_rule(other)),
        };
        self.param = w - step;
        Ok(())
    }
}

/// Whether a number lies no further than `bound` from where it should; NaN does not.
pub(super) fn within(got: f32, want: f64, bound: f64) -> bool {
    (f64::from(got) - want).abs() <= bound
}

/// What to do about an optimizer that is not benchmarked yet.
pub(super) fn no_rule(name: &str) -> Error {
    Error::Config(format!(
        "optimizer \"{name}\" cannot be benchmarked, for no reference is written for it; those that can are: {}",
        NAMES.join(", ")
    ))
}

/// The optimizers that have rules here.
pub(super) const NAMES: [&str; 10] =
    ["sgd", "rmsprop", "adam", "adamw", "nadam", "radam", "adamax", "adagrad", "adadelta", "lion"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_bound_what_f32_does() {
        let numbers = super::super::call::noise(7, 3000, 0.01, 2.0);
        for three in numbers.chunks_exact(3) {
            let [a, b, c] = [three[0], three[1] - 1.0, three[2]];
            let in_f32 = (a.sqrt() * b - c) / (a + c) + b * c;
            let [x, y, z] = [a, b, c].map(Near::exact);
            let near = (x.sqrt() * y - z) / (x + z) + y * z;
            let off = (f64::from(in_f32) - near.value).abs();
            assert!(off <= near.off, "{a} {b} {c}: {off} > {}", near.off);
            assert!(near.off < 1e-5, "the bound says something: {}", near.off);
        }
    }

    #[test]
    fn a_sign_that_may_be_either_is() {
        let near = |value, off| Near { value, off }.sign();
        assert_eq!(near(0.5, 0.1), Near { value: 1.0, off: 0.0 });
        assert_eq!(near(-0.5, 0.6), Near { value: -1.0, off: 2.0 });
    }

    #[test]
    fn adamw_by_hand() {
        let settings = Settings::of(&Optimizer::AdamW(crate::optim::AdamW::default())).unwrap();
        let names = ["exp_avg", "exp_avg_sq"];
        let slots = [0.5, 0.25].map(Near::exact).to_vec();
        let mut e = Element { param: Near::exact(2.0), grad: Near::exact(-1.0), names: &names, slots };
        e.step(&settings, 2).unwrap();
        // m = 0.9 * 0.5 - 0.1 = 0.35; v = 0.999 * 0.25 + 0.001 = 0.25075; corrections 0.19 and 0.001999
        let step = 1e-3 / 0.19 * 0.35 / ((0.25075_f64 / 0.001999).sqrt() + 1e-8);
        let want = 2.0 * (1.0 - 1e-5) - step;
        assert!((e.param.value - want).abs() < 1e-12, "{} {want}", e.param.value);
        assert!((e.slots[0].value - 0.35).abs() < 1e-12 && (e.slots[1].value - 0.25075).abs() < 1e-12);
        assert!(e.param.off < 1e-6);
    }
}
