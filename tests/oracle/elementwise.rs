//! Elementwise ops of one, two and three arguments, with NumPy broadcasting.

use super::{Array, broadcast_shape, erf::erf, view::broadcast_to};
use std::f64::consts::PI;

pub fn zip(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Array {
    let shape = broadcast_shape(&a.shape, &b.shape)
        .unwrap_or_else(|| panic!("{:?} and {:?} do not broadcast", a.shape, b.shape));
    let (a, b) = (broadcast_to(a, &shape), broadcast_to(b, &shape));
    Array::new(&shape, a.data.iter().zip(&b.data).map(|(&x, &y)| f(x, y)).collect())
}

/// a where cond ≠ 0, else b.
pub fn select(cond: &Array, a: &Array, b: &Array) -> Array {
    let shape = broadcast_shape(&cond.shape, &a.shape).and_then(|s| broadcast_shape(&s, &b.shape));
    let shape = shape.expect("three shapes that broadcast");
    let (cond, a, b) = (broadcast_to(cond, &shape), broadcast_to(a, &shape), broadcast_to(b, &shape));
    let pick = |i: usize| if cond.data[i] != 0.0 { a.data[i] } else { b.data[i] };
    Array::new(&shape, (0..cond.len()).map(pick).collect())
}

/// 1 where the relation holds, else 0.
pub fn compare(a: &Array, b: &Array, relation: impl Fn(f64, f64) -> bool) -> Array {
    zip(a, b, |x, y| if relation(x, y) { 1.0 } else { 0.0 })
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn relu(x: f64) -> f64 {
    if x > 0.0 { x } else { 0.0 }
}

pub fn leaky_relu(x: f64, slope: f64) -> f64 {
    if x > 0.0 { x } else { slope * x }
}

pub fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

pub fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

/// x Φ(x), exact.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt()))
}

/// torch's `gelu(approximate="tanh")`.
pub fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

/// torch's: log(1 + e^{βx}) / β, and x itself where βx > threshold.
pub fn softplus(x: f64, beta: f64, threshold: f64) -> f64 {
    if beta * x > threshold { x } else { (beta * x).exp().ln_1p() / beta }
}

pub fn clamp(x: f64, min: f64, max: f64) -> f64 {
    if x < min {
        min
    } else if x > max {
        max
    } else {
        x
    }
}
