//! The learning-rate range test on the engine: rates, ends, what it goes without, and suggestions where the best rate is known.

mod adapter;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset, digits};
use downhill::nn::{Net, loss};
use downhill::optim::schedule::{Cosine, Schedule};
use downhill::optim::{
    AdamW, Interval, Optimizer, ParamGroup, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Update,
};
use downhill::train::{LrEnd, LrFinder, LrSweep, NoDescent, Observer, StepRecord, Trainer};
use downhill::{Error, GpuOptions, Init, Tensor};

/// A trainer of a loss that is a function of parameters alone. An epoch is 7 steps.
fn trainer(update: impl Into<Update>, loss: &dyn Fn(&Net) -> Tensor) -> Trainer {
    let data = Dataset::from_arrays("ones", [1], vec![1.0; 7], [], vec![0.0; 7]).expect("samples");
    let model = |net: &Net, x: &Tensor| loss(net).mul(&x.sum_all());
    let options = TrainOptions { batch_size: BatchSize::Rows(1), ..TrainOptions::default() };
    let gpu = adapter::open_with(GpuOptions::default());
    Trainer::new(&gpu, &model, &|y, _| y.clone(), update, &data, &options).expect("a trainer")
}

/// ½Σ λw² from w = 1, a parameter for each λ.
fn quadratic(update: impl Into<Update>, curvatures: &[f32]) -> Trainer {
    trainer(update, &|net| {
        let term = |(i, &curvature): (usize, &f32)| {
            let w = net.parameter(&format!("w{i}"), [1], Init::Constant(1.0));
            w.square().sum_all().mul_scalar(0.5 * curvature)
        };
        curvatures.iter().enumerate().map(term).reduce(|a, b| a.add(&b)).expect("a term")
    })
}

fn sgd(lr: f64) -> Optimizer {
    Optimizer::Sgd(Sgd { lr, ..Sgd::default() })
}

fn run(finder: LrFinder, trainer: Trainer) -> LrSweep {
    finder.run(trainer, &mut ()).expect("a test")
}

/// Rates as they should be: from·(to/from)^(i/(steps − 1)). A power and its factor are rounded, and the factor's rounding
/// counts up to a hundred times.
#[track_caller]
fn assert_rates(sweep: &LrSweep, finder: &LrFinder) {
    assert!(!sweep.points.is_empty());
    for (i, point) in sweep.points.iter().enumerate() {
        let share = i as f64 / (finder.steps - 1) as f64;
        let want = finder.from * (finder.to / finder.from).powf(share);
        assert!((point.lr / want - 1.0).abs() <= 1e-13, "{i}: {} for {want}", point.lr);
        assert_eq!(point.step, i as u64 + 1);
    }
}

#[test]
fn rates_grow_over_the_ends_of_epochs_and_past_any_schedule() {
    let finder = LrFinder { from: 1e-5, to: 1e-1, steps: 40, ..LrFinder::default() };
    let cosine = Some(Schedule::Cosine(Cosine::default()));
    let scheduled = Update { schedule: cosine, interval: Interval::Epoch, ..Update::new(sgd(0.5)) };
    for (update, left_out) in [(Update::new(sgd(3.0)), None), (scheduled, Some("schedule = \"cosine\""))] {
        let sweep = run(finder, quadratic(update, &[1.0]));
        assert_eq!((sweep.points.len(), sweep.end), (40, LrEnd::Whole));
        assert_eq!(sweep.left_out, Vec::from_iter(left_out));
        assert_rates(&sweep, &finder);
        // w is the product of all 1 − η: every step was taken at the rate that is told. In f32 each of its factors and
        // products is rounded, and the loss doubles that.
        let mut w = 1.0;
        for (i, point) in sweep.points.iter().enumerate() {
            let want: f64 = 0.5 * w * w;
            let bound = want * (4 * i + 4) as f64 * f64::from(f32::EPSILON);
            assert!((f64::from(point.loss) - want).abs() <= bound, "{i}: {} for {want}", point.loss);
            w *= 1.0 - point.lr;
        }
    }
}

#[test]
fn groups_keep_their_ratio() {
    let groups = vec![
        ParamGroup::new(["w1"]).lr_factor(0.5),
        ParamGroup::new(["w2"]).set("lr", 0.5),
        ParamGroup::new(["w3"]).frozen(),
    ];
    let update = Update { groups, ..Update::new(sgd(0.25)) };
    let finder = LrFinder { from: 0.125, to: 0.25, steps: 2, ..LrFinder::default() };
    let sweep = run(finder, quadratic(&update, &[1.0; 4]));
    // All of these are exact in f32: w after a step at 0.125, 0.0625, 0.25 and 0.
    let losses: Vec<f32> = sweep.points.iter().map(|p| p.loss).collect();
    let after = [0.875f32, 0.9375, 0.75, 1.0];
    assert_eq!(losses, [2.0, after.iter().map(|w| 0.5 * w * w).sum()]);

    let without = Update { optimizer: sgd(0.0), ..update };
    let err = finder.run(quadratic(without, &[1.0; 4]), &mut ()).expect_err("no ratio to 0");
    assert!(err.is_usage() && err.to_string().contains("optimizer.lr = 0"), "{err}");
}

/// Every optimizer, whatever its rate means, falls on a quadratic and comes to its end.
#[test]
fn every_optimizer_can_be_tested() {
    let finder = LrFinder { from: 1e-4, to: 1.0, steps: 25, ..LrFinder::default() };
    for name in Optimizer::NAMES {
        let optimizer: Optimizer = toml::from_str(&format!("name = \"{name}\"")).expect("defaults");
        let sweep = run(finder, quadratic(&optimizer, &[1.0, 2.0]));
        assert_rates(&sweep, &finder);
        assert!(sweep.left_out.is_empty(), "{name}: {:?}", sweep.left_out);
        let best = sweep.points.iter().map(|p| p.loss).fold(f32::INFINITY, f32::min);
        assert!(best < sweep.points[0].loss, "{name}: {best}");
    }
}

#[test]
fn warm_up_and_decay_of_the_optimizers_own_are_left_out() {
    let finder = LrFinder { from: 1e-2, to: 0.5, steps: 20, ..LrFinder::default() };
    let adamw = ScheduleFreeAdamW::default();
    let plain = ScheduleFreeSgd::default();
    for (with, without, left_out) in [
        (
            Optimizer::ScheduleFreeAdamW(ScheduleFreeAdamW { warmup_steps: 50, ..adamw.clone() }),
            Optimizer::ScheduleFreeAdamW(adamw),
            "warmup_steps = 50",
        ),
        (
            Optimizer::ScheduleFreeSgd(ScheduleFreeSgd { warmup_steps: 9, ..plain.clone() }),
            Optimizer::ScheduleFreeSgd(plain),
            "warmup_steps = 9",
        ),
        (
            toml::from_str("name = \"adagrad\"\nlr_decay = 0.5").expect("an optimizer"),
            toml::from_str("name = \"adagrad\"").expect("an optimizer"),
            "lr_decay = 0.5",
        ),
    ] {
        let [with, without] = [with, without].map(|optimizer| run(finder, quadratic(&optimizer, &[1.0])));
        assert_eq!(with.left_out, [left_out]);
        assert_eq!((with.points, without.left_out.len()), (without.points, 0));
    }
}

/// Gradient descent on ½λw² grows past η = 2/λ. The suggestion lies below, within a factor of 100, and it goes with 1/λ.
#[test]
fn the_suggestion_lies_below_the_bound_of_a_quadratic() {
    for curvature in [0.4f32, 40.0, 4000.0] {
        let sweep = run(LrFinder::default(), quadratic(sgd(1.0), &[curvature]));
        let bound = 2.0 / f64::from(curvature);
        let found = sweep.suggestion().unwrap_or_else(|why| panic!("{curvature}: {why}"));
        for (name, lr) in [("valley", found.valley), ("steep", found.steep)] {
            assert!(lr < bound && lr > bound / 100.0, "{name} of {curvature}: {lr} for {bound}");
        }
        if curvature > 1.0 {
            let LrEnd::Diverged { lr } = sweep.end else { panic!("{curvature}: {:?}", sweep.end) };
            assert!(lr > bound && sweep.points.last().is_some_and(|p| p.lr == lr), "{lr}");
        }
    }
    // All rates too small: it falls, but by next to nothing.
    let small = LrFinder { to: 1e-5, ..LrFinder::default() };
    let why = run(small, quadratic(sgd(1.0), &[1.0])).suggestion().expect_err("no descent");
    assert!(matches!(why, NoDescent::Flat { fall, .. } if fall > 0.0), "{why}");
    // All too large: it rises from the first step on.
    let large = LrFinder { from: 3.0, to: 4.0, ..LrFinder::default() };
    let sweep = run(large, quadratic(sgd(1.0), &[1.0]));
    assert!(matches!(sweep.end, LrEnd::Diverged { .. }) && sweep.points.len() < 10, "{sweep:?}");
    assert!(matches!(sweep.suggestion(), Err(NoDescent::Short(_))));
}

/// The logarithm of a falling weight goes below 0, and is NaN once the weight is: the end of the test, whether the device
/// looks at gradients or not.
#[test]
fn a_loss_that_is_not_finite_ends_the_test() {
    let log = |from: f32| move |net: &Net| net.parameter("w", [1], Init::Constant(from)).log().sum_all();
    for skip_nonfinite in [None, Some(true)] {
        let update = Update { skip_nonfinite, ..Update::new(sgd(1.0)) };
        let finder = LrFinder { from: 1e-3, to: 10.0, ..LrFinder::default() };
        let sweep = run(finder, trainer(&update, &log(1.0)));
        assert_rates(&sweep, &finder);
        let last = sweep.points.last().expect("points");
        assert!(last.loss < 0.0 && sweep.points.iter().all(|p| p.loss.is_finite()), "{last:?}");
        let LrEnd::NotFinite { lr } = sweep.end else { panic!("{:?}", sweep.end) };
        let growth = lr / last.lr;
        assert!((1.05..1.2).contains(&growth), "the next rate, a 99th of four decades on: {growth}");

        // At the first step it is a fault of data or model.
        let err = finder.run(trainer(&update, &log(-1.0)), &mut ()).expect_err("NaN at once");
        assert!(matches!(&err, Error::Data(text) if text.contains("first step")), "{err}");
    }
}

fn on_digits(seed: u64) -> LrSweep {
    let model = |net: &Net, x: &Tensor| {
        let h = net.linear("0", &x.flatten(), 24).relu();
        net.linear("2", &h, 10)
    };
    let cross_entropy = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &loss::CrossEntropy::default());
    let options = TrainOptions { batch_size: BatchSize::Rows(100), seed, ..TrainOptions::default() };
    let gpu = adapter::open_with(GpuOptions::default());
    let optimizer = Optimizer::AdamW(AdamW::default());
    let data = digits().expect("digits");
    let made = Trainer::new(&gpu, &model, &cross_entropy, &optimizer, &data, &options);
    run(LrFinder::default(), made.expect("a trainer"))
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let bits = |sweep: &LrSweep| -> Vec<(u64, u32, u64)> {
        let of = |p: &downhill::train::LrPoint| (p.lr.to_bits(), p.loss.to_bits(), p.smoothed.to_bits());
        sweep.points.iter().map(of).collect()
    };
    let [first, again, other] = [3, 3, 4].map(on_digits);
    assert_eq!(bits(&first), bits(&again));
    assert_ne!(bits(&first), bits(&other));
    let found = first.suggestion().expect("digits are learnt");
    assert!((1e-4..1e-1).contains(&found.valley), "{found:?}");
}

#[test]
fn an_observer_hears_every_step_and_may_stop_the_test() {
    struct Until(u64, Vec<f64>);
    impl Observer for Until {
        fn steps(&mut self, steps: &[StepRecord]) -> downhill::error::Result<()> {
            self.1.extend(steps.iter().map(|step| step.lr));
            if self.1.len() as u64 >= self.0 { Err(Error::Cancelled) } else { Ok(()) }
        }
    }
    let finder = LrFinder { steps: 30, to: 0.1, ..LrFinder::default() };
    let mut all = Until(u64::MAX, Vec::new());
    let sweep = finder.run(quadratic(sgd(1.0), &[1.0]), &mut all).expect("a test");
    assert_eq!(all.1, sweep.points.iter().map(|p| p.lr).collect::<Vec<_>>());
    let stopped = finder.run(quadratic(sgd(1.0), &[1.0]), &mut Until(5, Vec::new()));
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
}

#[test]
fn numbers_that_make_no_test_are_refused() {
    let finder = LrFinder::default();
    for (wrong, words) in [
        (LrFinder { from: 1.0, to: 1.0, ..finder }, &["from = 1.0", "to = 1.0"][..]),
        (LrFinder { from: 1.0, to: 0.1, ..finder }, &["from = 1.0", "to = 0.1"]),
        (LrFinder { from: 0.0, ..finder }, &["from = 0.0", "above 0"]),
        (LrFinder { from: -1.0, ..finder }, &["from = -1.0", "above 0"]),
        (LrFinder { from: f64::NAN, ..finder }, &["from = NaN", "finite"]),
        (LrFinder { to: f64::INFINITY, ..finder }, &["to = inf", "finite"]),
        (LrFinder { steps: 1, ..finder }, &["steps = 1", "at least 2"]),
        (LrFinder { smooth: 1.0, ..finder }, &["smooth = 1.0", "below 1"]),
        (LrFinder { smooth: f64::NAN, ..finder }, &["smooth = NaN"]),
    ] {
        let err = wrong.run(quadratic(sgd(1.0), &[1.0]), &mut ()).expect_err("a wrong number");
        assert!(err.is_usage() && words.iter().all(|word| err.to_string().contains(word)), "{err}");
    }
}
