//! Numbers drawn on the device: their moments and shares are those of their distribution.

mod adapter;

use downhill::{Function, Graph, Tensor};

const N: usize = 1 << 16;

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
