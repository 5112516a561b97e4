//! What a step is fed with is what the data set says: windows, several fields, short batches, evaluation.

mod adapter;

use std::sync::Arc;

use downhill::compile::{Batch, TrainOptions, TrainPlan};
use downhill::data::{
    BatchPlan, BatchSize, Dataset, Field, Holdout, Kind, Part, Sampling, Scale, TextOptions, Values, Windows,
    epoch_order, text,
};
use downhill::gpu::Family;
use downhill::kernel::Target;
use downhill::nn::{Net, loss};
use downhill::optim::{Adam, Optimizer, Sgd};
use downhill::train::Trainer;
use downhill::{Error, Gpu, Graph, Init, Tensor};

/// Integers that the sequences hold, from 0 on.
const KINDS: usize = 11;
const BATCH: usize = 4;

fn sequence(len: usize, salt: usize) -> Arc<Values> {
    Arc::new(Values::F32((0..len).map(|i| ((i * i * 31 + i * 7 + salt) % 101) as f32 / 101.0).collect()))
}

fn tokens(len: usize, salt: usize) -> Arc<Values> {
    Arc::new(Values::I32((0..len).map(|i| ((i * i + 3 * i + salt) % KINDS) as i32).collect()))
}

/// Σ over fields f and places j of (f + 1)·(j + 1)·value, divided by the field's length, of one sample; and the
/// same of absolute values, which is what rounding is measured by.
fn of_sample(part: &Part, table: &[f32], sample: usize) -> [f64; 2] {
    let mut total = [0.0; 2];
    for (f, (_, field)) in part.fields().enumerate() {
        let numbers = field.sample(part.source_index(sample as u32) as usize).expect("numbers");
        let each = numbers.len() as f64;
        for (j, number) in numbers.into_iter().enumerate() {
            // An integer stands for the table's number.
            let value = if field.is_float() { number } else { table[number as usize].into() };
            let term: f64 = (f + 1) as f64 * (j + 1) as f64 * value / each;
            total = [total[0] + term, total[1] + term.abs()];
        }
    }
    total
}

fn ramp(graph: &Graph, len: usize) -> Tensor {
    let parts: Vec<Tensor> = (0..len).map(|j| graph.constant((j + 1) as f32).reshape([1])).collect();
    Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
}

/// The same as a loss; the table is the model's only parameter, and never changes.
fn weighted_sum(names: &[String], net: &Net, batch: &Batch) -> Tensor {
    let table = net.parameter("table", [KINDS], Init::Uniform { low: 0.0, high: 1.0 });
    let mut total = table.sum_all().mul_scalar(0.0);
    for (f, name) in names.iter().enumerate() {
        let field = batch.get(name);
        let each = field.shape()[1..].iter().product::<usize>();
        let values = match field.dtype() {
            downhill::graph::DType::F32 => field.reshape([field.shape()[0], each]),
            downhill::graph::DType::I32 => {
                let ids = field.reshape([field.shape()[0], each]);
                ids.one_hot(KINDS).mul(&table).sum(&[-1], false)
            }
        };
        let weighted = values.mul(&ramp(net.graph(), each)).mean(&[-1], false).mean_all();
        total = total.add(&weighted.mul_scalar((f + 1) as f32));
    }
    total
}

fn open(gpu: &Gpu, family: Family, data: &Dataset, options: &TrainOptions) -> Result<Trainer, Error> {
    let still = Optimizer::Sgd(Sgd { lr: 0.0, ..Sgd::default() });
    let names: Vec<String> = data.train().fields().map(|(name, _)| name.to_owned()).collect();
    let batches = BatchPlan::new(data.train().len(), options.batch_size, options.drop_last)?;
    let step = |net: &Net, batch: &Batch| weighted_sum(&names, net, batch);
    let train_plan =
        TrainPlan::builder(data, &still).step(&step).batches(batches).target(Target::new(family)).build()?;
    Trainer::from_plan(gpu, train_plan, data, options)
}

/// The mean over samples of what [`of_sample`] says.
fn of_samples(part: &Part, table: &[f32], samples: &[u32]) -> [f64; 2] {
    let all: Vec<[f64; 2]> = samples.iter().map(|&s| of_sample(part, table, s as usize)).collect();
    [0, 1].map(|i| all.iter().map(|sums| sums[i]).sum::<f64>() / all.len() as f64)
}

/// Every step's loss of two epochs, and the evaluation's, are those of the samples that belong there.
fn check(label: &str, data: &Dataset) {
    for &family in adapter::families() {
        let gpu = adapter::open(family);
        let options = TrainOptions { batch_size: BatchSize::Rows(BATCH), seed: 5, ..TrainOptions::default() };
        let mut trainer = open(&gpu, family, data, &options).expect("a trainer");
        let table = trainer.state_dict().expect("the table").swap_remove(0).values;
        let len = data.train().len();
        let steps = trainer.advance(2 * len.div_ceil(BATCH) as u64).expect("two epochs");
        let mut got = steps.iter();
        for epoch in 0..2 {
            for rows in epoch_order(len, 5, epoch, Sampling::Epoch).chunks(BATCH) {
                let [want, scale] = of_samples(data.train(), &table, rows);
                let got = f64::from(got.next().expect("a step").loss);
                assert!((got - want).abs() <= 2e-6 * scale, "{label}, {family:?}: {got} against {want}");
            }
        }
        if let Some(part) = data.eval() {
            let [want, scale] = of_samples(part, &table, &Vec::from_iter(0..part.len() as u32));
            let got = trainer.evaluate().expect("an evaluation").expect("a part to evaluate on").loss;
            assert!((got - want).abs() <= 2e-6 * scale, "{label}, {family:?}: {got} against {want}");
        }
    }
}

#[test]
fn windows_over_one_sequence() {
    // length, hop, first element: whole vec4s; not; overlapping; with gaps; one element
    for (length, hop, first) in
        [(8, 8, 0), (8, 4, 4), (8, 12, 3), (5, 3, 2), (6, 9, 1), (1, 1, 0), (16, 1, 0)]
    {
        for shared in [tokens(150, length), sequence(150, length)] {
            // The targets are one element ahead; the last third is evaluated on, from the same values.
            let part = |from: usize, end: usize| {
                let at = Windows::fitting(from, end - 1, length, hop);
                let ahead = Windows { first: from + 1, ..at };
                Part::new(
                    Field::windows([length], &shared, at).expect("inputs"),
                    Field::windows([length], &shared, ahead).expect("targets"),
                )
                .expect("a part")
            };
            let data = Dataset::new("windows", part(first, 100), Some(part(100, 150)), None).expect("a set");
            check(&format!("length {length}, hop {hop}, first {first}"), &data);
        }
    }
}

/// A part of `n` samples with `count` fields of both types, of different shapes and hops.
fn fields(n: usize, count: usize, salt: usize) -> Part {
    let whole = |shape: &[usize], salt: usize| {
        let each: usize = shape.iter().product();
        let Values::F32(values) = &*sequence(n * each, salt) else { unreachable!() };
        Field::new(shape, values.clone()).expect("samples")
    };
    let labels = Field::windows([], &tokens(n, salt), Windows { first: 0, hop: 1, samples: n });
    let words = Field::windows([3], &tokens(5 * n, salt), Windows { first: 2, hop: 5, samples: n });
    let all = [
        ("image", whole(&[1, 2, 2], salt)),
        ("words", words.expect("windows")),
        ("age", whole(&[], salt + 1)),
        ("label", labels.expect("labels")),
        ("weights", whole(&[7], salt + 2)),
    ];
    let mut builder = Part::builder();
    for (i, (name, field)) in all.into_iter().take(count).enumerate() {
        builder = if i < 3 { builder.input(name, field) } else { builder.target(name, field) };
    }
    builder.build().expect("a part")
}

#[test]
fn any_number_of_fields() {
    for count in 1..=5 {
        let data = Dataset::new("fields", fields(10, count, 0), Some(fields(6, count, 3)), None);
        let data = data.expect("a set");
        check(&format!("{count} fields"), &data);
        // Two fields a dispatch, the first of which opens the step.
        let gpu = adapter::open(adapter::families()[0]);
        let options = TrainOptions::default();
        let trainer = open(&gpu, adapter::families()[0], &data, &options).expect("a trainer");
        let build = &trainer.plan().train[0];
        let titles: Vec<&str> = build.plan.steps.iter().map(|s| s.title.as_str()).collect();
        let feeds = ["feed", "feed age label", "feed weights"];
        let want = match count {
            3 => &["feed", "feed age"][..],
            _ => &feeds[..count.div_ceil(2)],
        };
        assert_eq!(&titles[..want.len()], want);
        assert!(titles[want.len()..].iter().all(|title| !title.starts_with("feed")), "{titles:?}");
    }
}

/// Numbers of any kind, of samples that are whole words and of others, scaled or not, in a part of a split.
#[test]
fn numbers_of_every_kind() {
    for kind in Kind::ALL {
        for (shape, scale) in [
            (&[2, 2, 2][..], None),
            (&[2, 2, 2], Some(Scale::standard(&[0.5, -1.5], &[3.0, 0.7]))),
            (&[3, 5], Some(Scale::standard(&[0.5, -1.5, 2.0], &[3.0, 0.7, 1.3]))),
            (&[4], Some(Scale::all(0.25, 1.0))),
            (&[7], Some(Scale::unit())),
            (&[], None),
        ] {
            let (n, each) = (11, shape.iter().product::<usize>());
            let number = |i: usize| match kind {
                // Integers that are given as they are stand for rows of the table.
                _ if scale.is_none() && !kind.is_float() => (i * i + 3 * i) as i32 % KINDS as i32,
                Kind::U8 => (i * 37 % 256) as i32,
                Kind::U16 => (i * 7919 % 65536) as i32,
                Kind::I8 => (i * 37 % 256) as i32 - 128,
                _ => (i * 7919 % 65536) as i32 - 32768,
            };
            let bytes = |i: usize| match kind {
                Kind::F32 => (number(i) as f32 / 7.0).to_le_bytes().to_vec(),
                // Bits of finite numbers, the smallest among them.
                Kind::F16 => ((number(i) as u16) & 0xbbff).to_le_bytes().to_vec(),
                _ => number(i).to_le_bytes()[..kind.bytes()].to_vec(),
            };
            let values = Values::Bytes(kind, (0..n * each).flat_map(bytes).collect());
            let field = Field::new(shape, values).expect("samples");
            let field = match &scale {
                Some(scale) => field.scaled(scale.clone()).expect("a scale"),
                None => field,
            };
            let label = Field::new([], (0..n).map(|i| (i % 3) as u8).collect::<Vec<_>>()).expect("labels");
            let part = Part::new(field, label).expect("a part");
            let hold = Holdout { fraction: 0.3, seed: 1, stratify: false };
            let data = Dataset::split("kinds", part, hold, Some(3)).expect("a set");
            assert_eq!((data.train().len(), data.eval().map(Part::len)), (8, Some(3)));
            check(&format!("{kind:?} {shape:?} {scale:?}"), &data);
        }
    }
}

#[test]
fn an_unknown_field_is_told_with_the_nearest() {
    let data = Dataset::new("fields", fields(10, 5, 0), None, None).expect("a set");
    let sgd = Optimizer::Sgd(Sgd::default());
    let batches = BatchPlan::new(10, BatchSize::Full, false).expect("batches");
    let target = Target::new(Family::Tiled);
    let step = |net: &Net, batch: &Batch| net.linear("0", &batch.get("imagge").flatten(), 1).mean_all();
    let err = TrainPlan::builder(&data, &sgd)
        .step(&step)
        .batches(batches)
        .target(target)
        .build()
        .expect_err("no such field");
    assert!(err.is_usage(), "{err:?}");
    for word in ["\"imagge\"", "did you mean \"image\""] {
        assert!(err.to_string().contains(word), "{err}");
    }
}

#[test]
fn a_plan_made_for_other_data_is_refused() {
    let gpu = adapter::open(adapter::families()[0]);
    let sgd = Optimizer::Sgd(Sgd::default());
    let batches = BatchPlan::new(10, BatchSize::Full, false).expect("batches");
    let target = Target::new(adapter::families()[0]);
    let data = |n, count| Dataset::new("fields", fields(n, count, 0), None, None).expect("a set");
    let step = |net: &Net, batch: &Batch| net.linear("0", &batch.x().flatten(), 1).mean_all();
    let plan = TrainPlan::builder(&data(10, 3), &sgd)
        .step(&step)
        .batches(batches)
        .target(target)
        .build()
        .expect("a plan");
    let options = TrainOptions::default();
    for (other, buffer) in [(data(10, 4), "train label"), (data(11, 3), "train image")] {
        let err = Trainer::from_plan(&gpu, plan.clone(), &other, &options).expect_err("other data");
        assert!(matches!(err, Error::Data(_)) && err.to_string().contains(buffer), "{err:?}");
    }
    assert_eq!(gpu.ledger().total(), 0);
}

/// A linear layer on one-hot characters learns which one follows which.
#[test]
fn the_next_character_is_learnt() {
    let data = text("letters", &"abcd".repeat(150), &TextOptions { hop: Some(5), ..TextOptions::new(8) });
    let data = data.expect("a text");
    let classes = data.classes().expect("a vocabulary");
    let model = |net: &Net, x: &Tensor| {
        let y = net.linear("0", &x.one_hot(classes), classes);
        y.reshape([y.shape()[0] * y.shape()[1], classes])
    };
    let loss = |y: &Tensor, t: &Tensor| {
        loss::cross_entropy(y, &t.reshape([t.shape()[0] * t.shape()[1]]), &loss::CrossEntropy::default())
    };
    let gpu = adapter::open(adapter::families()[0]);
    let adam = Optimizer::Adam(Adam { lr: 0.1, ..Adam::default() });
    let options = TrainOptions { batch_size: BatchSize::Rows(16), epochs: 10, ..TrainOptions::default() };
    let mut trainer = Trainer::new(&gpu, &model, &loss, &adam, &data, &options).expect("a trainer");
    let last = trainer.run(&mut ()).expect("a run").last.expect("an epoch");
    let eval = last.eval_loss.expect("a part to evaluate on");
    assert!(last.train_loss < 0.05 && eval < 0.05, "{last:?}");
    let weight = trainer.state_dict().expect("weights").swap_remove(0).values; // [out, in]
    for character in 0..4 {
        let next = (0..4).max_by(|&a, &b| weight[a * 4 + character].total_cmp(&weight[b * 4 + character]));
        assert_eq!(next, Some((character + 1) % 4), "after {character}: {weight:?}");
    }
}
