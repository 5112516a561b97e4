//! Losses by torch's definitions, each a scalar mean.

use super::{Array, elementwise::zip, reduce};

/// Mean over the rows whose target is not `ignore_index` of
/// (1 − ε)·(−log p_target) + ε/C · Σ_c (−log p_c), with p the softmax of the row. ε = label smoothing.
pub fn cross_entropy(
    logits: &Array,
    targets: &Array,
    label_smoothing: f64,
    ignore_index: Option<i64>,
) -> Array {
    let [rows, classes] = logits.shape[..] else { panic!("logits of shape {:?}", logits.shape) };
    let log_p = reduce::log_softmax(logits, &[-1]);
    let mut total = 0.0;
    let mut valid = 0.0;
    for row in 0..rows {
        if ignore_index.is_some_and(|ignored| targets.data[row] == ignored as f64) {
            continue;
        }
        let target = targets.index_at(&[row], classes);
        let everywhere: f64 = (0..classes).map(|class| -log_p.at(&[row, class])).sum();
        total += (1.0 - label_smoothing) * -log_p.at(&[row, target]);
        total += label_smoothing / classes as f64 * everywhere;
        valid += 1.0;
    }
    assert!(valid > 0.0, "every target is ignored: the mean is not defined");
    Array::scalar(total / valid)
}

pub fn mse(a: &Array, b: &Array) -> Array {
    reduce::mean(&zip(a, b, |x, y| (x - y) * (x - y)), &[], false)
}

pub fn l1(a: &Array, b: &Array) -> Array {
    reduce::mean(&zip(a, b, |x, y| (x - y).abs()), &[], false)
}

/// ½d² for |d| ≤ δ, else δ(|d| − ½δ).
pub fn huber(a: &Array, b: &Array, delta: f64) -> Array {
    let point = |x: f64, y: f64| {
        let d = (x - y).abs();
        if d <= delta { 0.5 * d * d } else { delta * (d - 0.5 * delta) }
    };
    reduce::mean(&zip(a, b, point), &[], false)
}

/// −t log σ(x) − (1 − t) log(1 − σ(x)), with −log σ(x) = log(1 + e^{−x}).
pub fn bce_with_logits(logits: &Array, targets: &Array) -> Array {
    let point = |x: f64, t: f64| t * (-x).exp().ln_1p() + (1.0 - t) * x.exp().ln_1p();
    reduce::mean(&zip(logits, targets, point), &[], false)
}
