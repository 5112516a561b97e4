//! Metrics of an evaluation against their definitions in f64 and scikit-learn's numbers: over short last batches, ignored
//! targets, sequences, ties, NaN, classes that do not occur.

use std::collections::BTreeMap;

use downhill::compile::{Batch, MicroBatch, Objective, TrainOptions};
use downhill::data::{BatchSize, Dataset, Field, Part, Values};
use downhill::engine::Evaluation;
use downhill::gpu::Family;
use downhill::kernel::{Precision, Residence};
use downhill::metrics::{Averaging, Metric};
use downhill::nn::loss::{self, CrossEntropy, KlDiv, Nll};
use downhill::nn::{Net, augment};
use downhill::optim::{Optimizer, Sgd};
use downhill::train::{EpochRecord, Trainer};
use downhill::{Error, Gpu, Init, Tensor};
use serde::Deserialize;

use super::adapter::{families, open};
use super::scored;

/// From output and target to a scalar.
type Loss<'l> = &'l dyn Fn(&Tensor, &Tensor) -> Tensor;

/// Sums of a batch in f32 leave f64's by less: 2,048 numbers at most are added to four accumulators, each sum rounding by
/// half an epsilon, and a number itself by a few.
const SUMMED: f64 = 512.0 * f32::EPSILON as f64 / 2.0;
/// Ratios of whole numbers, put together in f64 in another order.
const COUNTED: f64 = 1e-13;

/// Whole numbers in 0..below from a generator of this file's own.
fn whole(n: usize, below: u32, seed: u32) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    (0..n).map(|_| next()).collect()
}

/// Numbers in [-4, 4] at distances of 1/8, so that many are equal: exact in f16, too.
fn coarse(n: usize, seed: u32) -> Vec<f32> {
    whole(n, 65, seed).into_iter().map(|x| x as f32 / 8.0 - 4.0).collect()
}

/// Numbers in [-1, 1).
fn fine(n: usize, seed: u32) -> Vec<f32> {
    whole(n, 1 << 16, seed).into_iter().map(|x| x as f32 / 32768.0 - 1.0).collect()
}

/// What is evaluated: outputs as they are and targets, a sample's shapes first.
fn part(shape: (&[usize], &[usize]), outputs: Vec<f32>, targets: impl Into<Values>) -> Part {
    let field = |shape: &[usize], values: Values| Field::new(shape, values).expect("values");
    Part::new(field(shape.0, outputs.into()), field(shape.1, targets.into())).expect("a part")
}

fn dataset(part: &Part) -> Dataset {
    Dataset::new("made up", part.clone(), Some(part.clone()), None).expect("a set")
}

/// Says its input, times a weight that is 1.
fn echo(net: &Net, x: &Tensor) -> Tensor {
    x.mul(&net.parameter("weight", [1], Init::Constant(1.0)))
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &CrossEntropy::default())
}

fn ignoring(y: &Tensor, t: &Tensor) -> Tensor {
    let options = CrossEntropy { ignore_index: Some(-100), label_smoothing: 0.1 };
    loss::cross_entropy(y, t, &options)
}

fn options(rows: usize, metrics: &[Metric]) -> TrainOptions {
    TrainOptions { batch_size: BatchSize::Rows(rows), metrics: metrics.to_vec(), ..TrainOptions::default() }
}

fn trainer(gpu: &Gpu, loss: Loss, part: &Part, options: &TrainOptions) -> Trainer {
    let sgd = Optimizer::Sgd(Sgd::default());
    Trainer::new(gpu, &echo, &loss, &sgd, &dataset(part), options).expect("a trainer")
}

fn evaluate(gpu: &Gpu, loss: Loss, part: &Part, options: &TrainOptions) -> Evaluation {
    trainer(gpu, loss, part, options).evaluate().expect("an evaluation").expect("a part")
}

/// Precision, recall and f1.
fn by_class(average: Averaging) -> [Metric; 3] {
    [Metric::Precision { average }, Metric::Recall { average }, Metric::F1 { average }]
}

const AVERAGES: [(Averaging, &str); 3] =
    [(Averaging::Macro, "macro"), (Averaging::Micro, "micro"), (Averaging::Weighted, "weighted")];

#[track_caller]
fn near(got: &Evaluation, name: &str, want: f64, tolerance: f64) {
    let got = got.metrics.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", got.metrics));
    assert!((got - want).abs() <= tolerance, "{name}: {got}, and {want} by definition");
}

#[track_caller]
fn near_by_class(got: &Evaluation, wanted: &BTreeMap<String, f64>, average: &str) {
    for name in ["precision", "recall", "f1"] {
        near(got, name, wanted[&format!("{name} {average}")], COUNTED);
    }
}

/// A text of 300 samples of 64 characters of 64 kinds, the last of which never comes; more and more targets are ignored.
fn sequences() -> (Part, Vec<f32>, Vec<i32>) {
    let (n, t, c) = (300, 64, 64);
    let logits = coarse(n * t * c, 3);
    let drawn = whole(n * t, 63, 5);
    let ignored = whole(n * t, (n * t) as u32, 7);
    let target = |i: usize| if (ignored[i] as usize) < i { -100 } else { drawn[i] as i32 };
    let targets: Vec<i32> = (0..n * t).map(target).collect();
    (part((&[t, c], &[t]), logits.clone(), targets.clone()), logits, targets)
}

#[test]
fn classes_of_sequences_whatever_the_batches() {
    let (part, logits, targets) = sequences();
    let want = scored::classes(&logits, 64, &targets, Some(-100), &[1, 5, 64]);
    let mut metrics =
        vec![Metric::Accuracy, Metric::TopK { k: 1 }, Metric::TopK { k: 5 }, Metric::TopK { k: 64 }];
    metrics.extend(by_class(Averaging::Macro));
    metrics.extend([Metric::ConfusionMatrix, Metric::Perplexity, Metric::BitsPerCharacter]);
    let mut first: Option<Evaluation> = None;
    for (rows, sizes) in [(7, [252, 48]), (48, [240, 60]), (200, [200, 100])] {
        let family = families()[if rows == 48 { families().len() - 1 } else { 0 }];
        let gpu = open(family);
        let options = TrainOptions { eval_batch: Some(sizes[0]), ..options(rows, &metrics) };
        let mut trainer = trainer(&gpu, &ignoring, &part, &options);
        let planned: Vec<usize> = trainer.plan().eval.iter().map(|build| build.batch).collect();
        assert_eq!((planned[0], planned[planned.len() - 1]), (sizes[0], sizes[1]), "{rows}");
        let got = trainer.evaluate().expect("an evaluation").expect("a part");
        near_by_class(&got, &want.values, "macro");
        near(&got, "accuracy", want.values["top_1"], COUNTED);
        for name in ["top_1", "top_5", "top_64"] {
            near(&got, name, want.values[name], COUNTED);
        }
        assert_eq!(want.values["top_64"], 1.0);
        let bits = want.values["bits_per_character"];
        near(&got, "bits_per_character", bits, SUMMED * bits);
        let perplexity = want.values["perplexity"];
        near(&got, "perplexity", perplexity, SUMMED * perplexity.ln() * perplexity);
        assert_eq!(got.confusion.as_ref(), Some(&want.confusion));
        if let Some(first) = &first {
            // The loss weighs batches by their samples, and not these.
            for name in ["accuracy", "top_5", "precision", "recall", "f1"] {
                assert_eq!(first.metrics.get(name), got.metrics.get(name), "{name} in batches of {rows}");
            }
        } else {
            first = Some(got);
        }
    }
}

#[test]
fn samples_that_are_streamed_count_alike_and_so_do_those_in_f16() {
    let (part, ..) = sequences();
    let metrics = [Metric::Accuracy, Metric::F1 { average: Averaging::Macro }, Metric::ConfusionMatrix];
    let gpu = open(families()[0]);
    let whole = options(48, &metrics);
    let resident = evaluate(&gpu, &ignoring, &part, &whole);
    let streamed = TrainOptions { residence: Residence::Streamed, workers: Some(1), ..whole.clone() };
    assert_eq!(evaluate(&gpu, &ignoring, &part, &streamed), resident);
    if gpu.has_f16() {
        let half = TrainOptions { precision: Precision::F16, ..whole };
        let half = evaluate(&gpu, &ignoring, &part, &half);
        assert_eq!((&half.metrics, &half.confusion), (&resident.metrics, &resident.confusion));
    }
}

/// The loss and the share of right predictions are the same to the bit, whatever is asked for beside them.
#[test]
fn what_evaluation_says_anyway_does_not_change() {
    let (n, c) = (700, 7);
    let targets: Vec<i32> = whole(n, c as u32, 1).into_iter().map(|t| t as i32).collect();
    let part = part((&[c], &[]), fine(n * c, 9), targets);
    let data = dataset(&part).with_classes(c).expect("classes");
    let metrics = [Metric::Accuracy, Metric::Perplexity, Metric::ConfusionMatrix];
    for &family in families() {
        let gpu = open(family);
        let said = |metrics: &[Metric]| {
            let sgd = Optimizer::Sgd(Sgd::default());
            let options = options(64, metrics);
            let made = Trainer::new(&gpu, &echo, &cross_entropy, &sgd, &data, &options);
            made.expect("a trainer").evaluate().expect("an evaluation").expect("a part")
        };
        let (plain, more) = (said(&[]), said(&metrics));
        assert!(plain.metrics.is_empty() && plain.confusion.is_none());
        assert_eq!((plain.loss.to_bits(), plain.accuracy), (more.loss.to_bits(), more.accuracy));
        let accuracy = plain.accuracy.expect("classes");
        near(&more, "accuracy", accuracy, COUNTED);
        near(&more, "perplexity", plain.loss.exp(), SUMMED * plain.loss.exp());
        let diagonal: u64 = more.confusion.expect("a matrix").iter().enumerate().map(|(i, row)| row[i]).sum();
        assert_eq!(diagonal as f64, (accuracy * n as f64).round());
    }
}

/// Ties, NaN, one class, one sample, a class that is only said and one that is only true.
#[test]
fn classes_at_the_edges() {
    let nan = f32::NAN;
    let rows: [([f32; 4], i32); 9] = [
        ([1.0, 1.0, 1.0, 1.0], 0),
        ([1.0, 1.0, 1.0, 1.0], 2),
        ([0.0, 2.0, 2.0, -1.0], 2),
        ([0.0, nan, 0.5, 0.25], 2),
        ([0.0, nan, 0.5, 0.25], 1),
        ([-0.0, 0.0, -3.0, -2.0], 1),
        ([f32::NEG_INFINITY; 4], 0),
        ([0.5, 0.25, f32::INFINITY, 0.0], 2),
        ([4.0, 3.0, 2.0, 1.0], 2),
    ];
    let logits: Vec<f32> = rows.iter().flat_map(|(row, _)| *row).collect();
    let targets: Vec<i32> = rows.iter().map(|(_, t)| *t).collect();
    let several = part((&[4], &[]), logits.clone(), targets.clone());
    let one = several.select(&[8]).expect("a sample");
    let single = part((&[1], &[]), vec![0.5, -3.0], vec![0, 0]);
    // Another loss than cross-entropy, for classes are what the targets are.
    let mse = |y: &Tensor, t: &Tensor| loss::mse(y, &t.one_hot(y.shape()[1]));
    let cases: [(&Part, usize, &[f32], &[i32]); 3] = [
        (&several, 4, &logits, &targets),
        (&one, 4, &logits[32..], &targets[8..]),
        (&single, 1, &[0.5, -3.0], &[0, 0]),
    ];
    for &family in families() {
        let gpu = open(family);
        for (part, classes, logits, targets) in cases {
            let want = scored::classes(logits, classes, targets, None, &[1, 2, 3, 4, 9]);
            for (average, word) in AVERAGES {
                let ks = [1, 2, 3, 4, 9].map(|k| Metric::TopK { k });
                let metrics = [&by_class(average)[..], &ks, &[Metric::ConfusionMatrix]].concat();
                let got = evaluate(&gpu, &mse, part, &options(2, &metrics));
                near_by_class(&got, &want.values, word);
                for k in [1, 2, 3, 4, 9] {
                    let name = format!("top_{k}");
                    near(&got, &name, want.values[&name], COUNTED);
                }
                assert_eq!(got.confusion, Some(want.confusion.clone()));
            }
        }
    }
}

#[test]
fn labels_that_hold_or_not() {
    for (n, labels, shape) in [(700, 5, &[5][..]), (520, 1, &[1]), (33, 1, &[]), (9, 4, &[2, 4])] {
        let each: usize = shape.iter().product();
        let logits = coarse(n * each, 11);
        // The last label never holds where there are several.
        let holds = |(i, x): (usize, u32)| f32::from(x == 0 && (labels == 1 || i % labels != labels - 1));
        let targets: Vec<f32> = whole(n * each, 3, 13).into_iter().enumerate().map(holds).collect();
        let want = scored::labels(&logits, labels, &targets);
        let part = part((shape, shape), logits, targets);
        let gpu = open(families()[0]);
        for (average, word) in AVERAGES {
            let metrics = [&by_class(average)[..], &[Metric::Accuracy]].concat();
            let got = evaluate(&gpu, &loss::bce_with_logits, &part, &options(8, &metrics));
            near_by_class(&got, &want, word);
            near(&got, "accuracy", want["accuracy"], COUNTED);
        }
    }
}

/// Far from zero, where Σt² − n·mean² would be lost in f32; one output does not vary, nor is it met.
#[test]
fn numbers_over_short_batches() {
    let (n, outputs) = (1100, 4);
    let noise = fine(n * outputs, 17);
    let target = |i: usize| match i % outputs {
        0 => 3000.0 + noise[i],
        // A drift from batch to batch.
        1 => i as f32 / 64.0,
        2 => 7.3,
        _ => noise[i],
    };
    let targets: Vec<f32> = (0..n * outputs).map(target).collect();
    let output: Vec<f32> = targets.iter().zip(fine(n * outputs, 19)).map(|(t, off)| t + 0.25 * off).collect();
    let metrics = [Metric::Mae, Metric::Rmse, Metric::R2];
    let want = scored::numbers(&output, outputs, &targets);
    let part = part((&[outputs], &[outputs]), output, targets);
    // Losses that say what they are of, and one of one's own.
    let own = |y: &Tensor, t: &Tensor| y.sub(t).square().mean_all();
    let huber = |y: &Tensor, t: &Tensor| loss::huber(y, t, 1.0);
    let losses: [Loss; 3] = [&own, &huber, &loss::l1];
    for &family in families() {
        let gpu = open(family);
        for (loss, rows) in losses.into_iter().zip([8, 100, 512]) {
            let got = evaluate(&gpu, loss, &part, &options(rows, &metrics));
            near(&got, "mae", want["mae"], SUMMED * want["mae"]);
            near(&got, "rmse", want["rmse"], SUMMED * want["rmse"]);
            // Each output's 1 − R² is a quotient of two such sums, and their mean is within the largest.
            near(&got, "r2", want["r2"], 2.0 * SUMMED);
        }
    }
}

/// Targets that are all the same, to the bit, over several batches: met, and not.
#[test]
fn numbers_that_do_not_vary() {
    let n = 600;
    let gpu = open(families()[0]);
    for (off, want) in [(0.0, 1.0), (0.1, 0.0)] {
        let part = part((&[], &[]), vec![0.1 + off; n], vec![0.1f32; n]);
        let got = evaluate(&gpu, &loss::mse, &part, &options(8, &[Metric::R2]));
        assert_eq!(got.metrics.get("r2"), Some(want));
    }
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// One row of `golden/metrics.json`.
#[derive(Deserialize)]
struct Case {
    name: String,
    columns: usize,
    output: Vec<f32>,
    target: Vec<f32>,
    values: BTreeMap<String, f64>,
    confusion: Option<Vec<Vec<u64>>>,
}

#[test]
fn scikit_learn_says_the_same() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/metrics.json")).expect("the golden file");
    assert_eq!(golden.cases.len(), 3);
    let gpu = open(families()[0]);
    for case in golden.cases {
        let shape = &[case.columns][..];
        let numbers = [Metric::Mae, Metric::Rmse, Metric::R2].to_vec();
        let of_classes = [Metric::Accuracy, Metric::TopK { k: 2 }, Metric::TopK { k: 3 }, Metric::Perplexity];
        let more = [Metric::BitsPerCharacter, Metric::ConfusionMatrix];
        let of_classes = [&of_classes[..], &more].concat();
        let classes = || case.target.iter().map(|&t| t as i32).collect::<Vec<_>>();
        let (part, metrics, loss): (Part, Vec<Metric>, Loss) = match case.name.as_str() {
            "classes" => (part((shape, &[]), case.output.clone(), classes()), of_classes, &cross_entropy),
            "labels" => (
                part((shape, shape), case.output, case.target),
                vec![Metric::Accuracy],
                &loss::bce_with_logits,
            ),
            _ => (part((shape, shape), case.output, case.target), numbers, &loss::mse),
        };
        let plain = evaluate(&gpu, loss, &part, &options(4, &metrics));
        let mut seen = 0;
        for (average, word) in AVERAGES {
            let by_class = if case.name == "numbers" { vec![] } else { by_class(average).to_vec() };
            let all = [metrics.clone(), by_class].concat();
            let got = evaluate(&gpu, loss, &part, &options(4, &all));
            for (name, want) in &case.values {
                match name.split_once('_') {
                    Some((name, of)) if of == word => near(&got, name, *want, COUNTED),
                    _ => continue,
                }
                seen += 1;
            }
        }
        for (name, value) in plain.metrics.iter().filter(|(name, _)| case.values.contains_key(*name)) {
            let tolerance = if name.starts_with("top") || name == "accuracy" { COUNTED } else { SUMMED };
            let want = case.values[name];
            assert!((value - want).abs() <= tolerance * want.max(1.0), "{name}: {value}, and {want}");
            seen += 1;
        }
        assert_eq!(seen, case.values.len(), "{}", case.name);
        assert_eq!(plain.confusion, case.confusion);
    }
}

/// A run keeps them with each epoch, and they read themselves back; a model of batches has them too, beside its own.
#[test]
fn runs_record_them() {
    let (n, c) = (40, 3);
    let targets: Vec<i32> = whole(n, c as u32, 1).into_iter().map(|t| t as i32).collect();
    let part = part((&[c], &[]), fine(n * c, 2), targets);
    let metrics = [Metric::TopK { k: 2 }, Metric::F1 { average: Averaging::Micro }, Metric::ConfusionMatrix];
    let step = |net: &Net, batch: &Batch| {
        let y = echo(net, batch.x());
        let loss = loss::nll(&y.log_softmax(&[1]), batch.t(), &Nll::default());
        Objective::new(loss).metric("spread", y.square().mean_all())
    };
    let sgd = Optimizer::Sgd(Sgd::default());
    let gpu = open(families()[0]);
    let options = TrainOptions { epochs: 2, ..options(16, &metrics) };
    let mut trainer = Trainer::for_step(&gpu, &step, &sgd, &dataset(&part), &options).expect("a trainer");
    let last = trainer.run(&mut ()).expect("a run").last.expect("an epoch");
    let names: Vec<&str> = last.eval_metrics.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["spread", "top_2", "f1"]);
    assert_eq!(last.train_metrics.iter().count(), 1);
    let confusion = last.eval_confusion.clone().expect("a matrix");
    assert_eq!(confusion.iter().flatten().sum::<u64>(), n as u64);
    let right: u64 = (0..c).map(|i| confusion[i][i]).sum();
    assert_eq!(last.eval_metrics.get("f1"), Some(right as f64 / n as f64));
    let text = serde_json::to_string(&last).expect("json");
    let again: EpochRecord = serde_json::from_str(&text).expect("an epoch");
    assert_eq!(again, EpochRecord { step: 0, ..last });
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let gpu = open(Family::Tiled);
    let classes = part((&[3], &[]), vec![0.0; 12], vec![0, 1, 2, 0]);
    let numbers = part((&[3], &[3]), vec![0.0; 12], vec![1.0; 12]);
    let many = part((&[1001], &[]), vec![0.0; 2002], vec![0, 1000]);
    let mse = |y: &Tensor, t: &Tensor| loss::mse(y, &t.one_hot(3));
    let kl = |y: &Tensor, t: &Tensor| loss::kl_div(y, t, &KlDiv::default());
    let own = |y: &Tensor, t: &Tensor| cross_entropy(y, t).add(&mse(y, t));
    let none = |y: &Tensor, t: &Tensor| y.sub(&t.slice(1, 0, 1)).sum_all();
    let f1 = Metric::F1 { average: Averaging::Macro };
    let cases: [(&Part, Loss, &[Metric], &[&str]); 12] = [
        (&classes, &cross_entropy, &[Metric::Mae], &["mae needs targets that are numbers", "are classes"]),
        (&classes, &mse, &[Metric::R2], &["r2 needs targets that are numbers", "are classes"]),
        (&classes, &mse, &[Metric::Perplexity], &["perplexity needs the loss cross_entropy or nll"]),
        (&numbers, &loss::mse, &[Metric::Accuracy, f1], &["accuracy needs", "classes", "are numbers"]),
        (&numbers, &loss::mse, &[Metric::TopK { k: 3 }], &["top_k needs", "classes", "are numbers"]),
        (&numbers, &loss::bce_with_logits, &[Metric::Rmse], &["rmse needs", "bce_with_logits"]),
        (&numbers, &loss::bce_with_logits, &[Metric::ConfusionMatrix], &["confusion_matrix needs"]),
        (&numbers, &kl, &[Metric::Mae], &["mae needs", "kl_div"]),
        (&many, &cross_entropy, &[f1, Metric::ConfusionMatrix], &["1001 classes", "1000", "f1"]),
        (&classes, &own, &[f1], &["2 losses"]),
        (&classes, &cross_entropy, &[f1, Metric::TopK { k: 0 }], &["eval.metrics[1].top_k.k = 0"]),
        (&classes, &cross_entropy, &[f1, f1], &["eval.metrics[1]", "f1", "twice"]),
    ];
    let sgd = Optimizer::Sgd(Sgd::default());
    let refused = |made: Result<Trainer, Error>, words: &[&str]| {
        let err = made.expect_err("refused");
        assert!(matches!(err, Error::Config(_)), "{err:?}");
        assert!(words.iter().all(|word| err.to_string().contains(word)), "{words:?}: {err}");
    };
    for (part, loss, metrics, words) in cases {
        let options = options(2, metrics);
        refused(Trainer::new(&gpu, &echo, &loss, &sgd, &dataset(part), &options), words);
    }
    let options = options(2, &[f1]);
    let of = |net: &Net, batch: &Batch| echo(net, batch.x());
    let alone = Dataset::new("made up", classes.clone(), None, None).expect("a set");
    refused(
        Trainer::new(&gpu, &echo, &cross_entropy, &sgd, &alone, &options),
        &["f1", "no samples", "eval_fraction"],
    );
    let plain = |net: &Net, batch: &Batch| of(net, batch).square().mean_all();
    refused(
        Trainer::for_step(&gpu, &plain, &sgd, &dataset(&classes), &options),
        &["none of the losses of nn::loss"],
    );
    let taken = |net: &Net, batch: &Batch| {
        let loss = cross_entropy(&of(net, batch), batch.t());
        Objective::new(loss.clone()).metric("f1", loss)
    };
    refused(Trainer::for_step(&gpu, &taken, &sgd, &dataset(&classes), &options), &["\"f1\"", "its own"]);
    let odd = part((&[3], &[2]), vec![0.0; 12], vec![1.0; 8]);
    refused(
        Trainer::new(&gpu, &echo, &none, &sgd, &dataset(&odd), &options),
        &["[2, 3]", "[2, 2]", "are needed"],
    );
}

/// Training may mix or cut batches: evaluation knows nothing of it.
#[test]
fn training_by_other_means_evaluates_alike() {
    let (n, c) = (64, 4);
    let targets: Vec<i32> = whole(n, c as u32, 1).into_iter().map(|t| t as i32).collect();
    let part = part((&[c], &[]), fine(n * c, 2), targets);
    let gpu = open(families()[0]);
    let metrics = [Metric::F1 { average: Averaging::Macro }, Metric::Perplexity];
    // Without it, the samples evaluated at once follow from the batch that is trained.
    let plain = TrainOptions { eval_batch: Some(48), ..options(16, &metrics) };
    let want = evaluate(&gpu, &cross_entropy, &part, &plain);
    let parts = TrainOptions { micro_batch: MicroBatch::Rows(8), ..plain };
    assert_eq!(evaluate(&gpu, &cross_entropy, &part, &parts), want);
    let noisy = |net: &Net, x: &Tensor| echo(net, &augment::gaussian_noise(net, x, 0.5));
    let sgd = Optimizer::Sgd(Sgd::default());
    let made = Trainer::new(&gpu, &noisy, &cross_entropy, &sgd, &dataset(&part), &parts);
    assert_eq!(made.expect("a trainer").evaluate().expect("an evaluation"), Some(want));
}
