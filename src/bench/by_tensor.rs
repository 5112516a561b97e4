//! Updates that look at whole tensors, as a tensor library does them. Optimizers that torch lacks are built from its
//! ops. Norms stay on the device; in torch's Adafactor the host waits for them.

use super::list::Array::{self, Grad, Param, Slot};
use super::list::{COL_VAR, DENOM, List, Number, Op, ROW_VAR, STEP};
use crate::check::Settings;
use crate::error::Result;
use crate::graph::Tensor;

/// The shape of a number.
const ONE: [usize; 2] = [1, 1];

/// Appends the ops of step `t`. `g` is the gradient, including decay where the optimizer adds decay to it. Returns
/// false for an optimizer without a list here.
///
/// # Errors
/// A shape that an op does not take.
pub(super) fn ops(s: &Settings, t: u64, g: Array, list: &mut List) -> Result<bool> {
    match s.name() {
        "lamb" => lamb(s, t, list)?,
        "lars" => lars(s, g, list)?,
        "adafactor" => adafactor(s, t, list)?,
        "muon" => muon(s, list)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// ‖x‖ over the tensor.
fn norm(list: &mut List, x: Array) -> Result<Array> {
    let shape = list.shape;
    list.make([(x, shape)], |[x]| x.square().sum(&[0, 1], true).sqrt())
}

/// `value` where both norms are above 0, else `other`.
fn unless_zero(a: &Tensor, b: &Tensor, value: &Tensor, other: f32) -> Tensor {
    let graph = a.graph();
    let zero = graph.constant(0.0);
    a.gt(&zero).mul(&b.gt(&zero)).select(value, &graph.constant(other))
}

fn lamb(s: &Settings, t: u64, list: &mut List) -> Result<()> {
    let ([beta1, beta2], [first, second]) = (s.betas(), s.corrections(t));
    let (m, v, lr) = (Slot("exp_avg"), Slot("exp_avg_sq"), s.number("lr"));
    list.push(Op::Lerp, m, [Grad], 1.0 - beta1);
    list.square_average(v, Grad, beta2);
    list.push(Op::SqrtOf, DENOM, [v], 0.0);
    list.push(Op::Mul, DENOM, [], 1.0 / second.sqrt());
    list.push(Op::Add, DENOM, [], s.number("eps"));
    list.push(Op::ScaleOf, STEP, [m], 1.0 / first);
    list.push(Op::DivBy, STEP, [DENOM], 0.0);
    list.push(Op::AddScaled, STEP, [Param], s.number("weight_decay"));
    let (of_w, of_u) = (norm(list, Param)?, norm(list, STEP)?);
    let rate = list.make([(of_w, ONE), (of_u, ONE)], |[w, u]| {
        unless_zero(&w, &u, &w.div(&u), 1.0).mul_scalar(-lr as f32)
    })?;
    list.call(Op::AddScaled, Param, [STEP], Number::Of(rate));
    Ok(())
}

fn lars(s: &Settings, g: Array, list: &mut List) -> Result<()> {
    let (b, momentum) = (Slot("momentum_buffer"), s.number("momentum"));
    let (trust, eps) = (s.number("trust_coefficient") as f32, s.number("eps") as f32);
    let (of_w, of_g) = (norm(list, Param)?, norm(list, g)?);
    let rate = list.make([(of_w, ONE), (of_g, ONE)], |[w, g]| {
        unless_zero(&w, &g, &w.mul_scalar(trust).div(&g.add_scalar(eps)), 1.0)
    })?;
    list.call(Op::ScaleOf, STEP, [g], Number::Of(rate));
    list.push(Op::Mul, b, [], momentum);
    list.push(Op::AddScaled, b, [STEP], 1.0 - s.number("dampening"));
    list.push(Op::AddScaled, Param, [b], -s.number("lr"));
    Ok(())
}

fn adafactor(s: &Settings, t: u64, list: &mut List) -> Result<()> {
    let [rows, columns] = list.shape;
    let ([rho, weight], [eps, least]) = (s.relative(t), s.numbers("eps"));
    let root = ((rows * columns) as f64).sqrt();
    let of_w = norm(list, Param)?;
    list.push(Op::Mul, Param, [], 1.0 - s.number("lr") * s.number("weight_decay"));
    for (slot, axis, count) in [(ROW_VAR, 1, columns), (COL_VAR, 0, rows)] {
        let mean = list.make([(Grad, [rows, columns])], |[g]| g.square().sum(&[axis], true).sqrt())?;
        list.push(Op::Square, mean, [], 0.0);
        list.push(Op::Div, mean, [], count as f64);
        list.push(Op::Lerp, Slot(slot), [mean], weight);
    }
    let (row, column) = ((Slot(ROW_VAR), [rows, 1]), (Slot(COL_VAR), [1, columns]));
    let v = list.make([row, column], |[r, c]| r.matmul(&c))?;
    let mean = list.make([row], |[r]| r.mean(&[0, 1], true).clamp(eps as f32, f32::MAX))?;
    list.call(Op::Div, v, [], Number::Of(mean));
    list.push(Op::AtLeast, v, [], eps * eps);
    list.push(Op::OverRoot, v, [], 0.0);
    list.push(Op::MulBy, v, [Grad], 0.0);
    let of_u = norm(list, v)?;
    let largest = (1.0 / (root * s.number("d"))) as f32;
    let rate = list.make([(of_w, ONE), (of_u, ONE)], |[w, u]| {
        let size = w.mul_scalar((1.0 / root) as f32).clamp(least as f32, f32::MAX);
        size.mul_scalar(-rho as f32).div(&u.mul_scalar(largest).clamp(1.0, f32::MAX))
    })?;
    list.call(Op::AddScaled, Param, [v], Number::Of(rate));
    Ok(())
}

/// As in torch, where a product plus an addend is one op, `addmm`.
fn muon(s: &Settings, list: &mut List) -> Result<()> {
    let shape @ [rows, columns] = list.shape;
    let (buffer, momentum, lr) = (Slot("momentum_buffer"), s.number("momentum"), s.number("lr"));
    let [a, b, c] = s.numbers("ns_coefficients").map(|c| c as f32);
    list.push(Op::Lerp, buffer, [Grad], 1.0 - momentum);
    list.push(Op::LerpOf, STEP, [Grad, buffer], momentum);
    let size = norm(list, STEP)?;
    list.push(Op::AtLeast, size, [], s.number("eps"));
    list.call(Op::Div, STEP, [], Number::Of(size));
    let side = rows.min(columns);
    // A tensor library reuses the memory that it has freed.
    let [gram, blend, mut next] = [side * side, side * side, rows * columns].map(|n| list.temporary(n));
    let mut x = STEP;
    for _ in 0..s.whole("ns_steps") {
        let tall = rows > columns;
        list.make_in(gram, [(x, shape)], |[x]| {
            let transposed = x.transpose(0, 1);
            if tall { transposed.matmul(&x) } else { x.matmul(&transposed) }
        })?;
        let square = [side, side];
        list.make_in(blend, [(gram, square)], |[gram]| {
            gram.matmul(&gram).mul_scalar(c).add(&gram.mul_scalar(b))
        })?;
        list.make_in(next, [(x, shape), (blend, square)], |[x, blend]| {
            let moved = if tall { x.matmul(&blend) } else { blend.matmul(&x) };
            moved.add(&x.mul_scalar(a))
        })?;
        (x, next) = (next, x);
    }
    list.push(Op::Mul, Param, [], 1.0 - lr * s.number("weight_decay"));
    list.push(Op::AddScaled, Param, [x], -lr * s.factor(rows, columns));
    Ok(())
}
