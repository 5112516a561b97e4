//! The plan's bytes are the ledger's bytes, a budget is kept to the byte, and nothing is compiled late.

mod adapter;

use std::sync::Arc;

use downhill::compile::{Batch, MicroBatch, TrainOptions, TrainPlan};
use downhill::data::{BatchPlan, BatchSize, Dataset, Field, Part, TextOptions, Values, Windows, text};
use downhill::engine::Evaluation;
use downhill::gpu::Family;
use downhill::graph::DType;
use downhill::infer::{Head, Predictor};
use downhill::kernel::{MemoryBudget, Target};
use downhill::metrics::{Averaging, Metric};
use downhill::nn::{Embedding, Net, loss};
use downhill::optim::{Adam, MomentumForm, Optimizer, RmsProp, Sgd};
use downhill::train::{EpochRecord, Observer, Trainer};
use downhill::{Error, Gpu, GpuOptions, Tensor, Value};

fn gpu(family: Family, memory: Option<u64>) -> Gpu {
    adapter::open_with(GpuOptions { family: Some(family), memory, ..GpuOptions::default() })
}

/// 37 samples of 5 numbers in 3 classes, and as many to evaluate on as asked.
fn data(eval: usize) -> Dataset {
    let inputs = |n: usize| (0..n * 5).map(|i| (i * 7 % 11) as f32 / 11.0).collect::<Vec<_>>();
    let labels = |n: usize| (0..n).map(|i| (i % 3) as i32).collect::<Vec<_>>();
    let data = Dataset::from_arrays("made up", [5], inputs(37), [], labels(37)).expect("a data set");
    let data = if eval > 0 { data.with_eval(inputs(eval), labels(eval)).expect("two parts") } else { data };
    data.with_classes(3).expect("three classes")
}

fn model(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 17).tanh();
    net.linear("2", &h, 3)
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

/// Every optimizer by its defaults, and forms that keep more.
fn optimizers() -> Vec<Optimizer> {
    let more = [
        Optimizer::Sgd(Sgd { momentum: 0.9, form: MomentumForm::Average, ..Sgd::default() }),
        Optimizer::RmsProp(RmsProp { centered: true, momentum: 0.9, ..RmsProp::default() }),
        Optimizer::Adam(Adam { amsgrad: true, ..Adam::default() }),
        Optimizer::Adam(Adam { state_bits: 8, ..Adam::default() }),
    ];
    let named = |name: &str| toml::from_str(&format!("name = \"{name}\"")).expect("its defaults");
    Optimizer::NAMES.into_iter().map(named).chain(more).collect()
}

/// Samples to evaluate on, and a batch size: with an evaluation part or not, one whose last batch is short,
/// batches that go in evenly or not, all samples at once.
const CASES: [(usize, BatchSize); 6] = [
    (0, BatchSize::Rows(37)),
    (0, BatchSize::Rows(8)),
    (20, BatchSize::Rows(37)),
    (600, BatchSize::Rows(8)),
    (512, BatchSize::Full),
    (3, BatchSize::Rows(1)),
];

/// The ledger's entries, which are the plan's buffers.
fn held_as_planned(gpu: &Gpu, plan: &TrainPlan) -> Vec<(String, u64)> {
    let mut planned: Vec<_> = plan.all_buffers().into_iter().map(|b| (b.name, b.bytes)).collect();
    let mut held = gpu.ledger().entries();
    planned.sort();
    held.sort();
    assert_eq!(held, planned);
    held
}

/// Counts the pipelines there are after each epoch.
struct Pipelines<'g> {
    gpu: &'g Gpu,
    after_each_epoch: Vec<usize>,
}

impl Observer for Pipelines<'_> {
    fn epoch(&mut self, _: &EpochRecord) -> Result<(), Error> {
        self.after_each_epoch.push(self.gpu.pipeline_count());
        Ok(())
    }
}

#[test]
fn the_ledger_holds_what_the_plan_says() {
    for (case, (eval, batch_size)) in CASES.into_iter().enumerate() {
        let optimizer = &optimizers()[case % 5];
        let family = adapter::families()[case % adapter::families().len()];
        let data = data(eval);
        let options = TrainOptions { batch_size, epochs: 2, ..TrainOptions::default() };
        let label = format!("{eval} to evaluate on, {batch_size:?}, {optimizer:?}, {family:?}");

        // What `explain` says without a device.
        let batches = BatchPlan::new(37, batch_size, false).expect("batches");
        let target = adapter::target(family);
        let plan = TrainPlan::builder(&data, optimizer)
            .model(&model, &cross_entropy)
            .batches(batches)
            .target(target)
            .build()
            .expect("a plan");
        let peak = plan.peak_bytes();

        let gpu = gpu(family, Some(peak));
        let mut trainer =
            Trainer::new(&gpu, &model, &cross_entropy, optimizer, &data, &options).expect("it fits exactly");
        assert_eq!(trainer.plan().peak_bytes(), peak, "{label}");
        let mut pipelines = Pipelines { gpu: &gpu, after_each_epoch: vec![] };
        trainer.run(&mut pipelines).expect("a run");
        assert_eq!(gpu.ledger().total(), peak, "{label}");
        assert_eq!(gpu.ledger().peak(), peak, "{label}");
        let mut planned: Vec<_> = plan.all_buffers().into_iter().map(|b| (b.name, b.bytes)).collect();
        let mut held = gpu.ledger().entries();
        planned.sort();
        held.sort();
        assert_eq!(held, planned, "{label}");
        // Short batches and evaluation are compiled when they first come, in the first epoch.
        let [first, second] = pipelines.after_each_epoch[..] else { panic!("{label}: two epochs") };
        assert_eq!(first, second, "{label}: a pipeline was made after the first epoch");

        drop(trainer);
        assert_eq!(gpu.ledger().total(), 0, "{label}: buffers outlive the trainer");
    }
}

#[test]
fn a_budget_one_byte_too_small_is_an_error_that_itemises() {
    for (eval, batch_size) in CASES {
        let data = data(eval);
        let options = TrainOptions { batch_size, ..TrainOptions::default() };
        let optimizer = &optimizers()[3];
        let batches = BatchPlan::new(37, batch_size, false).expect("batches");
        let family = adapter::families()[0];
        let target = Target::new(family);
        let plan = TrainPlan::builder(&data, optimizer)
            .model(&model, &cross_entropy)
            .batches(batches)
            .target(target)
            .build()
            .expect("a plan");
        let gpu = gpu(family, Some(plan.peak_bytes() - 1));
        // A plan that is given is kept to; `tests/budget.rs` has those that are made to fit.
        let err = Trainer::from_plan(&gpu, plan, &data, &options).expect_err("one less");
        assert!(matches!(err, Error::Budget(_)), "{err:?}");
        let text = err.to_string();
        for word in ["budget", "parameters", "exp_avg_sq"] {
            assert!(text.contains(word), "{word} is missing: {text}");
        }
        assert_eq!(gpu.ledger().total(), 0, "what was allocated is given back");
    }
}

/// A sequence that both fields of both parts are windows over lies on the device once; further fields have
/// buffers of their own.
#[test]
fn what_fields_share_counts_once() {
    let family = adapter::families()[0];
    let sequence = Arc::new(Values::I32((0..1001).map(|i| i * i % 7).collect()));
    let part = |from: usize, end: usize| {
        let at = Windows::fitting(from, end - 1, 12, 10);
        let windows = |at| Field::windows([12], &sequence, at).expect("windows");
        let weights = Field::new([], vec![1.0; at.samples]).expect("weights");
        let ahead = Windows { first: at.first + 1, ..at };
        let part = Part::builder().input("text", windows(at)).target("next", windows(ahead));
        part.target("weight", weights).build().expect("a part")
    };
    let data = Dataset::new("text", part(0, 800), Some(part(800, 1001)), Some(7)).expect("a data set");
    let options = TrainOptions { batch_size: BatchSize::Rows(8), epochs: 1, ..TrainOptions::default() };
    let step = |net: &Net, batch: &Batch| {
        let y = net.linear("0", &batch.get("text").one_hot(7), 7);
        let off = y.sub(&batch.get("next").one_hot(7)).square().mean(&[1, 2], false);
        off.mul(&batch.get("weight")).mean_all()
    };
    let batches = BatchPlan::new(data.train().len(), options.batch_size, false).expect("batches");
    let sgd = Optimizer::Sgd(Sgd::default());
    let plan = TrainPlan::builder(&data, &sgd)
        .step(&step)
        .batches(batches)
        .target(Target::new(family))
        .build()
        .expect("a plan");
    let peak = plan.peak_bytes();
    let gpu = gpu(family, Some(peak));
    let mut trainer = Trainer::from_plan(&gpu, plan.clone(), &data, &options).expect("it fits");
    trainer.run(&mut ()).expect("a run");
    assert_eq!((gpu.ledger().total(), gpu.ledger().peak()), (peak, peak));
    let held = held_as_planned(&gpu, &plan);
    let of_data = held.iter().filter(|(name, _)| name.starts_with("train ") || name.starts_with("eval "));
    let sizes: Vec<(&str, u64)> = of_data.map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let weights = |part: &Part| part.len() as u64 * 4;
    let eval = data.eval().map(weights).expect("a part");
    assert_eq!(sizes, [("eval weight", eval), ("train text", 4004), ("train weight", weights(data.train()))]);
}

/// Evaluation of a wide model of a sequence goes in batches that fit its training: the ledger agrees.
#[test]
fn evaluation_of_wide_models_is_planned() {
    let family = adapter::families()[0];
    let options = TextOptions { eval_fraction: 0.5, ..TextOptions::new(32) };
    let letters: String = (0..4000).map(|i| char::from(b'a' + (i * i % 7) as u8)).collect();
    let data = text("letters", &letters, &options).expect("a text");
    let model = |net: &Net, x: &Tensor| {
        let table = Embedding { num_embeddings: 7, embedding_dim: 8, padding_idx: None };
        let h = net.linear("1", &net.embedding("0", x, &table), 2500).tanh();
        net.linear("2", &h, 7)
    };
    let options = TrainOptions { batch_size: BatchSize::Rows(2), ..TrainOptions::default() };
    let batches = BatchPlan::new(data.train().len(), options.batch_size, false).expect("batches");
    let sgd = Optimizer::Sgd(Sgd::default());
    let plan = |eval_batch| {
        let memory = MemoryBudget { eval_batch, ..MemoryBudget::default() };
        let plan = TrainPlan::builder(&data, &sgd)
            .model(&model, &cross_entropy)
            .batches(batches)
            .target(Target::new(family).with_memory(memory))
            .build()
            .expect("a plan");
        let sizes: Vec<usize> = plan.eval.iter().map(|build| build.batch).collect();
        (plan, sizes)
    };
    assert_eq!(plan(None).1, [2], "62 samples, as those of a training batch");
    let (plan, sizes) = plan(Some(12));
    assert_eq!(sizes, [12, 2], "62 samples, 12 at once");
    let peak = plan.peak_bytes();
    let gpu = gpu(family, Some(peak));
    let mut trainer = Trainer::from_plan(&gpu, plan.clone(), &data, &options).expect("it fits");
    trainer.advance(1).expect("a step");
    let Evaluation { loss, accuracy, .. } = trainer.evaluate().expect("an evaluation").expect("a part");
    assert!(loss > 0.0 && accuracy.is_some_and(|share| (0.0..=1.0).contains(&share)), "{loss}, {accuracy:?}");
    assert_eq!((gpu.ledger().total(), gpu.ledger().peak()), (peak, peak));
    held_as_planned(&gpu, &plan);
}

/// What evaluation files for its metrics is in the plan; with many classes fewer batches are filed at once.
#[test]
fn what_evaluation_adds_up_is_planned() {
    let data = data(1600);
    let wide = |net: &Net, x: &Tensor| net.linear("0", x, 400);
    let counts = [Metric::F1 { average: Averaging::Macro }, Metric::Perplexity];
    let matrix = [Metric::ConfusionMatrix];
    for (metrics, columns, rows) in [(&counts[..], 3 * 400 + 1, 64), (&matrix, 400 * 400, 1)] {
        let options = TrainOptions {
            batch_size: BatchSize::Rows(8),
            epochs: 2,
            metrics: metrics.to_vec(),
            eval_batch: Some(512),
            ..TrainOptions::default()
        };
        let family = adapter::families()[0];
        let batches = BatchPlan::new(37, options.batch_size, false).expect("batches");
        let memory = MemoryBudget { eval_batch: options.eval_batch, ..MemoryBudget::default() };
        let (sgd, target) = (Optimizer::Sgd(Sgd::default()), Target::new(family).with_memory(memory));
        let plan = TrainPlan::builder(&data, &sgd)
            .model(&wide, &cross_entropy)
            .batches(batches)
            .target(target)
            .metrics(metrics)
            .build()
            .expect("a plan");
        let of = |name: &str| plan.all_buffers().into_iter().find(|b| b.name == name).map(|b| b.bytes);
        let bytes = Some(columns * rows * 4);
        assert_eq!((of("eval tally"), of("eval tally readback")), (bytes, bytes));
        let peak = plan.peak_bytes();
        let gpu = gpu(family, Some(peak));
        let mut trainer =
            Trainer::new(&gpu, &wide, &cross_entropy, &sgd, &data, &options).expect("it fits exactly");
        assert_eq!(trainer.plan().eval.len(), 2, "a short last batch");
        let mut pipelines = Pipelines { gpu: &gpu, after_each_epoch: vec![] };
        let last = trainer.run(&mut pipelines).expect("a run").last.expect("an epoch");
        assert_eq!((gpu.ledger().total(), gpu.ledger().peak()), (peak, peak));
        held_as_planned(&gpu, &plan);
        let [first, second] = pipelines.after_each_epoch[..] else { panic!("two epochs") };
        assert_eq!(first, second, "a pipeline was made after the first epoch");
        let counted = last.eval_confusion.map(|rows| rows.iter().flatten().sum::<u64>());
        assert_eq!(counted, (metrics == matrix).then_some(1600));
    }
}

/// Statistics take the weights before a step, their records and the way back, and nothing where they are off.
#[test]
fn what_statistics_take_is_planned() {
    let data = data(20);
    let relu = |net: &Net, x: &Tensor| net.linear("2", &net.linear("0", x, 17).relu(), 3);
    let sgd = Optimizer::Sgd(Sgd::default());
    for (&family, micro_batch) in
        adapter::families().iter().flat_map(|f| [(f, MicroBatch::Whole), (f, MicroBatch::Rows(3))])
    {
        let options = |statistics| TrainOptions {
            batch_size: BatchSize::Rows(8),
            epochs: 2,
            micro_batch,
            statistics,
            ..TrainOptions::default()
        };
        let plan = |statistics| {
            let (batches, target) = (options(statistics).batches(&data), Target::new(family));
            let target = options(statistics).target(target).kernel_by_kernel();
            TrainPlan::builder(&data, &sgd)
                .model(&relu, &cross_entropy)
                .batches(batches.expect("batches"))
                .target(target)
                .build()
                .expect("a plan")
        };
        let (with, without) = (plan(Some(3)), plan(None));
        // Tensors of 85, 17, 51 and 3 numbers, each begun at a multiple of 256 bytes; records of 72 words of three kinds,
        // of which each tensor has one chunk; the layer's dead units.
        let records = 4 * 3 * 72 * 4;
        let own = [
            ("dead units 0", 16),
            ("layout of statistics", 4 * (2 + 2) * 4),
            ("parameters before the step", 512 + 256 + 256 + 256),
            ("statistics of chunks", records),
            ("statistics of tensors", records),
            ("statistics readback", records + 4),
        ];
        let names = |plan: &TrainPlan| -> Vec<(String, u64)> {
            let mut all: Vec<_> = plan.all_buffers().into_iter().map(|b| (b.name, b.bytes)).collect();
            all.sort();
            all
        };
        let (theirs, old) = (names(&with), names(&without));
        let new: Vec<(&str, u64)> =
            theirs.iter().filter(|b| !old.contains(b)).map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        assert_eq!(new, own, "{family:?} {micro_batch:?}");
        let peak = with.peak_bytes();
        let gpu = gpu(family, Some(peak));
        let mut trainer =
            Trainer::from_plan(&gpu, with.clone(), &data, &options(Some(3))).expect("it fits exactly");
        trainer.run(&mut ()).expect("a run");
        assert_eq!((gpu.ledger().total(), gpu.ledger().peak()), (peak, peak));
        held_as_planned(&gpu, &with);
    }
}

/// Two trainers on one device share kernels, and the book holds both.
#[test]
fn a_second_trainer_compiles_nothing() {
    let gpu = gpu(adapter::families()[0], None);
    let data = data(20);
    let options = TrainOptions { batch_size: BatchSize::Rows(8), ..TrainOptions::default() };
    let make = || Trainer::new(&gpu, &model, &cross_entropy, &optimizers()[0], &data, &options).expect("one");
    let first = make();
    let pipelines = gpu.pipeline_count();
    let second = make();
    assert_eq!(gpu.pipeline_count(), pipelines);
    assert_eq!(gpu.ledger().total(), first.plan().peak_bytes() + second.plan().peak_bytes());
}

/// Weights, a batch's values and the way back, and nothing more however often it is asked; and the answers are those of
/// training's output, in whatever batch a sample is.
#[test]
fn predictions_take_what_was_planned() {
    for &family in adapter::families() {
        let gpu = gpu(family, None);
        let data = data(0);
        let sgd = Optimizer::Sgd(Sgd::default());
        let mut trainer = Trainer::new(&gpu, &model, &cross_entropy, &sgd, &data, &TrainOptions::default())
            .expect("a trainer");
        let (trained, weights) = (trainer.advance(2).map(drop), trainer.state_dict().expect("weights"));
        trained.expect("two steps");
        drop(trainer);
        let before = gpu.ledger().total();
        let mut predictor =
            Predictor::new(&gpu, &model, Head::Softmax, [5], DType::F32, 8, &weights).expect("a predictor");
        let held = gpu.ledger().total();
        // What is read back passes one buffer more.
        assert_eq!(held - before, predictor.plan().bytes() + 8 * 3 * 4, "{:?}", gpu.ledger().entries());
        let inputs: Vec<f32> =
            data.train().inputs().samples(0, 8).expect("it").iter().map(|v| *v as f32).collect();
        let whole = predictor.predict(Value::F32(&inputs)).expect("answers");
        assert_eq!(whole.len(), 24);
        for n in [1, 3, 8] {
            let part = predictor.predict(Value::F32(&inputs[..n * 5])).expect("answers");
            assert_eq!(part, whole[..n * 3], "the first {n} samples");
        }
        assert_eq!(predictor.predict(Value::F32(&inputs[35..])).expect("answers"), whole[21..]);
        for share in whole.chunks_exact(3) {
            assert!((share.iter().sum::<f32>() - 1.0).abs() <= 4.0 * f32::EPSILON, "{share:?}");
        }
        for wrong in [&inputs[..0], &inputs[..7], &[0.0; 45]] {
            let err = predictor.predict(Value::F32(wrong)).expect_err("no samples").to_string();
            assert!(err.contains("1 to 8 samples of 5"), "{err}");
        }
        assert_eq!(gpu.ledger().total(), held);
    }
}
