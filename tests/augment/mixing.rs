//! Mixup: which samples are mixed, by how much, and what becomes of the loss.

use downhill::nn::Net;
use downhill::nn::augment::mixup;
use downhill::nn::loss::{CrossEntropy, cross_entropy};
use downhill::{Function, Graph, Value};

use crate::{adapter, assert_share, built, outputs, scattered};

const N: usize = 5;
const TIMES: usize = 48;

/// Samples are one-hot, so what comes out says by how much of which it was mixed.
#[test]
fn every_sample_is_mixed_with_the_one_so_many_further() {
    let x: Vec<f32> = (0..N * N).map(|i| f32::from(u8::from(i / N == i % N))).collect();
    let got = outputs(&[N, N], &x, |net, x| (0..TIMES).map(|_| mixup(net, x, 0.8).x().clone()).collect());
    let (mut steps, mut lambdas) = ([0; N], Vec::new());
    for y in &got {
        let step = (1..N).max_by(|&a, &b| y[a].total_cmp(&y[b])).expect("another sample");
        let lambda = y[0];
        assert!((0.0..=1.0).contains(&lambda));
        for i in 0..N {
            for j in 0..N {
                let want = match (j + N - i) % N {
                    0 => lambda,
                    k if k == step => 1.0 - lambda,
                    _ => 0.0,
                };
                // 1 − λ is rounded once, and so is what came out.
                assert!((y[i * N + j] - want).abs() <= 1e-7, "{y:?}");
            }
        }
        steps[step] += 1;
        lambdas.push(lambda);
    }
    for count in &steps[1..] {
        assert_share(*count, TIMES, 1.0 / (N - 1) as f64);
    }
    // A λ for each call, of either side.
    lambdas.sort_by(f32::total_cmp);
    lambdas.dedup();
    assert!(lambdas.len() == TIMES && lambdas[0] < 0.3 && lambdas[TIMES - 1] > 0.7, "{lambdas:?}");
}

/// Of whole images as of vectors.
#[test]
fn the_loss_is_mixed_as_the_samples_are() {
    let x = scattered(N * 12);
    let got = outputs(&[N, 1, 3, 4], &x, |net, x| {
        let mixed = mixup(net, x, 1.5);
        let first = x.reshape([N, 12]).slice(1, 0, 1);
        // Of a mean of t the mixed loss is the mean of mixed t, whatever λ; a square tells λ.
        let square = |t: &downhill::Tensor| t.square().mean_all();
        vec![mixed.x().clone(), mixed.loss(&first, |t| first.mul(t).mean_all()), mixed.loss(&first, square)]
    });
    let first: Vec<f64> = x.chunks(12).map(|s| s[0].into()).collect();
    let mixed: Vec<f64> = got[0].chunks(12).map(|s| s[0].into()).collect();
    // first·(λ t + (1 − λ) t') is first times the mixed first pixel. Means of five numbers in ±1: a few roundings.
    let want = first.iter().zip(&mixed).map(|(a, b)| a * b).sum::<f64>() / N as f64;
    assert!((f64::from(got[1][0]) - want).abs() <= 1e-6, "{} and {want}", got[1][0]);
    let want = first.iter().map(|a| a * a).sum::<f64>() / N as f64;
    assert!((f64::from(got[2][0]) - want).abs() <= 1e-6, "{} and {want}", got[2][0]);
}

#[test]
fn classes_are_mixed_by_their_losses() {
    let (x, classes) = (scattered(N * N), [3, 0, 2, 4, 0]);
    let eye: Vec<f32> = (0..N * N).map(|i| f32::from(u8::from(i / N == i % N))).collect();
    let graph = Graph::new();
    let mixed = mixup(&Net::new(&graph, true), &graph.input("eye", [N, N]), 0.8);
    let (logits, t) = (graph.input("x", [N, N]), graph.input_i32("t", [N]));
    let loss = mixed.loss(&t, |t| cross_entropy(&logits, t, &CrossEntropy::default()));
    let gpu = adapter::open(adapter::families()[0]);
    let mut function = Function::new(&gpu, &graph, &[mixed.x(), &loss]).expect("a function");
    let inputs = [("eye", Value::F32(&eye)), ("x", Value::F32(&x)), ("t", Value::I32(&classes))];
    let got = function.call(&inputs).expect("a loss");
    let mut want = 0.0;
    for (row, weights) in x.chunks(N).zip(got[0].chunks(N)) {
        let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        for (weight, &class) in weights.iter().zip(&classes) {
            want += f64::from(*weight) * (sum.ln() - f64::from(row[class as usize])) / N as f64;
        }
    }
    assert!((f64::from(got[1][0]) - want).abs() <= 2e-6, "{} and {want}", got[1][0]);
}

#[test]
fn evaluation_and_a_batch_of_one_are_not_mixed() {
    let x = scattered(12);
    for (shape, training) in [([4, 3], false), ([1, 12], true)] {
        let got = built(&shape, &x, training, |net, x| {
            let mixed = mixup(net, x, 0.2);
            assert_eq!(format!("{:?}", mixed.x()), format!("{x:?}"));
            vec![mixed.x().neg(), mixed.loss(x, |t| t.sum_all())]
        });
        assert_eq!(got[0], x.iter().map(|x| -x).collect::<Vec<f32>>());
        assert!((f64::from(got[1][0]) - x.iter().map(|x| f64::from(*x)).sum::<f64>()).abs() <= 1e-6);
    }
}
