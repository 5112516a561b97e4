//! Every form of every optimizer, step by step, against the f64 update rules of the oracle.
//!
//! # Tolerance
//! After t steps a parameter may be off by 3·t·u·max|w|, as each step rounds the parameter it stores and,
//! with decoupled decay, the factor 1 − ηλ and its product (u = 2⁻²⁴ each); and by 64·u times the way it
//! has gone, Σ|Δw|, as each Δw comes out of a dozen operations on f32 state, a square root and divisions
//! of a few units in the last place among them.
//! `the_tolerance_is_small_against_a_step` checks that this is under a hundredth of one step's movement
//! for the median step of every form, and `the_data_tells_the_forms_apart` that it is under a tenth
//! of what any two forms differ by: a wrong sign, a missing correction or a misplaced ε cannot hide.

mod adapter;
mod oracle;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::nn::Net;
use downhill::optim::{Adam, AdamW, MomentumForm, Optimizer, RmsProp, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{GpuOptions, Init, Tensor};
use oracle::{
    ROUNDOFF,
    compare::Cases,
    draw::{rng_of, uniform},
    optim::{self, ADAM, ADAMW, Form, OptimOracle, RMSPROP, Rule, SGD},
};
use rand::RngExt;

const STEPS: usize = 40;
/// Odd, and no multiple of a vector's or a workgroup's width.
const COUNT: usize = 1037;

/// The parameters after each step on the GPU: `init` updated once with each of `grads`.
///
/// One way to hand the engine a given gradient: train on the loss Σ w·x with the vector x, a batch of
/// one, as the data, in file order; its gradient is x.
fn gpu_trace(optimizer: &Optimizer, init: &[f32], grads: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let data = Dataset::from_arrays("gradients", [init.len()], grads.concat(), [], vec![0.0; grads.len()]);
    let model = |net: &Net, x: &Tensor| {
        let w = net.parameter("w", [init.len()], Init::Constant(0.0));
        w.mul(&x.reshape([init.len()])).sum_all()
    };
    let options =
        TrainOptions { batch_size: BatchSize::Rows(1), sampling: Sampling::File, ..TrainOptions::default() };
    let mut trainer = Trainer::new(
        &adapter::open_with(GpuOptions::default()),
        &model,
        &|loss, _| loss.clone(),
        optimizer,
        &data.expect("a data set"),
        &options,
    )
    .expect("a trainer");
    let start = NamedTensor { name: "w".into(), shape: [init.len()].into(), values: init.to_vec() };
    trainer.load_state_dict(&[start]).expect("the model's own tensor");
    let step = |_: &Vec<f32>| {
        trainer.advance(1).expect("a step");
        trainer.state_dict().expect("parameters").swap_remove(0).values
    };
    grads.iter().map(step).collect()
}

/// The same hyperparameters, once for the crate and once for the oracle, each written out.
fn forms() -> Vec<(&'static str, Optimizer, Rule)> {
    let sgd = |crate_sgd: Sgd, rule: optim::Sgd| (Optimizer::Sgd(crate_sgd), Rule::Sgd(rule));
    let rmsprop = |crate_rmsprop: RmsProp, rule: optim::RmsProp| {
        (Optimizer::RmsProp(crate_rmsprop), Rule::RmsProp(rule))
    };
    let adam = |crate_adam: Adam, rule: optim::Adam| (Optimizer::Adam(crate_adam), Rule::Adam(rule));
    let adamw = |crate_adamw: AdamW, rule: optim::Adam| (Optimizer::AdamW(crate_adamw), Rule::Adam(rule));
    let forms = [
        ("sgd, defaults", sgd(Sgd::default(), SGD)),
        (
            "sgd, weight decay",
            sgd(
                Sgd { lr: 0.01, weight_decay: 0.125, ..Sgd::default() },
                optim::Sgd { lr: 0.01, weight_decay: 0.125, ..SGD },
            ),
        ),
        (
            "sgd, momentum",
            sgd(
                Sgd { lr: 0.01, momentum: 0.9, weight_decay: 0.0625, ..Sgd::default() },
                optim::Sgd { lr: 0.01, momentum: 0.9, weight_decay: 0.0625, ..SGD },
            ),
        ),
        (
            "sgd, dampening",
            sgd(
                Sgd { lr: 0.01, momentum: 0.9, dampening: 0.25, ..Sgd::default() },
                optim::Sgd { lr: 0.01, momentum: 0.9, dampening: 0.25, ..SGD },
            ),
        ),
        (
            "sgd, nesterov",
            sgd(
                Sgd { lr: 0.01, momentum: 0.9, nesterov: true, weight_decay: 0.0625, ..Sgd::default() },
                optim::Sgd { lr: 0.01, momentum: 0.9, nesterov: true, weight_decay: 0.0625, ..SGD },
            ),
        ),
        (
            "sgd, velocity",
            sgd(
                Sgd { lr: 0.01, momentum: 0.8, form: MomentumForm::Velocity, ..Sgd::default() },
                optim::Sgd { lr: 0.01, momentum: 0.8, form: Form::Velocity, ..SGD },
            ),
        ),
        (
            "sgd, average",
            sgd(
                Sgd {
                    lr: 0.05,
                    momentum: 0.9,
                    form: MomentumForm::Average,
                    weight_decay: 0.125,
                    ..Sgd::default()
                },
                optim::Sgd { lr: 0.05, momentum: 0.9, form: Form::Average, weight_decay: 0.125, ..SGD },
            ),
        ),
        ("rmsprop, defaults", rmsprop(RmsProp::default(), RMSPROP)),
        (
            "rmsprop, weight decay and a large eps",
            rmsprop(
                RmsProp { alpha: 0.9, eps: 0.05, weight_decay: 0.125, ..RmsProp::default() },
                optim::RmsProp { alpha: 0.9, eps: 0.05, weight_decay: 0.125, ..RMSPROP },
            ),
        ),
        (
            "rmsprop, centered",
            rmsprop(
                RmsProp { alpha: 0.9, eps: 0.01, centered: true, weight_decay: 0.125, ..RmsProp::default() },
                optim::RmsProp { alpha: 0.9, eps: 0.01, centered: true, weight_decay: 0.125, ..RMSPROP },
            ),
        ),
        (
            "rmsprop, momentum",
            rmsprop(
                RmsProp { alpha: 0.9, momentum: 0.75, ..RmsProp::default() },
                optim::RmsProp { alpha: 0.9, momentum: 0.75, ..RMSPROP },
            ),
        ),
        (
            "rmsprop, centered with momentum",
            rmsprop(
                RmsProp { alpha: 0.9, eps: 0.01, momentum: 0.75, centered: true, ..RmsProp::default() },
                optim::RmsProp { alpha: 0.9, eps: 0.01, momentum: 0.75, centered: true, ..RMSPROP },
            ),
        ),
        (
            "rmsprop, bias corrected",
            rmsprop(
                RmsProp { alpha: 0.99, bias_correction: true, weight_decay: 0.125, ..RmsProp::default() },
                optim::RmsProp { alpha: 0.99, bias_correction: true, weight_decay: 0.125, ..RMSPROP },
            ),
        ),
        ("adam, defaults", adam(Adam::default(), ADAM)),
        (
            "adam, weight decay and a large eps",
            adam(
                Adam { lr: 0.01, betas: [0.8, 0.95], eps: 0.05, weight_decay: 0.125, ..Adam::default() },
                optim::Adam { lr: 0.01, betas: [0.8, 0.95], eps: 0.05, weight_decay: 0.125, ..ADAM },
            ),
        ),
        (
            "adam, amsgrad",
            adam(
                Adam { lr: 0.01, betas: [0.9, 0.95], amsgrad: true, weight_decay: 0.125, ..Adam::default() },
                optim::Adam { lr: 0.01, betas: [0.9, 0.95], amsgrad: true, weight_decay: 0.125, ..ADAM },
            ),
        ),
        ("adamw, defaults", adamw(AdamW::default(), ADAMW)),
        (
            "adamw, weight decay and a large eps",
            adamw(
                AdamW { lr: 0.01, betas: [0.8, 0.95], eps: 0.05, weight_decay: 0.5, ..AdamW::default() },
                optim::Adam { lr: 0.01, betas: [0.8, 0.95], eps: 0.05, weight_decay: 0.5, ..ADAMW },
            ),
        ),
        (
            "adamw, amsgrad",
            adamw(
                AdamW { lr: 0.01, betas: [0.9, 0.95], amsgrad: true, weight_decay: 0.5, ..AdamW::default() },
                optim::Adam { lr: 0.01, betas: [0.9, 0.95], amsgrad: true, weight_decay: 0.5, ..ADAMW },
            ),
        ),
    ];
    forms.into_iter().map(|(name, (optimizer, rule))| (name, optimizer, rule)).collect()
}

/// Parameters of order 1, some of them 0; gradients whose size varies a hundredfold from step to step
/// and from parameter to parameter, of either sign, one in ten exactly 0, and some parameters without
/// a gradient at the first step, for ten steps, or ever.
fn data() -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut rng = rng_of("optimizers", 0);
    let mut init = uniform(&mut rng, &[COUNT], -1.0, 1.0).to_f32();
    init.iter_mut().step_by(61).for_each(|w| *w = 0.0);
    let scales = uniform(&mut rng, &[COUNT], -1.0, 1.0).map(|e| 10.0_f64.powf(e));
    let gradient = |step: usize| -> Vec<f32> {
        let size = 10.0_f64.powf(rng.random_range(-1.0..1.0));
        let element = |(i, scale): (usize, &f64)| {
            let silent = match i % 97 {
                0 => true,
                1 => step == 0,
                2 => step < 10,
                _ => rng.random_bool(0.1),
            };
            // leaning to one side, or momentum would have nothing to gather
            let g = size * scale * rng.random_range(-1.0..1.5);
            if silent { 0.0 } else { g as f32 }
        };
        scales.data.iter().enumerate().map(element).collect()
    };
    (init, (0..STEPS).map(gradient).collect())
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// The parameters before the first step and after each.
fn oracle_trace(rule: Rule, init: &[f32], gradients: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let mut oracle = OptimOracle::new(rule, init.len());
    let mut w = widened(init);
    let mut trace = vec![w.clone()];
    for g in gradients {
        oracle.step(&mut w, &widened(g));
        trace.push(w.clone());
    }
    trace
}

/// For each step and parameter, what the trace may be off by: see the top of the file.
fn tolerances(trace: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut way = vec![0.0; trace[0].len()];
    let mut largest: Vec<f64> = trace[0].iter().map(|w| w.abs()).collect();
    let mut tolerances = Vec::new();
    for (t, pair) in trace.windows(2).enumerate() {
        let tolerance = |i: usize| {
            way[i] += (pair[1][i] - pair[0][i]).abs();
            largest[i] = largest[i].max(pair[1][i].abs());
            ROUNDOFF * (3.0 * (t + 1) as f64 * largest[i] + 64.0 * way[i])
        };
        tolerances.push((0..pair[0].len()).map(tolerance).collect());
    }
    tolerances
}

#[test]
fn every_form_follows_the_oracle_for_forty_steps() {
    let (init, gradients) = data();
    let mut all = Cases::default();
    for (name, optimizer, rule) in forms() {
        all.run(name, || {
            let got = gpu_trace(&optimizer, &init, &gradients);
            if got.len() != STEPS || got.iter().any(|w| w.len() != COUNT) {
                return Err(format!("{} steps for {STEPS}, or not {COUNT} parameters in each", got.len()));
            }
            let want = oracle_trace(rule, &init, &gradients);
            let tolerances = tolerances(&want);
            for (step, (got, tolerance)) in got.iter().zip(&tolerances).enumerate() {
                let want = &want[step + 1];
                let within = |&i: &usize| (f64::from(got[i]) - want[i]).abs() <= tolerance[i];
                let wrong: Vec<usize> = (0..COUNT).filter(|i| !within(i)).collect();
                if let Some(&i) = wrong.first() {
                    let (count, g) = (wrong.len(), gradients[step][i]);
                    return Err(format!(
                        "step {}: {count} parameters wrong, first {i}: got {:e}, want {:e}, tolerance {:.1e}, \
                         gradient {g:e}",
                        step + 1,
                        got[i],
                        want[i],
                        tolerance[i],
                    ));
                }
            }
            Ok(())
        });
    }
    all.finish();
}

#[test]
fn the_tolerance_is_small_against_a_step() {
    let (init, gradients) = data();
    for (name, _, rule) in forms() {
        let trace = oracle_trace(rule, &init, &gradients);
        let tolerances = tolerances(&trace);
        let mut ratios = Vec::new();
        for (pair, tolerance) in trace.windows(2).zip(&tolerances) {
            let moved = |i: usize| (pair[1][i] - pair[0][i]).abs();
            ratios.extend((0..COUNT).filter(|&i| moved(i) > 0.0).map(|i| tolerance[i] / moved(i)));
        }
        assert!(ratios.len() > COUNT * STEPS / 2, "{name} hardly moves");
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        assert!(median <= 0.01, "{name}: the median tolerance is {median} of a step");
    }
}

/// Every form, and each with one of its parts left out, ends elsewhere by ten tolerances or more for
/// one parameter in fifty or more.
#[test]
fn the_data_tells_the_forms_apart() {
    let (init, gradients) = data();
    let traces: Vec<_> =
        forms().into_iter().map(|(name, _, rule)| (name, oracle_trace(rule, &init, &gradients))).collect();
    for (i, (name, trace)) in traces.iter().enumerate() {
        let tolerances = tolerances(trace);
        for (other_name, other) in &traces[i + 1..] {
            assert_apart(name, trace, &tolerances, other_name, other);
        }
        let (_, _, rule) = forms().swap_remove(i);
        for (part, without) in weakened(rule) {
            assert_apart(name, trace, &tolerances, part, &oracle_trace(without, &init, &gradients));
        }
    }
}

fn assert_apart(name: &str, trace: &[Vec<f64>], tolerances: &[Vec<f64>], other: &str, to: &[Vec<f64>]) {
    let apart =
        |i: &usize| (0..STEPS).any(|t| (trace[t + 1][*i] - to[t + 1][*i]).abs() > 10.0 * tolerances[t][*i]);
    let count = (0..COUNT).filter(apart).count();
    assert!(count >= COUNT / 50, "{name} against {other}: {count} of {COUNT} parameters differ");
}

/// The rule with each part it has left out, or bent a little.
fn weakened(rule: Rule) -> Vec<(&'static str, Rule)> {
    let mut out = Vec::new();
    match rule {
        Rule::Sgd(rule) => {
            let mut put = |part, rule| out.push((part, Rule::Sgd(rule)));
            put("lr + 0.1%", optim::Sgd { lr: rule.lr * 1.001, ..rule });
            if rule.weight_decay != 0.0 {
                put("no weight decay", optim::Sgd { weight_decay: 0.0, ..rule });
            }
            if rule.momentum != 0.0 {
                put("momentum + 0.1%", optim::Sgd { momentum: rule.momentum * 1.001, ..rule });
                put("no momentum", optim::Sgd { momentum: 0.0, nesterov: false, form: Form::Torch, ..rule });
            }
            if rule.dampening != 0.0 {
                put("no dampening", optim::Sgd { dampening: 0.0, ..rule });
            }
            if rule.nesterov {
                put("no nesterov", optim::Sgd { nesterov: false, ..rule });
            }
            if rule.form == Form::Average {
                put("velocity", optim::Sgd { form: Form::Velocity, ..rule });
            }
        }
        Rule::RmsProp(rule) => {
            let mut put = |part, rule| out.push((part, Rule::RmsProp(rule)));
            put("alpha - 0.1%", optim::RmsProp { alpha: rule.alpha * 0.999, ..rule });
            if rule.eps > 1e-4 {
                put("eps + 1%", optim::RmsProp { eps: rule.eps * 1.01, ..rule });
            }
            if rule.weight_decay != 0.0 {
                put("no weight decay", optim::RmsProp { weight_decay: 0.0, ..rule });
            }
            if rule.momentum != 0.0 {
                put("no momentum", optim::RmsProp { momentum: 0.0, ..rule });
            }
            if rule.centered {
                put("not centered", optim::RmsProp { centered: false, ..rule });
            }
            if rule.bias_correction {
                put("no bias correction", optim::RmsProp { bias_correction: false, ..rule });
            }
        }
        Rule::Adam(rule) => {
            let mut put = |part, rule| out.push((part, Rule::Adam(rule)));
            let [beta1, beta2] = rule.betas;
            put("beta1 + 0.1%", optim::Adam { betas: [beta1 * 1.001, beta2], ..rule });
            put("beta2 - 0.1%", optim::Adam { betas: [beta1, beta2 * 0.999], ..rule });
            put("amsgrad the other way", optim::Adam { amsgrad: !rule.amsgrad, ..rule });
            if rule.eps > 1e-4 {
                put("eps + 1%", optim::Adam { eps: rule.eps * 1.01, ..rule });
            }
            if rule.weight_decay != 0.0 {
                put("no weight decay", optim::Adam { weight_decay: 0.0, ..rule });
                put("decay the other way", optim::Adam { decoupled: !rule.decoupled, ..rule });
            }
        }
        other => unreachable!("no form above is of {other:?}"),
    }
    out
}

/// On f(w) = ½ Σ c (w − w*)², c from ½ to 2, with the rate falling as 1/√t, every rule comes to w*.
#[test]
fn every_form_finds_the_bottom_of_a_parabola() {
    let mut rng = rng_of("parabola", 0);
    let [curvature, target] =
        [(0.5, 2.0), (-1.0, 1.0)].map(|(low, high)| uniform(&mut rng, &[31], low, high));
    for (name, _, rule) in forms() {
        let mut oracle = OptimOracle::new(rule, 31);
        let mut w = vec![0.0; 31];
        let off = |w: &[f64]| w.iter().zip(&target.data).map(|(w, t)| (w - t).abs()).fold(0.0, f64::max);
        let start = off(&w);
        for t in 1..=4000 {
            // no decay, which moves the bottom, and a rate at which 4000 steps are enough
            let scheduled = 0.1 / f64::from(t).sqrt();
            *oracle.rule.lr_mut() = scheduled;
            *oracle.rule.weight_decay_mut() = 0.0;
            let pull = |i: usize| curvature.data[i] * (w[i] - target.data[i]);
            let g: Vec<f64> = (0..31).map(pull).collect();
            oracle.step(&mut w, &g);
        }
        let end = off(&w);
        assert!(end <= 0.005 * start, "{name}: from {start} to {end}");
    }
}
