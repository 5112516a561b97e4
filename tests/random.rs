//! Numbers drawn on the device: their moments and shares are those of their distribution.

mod adapter;

use downhill::{Function, Graph, Tensor};

const N: usize = 1 << 16;

/// Of Beta(alpha, alpha): moments about the middle, and the distribution function where it has a short form.
#[test]
fn beta_numbers_are_beta() {
    use std::f64::consts::FRAC_2_PI;
    let alphas = [0.1, 0.2, 0.5, 1.0, 2.0, 8.0];
    let all = drawn(&|graph| alphas.iter().map(|&a| graph.random_beta(a, [N / 256, 256])).collect());
    for (x, alpha) in all.iter().zip(alphas) {
        // E (x − 1/2)^2k = Π (2i − 1)/(4(2 alpha + 2i − 1)), i of 1 to k.
        let moment = |k: i32| {
            (1..=k)
                .map(|i| f64::from(2 * i - 1))
                .map(|odd| odd / (4.0 * (2.0 * alpha + odd)))
                .product::<f64>()
        };
        let power = |k: i32| x.iter().map(move |x| (x - 0.5).powi(k));
        assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
        for k in [1, 3] {
            assert_mean(power(k), 0.0, moment(k).sqrt());
        }
        for k in [2, 4] {
            assert_mean(power(k), moment(k / 2), (moment(k) - moment(k / 2).powi(2)).sqrt());
        }
        for bound in [0.02, 0.1, 0.3, 0.6, 0.95] {
            let share = match alpha {
                0.5 => FRAC_2_PI * f64::asin(f64::sqrt(bound)),
                1.0 => bound,
                2.0 => bound * bound * (3.0 - 2.0 * bound),
                _ => continue,
            };
            assert_mean(x.iter().map(|x| f64::from(*x < bound)), share, (share * (1.0 - share)).sqrt());
        }
        assert_mean(x.iter().zip(x.iter().skip(1)).map(|(a, b)| (a - 0.5) * (b - 0.5)), 0.0, moment(1));
    }
}

fn drawn(draw: &dyn Fn(&Graph) -> Vec<Tensor>) -> Vec<Vec<f64>> {
    let graph = Graph::new();
    let tensors = draw(&graph);
    let gpu = adapter::open(adapter::families()[0]);
    let mut function = Function::new(&gpu, &graph, &tensors.iter().collect::<Vec<_>>()).expect("a function");
    let values = function.call(&[]).expect("numbers");
    values.iter().map(|v| v.iter().map(|&x| x.into()).collect()).collect()
}

/// The mean of numbers whose deviation is `std` is `want` within five deviations: wrong once in two million.
#[track_caller]
fn assert_mean(values: impl Iterator<Item = f64>, want: f64, std: f64) {
    let mean = values.sum::<f64>() / N as f64;
    assert!((mean - want).abs() <= 5.0 * std / (N as f64).sqrt(), "{mean}, not {want}");
}

#[test]
fn normal_numbers_are_normal() {
    let all = drawn(&|graph| vec![graph.random_normal([N / 256, 256]), graph.random_normal([N / 256, 256])]);
    for x in &all {
        let power = |k| x.iter().map(move |x| x.powi(k));
        assert_mean(power(1), 0.0, 1.0);
        assert_mean(power(2), 1.0, 2f64.sqrt());
        assert_mean(power(3), 0.0, 15f64.sqrt());
        assert_mean(power(4), 3.0, 96f64.sqrt());
        for (bound, share) in [(0.5, 0.382_924_9), (1.0, 0.682_689_5), (2.0, 0.954_499_7), (3.0, 0.997_300_2)]
        {
            let within = x.iter().map(|x| f64::from(x.abs() < bound));
            assert_mean(within, share, (share * (1.0 - share)).sqrt());
        }
        assert!(x.iter().all(|x| x.abs() < 5.8));
        // One number says nothing of the next.
        assert_mean(x.iter().zip(x.iter().skip(1)).map(|(a, b)| a * b), 0.0, 1.0);
    }
    // Nor one call of another.
    assert_mean(all[0].iter().zip(&all[1]).map(|(a, b)| a * b), 0.0, 1.0);
}
