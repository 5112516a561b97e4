//! Losses: scalar means over the batch, in the forms that do not overflow.

use crate::graph::{CrossEntropyAttrs, Tensor};

/// Options of [`cross_entropy`]; torch's names and defaults, but that nothing is ignored unless asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CrossEntropy {
    /// Weight of the uniform distribution in the target, 0 to 1.
    pub label_smoothing: f32,
    /// Rows with this target count neither in the sum nor in the mean.
    pub ignore_index: Option<i32>,
}

/// Softmax cross-entropy of logits [n, classes] against integer targets [n].
///
/// mean over rows of (1 − s)·(lse − xₜ) + s·(lse − mean x), lse = log Σ eˣ. One kernel makes the losses and the
/// gradient; probabilities are never stored. Source: `torch.nn.functional.cross_entropy`.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor, options: &CrossEntropy) -> Tensor {
    if !(0.0..=1.0).contains(&options.label_smoothing) {
        return logits.fail(format!("label_smoothing = {}: from 0 to 1", options.label_smoothing));
    }
    let attrs = CrossEntropyAttrs {
        label_smoothing: options.label_smoothing.into(),
        ignore_index: options.ignore_index,
    };
    match options.ignore_index {
        None => logits.cross_entropy_rows(targets, attrs).mean_all(),
        Some(ignored) => {
            let kept = targets.ne_i32(ignored).sum_all();
            logits.cross_entropy_rows(targets, attrs).sum_all().div(&kept)
        }
    }
}

/// mean (a − b)²
pub fn mse(a: &Tensor, b: &Tensor) -> Tensor {
    same(a, b, "mse").unwrap_or_else(|| a.sub(b).square().mean_all())
}

/// mean |a − b|
pub fn l1(a: &Tensor, b: &Tensor) -> Tensor {
    same(a, b, "l1").unwrap_or_else(|| a.sub(b).abs().mean_all())
}

/// mean of d²/2 where |d| < delta, else delta·(|d| − delta/2), d = a − b.
pub fn huber(a: &Tensor, b: &Tensor, delta: f32) -> Tensor {
    if !(delta > 0.0 && delta.is_finite()) {
        return a.fail(format!("huber delta = {delta}: a number above 0"));
    }
    same(a, b, "huber").unwrap_or_else(|| {
        // With c = d clamped to ±delta both branches are c (d − c/2).
        let d = a.sub(b);
        let c = d.clamp(-delta, delta);
        c.mul(&d.sub(&c.mul_scalar(0.5))).mean_all()
    })
}

/// mean of max(x, 0) − x·t + log(1 + e^(−|x|)), x the logits and t in [0, 1].
pub fn bce_with_logits(logits: &Tensor, targets: &Tensor) -> Tensor {
    // max(x, 0) + log(1 + e^(−|x|)) is softplus(x), whose derivative is smooth at 0; it never switches to x.
    same(logits, targets, "bce_with_logits")
        .unwrap_or_else(|| logits.softplus(1.0, f32::MAX).sub(&logits.mul(targets)).mean_all())
}

/// An error where the shapes differ: a broadcast loss is a mistake more often than a wish.
fn same(a: &Tensor, b: &Tensor, name: &str) -> Option<Tensor> {
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
