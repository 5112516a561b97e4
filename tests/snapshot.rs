//! A run that is left and taken up again makes the same steps, to the bit, whatever its optimizer remembers.

mod adapter;
#[path = "snapshot/arrays.rs"]
mod arrays;
#[path = "snapshot/checkpoints.rs"]
mod checkpoints;
#[path = "snapshot/session.rs"]
mod session;
#[path = "snapshot/statistics.rs"]
mod statistics;

use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::nn::loss::{self, CrossEntropy};
use downhill::nn::{BatchNorm, Net};
use downhill::optim::{Average, Clip, Optimizer, ParamGroup, Schedule, Update};
use downhill::train::{EpochRecord, Observer, StepRecord, Trainer};
use downhill::{Error, Gpu, GpuOptions, Tensor};

fn data() -> Dataset {
    let x: Vec<f32> = (0..70 * 6).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
    let t: Vec<i32> = (0..70).map(|i| i * 7 % 3).collect();
    let eval = (x[..60].to_vec(), t[..10].to_vec());
    let data = Dataset::from_arrays("made up", [6], x, [], t).expect("data");
    data.with_eval(eval.0, eval.1).expect("two parts").with_classes(3).expect("three classes")
}

/// With dropout, whose masks count steps, running means, and a matrix large enough for moments in 8 bits.
fn model(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", x, 70).relu();
    let h = net.dropout(&net.batch_norm("norm", &h, &BatchNorm::default()), 0.2);
    net.linear("3", &net.linear("2", &h, 70).tanh(), 3)
}

fn trainer(gpu: &Gpu, update: &Update, options: &TrainOptions) -> Trainer {
    let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
    Trainer::new(gpu, &model, &loss, update, &data(), options).expect("a trainer")
}

fn optimizer(text: &str) -> Optimizer {
    toml::from_str(text).expect("an optimizer")
}

fn bits(trainer: &Trainer) -> Vec<u32> {
    let state = trainer.state_dict().expect("weights");
    let average = trainer.average_state_dict().expect("averages").unwrap_or_default();
    state.into_iter().chain(average).flat_map(|t| t.values).map(f32::to_bits).collect()
}

/// Losses of the steps to come, then the bits of what they made.
fn go_on(trainer: &mut Trainer, steps: u64) -> (Vec<u32>, Vec<u32>) {
    let losses = trainer.advance(steps).expect("steps");
    (losses.iter().map(|step| step.loss.to_bits()).collect(), bits(trainer))
}

/// Left after 11 steps of 9 an epoch, taken up by a trainer that has gone another way.
fn check(update: &Update, options: &TrainOptions, what: &str) {
    let gpu = adapter::open_with(GpuOptions::default());
    let mut first = trainer(&gpu, update, options);
    first.advance(11).expect("steps");
    let left = first.snapshot().expect("a state");
    assert_eq!(left.steps_done(), 11);
    let never_left = go_on(&mut first, 14);
    let mut second = trainer(&gpu, update, options);
    second.advance(3).expect("steps");
    second.restore(&left).expect("the same run");
    assert_eq!(second.steps_done(), 11, "{what}");
    assert!(go_on(&mut second, 14) == never_left, "{what}: other bits after the state was put back");
}

fn options() -> TrainOptions {
    TrainOptions { batch_size: BatchSize::Rows(8), seed: 3, ..TrainOptions::default() }
}

#[test]
fn every_optimizer_goes_on_to_equal_bits() {
    for name in Optimizer::NAMES {
        check(&Update::new(optimizer(&format!("name = '{name}'"))), &options(), name);
    }
    let eight_bit = "name = 'adamw'\nstate_bits = 8";
    for text in
        [eight_bit, "name = 'sgd'\nmomentum = 0.9", "name = 'rmsprop'\ncentered = true\nmomentum = 0.9"]
    {
        check(&Update::new(optimizer(text)), &options(), text);
    }
}

#[test]
fn so_does_all_that_an_update_has_besides() {
    let adamw = || Update::new(optimizer("name = 'adamw'\nlr = 0.01"));
    let schedule = |text: &str| toml::from_str::<Schedule>(text).expect("a schedule");
    let groups = vec![
        ParamGroup::new(["0.weight"]).frozen(),
        ParamGroup::new(["*.bias"]).lr_factor(2.0).set("weight_decay", 0.0),
    ];
    let clipped = Update { clip: Some(Clip::Norm(0.1)), groups, ..adamw() };
    check(&clipped, &options(), "clipping and groups");
    let ema = Average::Ema { decay: 0.9, eval: true };
    let cosine = Some(schedule("name = 'cosine'\nt_max = 20"));
    check(&Update { average: Some(ema), schedule: cosine, ..adamw() }, &options(), "ema and cosine");
    let swa = Average::Swa { start_epoch: 1, eval: true };
    check(&Update { average: Some(swa), ..adamw() }, &options(), "swa");
    let parts = TrainOptions { micro_batch: MicroBatch::Rows(3), ..options() };
    check(&adamw(), &parts, "micro-batches");
    for sampling in [Sampling::Once, Sampling::Replacement] {
        check(&adamw(), &TrainOptions { sampling, ..options() }, &format!("{sampling:?}"));
    }
}

/// Keeps what epochs report.
#[derive(Default)]
struct Epochs {
    records: Vec<EpochRecord>,
    losses: Vec<f32>,
}

impl Observer for Epochs {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        self.losses.extend(steps.iter().map(|step| step.loss));
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<(), Error> {
        self.records.push(epoch.clone());
        Ok(())
    }
}

/// A plateau remembers its best; an epoch that was left in its middle reports all of its steps.
#[test]
fn a_run_that_is_taken_up_reports_what_one_that_never_stopped_does() {
    let gpu = adapter::open_with(GpuOptions::default());
    let plateau = "name = 'plateau'\nmetric = 'train_loss'\npatience = 0\nfactor = 0.5\nthreshold = 0.2";
    let schedule = Some(toml::from_str::<Schedule>(plateau).expect("a schedule"));
    let update = Update { schedule, ..Update::new(optimizer("name = 'adamw'\nlr = 0.01")) };
    let all = TrainOptions { epochs: 5, ..options() };
    let mut whole = Epochs::default();
    trainer(&gpu, &update, &all).run(&mut whole).expect("a run");

    let mut first = trainer(&gpu, &update, &TrainOptions { epochs: 2, ..all.clone() });
    let mut parts = Epochs::default();
    first.run(&mut parts).expect("a run");
    parts.losses.extend(first.advance(4).expect("steps").iter().map(|step| step.loss));
    let left = first.snapshot().expect("a state");
    let mut second = trainer(&gpu, &update, &all);
    second.restore(&left).expect("the same run");
    second.run(&mut parts).expect("a run");

    assert_eq!(parts.losses, whole.losses);
    assert_eq!(parts.records.len(), whole.records.len());
    for (parts, whole) in parts.records.iter().zip(&whole.records) {
        let told = |epoch: &EpochRecord| {
            (epoch.epoch, epoch.step, epoch.train_loss, epoch.eval_loss, epoch.eval_accuracy)
        };
        assert_eq!(told(parts), told(whole));
    }
}

#[test]
fn a_state_of_another_run_is_refused() {
    let gpu = adapter::open_with(GpuOptions::default());
    let of = |name: &str| trainer(&gpu, &Update::new(optimizer(&format!("name = '{name}'"))), &options());
    let state = of("adamw").snapshot().expect("a state");
    assert!(state.bytes() > 0);
    let err = of("lion").restore(&state).expect_err("another optimizer").to_string();
    assert!(err.contains("another run") && err.contains("exp_avg_sq"), "{err}");
}
