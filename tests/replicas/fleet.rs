//! Nets of a fleet have the losses, epochs, weights and state of their runs alone, to the bit, however they come and go.

use std::sync::Arc;

use downhill::compile::{EarlyStopping, MicroBatch, Orders, Seeds, TrainOptions};
use downhill::data::{BatchSize, Sampling};
use downhill::gpu::Family;
use downhill::graph::Clock;
use downhill::kernel::feed::STATE;
use downhill::nn::loss;
use downhill::optim::schedule::{Cosine, Plateau};
use downhill::optim::{Average, Clip, Optimizer, Schedule, Update};
use downhill::plan::NamedTensor;
use downhill::train::{
    EpochRecord, Fleet, FleetEnd, FleetObserver, FleetOptions, Halving, Judgement, Monitor, Observer,
    ReplicaEnd, Snapshot, StepRecord, Trainer, Variant,
};
use downhill::{Error, Gpu, Tensor};

use crate::adapter;
use crate::nets::{self, Model, data, half, options, update};

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

/// What a run left.
#[derive(Default)]
struct Run {
    steps: Vec<StepRecord>,
    epochs: Vec<EpochRecord>,
    weights: Vec<(String, Vec<u32>)>,
    average: Vec<(String, Vec<u32>)>,
    state: Vec<(String, Vec<u8>)>,
    fault: Option<String>,
}

impl Observer for Run {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        self.steps.extend_from_slice(steps);
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<(), Error> {
        // The only number that is not of the net.
        self.epochs.push(EpochRecord { samples_per_second: 0.0, ..epoch.clone() });
        Ok(())
    }
}

fn bits(tensors: Vec<NamedTensor>) -> Vec<(String, Vec<u32>)> {
    tensors.into_iter().map(|t| (t.name, t.values.into_iter().map(f32::to_bits).collect())).collect()
}

fn state(snapshot: &Snapshot) -> Vec<(String, Vec<u8>)> {
    // Of the words of the step, those that the device keeps: the others are of the last submission.
    let kept = |name: &str, bytes: &[u8]| match name {
        STATE => bytes[4 * Clock::Scale as usize..4 * Clock::Overflow as usize].to_vec(),
        _ => bytes.to_vec(),
    };
    let mut buffers: Vec<_> =
        snapshot.buffers().map(|(name, bytes)| (name.to_owned(), kept(name, bytes))).collect();
    buffers.sort();
    buffers
}

/// A variant alone.
fn trainer(gpu: &Gpu, model: Model, variant: &Variant) -> Trainer {
    let made = Trainer::new(gpu, &model, &cross_entropy, &variant.update, &data(), &variant.options);
    made.expect("a trainer")
}

/// The run of a variant alone.
fn alone(gpu: &Gpu, model: Model, variant: &Variant) -> Run {
    let (mut trainer, mut run) = (trainer(gpu, model, variant), Run::default());
    match trainer.run(&mut run) {
        Ok(_) => {
            let (weights, average) = trainer.weights().expect("weights");
            (run.weights, run.average) = (bits(weights), average.map(bits).unwrap_or_default());
            run.state = state(&trainer.snapshot().expect("a state"));
        }
        Err(err) => run.fault = Some(err.to_string()),
    }
    run
}

/// The runs of a fleet.
struct Runs {
    runs: Vec<Run>,
    ends: Vec<(usize, &'static str)>,
    judged: Vec<Judgement>,
    most: usize,
    /// Stops the fleet after so many stretches.
    stops_after: Option<usize>,
}

impl Runs {
    fn of(nets: usize) -> Runs {
        let runs = (0..nets).map(|_| Run::default()).collect();
        Runs { runs, ends: Vec::new(), judged: Vec::new(), most: 0, stops_after: None }
    }
}

impl FleetObserver for Runs {
    fn steps(&mut self, _: &Fleet, net: usize, steps: &[StepRecord]) -> Result<(), Error> {
        self.runs[net].steps(steps)
    }

    fn epoch(&mut self, _: &Fleet, net: usize, epoch: &EpochRecord) -> Result<(), Error> {
        self.runs[net].epoch(epoch)
    }

    fn judged(&mut self, judgement: &Judgement) -> Result<(), Error> {
        self.judged.push(judgement.clone());
        Ok(())
    }

    fn end(&mut self, fleet: &Fleet, net: usize, end: &ReplicaEnd) -> Result<(), Error> {
        let run = &mut self.runs[net];
        self.ends.push((net, end.word()));
        if let ReplicaEnd::Failed(err) = end {
            run.fault = Some(err.to_string());
            return Ok(());
        }
        let (weights, average) = fleet.weights(net)?;
        (run.weights, run.average) = (bits(weights), average.map(bits).unwrap_or_default());
        run.state = state(&fleet.snapshot(net)?);
        Ok(())
    }

    fn rest(&mut self, fleet: &Fleet) -> Result<(), Error> {
        self.most = self.most.max(fleet.training().len());
        if let Some(stretches) = &mut self.stops_after {
            match *stretches {
                0 => fleet.handle().stop(),
                _ => *stretches -= 1,
            }
        }
        Ok(())
    }
}

fn fleet(gpu: &Gpu, model: Model, variants: &[Variant], options: &FleetOptions) -> Fleet {
    Fleet::new(gpu, &model, &cross_entropy, variants, &data(), options).expect("a fleet")
}

fn together(gpu: &Gpu, model: Model, variants: &[Variant], options: &FleetOptions) -> (Fleet, Runs) {
    let (mut fleet, mut runs) = (fleet(gpu, model, variants, options), Runs::of(variants.len()));
    assert_eq!(fleet.run(&mut runs).expect("a run"), FleetEnd::Finished);
    (fleet, runs)
}

/// Panics where a net of a fleet differs from its run alone. `whole`: it trained to its end.
fn same(what: &str, net: usize, found: &Run, wanted: &Run, whole: bool) {
    let steps = found.steps.len();
    assert!(steps > 0 && (steps == wanted.steps.len() || !whole), "{what} {net}: {steps} steps");
    for (a, b) in found.steps.iter().zip(&wanted.steps) {
        assert_eq!(a, b, "{what}, net {net}");
        assert_eq!(a.loss.to_bits(), b.loss.to_bits(), "{what}, net {net}, step {}", a.step);
    }
    assert!(found.epochs.len() == wanted.epochs.len() || !whole, "{what}, net {net}");
    for (a, b) in found.epochs.iter().zip(&wanted.epochs) {
        assert_eq!(a, b, "{what}, net {net}");
    }
    if !whole {
        return;
    }
    assert_eq!(found.fault, wanted.fault, "{what}, net {net}");
    let differing = |a: &[(String, Vec<u32>)], b: &[(String, Vec<u32>)]| -> Vec<String> {
        assert_eq!(a.len(), b.len(), "{what}, net {net}");
        a.iter().zip(b).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect()
    };
    assert!(differing(&found.weights, &wanted.weights).is_empty(), "{what}, net {net}: weights differ");
    assert!(differing(&found.average, &wanted.average).is_empty(), "{what}, net {net}: averages differ");
    let pairs = found.state.iter().zip(&wanted.state);
    let other: Vec<&String> = pairs.filter(|(a, b)| a != b).map(|(a, _)| &a.0).collect();
    assert!(
        other.is_empty() && found.state.len() == wanted.state.len(),
        "{what}, net {net}: {other:?} differ"
    );
}

/// A few epochs of each variant, all at once and in slots that are fewer, have the bits of each alone.
fn check(what: &str, model: Model, variants: &[Variant], orders: Orders) {
    for family in adapter::families() {
        check_on(&adapter::open(*family), what, model, variants, orders);
    }
}

fn check_on(gpu: &Gpu, what: &str, model: Model, variants: &[Variant], orders: Orders) {
    if variants[0].options.precision == downhill::kernel::Precision::F16 && !gpu.has_f16() {
        println!("{what}: skipped, no f16");
        return;
    }
    let wanted: Vec<Run> = variants.iter().map(|variant| alone(gpu, model, variant)).collect();
    assert!(wanted[0].steps != wanted[1].steps, "{what}: variants differ");
    for at_once in [None, Some(2)] {
        let options = FleetOptions { orders, at_once, ..FleetOptions::default() };
        let (_, runs) = together(gpu, model, variants, &options);
        for (net, (found, wanted)) in runs.runs.iter().zip(&wanted).enumerate() {
            same(&format!("{what}, at once {at_once:?}, {:?}", gpu.family()), net, found, wanted, true);
        }
        assert_eq!(runs.ends.len(), variants.len());
        assert_eq!(runs.most, at_once.unwrap_or(variants.len()));
    }
}

fn few(epochs: u64) -> TrainOptions {
    TrainOptions { epochs, ..options() }
}

/// Rates, seeds and lengths that differ.
fn variants(name: &str, settings: &str, options: &TrainOptions) -> Vec<Variant> {
    let with = |lr: f64, seed: u64, epochs: u64| {
        let comma = if settings.is_empty() { "" } else { ", " };
        let settings = format!("lr = {lr:?}{comma}{settings}");
        let options = TrainOptions { epochs, seed, ..options.clone() };
        Variant::new(format!("lr {lr}, seed {seed}"), update(name, &settings), &options)
    };
    vec![with(0.01, 0, 2), with(0.003, 1, 1), with(0.02, 0, 3), with(0.01, 7, 2)]
}

/// The same with something else in the update.
fn updated(variants: Vec<Variant>, change: impl Fn(&mut Update)) -> Vec<Variant> {
    let changed = |mut variant: Variant| {
        change(&mut variant.update);
        variant
    };
    variants.into_iter().map(changed).collect()
}

#[test]
fn nets_of_every_kind() {
    let nets: [(&str, Model, &str, &str); 4] = [
        ("perceptron", nets::perceptron, "adamw", ""),
        ("convolutions", nets::convolutions, "sgd", "momentum = 0.9"),
        ("attention", nets::attention, "adam", ""),
        ("recurrent", nets::recurrent, "rmsprop", ""),
    ];
    for (what, model, optimizer, settings) in nets {
        check(what, model, &variants(optimizer, settings, &few(2)), Orders::Own);
    }
}

/// Each net draws its samples in its own way.
#[test]
fn nets_of_different_sampling() {
    let mut all = variants("adamw", "", &few(2));
    let samplings = [Sampling::Replacement, Sampling::Once, Sampling::File, Sampling::Replacement];
    for (variant, sampling) in all.iter_mut().zip(samplings) {
        variant.options.sampling = sampling;
    }
    check("samplings", nets::perceptron, &all, Orders::Own);
    // The seeds of weights differ, and the order is drawn by one seed for all.
    for variant in &mut all {
        variant.options.sampling = Sampling::Replacement;
        variant.options.seeds.order = Some(5);
    }
    check("a shared order", nets::perceptron, &all, Orders::Shared);
}

#[test]
fn every_optimizer() {
    let gpu = adapter::open(adapter::families()[0]);
    for name in Optimizer::NAMES {
        let all = variants(name, "", &few(2));
        check_on(&gpu, name, nets::perceptron, &all[..3], Orders::Own);
    }
    let eight = variants("adamw", "state_bits = 8", &few(2));
    check_on(&gpu, "8 bits", nets::wide, &eight[..3], Orders::Own);
}

#[test]
fn schedules_clipping_averages_and_parts_of_batches() {
    let clipped = variants("adamw", "", &TrainOptions { micro_batch: MicroBatch::Rows(3), ..few(2) });
    let mut clipped = updated(clipped, |update| {
        update.average = Some(Average::Ema { decay: 0.9, eval: true });
        update.schedule = Some(Schedule::Cosine(Cosine::default()));
    });
    for (i, variant) in clipped.iter_mut().enumerate() {
        variant.update.clip = Some(Clip::Norm(0.02 * (i + 1) as f64));
    }
    check("clipped", nets::convolutions, &clipped, Orders::Own);
    let plateau = updated(variants("sgd", "", &few(2)), |update| {
        update.schedule = Some(Schedule::Plateau(Plateau { patience: 0, ..Plateau::default() }));
        update.clip = Some(Clip::Value(0.05));
    });
    check("plateau", nets::perceptron, &plateau, Orders::Own);
}

#[test]
fn halves_with_a_scaled_loss() {
    check("halves", nets::convolutions, &variants("adamw", "", &half()), Orders::Own);
}

#[test]
fn an_order_that_all_share() {
    let shared = TrainOptions { seeds: Seeds { order: Some(5), ..Seeds::default() }, ..few(2) };
    check("shared", nets::convolutions, &variants("adamw", "", &shared), Orders::Shared);
}

#[test]
fn sixty_four_at_once() {
    let gpu = adapter::open(Family::Tiled);
    let variant = |i: u64| {
        let options = TrainOptions { seed: i, ..few(1) };
        Variant::new(format!("{i}"), update("adamw", &format!("lr = {:?}", 1e-3 * (i + 1) as f64)), &options)
    };
    let all: Vec<Variant> = (0..64).map(variant).collect();
    let (fleet, runs) = together(&gpu, nets::perceptron, &all, &FleetOptions::default());
    assert_eq!(fleet.at_once(), 64);
    for net in [0, 1, 31, 63] {
        same("64", net, &runs.runs[net], &alone(&gpu, nets::perceptron, &all[net]), true);
    }
    assert_eq!(gpu.ledger().total(), fleet.plan().peak_bytes(), "memory is as planned");
}

/// One diverges, one stops early, one ends within an epoch: the others go on, in other slots.
#[test]
fn ends_apart() {
    let rule = EarlyStopping { patience: 1, min_delta: 10.0, ..EarlyStopping::default() };
    let mut all = variants("sgd", "momentum = 0.9", &few(5));
    all[0].options.epochs = 5;
    all[1].update = update("sgd", "lr = 1e30, momentum = 0.9");
    all[1].options.epochs = 4;
    all[2].options.early_stopping = Some(rule);
    all[2].options.epochs = 9;
    all[3].options.steps = Some(7);
    check("apart", nets::perceptron, &all, Orders::Own);
    let gpu = adapter::open(Family::Tiled);
    let (fleet, runs) = together(&gpu, nets::perceptron, &all, &FleetOptions::default());
    let mut ends = runs.ends.clone();
    ends.sort_unstable();
    assert_eq!(ends, [(0, "finished"), (1, "diverged"), (2, "early stopped"), (3, "finished")]);
    assert!(fleet.best_epoch(2).is_some() && fleet.end(3).is_some());
}

#[test]
fn the_worse_half_ends() {
    let gpu = adapter::open(Family::Tiled);
    let mut all = Vec::new();
    for (i, lr) in [0.1, 0.001, 0.03, 1e-5, 0.01, 0.0003].into_iter().enumerate() {
        let options = TrainOptions { seed: i as u64, ..few(4) };
        all.push(Variant::new(format!("{lr}"), update("adamw", &format!("lr = {lr:?}")), &options));
    }
    let wanted: Vec<Run> = all.iter().map(|variant| alone(&gpu, nets::perceptron, variant)).collect();
    let value = |net: usize, epoch: usize| wanted[net].epochs[epoch - 1].eval_loss.expect("a loss");
    let best = |nets: &[usize], epoch: usize, count: usize| {
        let mut nets = nets.to_vec();
        nets.sort_by(|a, b| value(*a, epoch).total_cmp(&value(*b, epoch)));
        nets.truncate(count);
        nets.sort_unstable();
        nets
    };
    let first = best(&[0, 1, 2, 3, 4, 5], 1, 3);
    let second = best(&first, 2, 1);
    let monitor = Monitor::new("eval_loss");
    let halving = Some(Halving { factor: 2, first: 1, monitor, asynchronous: false });
    // The rule does not depend on how many train at once.
    for at_once in [None, Some(2), Some(4)] {
        let options = FleetOptions { halving: halving.clone(), at_once, ..FleetOptions::default() };
        let (_, runs) = together(&gpu, nets::perceptron, &all, &options);
        let sorted = |mut nets: Vec<usize>| {
            nets.sort_unstable();
            nets
        };
        let kept: Vec<Vec<usize>> = runs.judged.iter().map(|judged| sorted(judged.kept.clone())).collect();
        assert_eq!(kept[..2], [first.clone(), second.clone()], "{at_once:?}");
        for (net, run) in runs.runs.iter().enumerate() {
            let epochs = if second.contains(&net) {
                4
            } else if first.contains(&net) {
                2
            } else {
                1
            };
            assert_eq!(run.epochs.len(), epochs, "{at_once:?}, net {net}");
            same("halved", net, run, &wanted[net], epochs == 4);
        }
    }
    let asynchronous = halving.map(|rule| Halving { asynchronous: true, ..rule });
    let options = FleetOptions { halving: asynchronous, at_once: Some(2), ..FleetOptions::default() };
    let (_, runs) = together(&gpu, nets::perceptron, &all, &options);
    assert_eq!(runs.ends.len(), 6);
    assert!(runs.ends.iter().any(|(_, word)| *word == "dropped"));
    for (net, run) in runs.runs.iter().enumerate() {
        same("asha", net, run, &wanted[net], run.epochs.len() == 4);
    }
}

/// A fleet that is stopped goes on; a net goes on alone, and one of a run alone in a fleet.
#[test]
fn nets_come_and_go() {
    let gpu = adapter::open(Family::Tiled);
    let model: Model = nets::convolutions;
    let all = variants("adamw", "", &TrainOptions { batch_size: BatchSize::Rows(5), ..few(3) });
    let wanted: Vec<Run> = all.iter().map(|variant| alone(&gpu, model, variant)).collect();
    let options = FleetOptions { at_once: Some(2), ..FleetOptions::default() };
    let mut first = fleet(&gpu, model, &all, &options);
    let mut runs = Runs { stops_after: Some(1), ..Runs::of(4) };
    assert_eq!(first.run(&mut runs).expect("a run"), FleetEnd::Stopped);
    let snapshots: Vec<Option<Snapshot>> = (0..4).map(|net| first.snapshot(net).ok()).collect();
    assert!(snapshots[0].is_some() && snapshots[3].is_none(), "the last waits for a slot");
    // In another fleet, in other slots.
    let order = [2, 3, 0, 1];
    let others: Vec<Variant> = order.iter().map(|&net| all[net].clone()).collect();
    let mut second = fleet(&gpu, model, &others, &FleetOptions::default());
    for (place, &net) in order.iter().enumerate() {
        if let (Some(snapshot), None) = (&snapshots[net], first.end(net)) {
            second.restore(place, snapshot).expect("a state");
        }
    }
    let mut later = Runs::of(4);
    second.run(&mut later).expect("a run");
    for (place, &net) in order.iter().enumerate() {
        if first.end(net).is_none() {
            let found = &mut later.runs[place];
            let mut steps = std::mem::take(&mut runs.runs[net].steps);
            steps.append(&mut found.steps);
            let mut epochs = std::mem::take(&mut runs.runs[net].epochs);
            epochs.append(&mut found.epochs);
            (found.steps, found.epochs) = (steps, epochs);
            same("moved", net, found, &wanted[net], true);
        }
    }
    // Alone.
    let mut trainer = trainer(&gpu, model, &all[0]);
    trainer.restore(snapshots[0].as_ref().expect("a state")).expect("a state of a fleet");
    trainer.run(&mut ()).expect("a run");
    assert_eq!(state(&trainer.snapshot().expect("a state")), wanted[0].state);
    // The first goes on as well.
    let mut rest = Runs::of(4);
    assert_eq!(first.run(&mut rest).expect("a run"), FleetEnd::Finished);
    assert_eq!(rest.runs[0].state, wanted[0].state);
    assert!(first.snapshot(0).is_ok(), "the state of a net that ended is kept");
}

/// Stops in its first evaluation.
struct StopsInEvaluation;

impl FleetObserver for StopsInEvaluation {
    fn evaluating(&mut self) -> downhill::error::Result<()> {
        Err(Error::Cancelled)
    }
}

/// A net that was stopped in an evaluation has an epoch to report before it trains on, beside nets that begin.
#[test]
fn an_evaluation_that_was_stopped_is_made_up_for() {
    let gpu = adapter::open(Family::Tiled);
    let all = variants("adamw", "", &few(3));
    let wanted: Vec<Run> = all.iter().map(|variant| alone(&gpu, nets::perceptron, variant)).collect();
    let mut first = fleet(&gpu, nets::perceptron, &all, &FleetOptions::default());
    assert_eq!(first.run(&mut StopsInEvaluation).expect("a run"), FleetEnd::Stopped);
    let stopped = first.snapshot(1).expect("a state");
    let mut second = fleet(&gpu, nets::perceptron, &all, &FleetOptions::default());
    second.restore(1, &stopped).expect("a state");
    let mut runs = Runs::of(4);
    assert_eq!(second.run(&mut runs).expect("a run"), FleetEnd::Finished);
    for (net, run) in runs.runs.iter().enumerate() {
        assert_eq!(run.state, wanted[net].state, "net {net}");
        assert_eq!(run.epochs.len(), wanted[net].epochs.len(), "net {net}");
    }
}

#[test]
fn weights_to_start_from() {
    let gpu = adapter::open(Family::Tiled);
    let all = variants("adamw", "", &few(2));
    let mut trained = trainer(&gpu, nets::perceptron, &all[0]);
    trained.advance(2).expect("steps");
    let weights = Arc::new(trained.state_dict().expect("weights"));
    let mut fleet = fleet(&gpu, nets::perceptron, &all[..2], &FleetOptions::default());
    fleet.load_state_dict(1, &weights).expect("weights");
    let mut runs = Runs::of(2);
    fleet.run(&mut runs).expect("a run");
    let mut alone = trainer(&gpu, nets::perceptron, &all[1]);
    alone.load_state_dict(&weights).expect("weights");
    let mut run = Run::default();
    alone.run(&mut run).expect("a run");
    assert_eq!(runs.runs[1].steps, run.steps);
    let err = fleet.load_state_dict(0, &Arc::new(Vec::new())).expect_err("no weights").to_string();
    assert!(err.contains("0.weight"), "{err}");
}

#[test]
fn what_cannot_train_at_once_is_refused_by_name() {
    let gpu = adapter::open(Family::Tiled);
    let refused = |change: &dyn Fn(&mut Vec<Variant>), options: FleetOptions| {
        let mut all = variants("sgd", "momentum = 0.9", &few(1));
        change(&mut all);
        let made = Fleet::new(&gpu, &(nets::perceptron as Model), &cross_entropy, &all, &data(), &options);
        made.expect_err("a fault").to_string()
    };
    let own = FleetOptions::default;
    let err = refused(&|all| all[1].update = update("adam", ""), own());
    assert!(
        err.contains("\"lr 0.01, seed 0\" and \"lr 0.003, seed 1\"") && err.contains("optimizer"),
        "{err}"
    );
    let err = refused(&|all| all[2].update = update("sgd", "momentum = 0.9, nesterov = true"), own());
    assert!(err.contains("differ in"), "{err}");
    let err = refused(&|all| all[3].options.batch_size = BatchSize::Rows(4), own());
    assert!(err.contains("batches"), "{err}");
    let err = refused(&|_| {}, FleetOptions { orders: Orders::Shared, ..own() });
    assert!(err.contains("the seed of their order"), "{err}");
    let sampled = |all: &mut Vec<Variant>| {
        all.iter_mut().for_each(|variant| variant.options.seed = 0);
        all[1].options.sampling = Sampling::Once;
    };
    let err = refused(&sampled, FleetOptions { orders: Orders::Shared, ..own() });
    assert!(err.contains("the sampling of their order"), "{err}");
    let err = refused(&|all| all.clear(), own());
    assert!(err.contains("at least one variant"), "{err}");
    let err = refused(&|all| all[0].options.epochs = 1, FleetOptions { at_once: Some(0), ..own() });
    assert!(err.contains("the least is 1"), "{err}");
    let err = refused(&|all| all.iter_mut().for_each(|v| v.options.statistics = Some(1)), own());
    assert!(err.contains("watch.statistics"), "{err}");
}
