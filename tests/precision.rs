//! f16 storage: near the f32 gradients on both kernel families, steps skipped and the scale moved as said, f32 masters,
//! half the memory.

mod adapter;

use adapter::{families, open};
use downhill::compile::{TrainOptions, TrainPlan};
use downhill::config::Config;
use downhill::data::{BatchPlan, BatchSize, Dataset, Sampling, TextOptions, digits, text};
use downhill::gpu::Family;
use downhill::kernel::Precision;
use downhill::kernel::Target;
use downhill::nn::Net;
use downhill::optim::{Adam, Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::{StepRecord, Trainer};
use downhill::{Gpu, Init, Tensor};

const LR: f64 = 1024.0;

fn options(precision: Precision, rows: usize) -> TrainOptions {
    TrainOptions {
        batch_size: BatchSize::Rows(rows),
        sampling: Sampling::File,
        precision,
        ..TrainOptions::default()
    }
}

fn config(layers: &str) -> Config {
    let text = format!(
        "[data]\nsource = \"digits\"\n[model]\nlayers = [{layers}]\nloss = \"cross_entropy\"\n[optimizer]\nname = \"sgd\"\n"
    );
    Config::parse(&text, &[]).expect("a config")
}

/// The gradient of each parameter in the first step that is not skipped.
fn gradients(gpu: &Gpu, config: &Config, data: &Dataset, precision: Precision) -> Vec<NamedTensor> {
    let model = |net: &Net, x: &Tensor| config.model.build(net, x);
    let loss = |y: &Tensor, t: &Tensor| config.loss.apply(y, t);
    let sgd = Optimizer::Sgd(Sgd { lr: LR, ..Sgd::default() });
    let mut trainer =
        Trainer::new(gpu, &model, &loss, &sgd, data, &options(precision, 12)).expect("a trainer");
    let start = trainer.state_dict().expect("tensors");
    for _ in 0..20 {
        // Skipped steps draw random numbers too: each try begins anew but for the scale.
        let before = trainer.skipped_steps().expect("a count");
        trainer.advance(1).expect("a step");
        if trainer.skipped_steps().expect("a count") == before {
            break;
        }
    }
    let after = trainer.state_dict().expect("tensors");
    let trained = start.into_iter().zip(after).filter(|(s, _)| !s.name.contains("running_"));
    let gradient = |(s, a): (NamedTensor, NamedTensor)| NamedTensor {
        values: s.values.iter().zip(&a.values).map(|(s, a)| (s - a) / LR as f32).collect(),
        ..a
    };
    trained.map(gradient).collect()
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// Gradients in f16 are those in f32 to some roundings of 2⁻¹¹, tensor by tensor.
#[track_caller]
fn near(config: &Config, data: &Dataset) {
    for &family in families() {
        let gpu = open(family);
        if !gpu.has_f16() {
            eprintln!("{} has no shader-f16: nothing to test", gpu.adapter().name);
            return;
        }
        let exact = gradients(&gpu, config, data, Precision::F32);
        let half = gradients(&gpu, config, data, Precision::F16);
        let largest = exact.iter().map(|t| norm(t.values.iter().copied())).fold(0.0, f64::max);
        let mut differs = false;
        for (e, h) in exact.iter().zip(&half) {
            let off = norm(e.values.iter().zip(&h.values).map(|(e, h)| e - h));
            // A bias before a norm has no gradient but rounding: a part of the largest is allowed as well.
            let bar = 0.02 * norm(e.values.iter().copied()) + 1e-3 * largest;
            assert!(off <= bar, "{family:?} {}: off by {off:e}, of which {bar:e} is allowed", e.name);
            differs |= off > 0.0;
        }
        assert!(differs, "{family:?}: every bit is f32's, so nothing was stored in f16");
    }
}

fn digits_near(layers: &str) {
    near(&config(layers), &digits().expect("digits"));
}

#[test]
fn dense_nets() {
    digits_near("\"flatten\", { linear = 33 }, \"gelu\", { layer_norm = 1 }, { linear = 10 }");
    digits_near("\"flatten\", { linear = 33 }, \"relu\", { linear = 64 }, \"tanh\", { linear = 10 }");
}

#[test]
fn images() {
    digits_near(
        "{ conv2d = { out_channels = 5, kernel_size = 3, padding = 1 } }, \"batch_norm\", \"relu\", { max_pool2d = 2 }, \
         { conv2d = { out_channels = 8, kernel_size = 3, stride = 2, padding = 1 } }, \"silu\", \"flatten\", \
         { linear = 10 }",
    );
    digits_near(
        "{ conv2d = { out_channels = 6, kernel_size = 1 } }, { conv2d = { out_channels = 6, kernel_size = 3, padding = \
         \"same\", groups = 6 } }, { group_norm = 2 }, \"relu\", { residual = { layers = [{ conv2d = { out_channels = 6, \
         kernel_size = 3, padding = 1, groups = 3 } }] } }, { avg_pool2d = 2 }, { upsample = 2 }, \"global_avg_pool\", \
         { linear = 10 }",
    );
    digits_near(
        "{ conv2d = { out_channels = 4, kernel_size = 4, stride = 2, padding = 1 } }, \"relu\", { conv_transpose2d = { \
         out_channels = 3, kernel_size = 4, stride = 2, padding = 1 } }, \"tanh\", \"flatten\", { linear = 10 }",
    );
}

#[test]
fn sequences() {
    digits_near("{ reshape = [8, 8] }, { gru = 12 }, \"flatten\", { linear = 10 }");
    digits_near(
        "{ reshape = [8, 8] }, { linear = 24 }, { multi_head_attention = { num_heads = 3, causal = true } }, \"flatten\", \
         { linear = 10 }",
    );
    let words = "the quick brown fox jumps over the lazy dog and runs away from it. ".repeat(40);
    let data = text("words", &words, &TextOptions::new(16)).expect("a text");
    near(
        &config(
            "{ embedding = { num_embeddings = 32, embedding_dim = 24 } }, { positional_embedding = 16 }, { residual = { \
             layers = [{ layer_norm = 1 }, { multi_head_attention = { num_heads = 4, causal = true } }] } }, { linear = \
             32 }",
        ),
        &data,
    );
}

/// Batches of one sample; the loss is Σ w·x with x = `x`, so the gradient of w is x whatever w is.
fn constant(gpu: &Gpu, optimizer: &Optimizer, precision: Precision, x: f32) -> Trainer {
    let data = Dataset::from_arrays("constant", [256], vec![x; 256], [], vec![0.0]).expect("a sample");
    let model = |net: &Net, x: &Tensor| {
        let w = net.parameter("w", [1, 256], Init::Constant(1.0));
        // A product, so that w and its gradient go the way that weights go.
        x.matmul(&w.permute(&[1, 0])).sum_all()
    };
    Trainer::new(gpu, &model, &|y, _| y.clone(), optimizer, &data, &options(precision, 1)).expect("a trainer")
}

fn weight(trainer: &Trainer) -> f32 {
    trainer.state_dict().expect("tensors")[0].values[7]
}

fn scales(steps: &[StepRecord]) -> Vec<(f32, u64)> {
    steps
        .iter()
        .map(|s| s.gradient_check.and_then(|l| Some((l.loss_scale?, l.skipped_steps))).expect("a scale"))
        .collect()
}

fn f16(family: Family) -> Option<Gpu> {
    Some(open(family)).filter(Gpu::has_f16)
}

#[test]
fn overflowing_steps_are_skipped_and_count_for_nothing() {
    for gpu in families().iter().filter_map(|&f| f16(f)) {
        // 3·10³⁴ · 2¹⁶ is past f32's range, and at 2¹³ within it: three steps go by.
        let adam = Optimizer::Adam(Adam { lr: 0.01, ..Adam::default() });
        let mut trainer = constant(&gpu, &adam, Precision::F16, 3e34);
        let steps = trainer.advance(3).expect("steps");
        assert_eq!(scales(&steps), [(65536.0, 0), (32768.0, 1), (16384.0, 2)]);
        assert_eq!(weight(&trainer), 1.0, "a skipped step moved the weight");
        let steps = trainer.advance(4).expect("steps");
        assert_eq!(scales(&steps), [(8192.0, 3), (8192.0, 3), (8192.0, 3), (8192.0, 3)]);
        assert_eq!(trainer.skipped_steps().expect("a count"), 3);
        let momentum = Optimizer::Sgd(Sgd { lr: 1e-36, momentum: 0.9, dampening: 0.5, ..Sgd::default() });
        let mut half = constant(&gpu, &momentum, Precision::F16, 3e34);
        let mut full = constant(&gpu, &momentum, Precision::F32, 3e34);
        half.advance(3 + 6).expect("steps");
        full.advance(6).expect("steps");
        // torch's momentum takes its first gradient whole: of six updates the first has to be such a one.
        assert_eq!(weight(&half), weight(&full));
        assert!(weight(&full) < 0.9);
    }
}

#[test]
fn windows_do_not_matter() {
    for gpu in families().iter().filter_map(|&f| f16(f)) {
        let momentum = Optimizer::Sgd(Sgd { lr: 1e-36, momentum: 0.9, dampening: 0.5, ..Sgd::default() });
        let mut one = constant(&gpu, &momentum, Precision::F16, 3e34);
        let mut many = constant(&gpu, &momentum, Precision::F16, 3e34);
        let all = one.advance(40).expect("steps");
        let mut each = Vec::new();
        for n in [1, 1, 2, 3, 13, 20] {
            each.extend(many.advance(n).expect("steps"));
        }
        assert_eq!(scales(&all), scales(&each));
        assert_eq!(weight(&one).to_bits(), weight(&many).to_bits());
    }
}

#[test]
fn masters_are_f32_and_small_gradients_are_kept() {
    for gpu in families().iter().filter_map(|&f| f16(f)) {
        // A step of 2⁻²⁰, far below a rounding of 1 in f16, from a gradient far below its least number.
        let sgd = Optimizer::Sgd(Sgd { lr: f64::powi(2.0, 10), ..Sgd::default() });
        let mut trainer = constant(&gpu, &sgd, Precision::F16, f32::powi(2.0, -30));
        trainer.advance(100).expect("steps");
        assert_eq!(weight(&trainer), 1.0 - 100.0 * f32::powi(2.0, -20));
    }
}

#[test]
fn gradients_that_never_fit_end_the_run() {
    for gpu in families().iter().filter_map(|&f| f16(f)) {
        let sgd = Optimizer::Sgd(Sgd::default());
        let data = Dataset::from_arrays("root", [256], vec![0.0; 256], [], vec![0.0]).expect("a sample");
        // √0: the loss is 0, and its gradient infinite.
        let model = |net: &Net, x: &Tensor| {
            let w = net.parameter("w", [256], Init::Constant(0.0));
            (x + &w).sqrt().sum_all()
        };
        let mut trainer =
            Trainer::new(&gpu, &model, &|y, _| y.clone(), &sgd, &data, &options(Precision::F16, 1))
                .expect("a trainer");
        let error = trainer.advance(40).expect_err("no end of it").to_string();
        assert!(error.contains("train.precision = \"f32\"") && error.contains("step 17"), "{error}");
    }
}

#[test]
fn activations_take_half_the_memory() {
    let config = Config::parse(include_str!("../examples/digits_cnn.toml"), &[]).expect("a config");
    let data = digits().expect("digits");
    let batches = BatchPlan::new(data.train().len(), BatchSize::Rows(64), false).expect("batches");
    for family in [Family::Subgroup, Family::Tiled] {
        let activations = |precision| -> u64 {
            let train_plan = TrainPlan::builder(&data, &config.update)
                .model(&|net, x| config.model.build(net, x), &|y, t| config.loss.apply(y, t))
                .batches(batches)
                .target(Target::new(family).with_precision(precision))
                .build()
                .expect("a plan");
            let buffers = train_plan.train[0].plan.buffers.iter();
            buffers.filter(|b| b.name.starts_with("activations")).map(|b| b.bytes).sum()
        };
        let share = activations(Precision::F16) as f64 / activations(Precision::F32) as f64;
        assert!(share < 0.6, "{family:?}: {share:.2} of the bytes in f32");
    }
}

#[test]
fn a_net_learns_in_f16_and_twice_alike() {
    for gpu in families().iter().filter_map(|&f| f16(f)) {
        let run = || {
            let settings = ["train.epochs=8".to_owned(), "train.precision=f16".to_owned()];
            let config = Config::parse(include_str!("../examples/digits.toml"), &settings).expect("a config");
            let data = config.dataset().expect("digits");
            let mut trainer = config.trainer(&gpu, &data).expect("a trainer");
            assert_eq!(gpu.ledger().total(), trainer.plan().peak_bytes(), "more or less than was planned");
            let last = trainer.run(&mut ()).expect("a run").last.expect("an epoch");
            let weights = trainer.state_dict().expect("tensors");
            (
                last.eval_accuracy,
                weights.into_iter().flat_map(|t| t.values).map(f32::to_bits).collect::<Vec<_>>(),
            )
        };
        let (first, second) = (run(), run());
        assert!(first.0.is_some_and(|a| a > 0.93), "{:?}", first.0);
        assert_eq!(first, second);
    }
}

#[test]
fn the_key_is_read_and_written() {
    let text = include_str!("../examples/digits.toml");
    let config = Config::parse(text, &["train.precision=f16".into()]).expect("a config");
    assert_eq!(config.options.precision, Precision::F16);
    assert_eq!(Config::parse(&config.to_toml(), &[]).expect("its own").options.precision, Precision::F16);
    let error =
        Config::parse(text, &["train.precision=f8".into()]).expect_err("no such precision").to_string();
    assert!(error.contains("train.precision = \"f8\": \"f32\" or \"f16\" is needed"), "{error}");
}
