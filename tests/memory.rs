//! The plan's bytes are the ledger's bytes, a budget is kept to the byte, and nothing is compiled late.

mod adapter;

use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::Family;
use downhill::kernel::Target;
use downhill::nn::{Net, loss};
use downhill::optim::{Adam, MomentumForm, Optimizer, RmsProp, Sgd};
use downhill::train::{Blueprint, EpochRecord, Observer, TrainOptions, Trainer};
use downhill::{Error, Gpu, GpuOptions, Tensor};

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

fn optimizers() -> [Optimizer; 4] {
    [
        Optimizer::Sgd(Sgd::default()),
        Optimizer::Sgd(Sgd { momentum: 0.9, form: MomentumForm::Average, ..Sgd::default() }),
        Optimizer::RmsProp(RmsProp { centered: true, momentum: 0.5, ..RmsProp::default() }),
        Optimizer::Adam(Adam { amsgrad: true, ..Adam::default() }),
    ]
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
        let optimizer = &optimizers()[case % 4];
        let family = adapter::families()[case % adapter::families().len()];
        let data = data(eval);
        let options = TrainOptions { batch_size, epochs: 2, ..TrainOptions::default() };
        let label = format!("{eval} to evaluate on, {batch_size:?}, {optimizer:?}, {family:?}");

        // What `explain` says without a device.
        let batches = BatchPlan::new(37, batch_size, false).expect("batches");
        let target = Target { family };
        let plan = Blueprint::new(&model, &cross_entropy, optimizer, &data, batches, target).expect("a plan");
        let peak = plan.peak_bytes();

        let gpu = gpu(family, Some(peak));
        let mut trainer =
            Trainer::new(&gpu, &model, &cross_entropy, optimizer, &data, &options).expect("it fits exactly");
        assert_eq!(trainer.blueprint().peak_bytes(), peak, "{label}");
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
        let target = Target { family };
        let plan = Blueprint::new(&model, &cross_entropy, optimizer, &data, batches, target).expect("a plan");
        let gpu = gpu(family, Some(plan.peak_bytes() - 1));
        let err =
            Trainer::new(&gpu, &model, &cross_entropy, optimizer, &data, &options).expect_err("one less");
        assert!(matches!(err, Error::Budget(_)), "{err:?}");
        let text = err.to_string();
        for word in ["budget", "parameters", "exp_avg_sq"] {
            assert!(text.contains(word), "{word} is missing: {text}");
        }
        assert_eq!(gpu.ledger().total(), 0, "what was allocated is given back");
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
    assert_eq!(gpu.ledger().total(), first.blueprint().peak_bytes() + second.blueprint().peak_bytes());
}
