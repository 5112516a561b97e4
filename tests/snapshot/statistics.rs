//! Statistics of a step against naive ones in f64, and that nothing else of a run changes by them.

use std::fs;

use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::gpu::Family;
use downhill::kernel::Precision;
use downhill::metrics::{Numbers, StatisticsRecord};
use downhill::nn::Net;
use downhill::nn::loss::{self, CrossEntropy};
use downhill::optim::{Clip, Optimizer, ParamGroup, Update};
use downhill::plan::NamedTensor;
use downhill::train::{Observer, StepRecord, Trainer};
use downhill::{Error, Gpu, Init, Tensor};

use crate::adapter;
use crate::session::{At, assert_alike, left, resume, start};

/// Keeps what is told, in order.
#[derive(Default)]
struct Told {
    statistics: Vec<StatisticsRecord>,
    steps: Vec<StepRecord>,
}

impl Observer for Told {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        self.steps.extend_from_slice(steps);
        Ok(())
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<(), Error> {
        assert_eq!(self.steps.last().map(|step| step.step), Some(statistics.step), "after its step");
        self.statistics.push(statistics.clone());
        Ok(())
    }
}

/// The tensors of the tests: one that ends within a vec4, one of two chunks, one that is frozen between them.
const SHAPES: [(&str, [usize; 2]); 4] = [("a", [7, 9]), ("frozen", [5, 5]), ("b", [130, 131]), ("c", [1, 1])];

fn numbers() -> usize {
    SHAPES.iter().map(|(_, [m, n])| m * n).sum()
}

/// Of both signs, from 2⁻³⁵ to 2⁶, some of them 0.
fn spread(i: usize) -> f32 {
    let magnitude = 2f32.powi((i * 31 % 42) as i32 - 35) * (1.0 + (i % 7) as f32 / 8.0);
    if i.is_multiple_of(13) { 0.0 } else { magnitude * if i.is_multiple_of(3) { -1.0 } else { 1.0 } }
}

/// A sample is what the gradient is to be: the loss is the mean over the batch of Σ p·g.
fn given(samples: Vec<f32>) -> Dataset {
    let rows = samples.len() / numbers();
    Dataset::from_arrays("gradients", [numbers()], samples, [], vec![0.0; rows]).expect("data")
}

fn model(net: &Net, x: &Tensor) -> Tensor {
    let mut start = 0;
    let term = |(name, [m, n]): (&str, [usize; 2])| {
        let g = x.slice(1, start, start + m * n).mean(&[0], false).reshape([m, n]);
        start += m * n;
        net.parameter(name, [m, n], Init::Normal { mean: 0.5, std: 2.0 }).mul(&g).sum_all()
    };
    SHAPES.into_iter().map(term).reduce(|a, b| a.add(&b)).expect("a parameter")
}

fn sgd(clip: Option<Clip>, skip_nonfinite: bool) -> Update {
    let mut update =
        Update::from(&toml::from_str::<Optimizer>("name = \"sgd\"\nlr = 0.01").expect("an optimizer"));
    update.clip = clip;
    update.skip_nonfinite = Some(skip_nonfinite);
    let frozen: ParamGroup = toml::from_str("params = [\"frozen\"]\nfrozen = true").expect("a group");
    update.groups = vec![frozen];
    update
}

fn trainer(gpu: &Gpu, update: &Update, data: &Dataset, options: &TrainOptions) -> Trainer {
    let loss = |y: &Tensor, _: &Tensor| y.clone();
    Trainer::new(gpu, &model, &loss, update, data, options).expect("a trainer")
}

/// The weights after each step, of a trainer that takes no statistics.
fn weights_of(trainer: &mut Trainer, steps: usize) -> Vec<Vec<NamedTensor>> {
    let mut all = vec![trainer.state_dict().expect("weights")];
    for _ in 0..steps {
        trainer.advance(1).expect("a step");
        all.push(trainer.state_dict().expect("weights"));
    }
    all
}

/// Sums of f32 numbers: each passes one addition for each that its lane has before it, and 32 more at most from lane to
/// lane and from chunk to chunk; then its own rounding.
fn check(numbers: &Numbers, x: &[f32], what: &str) {
    let finite: Vec<f64> = x.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect();
    let n = finite.len() as f64;
    assert_eq!(numbers.count, x.len() as u64, "{what}");
    assert_eq!(numbers.nonfinite, (x.len() - finite.len()) as u64, "{what}");
    assert_eq!(numbers.zeros, finite.iter().filter(|x| **x == 0.0).count() as u64, "{what}");
    assert_eq!(numbers.min, finite.iter().copied().reduce(f64::min), "{what}");
    assert_eq!(numbers.max, finite.iter().copied().reduce(f64::max), "{what}");
    let mut bins = vec![0; 64];
    for x in &finite {
        // Below 0 a limit is in the bin below it.
        let limits = StatisticsRecord::limits();
        let above = limits.iter().filter(|limit| if *x < 0.0 { x > limit } else { x >= limit }).count();
        bins[above] += 1;
    }
    assert_eq!(numbers.histogram, bins, "{what}");
    let each = (x.len().min(16_384).div_ceil(64) + 33) as f64 * f64::from(f32::EPSILON) / 2.0;
    let (sum, absolute): (f64, f64) = finite.iter().fold((0.0, 0.0), |(s, a), x| (s + x, a + x.abs()));
    let squares: f64 = finite.iter().map(|x| x * x).sum();
    let mean = sum / n.max(1.0);
    let spread: f64 = finite.iter().map(|x| (x - mean).powi(2)).sum();
    let mean_off = each * absolute / n.max(1.0);
    let close = |told: f64, want: f64, tolerance: f64, of: &str| {
        assert!((told - want).abs() <= tolerance, "{what} {of}: {told}, not {want} to {tolerance}");
    };
    close(numbers.mean, mean, mean_off, "mean");
    close(numbers.norm.powi(2), squares, each * squares, "norm");
    // Of a mean that is off the spread is off by its square, and each difference rounds by a part of its larger side.
    let rounding = f64::from(f32::EPSILON)
        * finite.iter().map(|x| (x - mean).abs() * (x.abs() + mean.abs())).sum::<f64>();
    close(numbers.std.powi(2) * n, spread, each * spread + n * mean_off.powi(2) + rounding, "std");
}

fn values<'t>(weights: &'t [NamedTensor], name: &str) -> &'t [f32] {
    &weights.iter().find(|t| t.name == name).expect("a tensor").values
}

/// The part of a sample that is the gradient of a tensor.
fn part<'s>(sample: &'s [f32], name: &str) -> &'s [f32] {
    let at = SHAPES.iter().position(|(other, _)| *other == name).expect("a tensor");
    let size = |i: usize| SHAPES[i].1[0] * SHAPES[i].1[1];
    let from: usize = (0..at).map(size).sum();
    &sample[from..from + size(at)]
}

fn check_step(record: &StatisticsRecord, weights: &[Vec<NamedTensor>], gradient: &[f32], what: &str) {
    let names: Vec<&str> = record.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"], "{what}: without the frozen one");
    let step = record.step as usize;
    for tensor in &record.tensors {
        let what = format!("{what}, step {step}, {}", tensor.name);
        let (before, after) =
            (values(&weights[step - 1], &tensor.name), values(&weights[step], &tensor.name));
        let update: Vec<f32> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        check(&tensor.weights, after, &format!("{what}, weights"));
        check(&tensor.gradients, part(gradient, &tensor.name), &format!("{what}, gradients"));
        check(&tensor.updates, &update, &format!("{what}, updates"));
        assert_eq!(tensor.update_ratio, tensor.updates.norm / tensor.weights.norm, "{what}");
    }
}

#[test]
fn tensors_are_as_naive_sums_have_them() {
    let samples: Vec<f32> = (0..4 * numbers()).map(spread).collect();
    let data = given(samples.clone());
    for &family in adapter::families() {
        let gpu = adapter::open(family);
        let options = TrainOptions {
            batch_size: BatchSize::Rows(1),
            sampling: Sampling::File,
            epochs: 1,
            ..TrainOptions::default()
        };
        let update = sgd(None, false);
        let weights = weights_of(&mut trainer(&gpu, &update, &data, &options), 4);
        let mut told = Told::default();
        let mut watched = trainer(&gpu, &update, &data, &TrainOptions { statistics: Some(2), ..options });
        watched.run(&mut told).expect("a run");
        assert_eq!(watched.state_dict().expect("weights"), weights[4], "{family:?}: the same bits");
        assert_eq!(told.steps.len(), 4);
        let steps: Vec<u64> = told.statistics.iter().map(|record| record.step).collect();
        assert_eq!(steps, [2, 4], "{family:?}");
        for record in &told.statistics {
            let sample = &samples[(record.step as usize - 1) * numbers()..][..numbers()];
            check_step(record, &weights, sample, &format!("{family:?}"));
        }
    }
}

/// A batch of four in micro-batches of two, its gradients clipped to a hundredth; then one with numbers that are none, which
/// is left out.
#[test]
fn gradients_are_the_batch_s_before_clipping() {
    // Whole numbers, so that their mean over four is exact in whatever order.
    let mut samples: Vec<f32> = (0..8 * numbers()).map(|i| ((i * 29 % 64) as f32 - 31.0) * 4.0).collect();
    samples[7 * numbers()] = f32::INFINITY;
    samples[6 * numbers() + 1] = f32::NAN;
    let means: Vec<Vec<f32>> = samples
        .chunks(4 * numbers())
        .map(|batch| (0..numbers()).map(|i| batch.chunks(numbers()).map(|s| s[i] / 4.0).sum()).collect())
        .collect();
    let data = given(samples);
    let family = adapter::families()[0];
    let gpu = adapter::open(family);
    let options = TrainOptions {
        batch_size: BatchSize::Rows(4),
        micro_batch: MicroBatch::Rows(2),
        sampling: Sampling::File,
        epochs: 1,
        ..TrainOptions::default()
    };
    let update = sgd(Some(Clip::Norm(1.0)), true);
    let weights = weights_of(&mut trainer(&gpu, &update, &data, &options), 2);
    let mut told = Told::default();
    let mut watched = trainer(&gpu, &update, &data, &TrainOptions { statistics: Some(1), ..options });
    watched.run(&mut told).expect("a run");
    assert_eq!(watched.state_dict().expect("weights"), weights[2]);
    let [first, second] = &told.statistics[..] else { panic!("two records: {:?}", told.statistics.len()) };
    check_step(first, &weights, &means[0], "clipped");
    check_step(second, &weights, &means[1], "left out");
    assert_eq!(second.tensors[0].gradients.nonfinite, 2);
    let moved =
        |record: &StatisticsRecord| record.tensors.iter().map(|t| t.updates.norm.powi(2)).sum::<f64>();
    // SGD at 0.01 moves by a hundredth of a gradient of norm 1, and every weight's rounding.
    assert!(moved(first).sqrt() > 0.009 && moved(first).sqrt() < 0.011, "{}", moved(first).sqrt());
    assert_eq!(moved(second), 0.0);
}

fn classes(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 8).relu();
    net.linear("2", &h, 3)
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &CrossEntropy::default())
}

/// Under f16 the gradients in memory are scaled; those that are told are not.
#[test]
fn gradients_of_f16_are_without_the_loss_scale() {
    let gpu = adapter::open(Family::Tiled);
    if !gpu.has_f16() {
        eprintln!("skipped: {} has no f16", gpu.adapter().name);
        return;
    }
    let x: Vec<f32> = (0..40 * 5).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let data = Dataset::from_arrays("made up", [5], x, [], (0..40).map(|i| i % 3).collect::<Vec<i32>>());
    let data = data.expect("data").with_classes(3).expect("classes");
    let options = TrainOptions {
        batch_size: BatchSize::Rows(8),
        precision: Precision::F16,
        epochs: 1,
        statistics: Some(1),
        ..TrainOptions::default()
    };
    let update = Update::from(&toml::from_str::<Optimizer>("name = \"sgd\"").expect("an optimizer"));
    let mut trainer =
        Trainer::new(&gpu, &classes, &cross_entropy, &update, &data, &options).expect("a trainer");
    let mut told = Told::default();
    trainer.run(&mut told).expect("a run");
    assert_eq!(told.statistics.len(), 5);
    for (step, record) in told.steps.iter().zip(&told.statistics) {
        let checks = step.gradient_check.expect("f16 looks at gradients");
        assert!(checks.loss_scale.is_some_and(|scale| scale > 1.0), "{checks:?}");
        let norm = record.tensors.iter().map(|t| t.gradients.norm.powi(2)).sum::<f64>().sqrt();
        // Both add up some 70 squares; the scale is a power of two.
        let tolerance = 80.0 * f64::from(f32::EPSILON) * norm;
        let off = (norm - f64::from(checks.grad_norm)).abs();
        assert!(norm > 0.0 && off <= tolerance, "{norm}, {checks:?}");
        assert_eq!(record.dead_units.len(), 1);
    }
}

/// Unit u of eight looks for x[u] above ½: in the first batch those below 3, in the last one, which is short, unit 4.
#[test]
fn units_are_dead_that_no_sample_of_the_batch_wakes() {
    let mut x = vec![0.0; 11 * 8];
    for (sample, unit) in [(0, 0), (1, 1), (3, 2), (9, 4)] {
        x[sample * 8 + unit] = 1.0;
    }
    let data = Dataset::from_arrays("made up", [8], x, [], (0..11).map(|i| i % 3).collect::<Vec<i32>>());
    let data = data.expect("data").with_classes(3).expect("classes");
    let model = |net: &Net, x: &Tensor| {
        let unit = net.linear("0", x, 8).relu();
        // Units that are channels: the same ones, at two positions.
        let twice = unit.reshape([x.shape()[0], 8, 1]).broadcast_to([x.shape()[0], 8, 2]);
        let channels = net.conv1d("1", &twice, &downhill::nn::Conv1d::new(4, [1])).relu();
        net.linear("2", &channels.flatten(), 3)
    };
    for &family in adapter::families() {
        let gpu = adapter::open(family);
        let options = TrainOptions {
            batch_size: BatchSize::Rows(4),
            sampling: Sampling::File,
            epochs: 1,
            statistics: Some(1),
            ..TrainOptions::default()
        };
        // So slow that no unit changes sides.
        let update =
            Update::from(&toml::from_str::<Optimizer>("name = \"sgd\"\nlr = 1e-6").expect("an optimizer"));
        let mut trainer =
            Trainer::new(&gpu, &model, &cross_entropy, &update, &data, &options).expect("a trainer");
        let mut weights = trainer.state_dict().expect("weights");
        for tensor in &mut weights {
            tensor.values = match tensor.name.as_str() {
                "0.weight" => (0..64).map(|i| f32::from(u8::from(i / 8 == i % 8))).collect(),
                "0.bias" => vec![-0.5; 8],
                // A channel for each of units 0, 1 and 4, and one that is never on.
                "1.weight" => [0, 1, 4, 8]
                    .into_iter()
                    .flat_map(|of| (0..8).map(move |unit| f32::from(u8::from(unit == of))))
                    .collect(),
                "1.bias" => vec![-0.25; 4],
                _ => tensor.values.clone(),
            };
        }
        trainer.load_state_dict(&weights).expect("weights");
        let mut told = Told::default();
        trainer.run(&mut told).expect("a run");
        let found: Vec<Vec<(&str, u64, u64)>> = told
            .statistics
            .iter()
            .map(|r| r.dead_units.iter().map(|d| (d.layer.as_str(), d.units, d.dead)).collect())
            .collect();
        let is = |dense, conv| vec![("relu after 0 (linear)", 8, dense), ("relu after 1 (conv1d)", 4, conv)];
        assert_eq!(found, [is(5, 2), is(8, 4), is(7, 3)], "{family:?}");
    }
}

/// The lines of `metrics.jsonl` of an event, as text.
fn lines(run: &std::path::Path, event: &str) -> Vec<serde_json::Value> {
    left(run).2.into_iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn a_run_with_statistics_is_the_same_run_and_tells_them_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let [plain, whole, parts] = ["plain", "whole", "parts"].map(|name| dir.path().join(name));
    start(&plain, &[]).run(&mut ()).expect("a run");
    // CheckpointOptions are after every 7 steps, epochs end after 12: steps of statistics fall on both.
    let settings = ["watch.statistics=4", "watch.tensorboard=true", "checkpoint.every_steps=8"];
    start(&whole, &settings).run(&mut ()).expect("a run");
    let steps: Vec<u64> =
        lines(&whole, "statistics").iter().map(|l| l["step"].as_u64().expect("a step")).collect();
    assert_eq!(steps, (1..=9).map(|i| 4 * i).collect::<Vec<u64>>());
    let (mut with, without) = (left(&whole), left(&plain));
    assert!(with.0 == without.0 && with.1 == without.1, "other weights");
    with.2.retain(|line| line["event"] != "statistics");
    assert_eq!(with.2, without.2);

    let mut session = start(&parts, &settings);
    for more in [4, 1, 3, 2, 4] {
        let (handle, step) = (session.handle(), 36.min(session.trainer().steps_done() + more));
        session.run(&mut At(step, || handle.stop())).expect("a stop");
        drop(session);
        session = resume(&parts).expect("to go on");
    }
    session.run(&mut ()).expect("the end");
    drop(session);
    assert_alike(&whole, &parts);

    // One that was killed at its end goes back to the last checkpoint, over the statistics told since.
    fs::remove_file(parts.join("model.safetensors")).expect("to be removed");
    let mut session = resume(&parts).expect("an older checkpoint");
    assert_eq!(session.from(), Some(32));
    session.run(&mut ()).expect("the end");
    drop(session);
    assert_alike(&whole, &parts);
}
