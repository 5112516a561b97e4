//! Losses: scalar means over the batch, in the forms that do not overflow.

use serde::{Deserialize, Serialize};

use crate::graph::{CrossEntropyAttrs, DType, Reading, Tensor};
use crate::shape::Shape;

/// Options of a loss.
pub trait LossOptions {
    /// Refuses options that can never work, with the key first: `delta = 0: a number above 0 is needed`.
    ///
    /// # Errors
    /// The text for the person who set them.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Options of [`cross_entropy`]; torch's names and defaults, but that nothing is ignored unless asked.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// Weight of the uniform distribution in the target, 0 to 1.
    pub label_smoothing: f32,
    /// Rows with this target count neither in the sum nor in the mean.
    pub ignore_index: Option<i32>,
}

impl LossOptions for CrossEntropy {
    fn check(&self) -> Result<(), String> {
        match self.label_smoothing {
            s if (0.0..=1.0).contains(&s) => Ok(()),
            s => Err(format!("label_smoothing = {s}: from 0 to 1")),
        }
    }
}

/// Softmax cross-entropy of logits [n, .., classes] against integer targets [n, ..].
///
/// mean over rows of (1 − s)·(lse − xₜ) + s·(lse − mean x), lse = log Σ eˣ. A shift of all logits changes nothing. One
/// kernel makes the losses and the gradient; probabilities are never stored. Classes are the last axis, where torch has
/// them second: a language model's logits [n, t, classes] go in as they are. Source: `torch.nn.functional.cross_entropy`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, options: &CrossEntropy) -> Tensor {
    if let Err(text) = options.check() {
        return logits.fail(text);
    }
    let attrs = CrossEntropyAttrs {
        label_smoothing: options.label_smoothing.into(),
        ignore_index: options.ignore_index,
    };
    let reading = Reading::Logits(options.ignore_index);
    let Some((logits, targets)) = rows(logits, targets, reading, ["cross_entropy", "logits"]) else {
        return logits.clone();
    };
    match options.ignore_index {
        None => logits.cross_entropy_rows(&targets, attrs).mean_all(),
        Some(ignored) => {
            logits.graph().note_uneven_mean();
            let kept = targets.ne_i32(ignored).sum_all();
            logits.cross_entropy_rows(&targets, attrs).sum_all().div(&kept)
        }
    }
}

/// Options of [`nll`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nll {
    /// Rows with this target count neither in the sum nor in the mean.
    pub ignore_index: Option<i32>,
}

impl LossOptions for Nll {}

/// Negative log-likelihood of log-probabilities [n, .., classes], as from `log_softmax`, against integer targets
/// [n, ..].
///
/// mean over rows of −xₜ. Classes are the last axis. Source: `torch.nn.functional.nll_loss`.
pub fn nll(log_probabilities: &Tensor, targets: &Tensor, options: &Nll) -> Tensor {
    let reading = Reading::LogProbabilities(options.ignore_index);
    let Some((x, targets)) = rows(log_probabilities, targets, reading, ["nll", "log-probabilities"]) else {
        return log_probabilities.clone();
    };
    let loss = x.gather(1, &targets.reshape([x.shape()[0], 1])).neg().reshape([x.shape()[0]]);
    match options.ignore_index {
        None => loss.mean_all(),
        Some(ignored) => {
            x.graph().note_uneven_mean();
            let kept = targets.ne_i32(ignored);
            kept.select(&loss, &x.graph().constant(0.0)).sum_all().div(&kept.sum_all())
        }
    }
}

/// One row a prediction: x [n, .., classes] to [rows, classes], targets [n, ..] to [rows].
fn rows(x: &Tensor, targets: &Tensor, reading: Reading, [name, what]: [&str; 2]) -> Option<(Tensor, Tensor)> {
    let fits = |(_, lead): (&usize, &[usize])| !lead.is_empty() && lead == targets.shape();
    if !x.shape().split_last().is_some_and(fits) || targets.dtype() != DType::I32 || x.dtype() != DType::F32 {
        let hint = if x.shape().len() > 2 && targets.shape().len() == 1 {
            "; is a flatten missing before the layers?"
        } else if targets.dtype() == DType::F32 {
            "; the targets are numbers: classes are i32, and a loss of numbers is mse"
        } else {
            ""
        };
        x.fail(format!(
            "{name} needs {what} [n, .., classes] and integer targets [n, ..]; got {:?} {:?} and {:?} {:?}{hint}",
            x.dtype(),
            x.shape(),
            targets.dtype(),
            targets.shape()
        ));
        return None;
    }
    x.graph().note_loss(x, targets, reading);
    let n = Shape::from(targets.shape()).elements();
    Some((x.reshape([n, x.shape()[x.shape().len() - 1]]), targets.reshape([n])))
}

/// What [`kl_div`] divides the sum by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KlReduction {
    /// The batch: the first extent.
    #[default]
    BatchMean,
    /// The number of elements, classes included.
    Mean,
    /// 1.
    Sum,
}

/// Options of [`kl_div`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KlDiv {
    /// `batchmean` unless told: a mean over elements is the divergence divided by the number of classes. torch's
    /// default is `mean`, with a warning that says to ask for `batchmean`.
    pub reduction: KlReduction,
    /// Targets are log-probabilities too.
    pub log_target: bool,
}

impl LossOptions for KlDiv {}

/// Kullback and Leibler's divergence of targets t from log-probabilities x, of one shape [n, ..].
///
/// Σ t·(log t − x), or Σ eᵗ·(t − x) of log targets, divided by n; where t = 0 the term is 0. Source:
/// `torch.nn.functional.kl_div`.
pub fn kl_div(log_probabilities: &Tensor, targets: &Tensor, options: &KlDiv) -> Tensor {
    let (x, t) = (log_probabilities, targets);
    same(x, t, Reading::Distribution, "kl_div").unwrap_or_else(|| {
        let terms = if options.log_target {
            t.exp().mul(&t.sub(x))
        } else {
            // log 1 in place of log 0, so that neither value nor gradient is NaN
            let some = t.gt(&t.graph().constant(0.0));
            t.mul(&some.select(t, &t.graph().constant(1.0)).log().sub(x))
        };
        match options.reduction {
            KlReduction::Mean => terms.mean_all(),
            KlReduction::Sum => {
                x.graph().note_uneven_mean();
                terms.sum_all()
            }
            KlReduction::BatchMean => {
                let n = x.shape().first().copied().unwrap_or(1);
                terms.sum_all().mul_scalar((1.0 / n as f64) as f32)
            }
        }
    })
}

/// mean (a − b)²
pub fn mse(a: &Tensor, b: &Tensor) -> Tensor {
    same(a, b, Reading::Numbers, "mse").unwrap_or_else(|| a.sub(b).square().mean_all())
}

/// mean |a − b|
pub fn l1(a: &Tensor, b: &Tensor) -> Tensor {
    same(a, b, Reading::Numbers, "l1").unwrap_or_else(|| a.sub(b).abs().mean_all())
}

/// Options of a loss that is a parabola up to a bound, and linear beyond it.
macro_rules! bounded {
    ($(#[$about:meta])* $name:ident $key:ident, $is_right:expr, $wanted:literal) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// The bound. Default: 1.
            pub $key: f32,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $key: 1.0 }
            }
        }

        impl LossOptions for $name {
            fn check(&self) -> Result<(), String> {
                let is_right: fn(f32) -> bool = $is_right;
                match self.$key {
                    bound if is_right(bound) => Ok(()),
                    bound => Err(format!(concat!(stringify!($key), " = {}: ", $wanted, " is needed"), bound)),
                }
            }
        }
    };
}

bounded! {
    /// Options of [`huber`].
    Huber delta, |delta| delta > 0.0 && delta.is_finite(), "a number above 0"
}

bounded! {
    /// Options of [`smooth_l1`].
    SmoothL1 beta, |beta| beta >= 0.0 && beta.is_finite(), "a number from 0 on"
}

/// mean of d²/2 where |d| < delta, else delta·(|d| − delta/2), d = a − b.
pub fn huber(a: &Tensor, b: &Tensor, delta: f32) -> Tensor {
    if let Err(text) = (Huber { delta }).check() {
        return a.fail(format!("huber {text}"));
    }
    same(a, b, Reading::Numbers, "huber").unwrap_or_else(|| {
        // With c = d clamped to ±delta both branches are c (d − c/2).
        let d = a.sub(b);
        let c = d.clamp(-delta, delta);
        c.mul(&d.sub(&c.mul_scalar(0.5))).mean_all()
    })
}

/// mean of d²/(2·beta) where |d| < beta, else |d| − beta/2, d = a − b; `l1` at beta 0.
///
/// Source: `torch.nn.functional.smooth_l1_loss`.
pub fn smooth_l1(a: &Tensor, b: &Tensor, beta: f32) -> Tensor {
    if let Err(text) = (SmoothL1 { beta }).check() {
        return a.fail(format!("smooth_l1 {text}"));
    }
    same(a, b, Reading::Numbers, "smooth_l1").unwrap_or_else(|| {
        if beta == 0.0 {
            return l1(a, b);
        }
        // As in `huber`, divided by beta.
        let d = a.sub(b);
        let c = d.clamp(-beta, beta);
        c.mul(&d.sub(&c.mul_scalar(0.5))).mul_scalar(1.0 / beta).mean_all()
    })
}

/// mean of max(x, 0) − x·t + log(1 + e^(−|x|)), x the logits and t in [0, 1]. Small losses and gradients of certain
/// answers keep their digits.
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Tensor {
    same(logits, targets, Reading::Labels, "bce_with_logits").unwrap_or_else(|| {
        // max(x, 0) − x·t is x·([x > 0] − t), which is exactly 0 for a right answer; −|x| is chosen, since the derivative
        // of |x| at 0 is 0 and that of the loss is not.
        let positive = logits.gt(&logits.graph().constant(0.0));
        let tail = positive.select(&logits.neg(), logits).softplus(1.0, f32::MAX);
        logits.mul(&positive.sub(targets)).add(&tail).mean_all()
    })
}

/// An error where the shapes differ: a broadcast loss is a mistake more often than a wish.
fn same(a: &Tensor, b: &Tensor, reading: Reading, name: &str) -> Option<Tensor> {
    a.graph().note_loss(a, b, reading);
    (a.shape() != b.shape()).then(|| {
        let hint =
            if a.shape().len() > b.shape().len() { "; is a flatten missing before the layers?" } else { "" };
        a.fail(format!(
            "{name} needs output and target of one shape; got {:?} and {:?}{hint}",
            a.shape(),
            b.shape()
        ))
    })
}
