//! The functions of one and two elements as WGSL.
//!
//! WGSL leaves the accuracy of `exp`, `log`, `tanh`, `sin`, `cos` and `pow` to the adapter, which may be off by many ulp.
//! `shaders/shared/math.wgsl` has functions of our own for these and for `erf`, made of arithmetic alone. So the accuracy
//! is the same on every adapter, and the tests can ask for equality with PyTorch.

use crate::graph::{Binary, Unary};

/// A float as a WGSL literal. NaN and infinities are made of bits that the compiler does not fold.
pub fn literal(x: f32) -> String {
    if x.abs() == f32::MAX {
        // The shortest decimal that reads as the largest f32, 3.4028235e38, is beyond it, and browsers refuse such a text.
        format!("{:?}f", f64::from(x))
    } else if x.is_finite() {
        format!("{x:?}f")
    } else if x.is_nan() {
        "bitcast<f32>(nan_bits)".into()
    } else {
        format!("{}bitcast<f32>(infinity_bits)", if x < 0.0 { "-" } else { "" })
    }
}

/// Rough cost of a function in floating-point operations.
pub fn unary_cost(op: Unary) -> u64 {
    match op {
        Unary::Neg | Unary::Abs | Unary::Sign | Unary::Relu | Unary::LeakyRelu(_) => 1,
        Unary::ToF32 | Unary::ToI32 => 1,
        Unary::Sqrt | Unary::Recip => 2,
        _ => 8,
    }
}

/// f(x)
pub fn unary(op: Unary, x: &str) -> String {
    match op {
        Unary::Neg => format!("-({x})"),
        Unary::Exp => format!("exp_({x})"),
        Unary::Log => format!("log_({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Recip => format!("1.0f / {x}"),
        Unary::Abs => format!("abs({x})"),
        Unary::Sign => format!("sign({x})"),
        Unary::Sin => format!("sin_({x})"),
        Unary::Cos => format!("cos_({x})"),
        Unary::Tanh => format!("tanh_({x})"),
        Unary::Sigmoid => format!("sigmoid({x})"),
        Unary::Erf => format!("erf({x})"),
        Unary::Relu => format!("select({x}, 0.0f, {x} <= 0.0f)"),
        Unary::LeakyRelu(s) => format!("select({x} * {}, {x}, {x} > 0.0f)", literal(s.get())),
        Unary::Elu(a) => format!("elu({x}, {})", literal(a.get())),
        Unary::Softplus(b, t) => format!("softplus({x}, {}, {})", literal(b.get()), literal(t.get())),
        Unary::PowConst(c) => match c.get() {
            3.0 => format!("{x} * {x} * {x}"),
            4.0 => format!("({x} * {x}) * ({x} * {x})"),
            -2.0 => format!("1.0f / ({x} * {x})"),
            -0.5 => format!("1.0f / sqrt({x})"),
            c => format!("pow_({x}, {})", literal(c)),
        },
        Unary::ToF32 => format!("f32({x})"),
        Unary::ToI32 => format!("i32({x})"),
    }
}

/// f(a, b)
pub fn binary(op: Binary, a: &str, b: &str) -> String {
    let compare = |sign: &str| format!("select(0.0f, 1.0f, {a} {sign} {b})");
    match op {
        Binary::Add => format!("{a} + {b}"),
        Binary::Sub => format!("{a} - {b}"),
        Binary::Mul => format!("{a} * {b}"),
        Binary::Div => format!("{a} / {b}"),
        Binary::Pow => format!("pow_({a}, {b})"),
        Binary::Min => format!("minimum({a}, {b})"),
        Binary::Max => format!("maximum({a}, {b})"),
        Binary::Eq => compare("=="),
        Binary::Ne => compare("!="),
        Binary::Lt => compare("<"),
        Binary::Le => compare("<="),
        Binary::Gt => compare(">"),
        Binary::Ge => compare(">="),
    }
}

#[cfg(test)]
mod tests {
    use super::literal;

    #[test]
    fn a_literal_is_no_larger_than_its_number() {
        for x in [f32::MAX, -f32::MAX, 1.0, -0.1, 1e-45, 3.402_823_3e38] {
            let text = literal(x);
            let number: f64 = text.trim_end_matches('f').parse().expect("a number");
            assert_eq!((number as f32).to_bits(), x.to_bits(), "{text}");
            assert!(number.abs() <= f64::from(f32::MAX), "{text}");
        }
    }
}
