//! Models of several inputs, outputs and losses, and the metrics of evaluations: each number is that of a computation by
//! hand in f64.

mod adapter;
#[path = "objective/metrics.rs"]
mod metrics;
#[path = "objective/scored.rs"]
mod scored;

use adapter::{families, open};
use downhill::compile::TrainOptions;
use downhill::compile::{Batch, Objective, TrainPlan};
use downhill::data::{BatchSize, Dataset, Field, Part, Sampling, epoch_order};
use downhill::gpu::Family;
use downhill::kernel::Target;
use downhill::metrics::Metrics;
use downhill::nn::{Net, loss};
use downhill::optim::{Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::{EpochRecord, Observer};
use downhill::train::{StepRecord, Trainer};
use downhill::{Error, Init, Tensor};

const LR: f64 = 0.1;

/// Inputs a [2] and b [3], targets p [1] and q [].
#[derive(Clone, Copy)]
struct Sample {
    a: [f32; 2],
    b: [f32; 3],
    p: f32,
    q: f32,
}

fn samples(n: usize, salt: usize) -> Vec<Sample> {
    let number = |i: usize| ((i * i * 29 + i * 13 + salt) % 97) as f32 / 48.0 - 1.0;
    let sample = |i: usize| {
        let at = |j| number(7 * i + j);
        Sample { a: [at(0), at(1)], b: [at(2), at(3), at(4)], p: at(5), q: at(6) }
    };
    (0..n).map(sample).collect()
}

fn part(samples: &[Sample]) -> Part {
    let field = |shape: &[usize], values: Vec<f32>| Field::new(shape, values).expect("values");
    Part::builder()
        .input("a", field(&[2], samples.iter().flat_map(|s| s.a).collect()))
        .input("b", field(&[3], samples.iter().flat_map(|s| s.b).collect()))
        .target("p", field(&[1], samples.iter().map(|s| s.p).collect()))
        .target("q", field(&[], samples.iter().map(|s| s.q).collect()))
        .build()
        .expect("a part")
}

/// h = a·u + b·v is one output, c·h another; squared errors of both, the second with a weight.
fn two_heads(net: &Net, batch: &Batch) -> Objective {
    let weight = |name, shape: [usize; 2]| net.parameter(name, shape, Init::Constant(0.0));
    let h = batch.get("a").matmul(&weight("u", [2, 1])) + batch.get("b").matmul(&weight("v", [3, 1]));
    let other = (&h * weight("c", [1, 1])).reshape([h.shape()[0]]);
    let p = loss::mse(&h, &batch.get("p"));
    let q = loss::mse(&other, &batch.get("q"));
    Objective::new(&p + &q * 0.5).metric("p", p).metric("q", q)
}

/// Loss, first and second part of it on `rows`, and the gradient for (u, v, c).
fn by_hand(w: &[f64; 6], rows: &[Sample]) -> ([f64; 3], [f64; 6]) {
    let (mut parts, mut grad) = ([0.0; 2], [0.0; 6]);
    let n = rows.len() as f64;
    for s in rows {
        let x: Vec<f64> = s.a.iter().chain(&s.b).map(|&x| x.into()).collect();
        let h: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
        let (p, q) = (h - f64::from(s.p), w[5] * h - f64::from(s.q));
        parts[0] += p * p / n;
        parts[1] += q * q / n;
        let dh = (2.0 * p + q * w[5]) / n;
        x.iter().zip(&mut grad).for_each(|(x, g)| *g += dh * x);
        grad[5] += q * h / n;
    }
    ([parts[0] + 0.5 * parts[1], parts[0], parts[1]], grad)
}

#[track_caller]
fn assert_near(got: f64, want: f64, what: &str) {
    assert!((got - want).abs() <= 1e-5 * want.abs().max(0.1), "{what}: {got}, and {want} by hand");
}

#[derive(Default)]
struct Heard {
    steps: Vec<StepRecord>,
    epochs: Vec<EpochRecord>,
}

impl Observer for Heard {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        self.steps.extend_from_slice(steps);
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<(), Error> {
        self.epochs.push(epoch.clone());
        Ok(())
    }
}

fn number<T: Copy>(metrics: &Metrics<T>, name: &str) -> T {
    metrics.get(name).unwrap_or_else(|| panic!("no metric {name}"))
}

#[test]
fn two_inputs_two_outputs_two_losses() {
    // Batches of 4, 4 and 2; evaluation has a short batch too, or none.
    let (train, eval) = (samples(10, 0), samples(7, 5));
    let data = Dataset::new("heads", part(&train), Some(part(&eval)), None).expect("a set");
    let sgd = Optimizer::Sgd(Sgd { lr: LR, ..Sgd::default() });
    let options =
        TrainOptions { batch_size: BatchSize::Rows(4), epochs: 3, seed: 2, ..TrainOptions::default() };
    let start: [f64; 6] = [0.3, -0.2, 0.1, 0.4, -0.5, 0.7];
    for &family in families() {
        let gpu = open(family);
        let mut trainer = Trainer::for_step(&gpu, &two_heads, &sgd, &data, &options).expect("a trainer");
        let named = |name: &str, shape: [usize; 2], values: &[f64]| NamedTensor {
            name: name.into(),
            shape: shape.into(),
            values: values.iter().map(|&v| v as f32).collect(),
        };
        let weights = [
            named("u", [2, 1], &start[..2]),
            named("v", [3, 1], &start[2..5]),
            named("c", [1, 1], &start[5..]),
        ];
        trainer.load_state_dict(&weights).expect("the model's own");
        let mut heard = Heard::default();
        trainer.run(&mut heard).expect("a run");

        let mut w = start;
        let mut steps = heard.steps.iter();
        assert_eq!(heard.epochs.len(), 3);
        for (epoch, record) in heard.epochs.iter().enumerate() {
            let mut sums = [0.0; 3];
            for rows in epoch_order(10, 2, epoch as u64, Sampling::Epoch).chunks(4) {
                let rows: Vec<Sample> = rows.iter().map(|&s| train[s as usize]).collect();
                let (want, grad) = by_hand(&w, &rows);
                let step = steps.next().expect("a step");
                assert_near(step.loss.into(), want[0], "loss");
                assert_near(number(&step.metrics, "p").into(), want[1], "p");
                assert_near(number(&step.metrics, "q").into(), want[2], "q");
                sums.iter_mut().zip(want).for_each(|(sum, x)| *sum += x * rows.len() as f64 / 10.0);
                w.iter_mut().zip(grad).for_each(|(w, g)| *w -= LR * g);
            }
            assert_near(record.train_loss, sums[0], "train_loss");
            assert_near(number(&record.train_metrics, "p"), sums[1], "p of an epoch");
            assert_near(number(&record.train_metrics, "q"), sums[2], "q of an epoch");
            let (want, _) = by_hand(&w, &eval);
            assert_near(record.eval_loss.expect("a loss"), want[0], "eval_loss");
            assert_near(number(&record.eval_metrics, "p"), want[1], "p evaluated");
            assert_near(number(&record.eval_metrics, "q"), want[2], "q evaluated");
        }
        assert_eq!(steps.next(), None);
        let after: Vec<f32> =
            trainer.state_dict().expect("weights").into_iter().flat_map(|t| t.values).collect();
        for (got, want) in after.iter().zip(w) {
            assert_near((*got).into(), want, "a weight");
        }
        let last = heard.epochs.last().expect("an epoch");
        let again = trainer.evaluate().expect("an evaluation").expect("a part to evaluate on");
        assert_eq!((Some(again.loss), &again.metrics), (last.eval_loss, &last.eval_metrics));
        assert_eq!(again.accuracy, None);
    }
}

/// Numbers whose sums and means f32 holds exactly, uneven over the batches: what comes out is the mean to the bit.
#[test]
fn means_are_over_samples_not_batches() {
    let field = |values: Vec<f32>| Field::new([], values).expect("values");
    let column = |n: usize| (0..n).map(|i| (i * i % 61) as f32).collect::<Vec<_>>();
    let part = |values: &Vec<f32>| Part::builder().input("x", field(values.clone())).build().expect("a part");
    // In training batches of 4, 4 and 2; an evaluation in batches of 512 or fewer, of a power of two, ends in one of 2.
    let (train, eval) = (column(10), column(514));
    let data = Dataset::new("column", part(&train), Some(part(&eval)), None).expect("a set");
    // A loss that is a metric too, one of inputs alone, and one that no input is needed for.
    let step = |net: &Net, batch: &Batch| {
        let still = net.parameter("w", [1], Init::Constant(1.0)).sum_all() * 0.0;
        let loss = batch.x().mean_all() + still;
        let twice = (batch.x() * 2.0).mean_all();
        let three = net.graph().constant(3.0);
        Objective::new(loss.clone()).metric("the loss", loss).metric("twice", twice).metric("three", three)
    };
    let sgd = Optimizer::Sgd(Sgd::default());
    let options = TrainOptions { batch_size: BatchSize::Rows(4), epochs: 1, ..TrainOptions::default() };
    let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    for &family in families() {
        let mut trainer = Trainer::for_step(&open(family), &step, &sgd, &data, &options).expect("a trainer");
        let mut heard = Heard::default();
        let last = trainer.run(&mut heard).expect("a run").last.expect("an epoch");
        for (loss, metrics, values) in [
            (last.train_loss, &last.train_metrics, &train),
            (last.eval_loss.expect("a loss"), &last.eval_metrics, &eval),
        ] {
            let want = mean(values);
            assert_eq!(loss, want);
            let got: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name, *value)).collect();
            assert_eq!(got, [("the loss", want), ("twice", 2.0 * want), ("three", 3.0)], "{family:?}");
        }
        for step in &heard.steps {
            assert_eq!(number(&step.metrics, "the loss"), step.loss);
            assert_eq!(number(&step.metrics, "twice"), 2.0 * step.loss);
        }
    }
}

#[test]
fn what_an_objective_cannot_be() {
    let data = Dataset::new("heads", part(&samples(10, 0)), Some(part(&samples(7, 5))), None).expect("a set");
    let gpu = open(families()[0]);
    let refused = |step: &dyn Fn(&Net, &Batch) -> Objective, words: &[&str]| {
        let sgd = Optimizer::Sgd(Sgd::default());
        let made = Trainer::for_step(&gpu, step, &sgd, &data, &TrainOptions::default());
        let err = made.expect_err("refused");
        assert!(err.is_usage() && words.iter().all(|word| err.to_string().contains(word)), "{err}");
        assert_eq!(gpu.ledger().total(), 0);
    };
    let y = |net: &Net, batch: &Batch| net.linear("0", batch.x(), 1);
    let loss = |net: &Net, batch: &Batch| y(net, batch).mean_all();
    refused(&|net, batch| loss(net, batch).mul(&batch.get("bb").mean_all()).into(), &["\"bb\"", "\"b\""]);
    refused(
        &|net, batch| Objective::new(loss(net, batch)).metric("rest", batch.get("elsewhere").mean_all()),
        &["\"elsewhere\"", "a, b, p, q"],
    );
    refused(
        &|net, batch| Objective::new(loss(net, batch)).metric("y", y_again(batch)),
        &["metric \"y\"", "[10, 2]", "mean"],
    );
    let uneven = |net: &Net, batch: &Batch| {
        let objective = Objective::new(loss(net, batch));
        if net.training() { objective } else { objective.metric("more", batch.x().mean_all()) }
    };
    refused(&uneven, &["evaluation", "more", "training"]);
}

fn y_again(batch: &Batch) -> Tensor {
    batch.x() * 2.0
}

/// The ring is as wide as the numbers of a step, and no wider than two for a loss alone.
#[test]
fn the_ring_holds_what_a_step_files() {
    let data = Dataset::new("heads", part(&samples(10, 0)), None, None).expect("a set");
    let sgd = Optimizer::Sgd(Sgd::default());
    let batches = downhill::data::BatchPlan::new(10, BatchSize::Full, false).expect("batches");
    let bytes = |metrics: usize| {
        let step = |net: &Net, batch: &Batch| {
            let loss = net.linear("0", batch.x(), 1).mean_all();
            let watch = |objective: Objective, i: usize| {
                objective.metric(i.to_string(), batch.x().mean_all() * i as f32)
            };
            (0..metrics).fold(Objective::new(loss), watch)
        };
        let target = Target::new(Family::Tiled);
        let train_plan = TrainPlan::builder(&data, &sgd)
            .step(&step)
            .batches(batches)
            .target(target)
            .build()
            .expect("a plan");
        let of =
            |name: &str| train_plan.all_buffers().into_iter().find(|b| b.name == name).map_or(0, |b| b.bytes);
        assert_eq!(of("metrics"), of("metrics readback 0"));
        of("metrics") / downhill::kernel::feed::MAX_WINDOW_STEPS as u64
    };
    assert_eq!([0, 1, 2, 9].map(bytes), [8, 8, 12, 40]);
}
