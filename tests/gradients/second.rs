//! Gradients of gradients, where a layer says its gradient rather than having it derived.

use downhill::nn::{
    BatchNorm, Conv2d, ConvTranspose2d, GroupNorm, InstanceNorm, LayerNorm, Net, Padding, Pool2d, RmsNorm,
};
use downhill::{Function, Graph, Tensor};

use crate::case::{Data, call, gpu};
use crate::oracle::{
    Array, ROUNDOFF,
    compare::{Cases, compare},
    difference::numeric_grad,
    draw::{Domain, rng_of, uniform},
    elementwise as el,
    window::{Window, conv, conv_transpose},
};

/// With L = Σ tanh(layer(x, ..)), the gradients of Σ v ∘ ∂L/∂x₀ for every input, against differences of
/// `first`, which is ∂L/∂x₀ in f64.
fn check(
    all: &mut Cases,
    name: &str,
    inputs: &[Array],
    layer: impl Fn(&[Tensor]) -> Tensor,
    first: impl Fn(&[Array]) -> Array,
) {
    let mut rng = rng_of(name, 0);
    let v = uniform(&mut rng, &inputs[0].shape, -1.0, 1.0);
    let s = |x: &[Array]| el::zip(&first(x), &v, |g, v| g * v).data.iter().sum();
    all.run(name, || {
        let graph = Graph::new();
        let label = |i: usize| format!("x{i}");
        let tensors: Vec<Tensor> =
            inputs.iter().enumerate().map(|(i, x)| graph.input(&label(i), &x.shape[..])).collect();
        let dx = graph.grad(&layer(&tensors).tanh().sum_all(), &[&tensors[0]]).remove(0);
        let weighted = dx.mul(&graph.input("v", &v.shape[..])).sum_all();
        let second = graph.grad(&weighted, &tensors.iter().collect::<Vec<_>>());
        let outputs: Vec<&Tensor> = std::iter::once(&dx).chain(&second).collect();
        let mut function = Function::new(gpu(0), &graph, &outputs).map_err(|e| e.to_string())?;
        let mut feed: Vec<(String, Data)> =
            inputs.iter().enumerate().map(|(i, x)| (label(i), Data::F32(x.to_f32()))).collect();
        feed.push(("v".to_owned(), Data::F32(v.to_f32())));
        let got = call(&mut function, &feed)?;
        // sums of some dozens of terms of order 1 to 10
        let close = |what: &str, got: &[f32], want: &Array| {
            compare(what, got, want, |_| 512.0 * ROUNDOFF * (1.0 + want.max_abs()))
        };
        close("first", &got[0], &first(inputs))?;
        for (i, got) in got[1..].iter().enumerate() {
            close(&format!("second, of input {i}"), got, &numeric_grad(&s, inputs, i))?;
        }
        Ok(())
    });
}

/// 1 − tanh²
fn slope(y: &Array) -> Array {
    y.map(|y| 1.0 - y.tanh() * y.tanh())
}

#[test]
fn second_derivatives_of_convolutions() {
    let mut all = Cases::default();
    let mut rng = rng_of("second", 0);
    let pair = |n: usize| vec![n; 2];
    let window =
        Window { size: pair(3), stride: pair(2), padding: pair(1), dilation: pair(1), ceil_mode: false };
    let (x, w) = (uniform(&mut rng, &[2, 2, 5, 5], -1.0, 1.0), uniform(&mut rng, &[4, 1, 3, 3], -1.0, 1.0));
    let options =
        Conv2d { stride: [2; 2], padding: Padding::Explicit([1; 2]), groups: 2, ..Conv2d::new(4, [3; 2]) };
    check(
        &mut all,
        "conv2d",
        &[x, w],
        |x| x[0].conv(&x[1], &options),
        |x| conv_transpose(&slope(&conv(&x[0], &x[1], &window, 2)), &x[1], &window, 2, &[0, 0]),
    );
    let (x, w) = (uniform(&mut rng, &[2, 2, 3, 3], -1.0, 1.0), uniform(&mut rng, &[2, 3, 3, 3], -1.0, 1.0));
    let options = ConvTranspose2d { stride: [2; 2], padding: [1; 2], ..ConvTranspose2d::new(3, [3; 2]) };
    check(
        &mut all,
        "conv_transpose2d",
        &[x, w],
        |x| x[0].conv_transpose(&x[1], &options),
        |x| conv(&slope(&conv_transpose(&x[0], &x[1], &window, 1, &[0, 0])), &x[1], &window, 1),
    );
    all.finish();
}

#[test]
fn second_derivatives_of_pools() {
    let mut all = Cases::default();
    let mut rng = rng_of("second pools", 0);
    let pool = Pool2d { stride: [1, 2], ..Pool2d::new([2, 2]) };
    // Windows of two rows and two columns, a column shared by none.
    let pooled = |x: &Array, maximum: bool| -> Array {
        let mut dx = Array::full(&x.shape, 0.0);
        for row in 0..x.shape[2] - 1 {
            for column in (0..x.shape[3] - 1).step_by(2) {
                let places: Vec<usize> = [[0, 0], [0, 1], [1, 0], [1, 1]]
                    .map(|[i, j]| (row + i) * x.shape[3] + column + j)
                    .to_vec();
                let largest =
                    *places.iter().max_by(|a, b| x.data[**a].total_cmp(&x.data[**b])).expect("four");
                let y = match maximum {
                    true => x.data[largest],
                    false => places.iter().map(|&p| x.data[p]).sum::<f64>() / 4.0,
                };
                let g = 1.0 - y.tanh() * y.tanh();
                for p in places {
                    dx.data[p] += if maximum { g * f64::from(u8::from(p == largest)) } else { g / 4.0 };
                }
            }
        }
        dx
    };
    let x = [Domain::Distinct.draw(&mut rng, &[1, 1, 5, 6])];
    check(&mut all, "max_pool2d", &x, |x| x[0].max_pool(&pool), |x| pooled(&x[0], true));
    check(&mut all, "avg_pool2d", &x, |x| x[0].avg_pool(&pool, true), |x| pooled(&x[0], false));
    all.finish();
}

/// The gradient of Σ tanh(x̂) for rows, x̂ = (x − mean)/√(var + 1e-5), or without the mean.
fn norm_gradient(x: &Array, centred: bool) -> Array {
    let width = x.shape[x.rank() - 1];
    let n = width as f64;
    let rows = x.data.chunks(width).flat_map(|row| {
        let mean = if centred { row.iter().sum::<f64>() / n } else { 0.0 };
        let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let rstd = (var + 1e-5).powf(-0.5);
        let hat: Vec<f64> = row.iter().map(|x| (x - mean) * rstd).collect();
        let g: Vec<f64> = hat.iter().map(|y| 1.0 - y.tanh() * y.tanh()).collect();
        let level = if centred { g.iter().sum::<f64>() / n } else { 0.0 };
        let along = g.iter().zip(&hat).map(|(g, y)| g * y).sum::<f64>() / n;
        hat.iter().zip(&g).map(|(y, g)| rstd * (g - level - y * along)).collect::<Vec<f64>>()
    });
    Array::new(&x.shape, rows.collect())
}

#[test]
fn second_derivatives_of_norms() {
    let mut all = Cases::default();
    let x = [uniform(&mut rng_of("second norms", 0), &[4, 6], -2.0, 2.0)];
    let eps = 1e-5;
    let net = |x: &Tensor| Net::new(x.graph(), true);
    let layer = LayerNorm { elementwise_affine: false, eps, ..LayerNorm::default() };
    let rows = |x: &[Array]| norm_gradient(&x[0], true);
    check(&mut all, "layer_norm", &x, |x| net(&x[0]).layer_norm("n", &x[0], &layer), rows);
    let rms = RmsNorm { eps: Some(eps), elementwise_affine: false, ..RmsNorm::default() };
    let uncentred = |x: &[Array]| norm_gradient(&x[0], false);
    check(&mut all, "rms_norm", &x, |x| net(&x[0]).rms_norm("n", &x[0], &rms), uncentred);
    let group = GroupNorm { affine: false, eps, ..GroupNorm::new(1) };
    check(&mut all, "group_norm", &x, |x| net(&x[0]).group_norm("n", &x[0], &group), rows);
    let instance = InstanceNorm { affine: false, eps };
    let build = |x: &[Tensor]| {
        let rows = net(&x[0]).instance_norm("n", &x[0].reshape([4, 1, 6]), &instance);
        rows.reshape([4, 6])
    };
    check(&mut all, "instance_norm", &x, build, rows);
    let batch = BatchNorm { affine: false, track_running_stats: false, eps, ..BatchNorm::default() };
    let build = |x: &[Tensor]| net(&x[0]).batch_norm("n", &x[0].transpose(0, 1), &batch).transpose(0, 1);
    check(&mut all, "batch_norm", &x, build, rows);
    all.finish();
}
