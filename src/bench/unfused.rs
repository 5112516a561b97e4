//! The same updates as a tensor library does them: one dispatch an op, over whole arrays.
//!
//! The ops are those of torch's single-tensor optimizers, in their order: `mul_`, `lerp_`, `addcmul_`, ...

use super::reference::{Settings, no_rule};
use crate::error::Result;

/// An op of `shaders/bench/elementwise.wgsl`; its number is the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// x <- x s
    Mul,
    /// x <- x + s
    Add,
    /// x <- x + s (a - x)
    Lerp,
    /// x <- x + s a
    AddScaled,
    /// x <- x + s a b
    AddProduct,
    /// x <- x + s a / b
    AddQuotient,
    /// x <- sqrt(x)
    Sqrt,
    /// x <- x a
    MulBy,
    /// x <- x / a
    DivBy,
    /// x <- max(x, a)
    Max,
    /// x <- abs(a)
    AbsOf,
    /// x <- sign(x)
    Sign,
    /// x <- s / x
    Over,
    /// x <- a + s b
    SumOf,
    /// x <- sqrt(a)
    SqrtOf,
    /// x <- a + s
    ShiftOf,
    /// x <- a s
    ScaleOf,
}

impl Op {
    /// Whether it reads x, a and b.
    pub fn reads(self) -> [bool; 3] {
        match self {
            Op::Mul | Op::Add | Op::Sqrt | Op::Sign | Op::Over => [true, false, false],
            Op::Lerp | Op::AddScaled | Op::MulBy | Op::DivBy | Op::Max => [true, true, false],
            Op::AddProduct | Op::AddQuotient => [true, true, true],
            Op::AbsOf | Op::SqrtOf | Op::ShiftOf | Op::ScaleOf => [false, true, false],
            Op::SumOf => [false, true, true],
        }
    }
}

/// An array that an op works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    Param,
    Grad,
    /// A slot by torch's name.
    Slot(&'static str),
    /// What a tensor library allocates for the time of the update.
    Temporary(usize),
}

/// One dispatch: an op, what it changes, what it reads besides, its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub op: Op,
    pub x: Array,
    pub a: Array,
    pub b: Array,
    pub s: f32,
}

impl Call {
    /// Bytes moved for each parameter.
    pub fn bytes(&self) -> u32 {
        let [x, a, b] = self.op.reads();
        let twice = b && self.a == self.b;
        4 * (1 + u32::from(x) + u32::from(a) + u32::from(b && !twice))
    }
}

/// Temporaries that the longest list needs.
pub(super) const TEMPORARIES: usize = 3;

use Array::{Grad, Param, Slot};
const DECAYED: Array = Array::Temporary(0);
const DENOM: Array = Array::Temporary(1);
const STEP: Array = Array::Temporary(2);

/// The ops of step `t`, the first being 1.
///
/// # Errors
/// An optimizer without a list here.
pub(super) fn calls(s: &Settings, t: u64) -> Result<Vec<Call>> {
    let mut list = List::default();
    let (lr, eps, decay) = (s.number("lr"), s.number("eps"), s.number("weight_decay"));
    let [beta1, beta2] = s.betas();
    let [first, second] = s.corrections(t);
    let decoupled = ["adamw", "lion"].contains(&s.name());
    let mut g = Grad;
    if decay != 0.0 && !decoupled {
        list.push(Op::SumOf, DECAYED, [Grad, Param], decay);
        g = DECAYED;
    } else if decay != 0.0 {
        list.push(Op::Mul, Param, [], 1.0 - lr * decay);
    }
    let (m, v) = (Slot("exp_avg"), Slot("exp_avg_sq"));
    match s.name() {
        "sgd" if s.number("momentum") == 0.0 => list.push(Op::AddScaled, Param, [g], -lr),
        "sgd" => {
            let b = Slot("momentum_buffer");
            list.push(Op::Mul, b, [], s.number("momentum"));
            list.push(Op::AddScaled, b, [g], 1.0 - s.number("dampening"));
            list.push(Op::AddScaled, Param, [b], -lr);
        }
        "rmsprop" => {
            let v = Slot("square_avg");
            list.square_average(v, g, s.number("alpha"));
            list.push(Op::SqrtOf, DENOM, [v], 0.0);
            list.push(Op::Add, DENOM, [], eps);
            list.push(Op::AddQuotient, Param, [g, DENOM], -lr);
        }
        "adam" | "adamw" => {
            list.push(Op::Lerp, m, [g], 1.0 - beta1);
            list.square_average(v, g, beta2);
            list.push(Op::SqrtOf, DENOM, [v], 0.0);
            list.push(Op::Mul, DENOM, [], 1.0 / second.sqrt());
            list.push(Op::Add, DENOM, [], eps);
            list.push(Op::AddQuotient, Param, [m, DENOM], -lr / first);
        }
        "nadam" => {
            let [mu, next, product] = s.nesterov(t);
            list.push(Op::Lerp, m, [g], 1.0 - beta1);
            list.square_average(v, g, beta2);
            list.push(Op::ScaleOf, DENOM, [v], 1.0 / second);
            list.push(Op::Sqrt, DENOM, [], 0.0);
            list.push(Op::Add, DENOM, [], eps);
            list.push(Op::AddQuotient, Param, [g, DENOM], -lr * (1.0 - mu) / (1.0 - product));
            list.push(Op::AddQuotient, Param, [m, DENOM], -lr * next / (1.0 - product * next));
        }
        "radam" => {
            list.push(Op::Lerp, m, [g], 1.0 - beta1);
            list.square_average(v, g, beta2);
            list.push(Op::ScaleOf, STEP, [m], 1.0 / first);
            list.push(Op::Mul, STEP, [], lr);
            if let Some(r) = s.rectification(t) {
                list.push(Op::SqrtOf, DENOM, [v], 0.0);
                list.push(Op::Add, DENOM, [], eps);
                list.push(Op::Over, DENOM, [], second.sqrt());
                list.push(Op::MulBy, STEP, [DENOM], 0.0);
                list.push(Op::Mul, STEP, [], r);
            }
            list.push(Op::AddScaled, Param, [STEP], -1.0);
        }
        "adamax" => {
            let u = Slot("exp_inf");
            list.push(Op::Lerp, m, [g], 1.0 - beta1);
            list.push(Op::Mul, u, [], beta2);
            list.push(Op::AbsOf, DENOM, [g], 0.0);
            list.push(Op::Add, DENOM, [], eps);
            list.push(Op::Max, u, [DENOM], 0.0);
            list.push(Op::AddQuotient, Param, [m, u], -lr / first);
        }
        "adagrad" => {
            let sum = Slot("sum");
            list.push(Op::AddProduct, sum, [g, g], 1.0);
            list.push(Op::SqrtOf, DENOM, [sum], 0.0);
            list.push(Op::Add, DENOM, [], eps);
            let rate = lr / (1.0 + (t - 1) as f64 * s.number("lr_decay"));
            list.push(Op::AddQuotient, Param, [g, DENOM], -rate);
        }
        "adadelta" => {
            let (v, last) = (Slot("square_avg"), Slot("acc_delta"));
            list.square_average(v, g, s.number("rho"));
            list.push(Op::ShiftOf, DENOM, [v], eps);
            list.push(Op::Sqrt, DENOM, [], 0.0);
            list.push(Op::ShiftOf, STEP, [last], eps);
            list.push(Op::Sqrt, STEP, [], 0.0);
            list.push(Op::DivBy, STEP, [DENOM], 0.0);
            list.push(Op::MulBy, STEP, [g], 0.0);
            list.square_average(last, STEP, s.number("rho"));
            list.push(Op::AddScaled, Param, [STEP], -lr);
        }
        "lion" => {
            list.push(Op::ScaleOf, STEP, [m], beta1);
            list.push(Op::AddScaled, STEP, [g], 1.0 - beta1);
            list.push(Op::Sign, STEP, [], 0.0);
            list.push(Op::AddScaled, Param, [STEP], -lr);
            list.push(Op::Mul, m, [], beta2);
            list.push(Op::AddScaled, m, [g], 1.0 - beta2);
        }
        other => return Err(no_rule(other)),
    }
    Ok(list.calls)
}

#[derive(Default)]
struct List {
    calls: Vec<Call>,
}

impl List {
    /// What an op does not read is x's own name: nothing is bound for it.
    fn push<const N: usize>(&mut self, op: Op, x: Array, read: [Array; N], s: f64) {
        let at = |i: usize| read.get(i).copied().unwrap_or(x);
        self.calls.push(Call { op, x, a: at(0), b: at(1), s: s as f32 });
    }

    /// v <- beta v + (1 - beta) g g
    fn square_average(&mut self, v: Array, g: Array, beta: f64) {
        self.push(Op::Mul, v, [], beta);
        self.push(Op::AddProduct, v, [g, g], 1.0 - beta);
    }
}
