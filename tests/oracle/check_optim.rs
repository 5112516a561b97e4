//! The update rules against closed forms and against each other.

use crate::{
    assert_close,
    oracle::{
        draw::{rng_of, uniform},
        optim::{ADAM, ADAMW, Adam, Form, OptimOracle, RMSPROP, RmsProp, Rule, SGD, Sgd},
    },
};

const STEPS: usize = 30;
const COUNT: usize = 7;

/// Gradients of both signs and uneven size.
fn gradients() -> Vec<Vec<f64>> {
    let mut rng = rng_of("gradients of the optimizer identities", 0);
    (0..STEPS)
        .map(|t| uniform(&mut rng, &[COUNT], -1.0, 1.0).map(|g| g * (t as f64).sin().exp()).data)
        .collect()
}

/// The parameters after each step; `lr` overrides the learning rate of step i.
fn trace(rule: Rule, gradients: &[Vec<f64>], lr: impl Fn(usize) -> Option<f64>) -> Vec<Vec<f64>> {
    let mut w: Vec<f64> = (0..COUNT).map(|i| i as f64 / 3.0 - 1.0).collect();
    let mut oracle = OptimOracle::new(rule, COUNT);
    let step = |(i, g): (usize, &Vec<f64>)| {
        if let Some(lr) = lr(i) {
            *oracle.rule.lr_mut() = lr;
        }
        oracle.step(&mut w, g);
        w.clone()
    };
    gradients.iter().enumerate().map(step).collect()
}

fn constant(_: usize) -> Option<f64> {
    None
}

fn max_diff(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// One parameter at 1, one gradient for each step: its values.
fn single(rule: Rule, gradients: &[f64]) -> Vec<f64> {
    let mut w = [1.0];
    let mut oracle = OptimOracle::new(rule, 1);
    let step = |&g: &f64| {
        oracle.step(&mut w, &[g]);
        w[0]
    };
    gradients.iter().map(step).collect()
}

fn momentum(form: Form, lr: f64) -> Rule {
    Rule::Sgd(Sgd { lr, momentum: 0.875, form, weight_decay: 0.01, ..SGD })
}

#[test]
fn velocity_is_torchs_momentum_at_a_constant_rate_only() {
    let [torch, velocity] = [Form::Torch, Form::Velocity].map(|form| momentum(form, 0.05));
    let g = gradients();
    assert!(max_diff(&trace(torch, &g, constant), &trace(velocity, &g, constant)) <= 1e-14);
    let decaying = |i| Some(0.05 * 0.9_f64.powi(i as i32));
    assert!(max_diff(&trace(torch, &g, decaying), &trace(velocity, &g, decaying)) > 1e-3);
}

#[test]
fn average_at_a_rate_divided_by_one_minus_momentum_is_velocity() {
    let (velocity, average) = (momentum(Form::Velocity, 0.05), momentum(Form::Average, 0.05 / 0.125));
    let g = gradients();
    assert!(max_diff(&trace(velocity, &g, constant), &trace(average, &g, constant)) <= 1e-13);
}

#[test]
fn average_is_not_torchs_dampening() {
    let dampened = Rule::Sgd(Sgd { lr: 0.5, momentum: 0.75, dampening: 0.75, ..SGD });
    let average = Rule::Sgd(Sgd { lr: 0.5, momentum: 0.75, form: Form::Average, ..SGD });
    assert_eq!(single(dampened, &[1.0]), [0.5]); // the first step takes g whole
    assert_eq!(single(average, &[1.0]), [0.875]);
}

#[test]
fn sgd_by_hand() {
    let plain = Rule::Sgd(Sgd { lr: 0.5, weight_decay: 0.25, ..SGD });
    // 1 − ½(1 + ¼) = 3/8, and 3/8 − ½(−1 + 3/32) = 53/64
    assert_eq!(single(plain, &[1.0, -1.0]), [0.375, 0.828_125]);
    let torch = Rule::Sgd(Sgd { lr: 0.5, momentum: 0.5, dampening: 0.25, ..SGD });
    // b = 1, then ½ + ¾ = 1¼, then ⅝ + 0
    assert_eq!(single(torch, &[1.0, 1.0, 0.0]), [0.5, -0.125, -0.4375]);
    let nesterov = Rule::Sgd(Sgd { lr: 0.5, momentum: 0.5, nesterov: true, ..SGD });
    // b = 1, 1½, ¾ and directions 1½, 1¾, ⅜
    assert_eq!(single(nesterov, &[1.0, 1.0, 0.0]), [0.25, -0.625, -0.8125]);
}

#[test]
#[should_panic(expected = "torch refuses")]
fn nesterov_without_momentum_is_refused() {
    single(Rule::Sgd(Sgd { nesterov: true, ..SGD }), &[1.0]);
}

#[test]
fn rmsprop_with_bias_correction_steps_by_the_rate_while_the_gradient_is_steady() {
    let rule = Rule::RmsProp(RmsProp { lr: 0.01, alpha: 0.9, eps: 0.0, bias_correction: true, ..RMSPROP });
    for g in [3.0, -0.002] {
        let w = single(rule, &[g; 20]);
        for (t, w) in w.iter().enumerate() {
            assert_close(*w, 1.0 - 0.01 * g.signum() * (t + 1) as f64, 1e-13);
        }
    }
}

#[test]
fn rmsprop_by_hand() {
    let rule = RmsProp { lr: 0.5, alpha: 0.75, eps: 0.5, ..RMSPROP };
    // s = ¼·16 = 4, g/(2 + ½) = 1.6; ε is outside of the root
    assert_close(single(Rule::RmsProp(rule), &[4.0])[0], 1.0 - 0.5 * 1.6, 1e-15);
    // centred: m = 1, s − m² = 3
    let centered = Rule::RmsProp(RmsProp { centered: true, ..rule });
    assert_close(single(centered, &[4.0])[0], 1.0 - 0.5 * 4.0 / (3.0_f64.sqrt() + 0.5), 1e-15);
    // momentum: b = 1.6, and then b = 0.8 with no gradient
    let momentum = Rule::RmsProp(RmsProp { momentum: 0.5, ..rule });
    let w = single(momentum, &[4.0, 0.0]);
    assert_close(w[0], 0.2, 1e-15);
    assert_close(w[1], 0.2 - 0.4, 1e-15);
    // L2 comes before the square: g = 3 + ½·2·1
    let decayed = Rule::RmsProp(RmsProp { weight_decay: 1.0, ..rule });
    assert_close(single(decayed, &[3.0])[0], 0.2, 1e-15);
}

#[test]
fn adam_by_hand() {
    let adam = Adam { lr: 0.1, betas: [0.5, 0.75], eps: 0.5, ..ADAM };
    // t = 1: m̂ = 2, v̂ = 4. t = 2: m = ½·1 + ½·(−4) = −3/2 over ¾; v = ¾·1 + ¼·16 = 19/4 over 7/16
    let w = single(Rule::Adam(adam), &[2.0, -4.0]);
    let first = 1.0 - 0.1 * 2.0 / 2.5;
    assert_close(w[0], first, 1e-15);
    assert_close(w[1], first - 0.1 * (-1.5 / 0.75) / ((4.75_f64 / 0.4375).sqrt() + 0.5), 1e-15);
}

#[test]
fn amsgrad_is_adam_until_the_second_moment_falls() {
    let plain = Adam { lr: 0.1, betas: [0.9, 0.9], ..ADAM };
    let amsgrad = Adam { amsgrad: true, ..plain };
    let w = |rule| single(Rule::Adam(rule), &[1.0, 2.0, 3.0, 0.0]);
    assert_eq!(w(plain)[..3], w(amsgrad)[..3]);
    // the last step: v falls by β₂ in Adam alone, so its step is longer by 1/√0.9
    let step = |w: &[f64]| w[3] - w[2];
    assert_close(step(&w(plain)) / step(&w(amsgrad)), 0.9_f64.powf(-0.5), 1e-7);
}

#[test]
fn weight_decay_is_decoupled_in_adamw_alone() {
    let rule = Adam { lr: 0.1, weight_decay: 0.5, ..ADAMW };
    // no gradient: AdamW shrinks by 1 − ηλ, Adam takes λw for the gradient and steps by η
    let shrunk = single(Rule::Adam(rule), &[0.0, 0.0]);
    assert_close(shrunk[1], 0.95 * 0.95, 1e-15);
    let stepped = single(Rule::Adam(Adam { decoupled: false, ..rule }), &[0.0]);
    assert_close(stepped[0], 0.9, 1e-8);
    let sgd = single(Rule::Sgd(Sgd { lr: 0.1, weight_decay: 0.5, ..SGD }), &[0.0, 0.0]);
    assert_close(sgd[1], 0.95 * 0.95, 1e-15);
    // and with no decay the two are one
    let g = gradients();
    let [adam, adamw] = [false, true].map(|decoupled| Rule::Adam(Adam { decoupled, ..ADAM }));
    assert_eq!(trace(adam, &g, constant), trace(adamw, &g, constant));
}

#[test]
fn adams_first_step_is_the_rate_whatever_the_betas() {
    for betas in [[0.9, 0.999], [0.5, 0.9], [0.0, 0.99]] {
        for g in [4.0, -0.03] {
            let w = single(Rule::Adam(Adam { lr: 0.1, betas, eps: 1e-12, ..ADAM }), &[g]);
            assert_close(w[0], 1.0 - 0.1 * g.signum(), 1e-9);
        }
    }
}
