//! The same updates as a tensor library does them: one dispatch an op, over whole arrays.
//!
//! The ops are those of torch's single-tensor optimizers, in their order: `mul_`, `lerp_`, `addcmul_`, ...

use super::by_tensor;
use super::list::Array::{self, Grad, Param, Slot};
use super::list::{DECAYED, DENOM, List, Op, STEP};
use crate::check::Settings;
use crate::error::Result;
use crate::kernel::Target;

/// The ops of step `t`, the first being 1, for tensors of `shape`. `None` for an optimizer without a list here: it is not
/// compared with a tensor library.
///
/// # Errors
/// A shape that an op does not take.
pub(super) fn ops(s: &Settings, t: u64, shape: [usize; 2], target: Target) -> Result<Option<List>> {
    let mut list = List::new(shape, target);
    let (lr, eps, decay) = (s.number("lr"), s.number("eps"), s.number("weight_decay"));
    let [beta1, beta2] = s.betas();
    let [first, second] = s.corrections(t);
    let mut g = Grad;
    match s.name() {
        _ if decay == 0.0 => {}
        "adamw" | "lion" => list.push(Op::Mul, Param, [], 1.0 - lr * decay),
        // These have decay in a place of their own.
        "schedule_free_adamw" | "lamb" | "adafactor" | "muon" => {}
        _ => {
            list.push(Op::SumOf, DECAYED, [Grad, Param], decay);
            g = DECAYED;
        }
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
        "schedule_free_adamw" => {
            list.square_average(v, g, beta2);
            list.push(Op::ScaleOf, DENOM, [v], 1.0 / second);
            list.push(Op::Sqrt, DENOM, [], 0.0);
            list.push(Op::Add, DENOM, [], eps);
            list.push(Op::QuotientOf, STEP, [g, DENOM], 0.0);
            if decay != 0.0 {
                list.push(Op::AddScaled, STEP, [Param], decay);
            }
            free(&mut list, s.share(t), STEP, beta1);
        }
        "schedule_free_sgd" => free(&mut list, s.share(t), g, s.number("momentum")),
        _ if by_tensor::ops(s, t, g, &mut list)? => {}
        _ => return Ok(None),
    }
    Ok(Some(list))
}

/// Schedule-free's step along `d`.
fn free(list: &mut List, [rate, share]: [f64; 2], d: Array, beta: f64) {
    let z = Slot("z");
    list.push(Op::Lerp, Param, [z], share);
    list.push(Op::AddScaled, Param, [d], rate * (beta * (1.0 - share) - 1.0));
    list.push(Op::AddScaled, z, [d], -rate);
}
