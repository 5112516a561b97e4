//! The MLP's backward pass against central differences, and whole training steps.

use crate::{
    assert_close,
    oracle::{
        Array,
        difference::numeric_partial,
        draw::{Rng, rng_of, uniform},
        mlp::{Activation, Mlp},
        optim::{ADAM, ADAMW, OptimOracle, RMSPROP, RmsProp, Rule, SGD, Sgd},
    },
};
use rand::RngExt;

const WIDTHS: [usize; 4] = [5, 8, 7, 3];

fn problem(rng: &mut Rng, rows: usize) -> (Array, Array) {
    let labels = Array::from_fn(&[rows], |_| f64::from(rng.random_range(0..3_u8)));
    (uniform(rng, &[rows, WIDTHS[0]], -2.0, 2.0), labels)
}

#[test]
fn the_backward_pass_agrees_with_central_differences() {
    for activation in [Activation::Relu, Activation::Tanh] {
        let mut rng = rng_of("mlp backward", 0);
        let mlp = Mlp::draw(&mut rng, &WIDTHS, activation);
        let (x, labels) = problem(&mut rng, 11);
        let (loss, gradients) = mlp.loss_and_gradients(&x, &labels);
        assert_close(loss, mlp.loss(&x, &labels), 1e-15);
        let with = |parameters: &[Array]| {
            let mut mlp = mlp.clone();
            mlp.parameters_mut().into_iter().zip(parameters).for_each(|(p, value)| *p = value.clone());
            mlp.loss(&x, &labels)
        };
        let parameters: Vec<Array> = mlp.parameters().into_iter().cloned().collect();
        let mut largest = 0.0_f64;
        for (which, gradient) in gradients.iter().enumerate() {
            for (element, &got) in gradient.data.iter().enumerate() {
                assert_close(got, numeric_partial(&with, &parameters, which, element), 1e-8);
                largest = largest.max(got.abs());
            }
        }
        assert!(largest > 0.01, "gradients so small ({largest}) prove nothing");
    }
}

#[test]
fn the_gradient_is_a_mean_over_rows() {
    let mut rng = rng_of("mlp mean", 0);
    let mlp = Mlp::draw(&mut rng, &WIDTHS, Activation::Tanh);
    let (x, labels) = problem(&mut rng, 4);
    let twice = |a: &Array, shape: &[usize]| Array::new(shape, [&a.data[..], &a.data[..]].concat());
    let (_, once) = mlp.loss_and_gradients(&x, &labels);
    let (_, doubled) = mlp.loss_and_gradients(&twice(&x, &[8, WIDTHS[0]]), &twice(&labels, &[8]));
    for (a, b) in once.iter().zip(&doubled) {
        assert!(a.max_diff(b) <= 1e-15);
    }
}

#[test]
fn a_step_of_sgd_is_the_parameters_less_rate_times_gradient() {
    let mut rng = rng_of("mlp step", 0);
    let mut mlp = Mlp::draw(&mut rng, &WIDTHS, Activation::Relu);
    let (x, labels) = problem(&mut rng, 9);
    let before = mlp.clone();
    let (loss, gradients) = mlp.loss_and_gradients(&x, &labels);
    let mut sgd = OptimOracle::new(Rule::Sgd(Sgd { lr: 0.25, ..SGD }), mlp.parameter_count());
    assert_eq!(mlp.train_step(&x, &labels, &mut sgd), loss);
    for ((now, was), g) in mlp.parameters().iter().zip(before.parameters()).zip(&gradients) {
        let want = Array::new(&was.shape, was.data.iter().zip(&g.data).map(|(w, g)| w - 0.25 * g).collect());
        assert!(now.max_diff(&want) <= 1e-16);
    }
}

#[test]
fn every_rule_learns_the_labels_by_heart() {
    let rules = [
        Rule::Sgd(Sgd { lr: 0.5, ..SGD }),
        Rule::Sgd(Sgd { lr: 0.1, momentum: 0.9, nesterov: true, ..SGD }),
        Rule::RmsProp(RMSPROP),
        Rule::RmsProp(RmsProp { centered: true, bias_correction: false, ..RMSPROP }),
        Rule::Adam(crate::oracle::optim::Adam { lr: 0.02, ..ADAM }),
        Rule::Adam(crate::oracle::optim::Adam { lr: 0.02, ..ADAMW }),
    ];
    for rule in rules {
        let mut rng = rng_of("mlp learns", 0);
        let mut mlp = Mlp::draw(&mut rng, &WIDTHS, Activation::Tanh);
        let (x, labels) = problem(&mut rng, 20);
        let mut optimizer = OptimOracle::new(rule, mlp.parameter_count());
        let first = mlp.train_step(&x, &labels, &mut optimizer);
        for _ in 0..299 {
            mlp.train_step(&x, &labels, &mut optimizer);
        }
        let last = mlp.loss(&x, &labels);
        assert!(first > 0.8 && last < 0.15, "{rule:?}: {first} to {last}");
    }
}
