//! Every optimizer on two functions with the engine itself: it must reach the bottom of a parabola and get through
//! Rosenbrock's valley. The settings are the trials of its file in `src/optim/`.
//!
//! `optimizers.rs` and `golden.rs` compare the numbers with the method's own. This suite checks that the method works: that
//! it descends, settles, and makes all its pipelines by the end of the first step.

mod adapter;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset};
use downhill::nn::Net;
use downhill::optim::Optimizer;
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Gpu, GpuOptions, Init, Tensor};

/// Every optimizer with its settings for one of the functions.
fn all(valley: bool) -> impl Iterator<Item = Optimizer> {
    Optimizer::NAMES.into_iter().map(move |name| {
        let trials = Optimizer::about(name).expect("a name of the table").trials;
        let settings = if valley { trials.valley } else { trials.parabola };
        Optimizer::parse(name, settings).unwrap_or_else(|err| panic!("{err}"))
    })
}

/// A run that minimises `f` of a vector w and `given` numbers, from `start`.
fn trainer(
    gpu: &Gpu,
    optimizer: &Optimizer,
    given: &[f32],
    start: &[f32],
    f: &dyn Fn(&Tensor, &Tensor) -> Tensor,
) -> Trainer {
    let (n, extent) = (start.len(), given.len());
    let data = Dataset::from_arrays("given", [extent], given.to_vec(), [], vec![0.0]).expect("a sample");
    let model =
        |net: &Net, x: &Tensor| f(&net.parameter("w", [n], Init::Constant(0.0)), &x.reshape([extent]));
    let options = TrainOptions { batch_size: BatchSize::Full, ..TrainOptions::default() };
    let made = Trainer::new(gpu, &model, &|loss, _| loss.clone(), optimizer, &data, &options);
    let mut trainer = made.expect("a trainer");
    let values = start.to_vec();
    let w = NamedTensor { name: "w".into(), shape: [n].into(), values };
    trainer.load_state_dict(&[w]).expect("the model's own");
    trainer
}

/// The weights to use: those of a schedule-free optimizer are its average.
fn weights(trainer: &Trainer) -> Vec<f64> {
    let average = trainer.average_state_dict().expect("weights");
    let all = average.unwrap_or_else(|| trainer.state_dict().expect("weights"));
    all[0].values.iter().map(|&w| w.into()).collect()
}

/// Takes the first step, then `more`, which must make no pipeline.
fn run(gpu: &Gpu, trainer: &mut Trainer, more: impl FnOnce(&mut Trainer)) -> Vec<f64> {
    trainer.advance(1).expect("a step");
    weights(trainer);
    let made = gpu.pipeline_count();
    more(trainer);
    let weights = weights(trainer);
    assert_eq!(gpu.pipeline_count(), made, "a pipeline was made after the first step");
    weights
}

/// f(w) = ½ Σ c (w − w*)², c from ½ to 2 and w* from −1 to 1, from 0.
///
/// Four hundred steps, each hundred at a third of the rate before: methods whose step has a size of its own settle within
/// a step or two of w*. Schedule-free ones keep their rate; that is their point.
#[test]
fn every_optimizer_finds_the_bottom_of_a_parabola() {
    let gpu = adapter::open_with(GpuOptions::default());
    let n = 301;
    let target = (0..n).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0);
    let curvature = (0..n).map(|i| 0.5 + ((i * 53) % 97) as f32 / 64.0);
    let given: Vec<f32> = target.chain(curvature).collect();
    let f = |w: &Tensor, given: &Tensor| {
        let (target, curvature) = (given.slice(0, 0, n), given.slice(0, n, 2 * n));
        w.sub(&target).square().mul(&curvature).mul_scalar(0.5).sum_all()
    };
    let off = |w: &[f64]| w.iter().zip(&given).map(|(w, t)| (w - f64::from(*t)).abs()).fold(0.0, f64::max);
    let start = vec![0.0; n];
    let mut failed = Vec::new();
    for optimizer in all(false) {
        let mut trainer = trainer(&gpu, &optimizer, &given, &start, &f);
        let scheduled = optimizer.kernel().average.is_none();
        let w = run(&gpu, &mut trainer, |trainer| {
            for stage in 0..4 {
                if scheduled {
                    trainer.set_lr(optimizer.lr() / 3f64.powi(stage));
                }
                trainer.advance(100).expect("steps");
            }
        });
        println!("{:.5} {optimizer:?}", off(&w));
        if w.len() != n || off(&w).is_nan() || off(&w) > 0.01 {
            failed.push(format!("{:.5} from w*: {optimizer:?}", off(&w)));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// f(x, y) = (1 − x)² + 100 (y − x²)² from (−1.2, 1), where it is 24.2. The floor of the valley begins at about 4 and
/// falls to 0 at (1, 1), around a bend: below 1 lies the second half of the way. The weights are x + 3 and y + 3: at
/// (0, 0), through which the way goes, steps that are relative to the weights would have no length.
#[test]
fn every_optimizer_makes_its_way_through_rosenbrock_s_valley() {
    let gpu = adapter::open_with(GpuOptions::default());
    let f = |w: &Tensor, _: &Tensor| {
        let (x, y) = (w.slice(0, 0, 1).add_scalar(-3.0), w.slice(0, 1, 2).add_scalar(-3.0));
        let wall = y.sub(&x.square()).square().mul_scalar(100.0);
        x.neg().add_scalar(1.0).square().add(&wall).sum_all()
    };
    let value = |w: &[f64]| {
        let (x, y) = (w[0] - 3.0, w[1] - 3.0);
        (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
    };
    let mut failed = Vec::new();
    for optimizer in all(true) {
        let mut trainer = trainer(&gpu, &optimizer, &[0.0], &[1.8, 4.0], &f);
        let w = run(&gpu, &mut trainer, |trainer| {
            trainer.advance(1999).expect("steps");
        });
        println!("{:.4} at {w:?} {optimizer:?}", value(&w));
        if value(&w).is_nan() || value(&w) > 1.0 {
            failed.push(format!("{:.4} at {w:?}: {optimizer:?}", value(&w)));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
