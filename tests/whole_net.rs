//! Perceptrons whose training step is two dispatches: gradients, losses and weights are those of the kernels one by one, and
//! nets that do not fit say why.

mod adapter;

use downhill::compile::{TrainOptions, TrainPlan};
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::Family;
use downhill::kernel::Target;
use downhill::nn::{LayerNorm, Net, loss};
use downhill::optim::{AdamW, Average, Clip, Optimizer, ParamGroup, Sgd, Update};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{GpuOptions, Init, Tensor};

type Model = fn(&Net, &Tensor) -> Tensor;
type Loss = fn(&Tensor, &Tensor) -> Tensor;

fn value(i: usize) -> f32 {
    ((i * 7919 + i / 13 * 104_729 + i * i % 31) % 1000) as f32 / 500.0 - 1.0
}

fn classes(samples: usize, width: usize) -> Dataset {
    let inputs: Vec<f32> = (0..samples * width).map(value).collect();
    let labels: Vec<i32> = (0..samples).map(|i| (i * i % 7) as i32).collect();
    Dataset::from_arrays("made up", [width], inputs, [], labels)
        .expect("a data set")
        .with_classes(7)
        .expect("classes")
}

fn numbers(samples: usize, width: usize, targets: usize) -> Dataset {
    let inputs: Vec<f32> = (0..samples * width).map(value).collect();
    let targets_of: Vec<f32> = (0..samples * targets).map(|i| value(i + 17)).collect();
    Dataset::from_arrays("made up", [width], inputs, [targets], targets_of).expect("a data set")
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

fn smoothed(y: &Tensor, t: &Tensor) -> Tensor {
    let options = loss::CrossEntropy { label_smoothing: 0.1, ..loss::CrossEntropy::default() };
    loss::cross_entropy(y, t, &options)
}

fn mse(y: &Tensor, t: &Tensor) -> Tensor {
    y.sub(t).square().mean_all()
}

fn three_layers(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 64).relu();
    let h = net.linear("1", &h, 64).relu();
    net.linear("2", &h, 7)
}

fn odd(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 19).tanh();
    let h = net.linear("1", &h, 33).gelu();
    let h = net.linear("2", &h, 1).sigmoid();
    net.linear("3", &h, 7)
}

fn wide(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 150).silu();
    let h = net.dropout(&h, 0.3);
    let w = net.parameter("w", [150, 129], Init::Normal { mean: 0.0, std: 0.1 });
    let h = h.matmul(&w).relu();
    net.linear("2", &h, 7)
}

fn labels(y: &Tensor, t: &Tensor) -> Tensor {
    loss::bce_with_logits(y, &t.square())
}

fn dropped(y: &Tensor, t: &Tensor) -> Tensor {
    y.sub(t).exp().mul(&y.sin()).mean_all()
}

fn numbers_out(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 20).softplus(1.0, 20.0);
    let scale = net.parameter("scale", [20], Init::Constant(0.5));
    net.linear("1", &h.mul(&scale), 3)
}

fn one_layer(net: &Net, x: &Tensor) -> Tensor {
    net.linear("0", x, 7)
}

struct Run {
    losses: Vec<f64>,
    before: Vec<NamedTensor>,
    after: Vec<NamedTensor>,
    plan: TrainPlan,
}

fn run(
    family: Family,
    model: Model,
    loss: Loss,
    data: &Dataset,
    rows: usize,
    update: &Update,
    steps: u64,
) -> Run {
    let gpu = adapter::open_with(GpuOptions { family: Some(family), ..GpuOptions::default() });
    let options = TrainOptions { batch_size: BatchSize::Rows(rows), epochs: 50, ..TrainOptions::default() };
    let mut trainer = Trainer::new(&gpu, &model, &loss, update.clone(), data, &options).expect("a trainer");
    let before = trainer.state_dict().expect("weights");
    let losses = trainer.advance(steps).expect("steps").iter().map(|r| f64::from(r.loss)).collect();
    let after = trainer.state_dict().expect("weights");
    Run { losses, before, after, plan: trainer.plan().clone() }
}

fn largest(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|x| f64::from(x.abs())).fold(0.0, f64::max)
}

/// Two dispatches, and the kernels one by one, from the same weights.
fn both(model: Model, loss: Loss, data: &Dataset, rows: usize, update: &Update, steps: u64) -> [Run; 2] {
    let whole = run(Family::Tiled, model, loss, data, rows, update, steps);
    for step in &whole.plan.train {
        let names: Vec<&str> = step.plan.steps.iter().map(|s| s.kernel.entry).collect();
        assert_eq!(names.len(), 2, "{names:?}: {}", step.plan.path);
        assert_eq!((names[0], step.plan.path.as_str()), ("mlp_rows", "whole net in two dispatches"));
    }
    let single = {
        let gpu = adapter::open_with(GpuOptions { family: Some(Family::Tiled), ..GpuOptions::default() });
        let options =
            TrainOptions { batch_size: BatchSize::Rows(rows), epochs: 50, ..TrainOptions::default() };
        let plan = TrainPlan::builder(data, update)
            .model(&model, &loss)
            .options(&options)
            .target(Target::for_gpu(&gpu).kernel_by_kernel())
            .build()
            .expect("a plan");
        assert!(plan.train[0].plan.steps.len() > 4, "kernel by kernel");
        let mut trainer = Trainer::from_plan(&gpu, plan, data, &options).expect("a trainer");
        let before = trainer.state_dict().expect("weights");
        let losses = trainer.advance(steps).expect("steps").iter().map(|r| f64::from(r.loss)).collect();
        let after = trainer.state_dict().expect("weights");
        Run { losses, before, after, plan: trainer.plan().clone() }
    };
    [whole, single]
}

fn check_gradients(what: &str, model: Model, loss: Loss, data: &Dataset, rows: usize) {
    let update = Update::new(Optimizer::Sgd(Sgd { lr: 1.0, ..Sgd::default() }));
    let [whole, single] = both(model, loss, data, rows, &update, 1);
    let (a, b) = (whole.losses[0], single.losses[0]);
    assert!((a - b).abs() <= 2e-6 * b.abs().max(0.1), "{what}: losses {a} and {b}");
    for ((a, b), start) in whole.after.iter().zip(&single.after).zip(&single.before) {
        let steps = b.values.iter().zip(&start.values).map(|(after, before)| after - before);
        let gradient = largest(steps);
        let weights = largest(b.values.iter().copied());
        // A weight after the step is rounded once; the gradient is a sum of as many terms as there are samples.
        let bound = 1.2e-7 * weights + 4e-6 * gradient;
        assert!(gradient > 0.0, "{what}: {} does not move", a.name);
        for (i, (x, y)) in a.values.iter().zip(&b.values).enumerate() {
            let off = f64::from((x - y).abs());
            assert!(off <= bound, "{what}: {}[{i}]: {x} and {y}, {off:e} apart, bound {bound:e}", a.name);
        }
    }
}

#[test]
fn gradients_are_those_of_the_kernels_one_by_one() {
    for rows in [1, 7, 8, 64, 130] {
        check_gradients(
            &format!("three layers, {rows}"),
            three_layers,
            cross_entropy,
            &classes(130, 64),
            rows,
        );
    }
    check_gradients("odd widths", odd, cross_entropy, &classes(50, 13), 29);
    check_gradients("odd widths, smoothed", odd, smoothed, &classes(50, 13), 33);
    check_gradients("wide, dropout", wide, cross_entropy, &classes(40, 300), 40);
    check_gradients("numbers", numbers_out, mse, &numbers(70, 5, 3), 35);
    check_gradients("one number in", numbers_out, mse, &numbers(16, 1, 3), 16);
    check_gradients("labels", numbers_out, labels, &numbers(33, 6, 3), 33);
    check_gradients("functions in the loss", numbers_out, dropped, &numbers(33, 6, 3), 20);
    check_gradients("one layer", one_layer, cross_entropy, &classes(24, 10), 24);
}

#[test]
fn runs_of_every_optimizer_of_one_pass() {
    const SETTINGS: [(&str, &str); 7] = [
        ("sgd", "lr = 0.05, momentum = 0.9, nesterov = true"),
        ("adam", "amsgrad = true, weight_decay = 0.01"),
        ("rmsprop", "lr = 1e-3, momentum = 0.5, centered = true"),
        ("lion", "lr = 1e-4"),
        ("adadelta", "lr = 0.5"),
        ("schedule_free_sgd", "lr = 0.05"),
        ("adamax", "lr = 1e-3"),
    ];
    let several = ["lamb", "lars", "adafactor", "muon"];
    let optimizers = Optimizer::NAMES.into_iter().filter(|name| !several.contains(name)).map(|name| {
        let settings =
            SETTINGS.iter().find(|(of, _)| *of == name).map_or("lr = 1e-3", |(_, settings)| settings);
        (name, Optimizer::parse(name, settings).expect("an optimizer"))
    });
    let data = classes(96, 20);
    for (name, optimizer) in optimizers {
        let groups = vec![ParamGroup { lr_factor: 2.0, ..ParamGroup::new(["*.bias"]) }];
        let updates = [
            Update::new(optimizer.clone()),
            Update { clip: Some(Clip::Value(0.01)), groups, ..Update::new(optimizer) },
        ];
        for update in updates {
            let [whole, single] = both(odd, cross_entropy, &data, 40, &update, 6);
            for (a, b) in whole.losses.iter().zip(&single.losses) {
                assert!((a - b).abs() <= 1e-5 * b.abs(), "{name}: losses {a} and {b}");
            }
            for (a, b) in whole.after.iter().zip(&single.after) {
                let bound = 2e-4 * largest(b.values.iter().copied()).max(0.01);
                for (x, y) in a.values.iter().zip(&b.values) {
                    assert!(f64::from((x - y).abs()) <= bound, "{name}: {}: {x} and {y}", a.name);
                }
            }
        }
    }
}

#[test]
fn bits_repeat_and_an_average_is_kept() {
    let update = Update {
        average: Some(Average::Ema { decay: 0.9, eval: false }),
        ..Update::new(Optimizer::AdamW(AdamW::default()))
    };
    let data = classes(96, 20);
    let bits = || -> Vec<u32> {
        let run = run(Family::Tiled, wide, cross_entropy, &data, 32, &update, 7);
        assert_eq!(run.plan.train[0].plan.steps.len(), 2);
        run.after.iter().flat_map(|t| t.values.iter().map(|x| x.to_bits())).collect()
    };
    assert_eq!(bits(), bits());
}

/// With statistics a third kernel writes the gradients, and the weights have the same bits.
#[test]
fn statistics_change_no_bit() {
    let update = Update::new(Optimizer::AdamW(AdamW::default()));
    let data = classes(96, 20);
    let bits = |every: Option<u64>| -> (usize, Vec<u32>) {
        let gpu = adapter::open_with(GpuOptions { family: Some(Family::Tiled), ..GpuOptions::default() });
        let options = TrainOptions {
            batch_size: BatchSize::Rows(32),
            epochs: 2,
            statistics: every,
            ..TrainOptions::default()
        };
        let mut trainer =
            Trainer::new(&gpu, &wide, &cross_entropy, update.clone(), &data, &options).expect("a trainer");
        trainer.advance(5).expect("steps");
        let state = trainer.state_dict().expect("weights");
        let kernels = trainer.plan().train[0].plan.steps.len();
        (kernels, state.iter().flat_map(|t| t.values.iter().map(|x| x.to_bits())).collect())
    };
    let ((two, plain), (three, watched)) = (bits(None), bits(Some(2)));
    assert_eq!((two, three), (2, 3));
    assert_eq!(plain, watched);
}

/// The sentence for a net that takes more than two dispatches.
fn path(model: Model, update: &Update, rows: usize, target: Target) -> String {
    let data = classes(64, 12);
    let plan = TrainPlan::builder(&data, update)
        .model(&model, &cross_entropy)
        .batches(BatchPlan::new(64, BatchSize::Rows(rows), false).expect("batches"))
        .target(target)
        .build()
        .expect("a plan");
    plan.train[0].plan.path.clone()
}

#[test]
fn what_does_not_fit_is_named() {
    let norm: Model = |net, x| net.linear("1", &net.layer_norm("0", x, &LayerNorm::default()), 7);
    let large: Model = |net, x| net.linear("1", &net.linear("0", x, 100_000), 7);
    let plain = Update::new(Optimizer::AdamW(AdamW::default()));
    let clipped = Update { clip: Some(Clip::Norm(1.0)), ..plain.clone() };
    let tiled = Target::new(Family::Tiled);
    let shifted: Model = |net, x| {
        let shift = net.parameter("shift", [7], Init::Constant(0.1));
        net.linear("1", x, 7).mul(&shift).exp().add(&shift)
    };
    for (model, update, target, reason) in [
        (shifted, &plain, tiled, "kernel by kernel: sum is no plain sum over samples"),
        (norm, &plain, tiled, "kernel by kernel: 0 (layer_norm): sum is not computed sample by sample"),
        (large, &plain, tiled, "kernel by kernel: it has 2000007 parameters, and at most 300000 fit"),
        (odd as Model, &clipped, tiled, "kernel by kernel: its gradients are checked before the update"),
        (
            odd,
            &plain,
            tiled.with_statistics(true),
            "whole net in two dispatches, and one for the statistics of gradients",
        ),
        (odd, &plain, tiled.kernel_by_kernel(), "kernel by kernel: whole nets are for GPUs, or switched off"),
        (odd, &plain, Target::new(Family::Subgroup), ""),
        (odd, &plain, tiled, "whole net in two dispatches"),
    ] {
        assert_eq!(path(model, update, 32, target), reason);
    }
}
