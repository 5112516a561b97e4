//! Layers that do one thing in training and another in evaluation: dropout draws, batch norm keeps statistics.

mod adapter;

use std::collections::BTreeMap;

use adapter::{families, open};
use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset};
use downhill::nn::{BatchNorm, Net};
use downhill::optim::{Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Gpu, Init, Tensor};

/// A step of sgd at this rate moves a parameter by its gradient, to one rounding and 2⁻⁴⁴ of the parameter.
const LR: f64 = (1 << 20) as f64;

type Layer<'a> = &'a dyn Fn(&Net, &Tensor) -> Tensor;

/// What a layer without parameters makes of x in a step of training, and the gradient of Σ u·y for x.
struct Seen {
    y: Vec<f64>,
    dx: Vec<f64>,
}

/// Different numbers, none near 0.
fn spread(n: usize, shift: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 37 + shift) % 101) as f32 / 64.0 + 0.5)
        .map(|x| if x > 1.3 { -x } else { x })
        .collect()
}

/// Steps of training with x and u as parameters, loaded anew before each: u moves by y, and x by its gradient.
fn steps(gpu: &Gpu, layer: Layer, shape: &[usize], seed: u64, count: usize) -> Vec<Seen> {
    let data = Dataset::from_arrays("none", [1], vec![0.0], [], vec![0.0]).expect("a sample");
    let model = |net: &Net, _: &Tensor| {
        let x = net.parameter("x", shape, Init::Constant(0.0));
        layer(net, &x).mul(&net.parameter("u", shape, Init::Constant(0.0))).sum_all()
    };
    let sgd = Optimizer::Sgd(Sgd { lr: LR, ..Sgd::default() });
    let options = TrainOptions { batch_size: BatchSize::Full, seed, ..TrainOptions::default() };
    let made = Trainer::new(gpu, &model, &|y, _| y.clone(), &sgd, &data, &options);
    let mut trainer = made.expect("a trainer");
    let n = shape.iter().product();
    let named = |name: &str, values| NamedTensor { name: name.into(), shape: shape.into(), values };
    let start = [named("x", spread(n, 0)), named("u", spread(n, 50))];
    let step = |_| {
        trainer.load_state_dict(&start).expect("the model's own");
        trainer.advance(1).expect("a step");
        let after = trainer.state_dict().expect("tensors");
        let moved = |which: usize| {
            let before = &start[which];
            let after = after.iter().find(|t| t.name == before.name).expect("what was loaded");
            let pairs = before.values.iter().zip(&after.values);
            pairs.map(|(b, a)| (f64::from(*b) - f64::from(*a)) / LR).collect()
        };
        Seen { y: moved(1), dx: moved(0) }
    };
    (0..count).map(step).collect()
}

/// Which elements were kept. All are 0 or divided by 1 − p, and in the gradient the same ones.
fn kept(seen: &Seen, p: f64) -> Vec<bool> {
    let n = seen.y.len();
    let (x, u) = (spread(n, 0), spread(n, 50));
    let close = |got: f64, want: f64| (got - want).abs() <= 4.0 * f64::from(f32::EPSILON) * want.abs();
    (0..n)
        .map(|i| {
            let kept = seen.y[i] != 0.0;
            let scale = if kept { 1.0 / (1.0 - p) } else { 0.0 };
            let (x, u) = (f64::from(x[i]), f64::from(u[i]));
            assert!(close(seen.y[i], x * scale), "y[{i}] = {} for x = {x}, p = {p}", seen.y[i]);
            assert!(close(seen.dx[i], u * scale), "dx[{i}] = {} for u = {u}, kept: {kept}", seen.dx[i]);
            kept
        })
        .collect()
}

/// The share of `hits` is `chance` within five standard deviations: wrong once in two million.
#[track_caller]
fn likely(what: &str, hits: usize, of: usize, chance: f64) {
    let (share, deviation) = (hits as f64 / of as f64, (chance * (1.0 - chance) / of as f64).sqrt());
    assert!((share - chance).abs() <= 5.0 * deviation, "{what}: {share}, expected {chance} ± {deviation}");
}

fn count(hits: impl Iterator<Item = bool>) -> usize {
    hits.filter(|hit| *hit).count()
}

#[test]
fn dropout_keeps_its_share_and_its_gradient_the_same_elements() {
    // not a multiple of any workgroup
    let shape = [37, 541];
    let n = 37 * 541;
    for &family in families() {
        let gpu = open(family);
        for p in [0.5, 0.1, 0.9] {
            let chance = 1.0 - p;
            let seen = steps(&gpu, &|net, x| net.dropout(x, p), &shape, 7, 3);
            let masks: Vec<Vec<bool>> = seen.iter().map(|seen| kept(seen, p)).collect();
            for mask in &masks {
                likely("kept", count(mask.iter().copied()), n, chance);
                // Neighbours in a row, in a column, and words apart by a power of two know nothing of each other.
                for apart in [1, 2, 4, 64, 541, 4096] {
                    let both = count((apart..n).map(|i| mask[i] && mask[i - apart]));
                    likely(&format!("kept both, {apart} apart"), both, n - apart, chance * chance);
                }
            }
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                let both = count((0..n).map(|i| masks[a][i] && masks[b][i]));
                likely("kept in both steps", both, n, chance * chance);
            }
        }
    }
}

#[test]
fn dropout_depends_on_seed_step_and_call_alone() {
    let shape = [13, 67];
    let mut every: Vec<Vec<Vec<bool>>> = Vec::new();
    for &family in families() {
        let gpu = open(family);
        let masks = |seed| -> Vec<Vec<bool>> {
            let seen = steps(&gpu, &|net, x| net.dropout(x, 0.5), &shape, seed, 3);
            seen.iter().map(|seen| kept(seen, 0.5)).collect()
        };
        let first = masks(3);
        assert_eq!(first, masks(3), "the same seed");
        assert_ne!(first, masks(4), "another seed");
        assert_ne!(first, masks(3 + (1 << 32)), "another seed beyond 32 bits");
        assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "another step");
        every.push(first);
    }
    assert!(every.windows(2).all(|pair| pair[0] == pair[1]), "every adapter draws the same");

    // Two calls of one step: with p = 1/2 twice a quarter is left, and four times as large.
    let gpu = open(families()[0]);
    let twice = |net: &Net, x: &Tensor| net.dropout(&net.dropout(x, 0.5), 0.5);
    let seen = steps(&gpu, &twice, &[97, 101], 3, 1);
    likely("kept by both calls", count(kept(&seen[0], 0.75).into_iter()), 97 * 101, 0.25);
}

#[test]
fn dropout_at_its_ends_and_in_evaluation() {
    let shape = [5, 33];
    let n = 5 * 33;
    for &family in families() {
        let gpu = open(family);
        let of = |layer: Layer| steps(&gpu, layer, &shape, 0, 1).remove(0);
        assert_eq!(count(kept(&of(&|net, x| net.dropout(x, 0.0)), 0.0).into_iter()), n);
        let none = of(&|net, x| net.dropout(x, 1.0));
        assert!(none.y.iter().chain(&none.dx).all(|v| *v == 0.0));
        let evaluated = of(&|net, x| Net::new(net.graph(), false).dropout(x, 0.5));
        assert_eq!(count(kept(&evaluated, 0.0).into_iter()), n);
    }
}

#[test]
fn dropout2d_drops_whole_channels() {
    let [n, c, inner] = [61, 23, 3 * 5];
    for &family in families() {
        let gpu = open(family);
        let seen = steps(&gpu, &|net, x| net.dropout2d(x, 0.25), &[n, c, 3, 5], 1, 2);
        let masks: Vec<Vec<bool>> = seen.iter().map(|seen| kept(seen, 0.25)).collect();
        for mask in &masks {
            for (i, channel) in mask.chunks(inner).enumerate() {
                assert!(channel.iter().all(|kept| *kept == channel[0]), "channel {i}: {channel:?}");
            }
            likely("channels kept", count(mask.chunks(inner).map(|channel| channel[0])), n * c, 0.75);
        }
        assert_ne!(masks[0], masks[1], "another step");
    }
}

#[test]
fn a_dropout_outside_of_0_to_1_is_refused() {
    for p in [-0.1, 1.5, f64::NAN] {
        let graph = downhill::Graph::new();
        Net::new(&graph, true).dropout(&graph.input("x", [3, 2]), p);
        let text = graph.check().expect_err("refused").to_string();
        assert!(text.contains("dropout") && text.contains(&p.to_string()), "{text}");
    }
}

const SAMPLES: usize = 24;
const CHANNELS: usize = 3;

/// Batch norm and dropout in one net, on samples [3, 2].
fn mixed(net: &Net, x: &Tensor) -> Tensor {
    let x = net.batch_norm("norm", x, &BatchNorm::default());
    net.linear("out", &net.dropout(&x.flatten(), 0.25), 2)
}

fn samples(shift: usize, n: usize) -> Vec<f32> {
    spread(n * CHANNELS * 2, shift)
}

fn mixed_trainer(gpu: &Gpu) -> Trainer {
    let data = Dataset::from_arrays("some", [CHANNELS, 2], samples(0, SAMPLES), [2], spread(SAMPLES * 2, 9));
    let data = data.expect("samples").with_eval(samples(31, 7), spread(14, 3)).expect("more samples");
    let sgd = Optimizer::Sgd(Sgd { lr: 0.05, momentum: 0.9, ..Sgd::default() });
    // The last batch of an epoch is short.
    let options = TrainOptions { batch_size: BatchSize::Rows(7), seed: 5, ..TrainOptions::default() };
    Trainer::new(gpu, &mixed, &downhill::nn::loss::mse, &sgd, &data, &options).expect("a trainer")
}

#[test]
fn evaluating_leaves_no_trace_on_training() {
    for &family in families() {
        let gpu = open(family);
        let (mut plain, mut looked_at) = (mixed_trainer(&gpu), mixed_trainer(&gpu));
        let straight: Vec<f32> = plain.advance(4).expect("steps").iter().map(|r| r.loss).collect();
        let mut stepwise = Vec::new();
        for _ in 0..4 {
            let before = looked_at.state_dict().expect("tensors");
            let once = looked_at.evaluate().expect("an evaluation");
            assert_eq!(once, looked_at.evaluate().expect("another"), "evaluated twice");
            assert_eq!(before, looked_at.state_dict().expect("tensors"), "evaluation changed something");
            stepwise.extend(looked_at.advance(1).expect("a step").iter().map(|r| r.loss));
        }
        assert_eq!(straight, stepwise);
        assert_eq!(plain.state_dict().expect("tensors"), looked_at.state_dict().expect("tensors"));
    }
}

#[test]
fn evaluation_takes_the_running_statistics_and_no_mask() {
    for &family in families() {
        let gpu = open(family);
        let mut trainer = mixed_trainer(&gpu);
        trainer.advance(6).expect("steps");
        let state: BTreeMap<String, Vec<f64>> = trainer
            .state_dict()
            .expect("tensors")
            .into_iter()
            .map(|t| (t.name, t.values.into_iter().map(f64::from).collect()))
            .collect();
        assert_eq!(state["norm.num_batches_tracked"], [6.0]);
        let hat = |x: f64, c: usize| {
            let (mean, var) = (state["norm.running_mean"][c], state["norm.running_var"][c]);
            (x - mean) / (var + 1e-5).sqrt() * state["norm.weight"][c] + state["norm.bias"][c]
        };
        let (x, t) = (samples(31, 7), spread(14, 3));
        let mut total = 0.0;
        for (sample, t) in x.chunks(CHANNELS * 2).zip(t.chunks(2)) {
            for (k, t) in t.iter().enumerate() {
                let weights = &state["out.weight"][k * CHANNELS * 2..];
                let terms = sample.iter().enumerate().map(|(i, &x)| hat(x.into(), i / 2) * weights[i]);
                let y = terms.sum::<f64>() + state["out.bias"][k];
                total += (y - f64::from(*t)).powi(2) / 14.0;
            }
        }
        let loss = trainer.evaluate().expect("an evaluation").expect("a part to evaluate on").loss;
        assert!((loss - total).abs() <= 1e-5 * total, "{loss} for {total}");
    }
}

#[test]
fn batch_norm_cannot_train_on_one_value_a_channel() {
    for (shape, refused) in
        [(&[1, 3][..], true), (&[1, 3, 1, 1], true), (&[1, 3, 2], false), (&[2, 3], false)]
    {
        let build = |training| {
            let graph = downhill::Graph::new();
            let x = graph.input("x", shape);
            Net::new(&graph, training).batch_norm("norm", &x, &BatchNorm::default());
            graph.check()
        };
        assert_eq!(build(true).is_err(), refused, "{shape:?}");
        assert!(build(false).is_ok(), "{shape:?} in evaluation");
    }
}
