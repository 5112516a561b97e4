//! Forward values against numbers worked out by hand or published, and the differences' accuracy.

use crate::{
    assert_close,
    oracle::{
        Array,
        difference::{numeric_grad, numeric_partial},
        draw::{rng_of, uniform},
        elementwise as el,
        erf::erf,
        loss,
        matmul::{matmul, matmul_backward},
        reduce, view,
    },
};
use std::f64::consts::{LN_2, PI};

fn counting(shape: &[usize]) -> Array {
    Array::new(shape, (0..shape.iter().product()).map(|i: usize| i as f64).collect())
}

#[test]
fn erf_has_f64_precision() {
    // from the C library, by Python's math.erf
    let known = [
        (0.1, 0.112_462_916_018_284_9),
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (3.0, 0.999_977_909_503_001_4),
    ];
    for (x, want) in known {
        assert_close(erf(x), want, 4e-16);
        assert_close(erf(-x), -want, 4e-16);
    }
    assert_eq!(erf(0.0), 0.0);
    assert_close(erf(5.999_999), 1.0, 4e-16);
    assert_eq!(erf(7.0), 1.0);
    assert!(erf(f64::NAN).is_nan());
}

#[test]
fn erf_is_the_integral_of_its_definition() {
    // Simpson's rule, whose error at this step is about h⁴/180 · 12 < 1e-14
    let panels = 4000;
    for x in [0.3, 1.7, 2.9, 4.5] {
        let h = x / f64::from(panels);
        let weight = |i| match i {
            0 => 1.0,
            i if i == panels => 1.0,
            i if i % 2 == 1 => 4.0,
            _ => 2.0,
        };
        let sum: f64 = (0..=panels).map(|i| weight(i) * (-(f64::from(i) * h).powi(2)).exp()).sum();
        assert_close(erf(x), 2.0 / PI.sqrt() * sum * h / 3.0, 1e-13);
    }
}

#[test]
fn activations_at_known_points() {
    // Φ(1) = 0.841344746068543 by the tables of the normal distribution
    assert_close(el::gelu(1.0), 0.841_344_746_068_543, 1e-15);
    assert_close(el::gelu(-1.0), 0.841_344_746_068_543 - 1.0, 1e-15);
    assert_close(el::gelu_tanh(1.0), 0.841_191_990_608_276, 1e-14);
    assert_close(el::sigmoid(1.0), 0.731_058_578_630_004_9, 1e-15);
    assert_close(el::silu(-1.0), -0.268_941_421_369_995_1, 1e-15);
    assert_close(el::softplus(0.0, 2.0, 20.0), LN_2 / 2.0, 1e-15);
    assert_eq!(el::softplus(3.0, 2.0, 5.0), 3.0);
    assert!(el::softplus(3.0, 2.0, 7.0) > 3.0);
    assert_close(el::elu(-1.0, 0.75), 0.75 * ((-1.0_f64).exp() - 1.0), 1e-15);
    assert_eq!([el::leaky_relu(-2.0, 0.125), el::leaky_relu(2.0, 0.125)], [-0.25, 2.0]);
    assert_eq!([el::relu(-2.0), el::relu(2.0)], [0.0, 2.0]);
    assert_eq!([-2.0, 0.5, 2.0].map(|x| el::clamp(x, -1.0, 1.0)), [-1.0, 0.5, 1.0]);
}

#[test]
fn broadcasting_follows_numpy() {
    let column = Array::new(&[2, 1], vec![10.0, 20.0]);
    let row = Array::new(&[3], vec![1.0, 2.0, 3.0]);
    let sum = el::zip(&column, &row, |a, b| a + b);
    assert_eq!(sum, Array::new(&[2, 3], vec![11.0, 12.0, 13.0, 21.0, 22.0, 23.0]));
    let picked = el::select(&Array::new(&[3], vec![0.0, 1.0, 0.0]), &column, &row);
    assert_eq!(picked, Array::new(&[2, 3], vec![1.0, 10.0, 3.0, 1.0, 20.0, 3.0]));
    let less = el::compare(&column, &Array::scalar(15.0), |a, b| a < b);
    assert_eq!(less, Array::new(&[2, 1], vec![1.0, 0.0]));
}

#[test]
fn reductions_over_chosen_axes() {
    let a = counting(&[2, 3, 2]);
    assert_eq!(reduce::sum(&a, &[1], false), Array::new(&[2, 2], vec![6.0, 9.0, 24.0, 27.0]));
    assert_eq!(reduce::sum(&a, &[-1, 0], true), Array::new(&[1, 3, 1], vec![14.0, 22.0, 30.0]));
    assert_eq!(reduce::mean(&a, &[], false), Array::scalar(5.5));
    assert_eq!(reduce::amax(&a, &[0, 2], false), Array::new(&[3], vec![7.0, 9.0, 11.0]));
    let flat = Array::full(&[2, 4], 3.0);
    assert!(reduce::logsumexp(&flat, &[1], false).max_diff(&Array::full(&[2], 3.0 + 2.0 * LN_2)) <= 1e-15);
    assert!(reduce::softmax(&flat, &[1]).max_diff(&Array::full(&[2, 4], 0.25)) <= 1e-15);
    assert!(reduce::log_softmax(&flat, &[0]).max_diff(&Array::full(&[2, 4], -LN_2)) <= 1e-15);
    // over two axes at once the whole sums to one
    let p = reduce::softmax(&counting(&[2, 3]), &[0, 1]);
    assert_close(p.data.iter().sum(), 1.0, 1e-15);
    assert_close(p.data[5] / p.data[0], 5.0_f64.exp(), 1e-12);
}

#[test]
fn views_move_the_right_elements() {
    let a = counting(&[2, 3]);
    assert_eq!(view::transpose(&a, -1, 0), Array::new(&[3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
    let b = counting(&[2, 3, 4]);
    let turned = view::permute(&b, &[2, 0, 1]);
    assert_eq!((turned.shape.clone(), turned.at(&[3, 1, 2])), (vec![4, 2, 3], b.at(&[1, 2, 3])));
    assert_eq!(view::slice(&a, -1, 1, 3), Array::new(&[2, 2], vec![1.0, 2.0, 4.0, 5.0]));
    assert_eq!(view::reshape(&a, &[3, 2]).at(&[1, 1]), 3.0);
    let wide = view::broadcast_to(&Array::new(&[2, 1], vec![5.0, 6.0]), &[2, 2, 2]);
    assert_eq!(wide.data, [5.0, 5.0, 6.0, 6.0, 5.0, 5.0, 6.0, 6.0]);
    let joined = view::concat(&[&a, &Array::full(&[2, 1], 9.0)], 1);
    assert_eq!(joined, Array::new(&[2, 4], vec![0.0, 1.0, 2.0, 9.0, 3.0, 4.0, 5.0, 9.0]));
}

#[test]
fn indexing_follows_torch() {
    // the example of torch.gather's page
    let t = Array::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let index = Array::new(&[2, 2], vec![0.0, 0.0, 1.0, 0.0]);
    assert_eq!(view::gather(&t, 1, &index), Array::new(&[2, 2], vec![1.0, 1.0, 4.0, 3.0]));
    let rows = view::index_select(&t, 0, &Array::new(&[3], vec![1.0, 0.0, 1.0]));
    assert_eq!(rows, Array::new(&[3, 2], vec![3.0, 4.0, 1.0, 2.0, 3.0, 4.0]));
    let hot = view::one_hot(&Array::new(&[2], vec![2.0, 0.0]), 3);
    assert_eq!(hot, Array::new(&[2, 3], vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]));
}

#[test]
fn matmul_broadcasts_the_leading_axes() {
    let a = Array::new(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let b = Array::new(&[2, 1], vec![5.0, 6.0]);
    assert_eq!(matmul(&a, &b), Array::new(&[2, 1], vec![17.0, 39.0]));
    let mut rng = rng_of("matmul broadcasts", 0);
    let a = uniform(&mut rng, &[3, 1, 2, 4], -1.0, 1.0);
    let b = uniform(&mut rng, &[5, 4, 3], -1.0, 1.0);
    let product = matmul(&a, &b);
    assert_eq!(product.shape, [3, 5, 2, 3]);
    let one: f64 = (0..4).map(|k| a.at(&[2, 0, 1, k]) * b.at(&[3, k, 2])).sum();
    assert_close(product.at(&[2, 3, 1, 2]), one, 1e-15);
}

#[test]
fn losses_by_hand() {
    let logits = Array::new(&[2, 2], vec![0.0, 0.0, 1.0, 3.0]);
    let targets = Array::new(&[2], vec![1.0, 0.0]);
    let second = (1.0 + 2.0_f64.exp()).ln(); // −log(e¹ / (e¹ + e³))
    let plain = loss::cross_entropy(&logits, &targets, 0.0, None).item();
    assert_close(plain, (LN_2 + second) / 2.0, 1e-15);
    // smoothing by 0.2 over two classes: 0.9 of the target's term and 0.1 of the other's
    let smooth = loss::cross_entropy(&logits, &targets, 0.2, None).item();
    assert_close(smooth, (LN_2 + 0.9 * second + 0.1 * (second - 2.0)) / 2.0, 1e-15);
    let half = Array::new(&[2], vec![-100.0, 0.0]);
    assert_close(loss::cross_entropy(&logits, &half, 0.0, Some(-100)).item(), second, 1e-15);

    let a = Array::new(&[3], vec![0.0, 1.0, 5.0]);
    let b = Array::new(&[3], vec![0.5, 1.0, 2.0]);
    assert_close(loss::mse(&a, &b).item(), (0.25 + 9.0) / 3.0, 1e-15);
    assert_close(loss::l1(&a, &b).item(), 3.5 / 3.0, 1e-15);
    assert_close(loss::huber(&a, &b, 1.0).item(), (0.125 + 2.5) / 3.0, 1e-15);
    let t = Array::new(&[3], vec![1.0, 0.25, 0.0]);
    let bce = |x: f64, t: f64| -t * el::sigmoid(x).ln() - (1.0 - t) * el::sigmoid(-x).ln();
    let want = (bce(0.0, 1.0) + bce(1.0, 0.25) + bce(5.0, 0.0)) / 3.0;
    assert_close(loss::bce_with_logits(&a, &t).item(), want, 1e-14);
}

#[test]
fn differences_are_good_to_1e_8() {
    type Scalar = fn(f64) -> f64;
    let functions: [(Scalar, Scalar); 6] = [
        (f64::exp, f64::exp),
        (f64::tanh, |x| 1.0 - x.tanh().powi(2)),
        (f64::sin, f64::cos),
        (f64::sqrt, |x| 0.5 / x.sqrt()),
        (|x| 1.0 / x, |x| -1.0 / (x * x)),
        (erf, |x| 2.0 / PI.sqrt() * (-x * x).exp()),
    ];
    for (f, derivative) in functions {
        for x in [0.07, 0.3, 1.0, 2.5, 6.0] {
            let got = numeric_partial(&|v| f(v[0].data[0]), &[Array::scalar(x)], 0, 0);
            assert_close(got, derivative(x), 1e-8 * derivative(x).abs().max(1.0));
        }
    }
}

#[test]
fn differences_name_the_right_element() {
    // Σ i·xᵢ² over two inputs
    let f =
        |v: &[Array]| v.iter().flat_map(|a| &a.data).enumerate().map(|(i, x)| i as f64 * x * x).sum::<f64>();
    let inputs = [Array::new(&[2], vec![1.0, -2.0]), Array::new(&[2, 1], vec![0.5, 3.0])];
    let want = Array::new(&[2, 1], vec![2.0, 18.0]);
    assert!(numeric_grad(&f, &inputs, 1).max_diff(&want) <= 1e-8);
}

#[test]
fn matmul_backward_agrees_with_differences() {
    let mut rng = rng_of("matmul backward", 0);
    for (a, b) in [
        (vec![3, 4], vec![4, 2]),
        (vec![2, 3, 4], vec![4, 5]),
        (vec![3, 1, 2, 4], vec![2, 4, 3]),
        (vec![1, 2, 1], vec![3, 1, 2]),
    ] {
        let (a, b) = (uniform(&mut rng, &a, -2.0, 2.0), uniform(&mut rng, &b, -2.0, 2.0));
        let u = uniform(&mut rng, &matmul(&a, &b).shape, -1.0, 1.0);
        let f = |v: &[Array]| el::zip(&matmul(&v[0], &v[1]), &u, |x, w| x * w).data.iter().sum();
        let inputs = [a, b];
        let (da, db) = matmul_backward(&inputs[0], &inputs[1], &u);
        assert!(numeric_grad(&f, &inputs, 0).max_diff(&da) <= 1e-8);
        assert!(numeric_grad(&f, &inputs, 1).max_diff(&db) <= 1e-8);
    }
}
