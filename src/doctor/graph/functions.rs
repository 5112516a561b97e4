//! Functions of one and two numbers, with bounds of the f32 rounding error.
//!
//! A bound in units counts the roundings on the way to the result as `shaders/shared/math.wgsl` computes it, each a unit
//! of its own term, over the result: WGSL lets sums and products be either neighbour, and a division 2.5 units off.

use crate::check::Near;
use crate::graph::{Binary, Unary};

/// Polynomial in r, |r| < 0.35: 1 + r + r²·p, the last sum a unit of 1.42, the one before of 0.35, r itself of 0.4;
/// over the least result, 0.7, that is 4, and the polynomial's own error 1.
const EXP: f64 = 6.0;
/// ln m and e·ln 2 cancel just below √½. Their units there are of 0.69 and 0.35, over 0.35.
const LOG: f64 = 8.0;
/// x − (x²/2 − s·(x²/2 + R)): a unit each of x²/2, of s·(..), of their difference and of the result, and the division,
/// terms of at most a half, over at least x·ln 2.
const LOG1P: f64 = 6.0;
/// The rest after multiples of π/2 is 3 units off; the polynomial ends in a sum, and a product before.
const SINE: f64 = 6.0;
/// The exponential, and its argument: three roundings of at most a half.
const POW: f64 = EXP + 3.0;
/// 1 − 2/(e²ᵃ + 1) from a = 0.625 on: exponential, sum, division, 10 units of 0.45 and one of 1, over 0.55.
const TANH: f64 = 12.0;
/// Twice the exponential (above and below the line), a sum, a division, a sum.
const SIGMOID: f64 = 2.0 * EXP + 5.0;
/// Below 1 a sum of terms that come to 1.65, three units each, over 0.84; above, 1 less a tail of at most 0.16.
const ERF: f64 = 10.0;
/// e^x − 1 where x < −0.35: the units of the exponential, of 0.7, and one more, over 0.29.
const EXPM1: f64 = 18.0;

/// f(x) for a monotone f that is computed to `units` units.
fn monotone(x: Near, units: f64, f: impl Fn(f64) -> f64) -> Near {
    let value = f(x.value);
    let spread = |end: f64| (f(end) - value).abs();
    Near::rounded(value, spread(x.value - x.bound).max(spread(x.value + x.bound)), units)
}

/// e^x
pub(super) fn exp(x: Near) -> Near {
    monotone(x, EXP, f64::exp)
}

/// ln x
pub(super) fn log(x: Near) -> Near {
    monotone(x, LOG, f64::ln)
}

/// The error function: 2/√π e^(−x²) Σ 2ⁿ x^(2n+1)/(2n+1)!!, whose terms have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// a^b = 2^(b log₂ a), the logarithm and the product in two parts each, so that large exponents lose nothing.
fn pow(a: Near, b: Near) -> Near {
    let value = a.value.powf(b.value);
    let size = a.value.abs();
    let of_inputs = b.value.abs() * a.bound / (size - a.bound) + size.ln().abs() * b.bound;
    Near::rounded(value, value.abs() * of_inputs, POW)
}

/// The branch taken. Where that is not sure, the bound includes the other branch.
fn either(taken: Near, other: Near, sure: bool) -> Near {
    if sure {
        return taken;
    }
    let apart = (taken.value - other.value).abs();
    Near { value: taken.value, bound: taken.bound.max(other.bound + apart) }
}

/// The first is true where x is above `bound`. The second is true where the error of x cannot change that.
fn above(x: Near, bound: f64) -> (bool, bool) {
    (x.value > bound, x.bound == 0.0 || (x.value - bound).abs() > x.bound)
}

/// f(x)
pub(super) fn unary(op: Unary, x: Near) -> Near {
    let (one, zero) = (Near::exact(1.0), Near::exact(0.0));
    match op {
        Unary::Neg => Near { value: -x.value, bound: x.bound },
        Unary::Exp => exp(x),
        Unary::Log => log(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Recip => one / x,
        Unary::Abs => x.abs(),
        Unary::Sign => x.sign(),
        Unary::Sin => Near::rounded(x.value.sin(), x.bound, SINE),
        Unary::Cos => Near::rounded(x.value.cos(), x.bound, SINE),
        Unary::Tanh => monotone(x, TANH, f64::tanh),
        Unary::Sigmoid => monotone(x, SIGMOID, |x| 1.0 / (1.0 + (-x).exp())),
        Unary::Erf => monotone(x, ERF, erf),
        Unary::Relu => x.max(zero),
        Unary::LeakyRelu(slope) => {
            let (positive, sure) = above(x, 0.0);
            let sloped = x * Near::exact(slope.get());
            if positive { either(x, sloped, sure) } else { either(sloped, x, sure) }
        }
        Unary::Elu(alpha) => {
            let (positive, sure) = above(x, 0.0);
            let below = Near::exact(alpha.get()) * monotone(x, EXPM1, |x| x.min(0.0).exp_m1());
            if positive { either(x, below, sure) } else { either(below, x, sure) }
        }
        Unary::Softplus(beta, threshold) => {
            let beta = Near::exact(beta.get());
            let s = x * beta;
            let tail = monotone(exp(unary(Unary::Neg, s.abs())), LOG1P, f64::ln_1p);
            let soft = (s.max(zero) + tail) / beta;
            let (past, sure) = above(s, f64::from(threshold.get()));
            if past { either(x, soft, sure) } else { either(soft, x, sure) }
        }
        Unary::PowConst(c) => match c.get() {
            3.0 => x * x * x,
            4.0 => (x * x) * (x * x),
            -2.0 => one / (x * x),
            -0.5 => one / x.sqrt(),
            c => pow(x, Near::exact(c)),
        },
        Unary::ToF32 => x,
        Unary::ToI32 => {
            Near { value: x.value.trunc(), bound: if x.bound == 0.0 { 0.0 } else { x.bound + 1.0 } }
        }
    }
}

/// f(a, b)
pub(super) fn binary(op: Binary, a: Near, b: Near) -> Near {
    let (x, y) = (a.value, b.value);
    let told = |holds: bool| {
        let open = a.bound + b.bound;
        Near {
            value: f64::from(u8::from(holds)),
            bound: if open > 0.0 && (x - y).abs() <= open { 1.0 } else { 0.0 },
        }
    };
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => pow(a, b),
        Binary::Min => Near { value: x.min(y), bound: a.bound.max(b.bound) },
        Binary::Max => a.max(b),
        Binary::Eq => told(x == y),
        Binary::Ne => told(x != y),
        Binary::Lt => told(x < y),
        Binary::Le => told(x <= y),
        Binary::Gt => told(x > y),
        Binary::Ge => told(x >= y),
    }
}

/// a where c is not 0, else b.
pub(super) fn select(c: Near, a: Near, b: Near) -> Near {
    let sure = c.bound == 0.0 || c.value.abs() > c.bound;
    if c.value != 0.0 { either(a, b, sure) } else { either(b, a, sure) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_has_its_known_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, want) in [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
            assert!((erf(x) - want).abs() < 1e-10 && (erf(-x) + want).abs() < 1e-10, "{x}: {}", erf(x));
        }
    }

    #[test]
    fn what_is_open_has_both_ends_in_its_bound() {
        let near = |value, bound| Near { value, bound };
        assert_eq!(binary(Binary::Lt, near(1.0, 0.1), near(1.05, 0.0)).bound, 1.0);
        assert_eq!(binary(Binary::Lt, near(1.0, 0.0), near(1.0, 0.0)), near(0.0, 0.0));
        assert_eq!(select(near(0.5, 0.5), near(3.0, 0.1), near(1.0, 0.2)), near(3.0, 2.2));
        assert_eq!(select(near(1.0, 0.0), near(3.0, 0.1), near(1.0, 0.2)), near(3.0, 0.1));
    }
}
