//! A memory budget is kept to the byte: a run takes what its plan says, fits what is just enough, and is streamed, split or
//! refused where it is not.

mod adapter;
mod example_configs;

use downhill::compile::{MicroBatch, TrainOptions, TrainPlan};
use downhill::config::Config;
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::{Family, Reads};
use downhill::kernel::{MemoryBudget, Target};
use downhill::nn::{BatchNorm, Net, loss};
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;
use downhill::{Error, Gpu, GpuOptions, Tensor};
use example_configs::StandIn;

/// Reading from storage: tests/reads.rs has what images take of a budget.
fn gpu(family: Family, memory: Option<u64>) -> Gpu {
    let reads = Some(Reads::Storage);
    adapter::open_with(GpuOptions { family: Some(family), memory, reads, ..GpuOptions::default() })
}

/// Two steps, and all that a run ends with; the ledger never held more than the plan says.
fn drive(gpu: &Gpu, config: &Config, data: &Dataset) -> Result<(TrainPlan, Vec<f32>), Error> {
    let mut trainer = config.trainer(gpu, data)?;
    let train_plan = trainer.plan().clone();
    let losses = trainer.advance(2)?.iter().map(|step| step.loss).collect();
    trainer.snapshot()?;
    trainer.state_dict()?;
    assert_eq!(gpu.ledger().total(), train_plan.peak_bytes());
    assert_eq!(gpu.ledger().peak(), train_plan.peak_bytes());
    Ok((train_plan, losses))
}

/// Every example runs in just what its plan says, and in one byte less it is refused clearly or goes on in another way,
/// whose plan is kept as well, to the same losses.
#[test]
fn every_example_under_a_budget() {
    let family = adapter::families()[0];
    let (mut refused, mut split) = (0, 0);
    let stand_in = StandIn::new();
    for path in example_configs::all() {
        let name = path.display();
        for auto in [false, true] {
            let mut settings = stand_in.settings(&path);
            settings.extend(auto.then(|| "train.micro_batch=auto".to_owned()));
            let config = Config::load(&path, &settings).expect("an example");
            let data = config.dataset().expect("its data");
            let free = config.plan(&data, Target::new(family)).expect("a plan");
            let peak = free.peak_bytes();
            let (just, whole) =
                drive(&gpu(family, Some(peak)), &config, &data).unwrap_or_else(|err| panic!("{name}: {err}"));
            assert_eq!((just.peak_bytes(), &just.budget_choice.choices[..]), (peak, &[][..]), "{name}");
            match drive(&gpu(family, Some(peak - 1)), &config, &data) {
                Ok((less, losses)) => {
                    split += 1;
                    assert!(
                        less.peak_bytes() < peak && !less.budget_choice.choices.is_empty(),
                        "{name}: {:?}",
                        less.budget_choice
                    );
                    // Dropout and augmentation draw other numbers for parts of a batch.
                    let text = std::fs::read_to_string(&path).expect("a config");
                    let drawn = text.contains("dropout") || text.contains("augment");
                    for (a, b) in whole.iter().zip(&losses).filter(|_| !(drawn && less.batches.in_parts())) {
                        assert!((a - b).abs() <= 1e-5 * a.abs(), "{name}: {a} and {b}");
                    }
                }
                Err(err) => {
                    refused += 1;
                    let text = err.to_string();
                    assert!(matches!(err, Error::Budget(_)), "{name}: {err:?}");
                    for words in
                        ["a batch of", "and the budget is", &format!("({} B)", peak - 1), "parameters", "fit"]
                    {
                        assert!(text.contains(words), "{name}, {words}: {text}");
                    }
                }
            }
        }
    }
    assert!(split > 0, "{split} ran in less, {refused} were refused");
}

fn images(n: usize) -> Dataset {
    let each = 3 * 16 * 16;
    let pixels: Vec<f32> = (0..n * each).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let labels: Vec<i32> = (0..n as i32).map(|i| i % 3).collect();
    let data = Dataset::from_arrays("images", [each], pixels, [], labels).and_then(|d| d.with_classes(3));
    data.expect("a data set")
}

fn net(norm: bool) -> impl Fn(&Net, &Tensor) -> Tensor {
    move |net, x| {
        let mut x = x.clone();
        for i in 0..6 {
            x = net.linear(&format!("{i}"), &x, 64).tanh();
        }
        let x = if norm { net.batch_norm("norm", &x, &BatchNorm::default()) } else { x };
        net.linear("out", &x, 3)
    }
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

const ROWS: usize = 256;

fn plan(data: &Dataset, norm: bool, room: MemoryBudget) -> Result<TrainPlan, Error> {
    let batches = BatchPlan::new(data.train().len(), BatchSize::Rows(ROWS), false)?;
    let target = Target::new(adapter::families()[0]).with_memory(room);
    let adamw = Optimizer::AdamW(AdamW::default());
    TrainPlan::builder(data, &adamw).model(&net(norm), &cross_entropy).batches(batches).target(target).build()
}

fn room(budget: u64, may_split: bool) -> MemoryBudget {
    MemoryBudget { budget: Some(budget), may_split, ..MemoryBudget::default() }
}

/// What each means of saving leaves of the memory, down to nothing that fits; a plan found is within the budget.
#[test]
fn means_are_taken_in_turn() {
    let data = images(2000);
    let whole = plan(&data, false, MemoryBudget::default()).expect("a plan");
    assert!(whole.budget_choice.choices.is_empty() && whole.staging.is_empty());
    let mut budget = whole.peak_bytes();
    let (mut streamed, mut parts, mut again) = (0, 0, 0);
    let mut last = whole.batches.micro;
    let refused = loop {
        budget -= budget / 8;
        match plan(&data, false, room(budget, true)) {
            Ok(plan) => {
                assert!(plan.peak_bytes() <= budget);
                let told = plan.budget_choice.choices.join("\n");
                assert_eq!(plan.budget_choice.budget, Some(budget));
                streamed += usize::from(told.contains("streamed"));
                parts += usize::from(told.contains("micro-batches"));
                again += usize::from(told.contains("computed again"));
                assert!(plan.batches.micro <= last || told.contains("computed again"), "{told}");
                last = plan.batches.micro;
            }
            Err(err) => break err,
        }
    };
    assert!(streamed > 0 && parts > 0, "{streamed} {parts} {again}");
    let text = refused.to_string();
    for words in ["a batch of 256 needs", "parameters", "would still take", "larger budget"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// A refusal says which micro-batch fits, and that one does, while the next larger one does not.
#[test]
fn a_refusal_says_what_fits() {
    let data = images(2000);
    let mut budget = plan(&data, false, MemoryBudget::default()).expect("a plan").peak_bytes();
    let text = loop {
        budget -= budget / 8;
        match plan(&data, false, room(budget, false)) {
            Ok(plan) => assert!(!plan.batches.in_parts()),
            Err(err) => break err.to_string(),
        }
    };
    let micro: usize = text
        .split_once("train.micro_batch = ")
        .and_then(|(_, rest)| rest.split_once(' '))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("no remedy: {text}"));
    let with = |micro: usize| {
        let batches = BatchPlan::new(2000, BatchSize::Rows(ROWS), false)?.with_micro(Some(micro))?;
        let target = Target::new(adapter::families()[0]).with_memory(room(budget, false));
        TrainPlan::builder(&data, Optimizer::AdamW(AdamW::default()))
            .model(&net(false), &cross_entropy)
            .batches(batches)
            .target(target)
            .build()
    };
    assert!(with(micro).expect("it fits").peak_bytes() <= budget);
    // One part fewer is too much.
    let parts = ROWS.div_ceil(micro);
    assert!(with(ROWS.div_ceil(parts - 1)).is_err(), "{micro}: {text}");
}

/// Batch norm's statistics are a whole batch's: it is never split, and says so.
#[test]
fn batch_norm_is_not_split() {
    let data = images(2000);
    let least = |may_split| {
        let mut budget = plan(&data, true, MemoryBudget::default()).expect("a plan").peak_bytes();
        loop {
            budget -= budget / 20;
            match plan(&data, true, room(budget, may_split)) {
                Ok(plan) => assert!(!plan.batches.in_parts(), "{:?}", plan.budget_choice),
                Err(err) => break (budget, err.to_string()),
            }
        }
    };
    let ((kept, text), (again, _)) = (least(false), least(true));
    assert!(text.contains("batch norm") && text.contains("data.batch_size"), "{text}");
    assert!(again < kept, "activations computed again take less: {again} and {kept}");
}

/// A run that is split or computes again makes the losses of the whole.
#[test]
fn savings_change_no_number_but_by_rounding() {
    let data = images(2000);
    let family = adapter::families()[0];
    for norm in [false, true] {
        let options = TrainOptions {
            batch_size: BatchSize::Rows(ROWS),
            micro_batch: MicroBatch::Auto,
            ..TrainOptions::default()
        };
        let adamw = Optimizer::AdamW(AdamW::default());
        let run = |budget: Option<u64>| {
            let gpu = gpu(family, budget);
            let mut trainer = Trainer::new(&gpu, &net(norm), &cross_entropy, &adamw, &data, &options)?;
            let losses: Vec<f32> = trainer.advance(6)?.iter().map(|step| step.loss).collect();
            Ok::<_, Error>((trainer.plan().budget_choice.clone(), losses, trainer.plan().peak_bytes()))
        };
        let (_, want, mut budget) = run(None).expect("a run");
        let means = if norm { "computed again" } else { "micro-batches" };
        loop {
            budget -= budget / 20;
            let fit = plan(&data, norm, room(budget, true)).expect("some means fit").budget_choice;
            if fit.choices.iter().any(|choice| choice.contains(means)) {
                break;
            }
        }
        let (fit, got, peak) = run(Some(budget)).expect("a run");
        assert!(peak <= budget && fit.choices.join("\n").contains(means), "{fit:?}");
        for (a, b) in want.iter().zip(&got) {
            assert!((a - b).abs() <= 2e-5 * a.abs(), "{fit:?}: {a} and {b}");
        }
    }
}

const DIGITS: &str = r#"
[data]
source = "digits"
batch_size = 100
[model]
layers = ["flatten", { linear = 96 }, "tanh", { linear = 96 }, "tanh", { linear = 96 }, "tanh", "batch_norm", { linear = 10 }]
loss = "cross_entropy"
[optimizer]
name = "adamw"
lr = 1e-2
[eval]
metrics = ["f1", { top_k = 3 }, "confusion_matrix"]
"#;

/// Loss and metrics of an evaluation do not depend on the budget: what is monitored decides the same. Where it cannot be
/// so, because activations are computed again to save memory, the plan says it.
#[test]
fn evaluation_has_the_same_bits_in_every_budget() {
    let family = adapter::families()[0];
    for auto in [false, true] {
        let settings = if auto { vec!["train.micro_batch=auto".to_owned()] } else { vec![] };
        let config = Config::parse(DIGITS, &settings).expect("a config");
        let data = config.dataset().expect("its data");
        let evaluated = |budget: Option<u64>| {
            let mut trainer = config.trainer(&gpu(family, budget), &data)?;
            trainer.advance(3)?;
            let evaluation = trainer.evaluate()?.expect("a part to evaluate on");
            Ok::<_, Error>((trainer.plan().clone(), evaluation))
        };
        let (plan, want) = evaluated(None).expect("a run");
        let (rows, mut budget, mut saving) =
            (plan.eval_batches.map(|batches| batches.rows), plan.peak_bytes(), 0);
        let refused = loop {
            budget -= budget / 10;
            let (plan, got) = match evaluated(Some(budget)) {
                Ok(found) => found,
                Err(err) => break err,
            };
            let choices = plan.budget_choice.choices.join("\n");
            saving += usize::from(!choices.is_empty());
            if choices.contains("evaluation goes in batches") {
                assert!(choices.contains("computed again") && choices.contains("last bits"), "{choices}");
                assert_ne!(plan.eval_batches.map(|batches| batches.rows), rows);
            } else {
                assert_eq!(got, want, "{budget}: {choices}");
            }
        };
        assert!(matches!(refused, Error::Budget(_)) && saving > 1, "{saving}: {refused}");
    }
}
