//! A perceptron against its hand-written backward pass, and gradients of gradients.

use downhill::{Function, Gpu, Graph, Tensor, nn::loss};
use rand::{RngExt, SeedableRng};

use crate::case::{Data, call, gpu, gpus, name};
use crate::oracle::{
    Array, ROUNDOFF,
    compare::{Cases, compare},
    difference::numeric_grad,
    draw::{self, Rng, jittered, rng_of},
    elementwise as el,
    matmul::matmul,
    mlp::{Activation, Mlp},
    view,
};

/// A whole model: loss and gradients of a perceptron against its hand-written backward pass.
#[test]
fn perceptron_with_cross_entropy() {
    let mut all = Cases::default();
    for (index, activation) in [Activation::Relu, Activation::Tanh].into_iter().enumerate() {
        for gpu in gpus() {
            let mut rng = rng_of("perceptron", index as u64);
            let x = draw::uniform(&mut rng, &[19, 13], -2.0, 2.0);
            let labels = Array::from_fn(&[19], |_| f64::from(rng.random_range(0..10_u8)));
            let mlp = loop {
                let mlp = Mlp::draw(&mut rng, &[13, 33, 17, 10], activation);
                if mlp.margin(&x) > 1e-4 {
                    break mlp; // no ReLU so near its kink that rounding could carry it across
                }
            };
            all.run(&format!("perceptron {activation:?} on {}", name(gpu)), || {
                check_perceptron(gpu, &mlp, &x, &labels)
            });
        }
    }
    all.finish();
}

fn check_perceptron(gpu: &Gpu, mlp: &Mlp, x: &Array, labels: &Array) -> Result<(), String> {
    let graph = Graph::new();
    let (input, targets) = (graph.input("x", &x.shape[..]), graph.input_i32("labels", &labels.shape[..]));
    let parameters = mlp.parameters();
    let tensors: Vec<Tensor> =
        parameters.iter().enumerate().map(|(i, p)| graph.input(&format!("p{i}"), &p.shape[..])).collect();
    let mut value = input.clone();
    for (i, layer) in tensors.chunks(2).enumerate() {
        value = &value.matmul(&layer[0].transpose(-1, -2)) + &layer[1];
        if i + 1 < mlp.layers.len() {
            value = if mlp.activation == Activation::Relu { value.relu() } else { value.tanh() };
        }
    }
    let loss = loss::cross_entropy(&value, &targets, &loss::CrossEntropy::default());
    let gradients = graph.grad(&loss, &tensors.iter().collect::<Vec<_>>());
    let outputs: Vec<&Tensor> = [&loss].into_iter().chain(&gradients).collect();
    let mut function = Function::new(gpu, &graph, &outputs).map_err(|e| format!("no function: {e}"))?;
    let mut feed: Vec<(String, Data)> =
        parameters.iter().enumerate().map(|(i, p)| (format!("p{i}"), Data::F32(p.to_f32()))).collect();
    feed.push(("x".to_owned(), Data::F32(x.to_f32())));
    feed.push(("labels".to_owned(), Data::I32(labels.to_i32())));
    let got = call(&mut function, &feed)?;

    let all = |mlp: &Mlp, x: &Array| {
        let (loss, gradients) = mlp.loss_and_gradients(x, labels);
        [vec![Array::scalar(loss)], gradients].concat()
    };
    let want = all(mlp, x);
    let shaken = (0..3).map(|seed| {
        let mut rng = Rng::seed_from_u64(seed);
        let mut mlp = mlp.clone();
        mlp.parameters_mut().into_iter().for_each(|p| *p = jittered(&mut rng, p));
        all(&mlp, &jittered(&mut rng, x))
    });
    let shaken: Vec<Vec<Array>> = shaken.collect();
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let noise = shaken.iter().map(|s| s[i].max_diff(want)).fold(0.0, f64::max);
        // the rows' softmax errors of order u come in by way of a mean, so nothing of order 1 is left
        let tolerance = 32.0 * (noise + ROUNDOFF * want.max_abs());
        compare(&format!("output {i} (loss, then parameters)"), got, want, |_| tolerance)?;
    }
    Ok(())
}

/// A graph can be differentiated again: with respect to other tensors, and a gradient itself.
#[test]
fn gradients_of_gradients() {
    let mut rng = rng_of("gradients of gradients", 0);
    let [x, w, v] =
        [[6, 5], [5, 3], [6, 5]].map(|shape: [usize; 2]| draw::uniform(&mut rng, &shape, -1.0, 1.0));
    // L = Σ tanh(x·w), so that ∂L/∂x = (1 − tanh²)·wᵀ, and S = Σ v ∘ ∂L/∂x
    let s = |inputs: &[Array]| {
        let slope = matmul(&inputs[0], &inputs[1]).map(|y| 1.0 - y.tanh() * y.tanh());
        let gradient = matmul(&slope, &view::transpose(&inputs[1], 0, 1));
        el::zip(&gradient, &v, |g, v| g * v).data.iter().sum()
    };
    let inputs = [x.clone(), w.clone()];
    let want = [numeric_grad(&s, &inputs, 0), numeric_grad(&s, &inputs, 1)];

    let graph = Graph::new();
    let [tx, tw, tv] = [("x", &x), ("w", &w), ("v", &v)].map(|(name, a)| graph.input(name, &a.shape[..]));
    let first = graph.grad(&tx.matmul(&tw).tanh().sum_all(), &[&tx]);
    let second = graph.grad(&(&first[0] * &tv).sum_all(), &[&tx, &tw]);
    let mut function = Function::new(gpu(2), &graph, &[&second[0], &second[1]]).expect("a function");
    let feed = [("x", &x), ("w", &w), ("v", &v)].map(|(name, a)| (name.to_owned(), Data::F32(a.to_f32())));
    let got = call(&mut function, &feed).expect("a call");
    for (got, want) in got.iter().zip(&want) {
        // sums of up to 18 products of order 1
        compare("second gradient", got, want, |_| 64.0 * ROUNDOFF * (1.0 + want.max_abs())).unwrap();
    }
}
