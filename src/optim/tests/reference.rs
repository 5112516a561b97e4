//! Every rule in f64, a weight at a time, written from the equations.

use super::super::*;

/// One weight in f64 by the equations; `s` holds what the rule remembers.
pub fn step(optimizer: &Optimizer, t: usize, lr: f64, w: f64, g: f64, s: &mut [f64; 3]) -> f64 {
    let adam = |w: f64, g: f64, betas: [f64; 2], eps: f64, amsgrad: bool, s: &mut [f64; 3]| {
        s[0] = betas[0] * s[0] + (1.0 - betas[0]) * g;
        s[1] = betas[1] * s[1] + (1.0 - betas[1]) * g * g;
        s[2] = s[2].max(s[1]);
        let v = if amsgrad { s[2] } else { s[1] };
        let (m, v) = (s[0] / (1.0 - betas[0].powi(t as i32)), v / (1.0 - betas[1].powi(t as i32)));
        w - lr * m / (v.sqrt() + eps)
    };
    match optimizer {
        Optimizer::Sgd(o) => {
            let g = g + o.weight_decay * w;
            match o.form {
                _ if o.momentum == 0.0 => return w - lr * g,
                MomentumForm::Torch if t == 1 => s[0] = g,
                MomentumForm::Torch => s[0] = o.momentum * s[0] + (1.0 - o.dampening) * g,
                MomentumForm::Velocity => {
                    s[0] = o.momentum * s[0] - lr * g;
                    return w + s[0];
                }
                MomentumForm::Average => s[0] = o.momentum * s[0] + (1.0 - o.momentum) * g,
            }
            w - lr * if o.nesterov { g + o.momentum * s[0] } else { s[0] }
        }
        Optimizer::RmsProp(o) => {
            let g = g + o.weight_decay * w;
            s[0] = o.alpha * s[0] + (1.0 - o.alpha) * g * g;
            s[1] = o.alpha * s[1] + (1.0 - o.alpha) * g;
            let mut square = s[0];
            if o.bias_correction {
                square /= 1.0 - o.alpha.powi(t as i32);
            }
            if o.centered {
                square -= s[1] * s[1];
            }
            s[2] = o.momentum * s[2] + g / (square.sqrt() + o.eps);
            w - lr * s[2]
        }
        Optimizer::NAdam(o) => {
            let (w, g) = decayed(w, g, lr, o.weight_decay, o.decoupled_weight_decay);
            let mu = |t: usize| o.betas[0] * (1.0 - 0.5 * 0.96f64.powf(t as f64 * o.momentum_decay));
            s[0] = o.betas[0] * s[0] + (1.0 - o.betas[0]) * g;
            s[1] = o.betas[1] * s[1] + (1.0 - o.betas[1]) * g * g;
            let product: f64 = (1..=t).map(mu).product();
            let d = (s[1] / (1.0 - o.betas[1].powi(t as i32))).sqrt() + o.eps;
            let m = mu(t + 1) * s[0] / (1.0 - product * mu(t + 1)) + (1.0 - mu(t)) * g / (1.0 - product);
            w - lr * m / d
        }
        Optimizer::RAdam(o) => {
            let (w, g) = decayed(w, g, lr, o.weight_decay, o.decoupled_weight_decay);
            s[0] = o.betas[0] * s[0] + (1.0 - o.betas[0]) * g;
            s[1] = o.betas[1] * s[1] + (1.0 - o.betas[1]) * g * g;
            let m = s[0] / (1.0 - o.betas[0].powi(t as i32));
            let corrected = 1.0 - o.betas[1].powi(t as i32);
            let most = 2.0 / (1.0 - o.betas[1]) - 1.0;
            let rho = most - 2.0 * t as f64 * o.betas[1].powi(t as i32) / corrected;
            if rho <= 5.0 {
                return w - lr * m;
            }
            let r = ((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)).sqrt();
            w - lr * m * r * corrected.sqrt() / (s[1].sqrt() + o.eps)
        }
        Optimizer::Adamax(o) => {
            let g = g + o.weight_decay * w;
            s[0] = o.betas[0] * s[0] + (1.0 - o.betas[0]) * g;
            s[1] = (o.betas[1] * s[1]).max(g.abs() + o.eps);
            w - lr / (1.0 - o.betas[0].powi(t as i32)) * s[0] / s[1]
        }
        Optimizer::Adagrad(o) => {
            let g = g + o.weight_decay * w;
            s[0] = if t == 1 { o.initial_accumulator_value } else { s[0] } + g * g;
            w - lr / (1.0 + (t - 1) as f64 * o.lr_decay) * g / (s[0].sqrt() + o.eps)
        }
        Optimizer::Adadelta(o) => {
            let g = g + o.weight_decay * w;
            s[0] = o.rho * s[0] + (1.0 - o.rho) * g * g;
            let delta = (s[1] + o.eps).sqrt() / (s[0] + o.eps).sqrt() * g;
            s[1] = o.rho * s[1] + (1.0 - o.rho) * delta * delta;
            w - lr * delta
        }
        Optimizer::Lion(o) => {
            let c = o.betas[0] * s[0] + (1.0 - o.betas[0]) * g;
            s[0] = o.betas[1] * s[0] + (1.0 - o.betas[1]) * g;
            let sign = if c == 0.0 { 0.0 } else { c.signum() };
            w - lr * (sign + o.weight_decay * w)
        }
        Optimizer::Lamb(_) | Optimizer::Lars(_) | Optimizer::Adafactor(_) | Optimizer::Muon(_) => {
            unreachable!("a rule of whole tensors")
        }
        Optimizer::ScheduleFreeAdamW(o) => {
            s[1] = o.betas[1] * s[1] + (1.0 - o.betas[1]) * g * g;
            let d = g / ((s[1] / (1.0 - o.betas[1].powi(t as i32))).sqrt() + o.eps) + o.weight_decay * w;
            schedule_free(t, lr, w, d, o.betas[0], (o.warmup_steps, o.r, o.weight_lr_power), s)
        }
        Optimizer::ScheduleFreeSgd(o) => {
            let d = g + o.weight_decay * w;
            schedule_free(t, lr, w, d, o.momentum, (o.warmup_steps, o.r, o.weight_lr_power), s)
        }
        Optimizer::Adam(o) => adam(w, g + o.weight_decay * w, o.betas, o.eps, o.amsgrad, s),
        Optimizer::AdamW(o) => adam(w * (1.0 - lr * o.weight_decay), g, o.betas, o.eps, o.amsgrad, s),
    }
}

/// Weight and gradient with decay in one of them.
fn decayed(w: f64, g: f64, lr: f64, decay: f64, decoupled: bool) -> (f64, f64) {
    if decoupled { (w * (1.0 - lr * decay), g) } else { (w, g + decay * w) }
}

/// y after a step along d; s[0] is z, s[2] the sum of weights. The rate is taken as if it had always been this one.
fn schedule_free(
    t: usize,
    lr: f64,
    y: f64,
    d: f64,
    beta: f64,
    (warmup, r, power): (u64, f64, f64),
    s: &mut [f64; 3],
) -> f64 {
    if t == 1 {
        s[0] = y;
    }
    let warm = if (t as u64) < warmup { t as f64 / warmup as f64 } else { 1.0 };
    let weight = (t as f64).powf(r) * warm.powf(power);
    s[2] += weight;
    let (c, lr) = (weight / s[2], lr * warm);
    let next = (1.0 - c) * y + c * s[0] + lr * (beta * (1.0 - c) - 1.0) * d;
    s[0] -= lr * d;
    next
}
