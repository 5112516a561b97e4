//! Augmentation: every output is one of those allowed, and each as often as it should be.

#[path = "../adapter/mod.rs"]
mod adapter;
mod mixing;
mod pixels;
mod runs;

use downhill::nn::Net;
use downhill::{Function, Graph, Tensor, Value};

/// What `change` makes of x of this shape on a device, in training, one output after the other.
fn outputs(shape: &[usize], x: &[f32], change: impl Fn(&Net, &Tensor) -> Vec<Tensor>) -> Vec<Vec<f32>> {
    built(shape, x, true, change)
}

fn built(
    shape: &[usize],
    x: &[f32],
    training: bool,
    change: impl Fn(&Net, &Tensor) -> Vec<Tensor>,
) -> Vec<Vec<f32>> {
    let graph = Graph::new();
    let tensors = change(&Net::new(&graph, training), &graph.input("x", shape));
    let gpu = adapter::open(adapter::families()[0]);
    let mut function = Function::new(&gpu, &graph, &tensors.iter().collect::<Vec<_>>()).expect("a function");
    function.call(&[("x", Value::F32(x))]).expect("outputs")
}

/// [`outputs`] of one tensor, sample by sample.
fn samples(shape: &[usize], x: &[f32], change: impl Fn(&Net, &Tensor) -> Tensor) -> Vec<Vec<f32>> {
    let all = outputs(shape, x, |net, x| vec![change(net, x)]).remove(0);
    all.chunks(all.len() / shape[0]).map(<[f32]>::to_vec).collect()
}

/// `n` times the numbers 1, 2, .. `len`.
fn counting(n: usize, len: usize) -> Vec<f32> {
    (0..n).flat_map(|_| (1..=len).map(|i| i as f32)).collect()
}

/// Numbers in (−1, 1) without a pattern.
fn scattered(len: usize) -> Vec<f32> {
    (1..=len).map(|i| ((i as f64 * 0.754_877_666_246_692_8).fract() * 2.0 - 1.0) as f32).collect()
}

/// Whole numbers from −4 to 4 without a pattern.
fn small(len: usize) -> Vec<f32> {
    scattered(len).iter().map(|x| (x * 4.5).trunc()).collect()
}

/// `hits` of `n` with probability `share` each: within five deviations, wrong once in two million.
#[track_caller]
fn assert_share(hits: usize, n: usize, share: f64) {
    let (hits, mean) = (hits as f64, n as f64 * share);
    let deviation = (mean * (1.0 - share)).sqrt();
    assert!((hits - mean).abs() <= 5.0 * deviation, "{hits} of {n}, not {mean} ± {deviation}");
}

/// The mean of numbers whose deviation is `std` is `want` within five deviations.
#[track_caller]
fn assert_mean(values: &[f64], want: f64, std: f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    assert!((mean - want).abs() <= 5.0 * std / n.sqrt(), "{mean}, not {want}");
}
