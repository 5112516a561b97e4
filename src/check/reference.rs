//! The update of one element, in f64, with a bound of the f32 rounding error.
//!
//! The rules are written from the papers and torch's documents. Each number carries a bound of its own error, so the
//! tolerance of a check follows from the formula and is not chosen.

use toml::Table;

use super::near::{Near, depth};
use crate::error::{Error, Result};
use crate::optim::Optimizer;

/// An optimizer's hyperparameters by the names a config has for them.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub table: Table,
}

impl Settings {
    /// The hyperparameters of `optimizer`.
    ///
    /// # Errors
    /// Hyperparameters that TOML cannot hold.
    pub fn from_optimizer(optimizer: &Optimizer) -> Result<Settings> {
        let table = Table::try_from(optimizer)
            .map_err(|err| Error::Config(format!("{optimizer:?} has no keys and values: {err}")))?;
        Ok(Settings { table })
    }

    /// The optimizer's name.
    pub fn name(&self) -> &str {
        self.word("name")
    }

    /// A number; 0 where the optimizer has no such key.
    pub fn number(&self, key: &str) -> f64 {
        self.table.get(key).and_then(|value| value.as_float()).unwrap_or(0.0)
    }

    /// The first numbers of a list; 0 where there are none.
    pub fn numbers<const N: usize>(&self, key: &str) -> [f64; N] {
        let list = self.table.get(key).and_then(|value| value.as_array());
        std::array::from_fn(|i| list.and_then(|l| l.get(i)).and_then(|v| v.as_float()).unwrap_or(0.0))
    }

    /// A whole number; 0 where the optimizer has no such key.
    pub fn whole(&self, key: &str) -> u64 {
        let number = self.table.get(key).and_then(|value| value.as_integer());
        number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// A switch; off where the optimizer has no such key.
    pub fn is_on(&self, key: &str) -> bool {
        self.table.get(key).and_then(|value| value.as_bool()) == Some(true)
    }

    /// A word; empty where the optimizer has no such key.
    fn word(&self, key: &str) -> &str {
        self.table.get(key).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// Both betas.
    pub fn betas(&self) -> [f64; 2] {
        self.numbers("betas")
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

    /// Schedule-free's rate of step t, and the share of step t in the mean of all steps.
    pub fn share(&self, t: u64) -> [f64; 2] {
        let warmup = self.whole("warmup_steps").max(1) as f64;
        // Rates do not fall, so the largest so far is the last.
        let rate = |t: u64| self.number("lr") * (t as f64 / warmup).min(1.0);
        let weight =
            |t: u64| (t as f64).powf(self.number("r")) * rate(t).powf(self.number("weight_lr_power"));
        [rate(t), weight(t) / (1..=t).map(weight).sum::<f64>()]
    }

    /// Adafactor's relative step size of step t, and the share of the new squares in the running means.
    pub fn relative(&self, t: u64) -> [f64; 2] {
        let t = t as f64;
        [self.number("lr").min(1.0 / t.sqrt()), t.powf(self.number("beta2_decay"))]
    }

    /// Muon's factor for a matrix.
    pub fn factor(&self, rows: usize, columns: usize) -> f64 {
        match self.word("adjust_lr_fn") {
            "match_rms_adamw" => 0.2 * (rows.max(columns) as f64).sqrt(),
            _ => (rows as f64 / columns as f64).max(1.0).sqrt(),
        }
    }
}

/// The numbers of its tensor that an element's update needs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TensorTerms {
    /// LAMB's quotient of norms, LARS's rate, Adafactor's.
    pub rate: Near,
    /// Adafactor's second moment, Muon's direction.
    pub value: Near,
}

/// An element of every array of an update.
#[derive(Debug, Clone)]
pub(crate) struct Element<'a> {
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
                "the rule in check/reference.rs wants the slot {name}, and the kernel has {:?}",
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

    /// Adam's second moment; with AMSGrad its peak so far.
    fn peak(&mut self, s: &Settings, g: Near, beta2: f64) -> Result<Near> {
        let v = self.square_average("exp_avg_sq", g, beta2)?;
        if !s.is_on("amsgrad") {
            return Ok(v);
        }
        let peak = self.slot("max_exp_avg_sq")?;
        *peak = peak.max(v);
        Ok(*peak)
    }

    /// g + decay w, or g where decay is not part of the gradient
    pub fn decayed(&self, s: &Settings) -> Near {
        let decay = s.number("weight_decay");
        if decay == 0.0 || s.is_on("decoupled_weight_decay") {
            self.grad
        } else {
            self.grad + Near::scalar(decay) * self.param
        }
    }

    /// LAMB's moments, and its step before scaling.
    pub fn lamb(&mut self, s: &Settings, t: u64) -> Result<Near> {
        let scalar = Near::scalar;
        let ([beta1, beta2], [first, second]) = (s.betas(), s.corrections(t));
        let m = self.average("exp_avg", self.grad, beta1)?;
        let v = self.square_average("exp_avg_sq", self.grad, beta2)?;
        let root = v.sqrt() * scalar(1.0 / second.sqrt()) + scalar(s.number("eps"));
        Ok(m * scalar(1.0 / first) / root + scalar(s.number("weight_decay")) * self.param)
    }

    /// Adafactor's direction.
    pub fn adafactor(&self, s: &Settings, v: Near) -> Near {
        let [eps, _] = s.numbers("eps");
        self.grad / v.max(Near::scalar(eps * eps)).sqrt()
    }

    /// Muon's momentum, and its direction before it is made orthogonal.
    pub fn muon(&mut self, s: &Settings) -> Result<Near> {
        let mu = s.number("momentum");
        let b = self.average("momentum_buffer", self.grad, mu)?;
        Ok(if s.is_on("nesterov") { self.grad.lerp(b, Near::scalar(mu)) } else { b })
    }

    /// Schedule-free's step along d. Updates z and returns the step of y.
    fn free(&mut self, s: &Settings, t: u64, beta: f64, d: Near) -> Result<Near> {
        let scalar = Near::scalar;
        let ([rate, share], y) = (s.share(t), self.param);
        let z = self.slot("z")?;
        let old = *z;
        *z = old - scalar(rate) * d;
        Ok(scalar(rate * (1.0 - beta * (1.0 - share))) * d - scalar(share) * (old - y))
    }

    /// Step t, the first being 1; `terms` are the numbers of its tensor.
    ///
    /// # Errors
    /// An optimizer without a rule here.
    pub fn step(&mut self, s: &Settings, t: u64, terms: TensorTerms) -> Result<()> {
        let scalar = Near::scalar;
        let lr = s.number("lr");
        let eps = scalar(s.number("eps"));
        let decay = s.number("weight_decay");
        let [beta1, beta2] = s.betas();
        let [first, second] = s.corrections(t);
        let w = self.param;
        // Decay as a part of the gradient, where the optimizer has it there.
        let g = self.decayed(s);
        let step = match s.name() {
            "sgd" if s.number("momentum") == 0.0 => scalar(lr) * g,
            "sgd" => {
                let mu = s.number("momentum");
                let b = self.slot("momentum_buffer")?;
                let kept = scalar(mu) * *b;
                match s.word("form") {
                    "velocity" => *b = kept - scalar(lr) * g,
                    "average" => *b = kept + scalar(1.0 - mu) * g,
                    _ if t == 1 => *b = g,
                    _ => *b = kept + scalar(1.0 - s.number("dampening")) * g,
                }
                match s.word("form") {
                    "velocity" => scalar(-1.0) * *b,
                    _ if s.is_on("nesterov") => scalar(lr) * (g + scalar(mu) * *b),
                    _ => scalar(lr) * *b,
                }
            }
            "rmsprop" => {
                let alpha = s.number("alpha");
                let mut v = self.square_average("square_avg", g, alpha)?;
                if s.is_on("centered") {
                    let m = self.average("grad_avg", g, alpha)?;
                    v = (v - m * m).max(Near::exact(0.0));
                }
                if s.is_on("bias_correction") {
                    v = v * scalar(1.0 / (1.0 - alpha.powf(t as f64)));
                }
                let d = v.sqrt() + eps;
                let mu = s.number("momentum");
                if mu == 0.0 {
                    scalar(lr) * g / d
                } else {
                    let b = self.slot("momentum_buffer")?;
                    *b = scalar(mu) * *b + g / d;
                    scalar(lr) * *b
                }
            }
            "adam" => {
                let m = self.average("exp_avg", g, beta1)?;
                let v = self.peak(s, g, beta2)?;
                scalar(lr / first) * m / (v.sqrt() * scalar(1.0 / second.sqrt()) + eps)
            }
            "adamw" => {
                let m = self.average("exp_avg", self.grad, beta1)?;
                let v = self.peak(s, self.grad, beta2)?;
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
            "adan" => {
                let [beta1, beta2, beta3] = s.numbers("betas");
                let [first, second, third] = [beta1, beta2, beta3].map(|beta| 1.0 - beta.powf(t as f64));
                let grad = self.grad;
                let old = std::mem::replace(self.slot("neg_pre_grad")?, Near::exact(0.0) - grad);
                let change = if t == 1 { Near::exact(0.0) } else { grad + old };
                let m = self.average("exp_avg", grad, beta1)?;
                let v = self.average("exp_avg_diff", change, beta2)?;
                let n = self.square_average("exp_avg_sq", grad + scalar(beta2) * change, beta3)?;
                let root = n.sqrt() * scalar(1.0 / third.sqrt()) + eps;
                // w (1 - lr decay) - step, or (w - step) / (1 + lr decay)
                let scale = if s.is_on("no_prox") { 1.0 } else { 1.0 / (1.0 + lr * decay) };
                let step = scalar(scale * lr / first) * m + scalar(scale * lr * beta2 / second) * v;
                scalar(scale * lr * decay) * w + step / root
            }
            "adagrad" => {
                let sum = self.slot("sum")?;
                // Slots start at 0, except this one.
                let start = if t == 1 { s.number("initial_accumulator_value") } else { 0.0 };
                *sum = *sum + scalar(start) + g * g;
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
            "schedule_free_adamw" => {
                let v = self.square_average("exp_avg_sq", self.grad, beta2)?;
                let root = v.sqrt() * scalar(1.0 / second.sqrt()) + eps;
                let d = self.grad / root + scalar(decay) * w;
                self.free(s, t, beta1, d)?
            }
            "schedule_free_sgd" => self.free(s, t, s.number("momentum"), g)?,
            "lamb" => {
                let u = self.lamb(s, t)?;
                scalar(lr) * terms.rate * u
            }
            "lars" => {
                let (keep, take) = (scalar(s.number("momentum")), scalar(1.0 - s.number("dampening")));
                let b = self.slot("momentum_buffer")?;
                let d = terms.rate * g;
                *b = if t == 1 { d } else { keep * *b + take * d };
                scalar(lr) * if s.is_on("nesterov") { d + keep * *b } else { *b }
            }
            "adafactor" => scalar(lr * decay) * w + terms.rate * self.adafactor(s, terms.value),
            "muon" => {
                self.muon(s)?;
                scalar(lr * decay) * w + scalar(lr) * terms.value
            }
            other => return Err(no_rule(other)),
        };
        let shrink = s.is_on("decoupled_weight_decay").then(|| scalar(lr * decay) * w);
        self.param = w - shrink.map_or(step, |shrink| shrink + step);
        Ok(())
    }
}

/// A matrix before the update. Its numbers repeat after those that are given.
#[derive(Debug)]
pub(crate) struct Before<'b> {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Names of the slots.
    pub names: &'b [&'static str],
    /// Parameters, gradients and slots, all of one length.
    pub arrays: Vec<&'b [f32]>,
    /// The index in them at which the matrix begins.
    pub first: usize,
    /// Adafactor's running means of the rows.
    pub rows: Vec<f32>,
    /// Adafactor's running means of the columns.
    pub columns: Vec<f32>,
}

impl Before<'_> {
    /// The number of its elements.
    pub fn count(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// The number of elements after which it repeats.
    pub fn period(&self) -> usize {
        self.arrays[0].len()
    }

    /// Element `i` of every array.
    pub fn element(&self, i: usize) -> Element<'_> {
        let at = (self.first + i) % self.period();
        let of = |array: &[f32]| Near::exact(array[at]);
        let slots = self.arrays[2..].iter().map(|array| of(array)).collect();
        Element { param: of(self.arrays[0]), grad: of(self.arrays[1]), names: self.names, slots }
    }

    /// The sum of `number` over `count` elements that lie `stride` apart.
    fn along(&self, count: usize, stride: usize, number: impl Fn(usize) -> Near) -> Near {
        let period = (self.period() / stride).max(1);
        let times = |i: usize| count / period + usize::from(i < count % period);
        Near::sum((0..count.min(period)).map(|i| (number(i * stride), times(i))), depth(count))
    }

    /// The root of the sum of squares over all elements.
    pub fn norm(&self, number: impl Fn(usize) -> Near) -> Near {
        let square = |x: Near| x * x;
        self.along(self.count(), 1, |i| square(number(i))).sqrt()
    }

    /// The mean of g² over `count` elements that lie `stride` apart, by way of the norm, as torch computes it.
    pub fn mean_square(&self, first: usize, count: usize, stride: usize) -> Near {
        let norm = self.along(count, stride, |i| {
            let g = self.element(first + i).grad;
            g * g
        });
        norm.sqrt() * norm.sqrt() / Near::exact(count as f32)
    }
}

/// The error for an optimizer without a rule here.
fn no_rule(name: &str) -> Error {
    Error::Config(format!(
        "optimizer \"{name}\" cannot be benchmarked: it needs a rule in check/reference.rs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adamw_by_hand() {
        let settings = Settings::from_optimizer(&Optimizer::AdamW(crate::optim::AdamW::default())).unwrap();
        let names = ["exp_avg", "exp_avg_sq"];
        let slots = [0.5, 0.25].map(Near::exact).to_vec();
        let mut e = Element { param: Near::exact(2.0), grad: Near::exact(-1.0), names: &names, slots };
        e.step(&settings, 2, TensorTerms::default()).unwrap();
        // m = 0.9 * 0.5 - 0.1 = 0.35; v = 0.999 * 0.25 + 0.001 = 0.25075; corrections 0.19 and 0.001999
        let step = 1e-3 / 0.19 * 0.35 / ((0.25075_f64 / 0.001999).sqrt() + 1e-8);
        let want = 2.0 * (1.0 - 1e-5) - step;
        assert!((e.param.value - want).abs() < 1e-12, "{} {want}", e.param.value);
        assert!((e.slots[0].value - 0.35).abs() < 1e-12 && (e.slots[1].value - 0.25075).abs() < 1e-12);
        assert!(e.param.bound < 1e-6);
    }
}
