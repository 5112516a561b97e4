//! Schedule-free optimizers on the engine: the sequences x, y and z of the paper's algorithm in f64, and that x is what is
//! evaluated and saved.
//!
//! # Tolerance
//! The parameters hold y, and x = y + (1 − 1/β)(z − y). After t steps y and z are each off by at most 3·t·u·m for the
//! stored numbers (m the largest so far, u = 2⁻²⁴), and by 64·u of what was added to them: steps, and c(z − y). One's
//! error reaches the other, so both have the sum. x is off by 1/β of y's, and by 1/β − 1 of z's.

mod adapter;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::nn::Net;
use downhill::nn::loss::{CrossEntropy, cross_entropy};
use downhill::optim::{Average, Optimizer, ParamGroup, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Update};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, GpuOptions, Init, Tensor};

const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;
const STEPS: usize = 30;
/// Parameters and their sizes: the second has half the rate and no decay, the third is frozen.
const PARTS: [(&str, usize); 3] = [("a", 35), ("b", 301), ("c", 13)];
const COUNT: usize = 35 + 301 + 13;

fn adamw() -> ScheduleFreeAdamW {
    ScheduleFreeAdamW { lr: 0.02, weight_decay: 0.1, warmup_steps: 7, ..ScheduleFreeAdamW::default() }
}

fn sgd() -> ScheduleFreeSgd {
    ScheduleFreeSgd { lr: 0.05, momentum: 0.8, weight_decay: 0.1, r: 1.5, ..ScheduleFreeSgd::default() }
}

fn start() -> Vec<f32> {
    (0..COUNT).map(|i| ((i * 7919 + 13) % 1000) as f32 / 500.0 - 1.0).collect()
}

/// Leaning to one side, of a size that changes from step to step.
fn gradient(t: usize) -> Vec<f32> {
    let size = 0.2 + (t as f64 * 0.9).sin().abs();
    (0..COUNT).map(|i| (size * (((i * 37 + t * 101) as f64 * 0.61).sin() + 0.3)) as f32).collect()
}

/// Trains on Σ w·x, whose gradient is x: a sample each, in order.
fn trainer(update: &Update, gradients: &[Vec<f32>]) -> Trainer {
    let targets = vec![0.0; gradients.len()];
    let data = Dataset::from_arrays("gradients", [COUNT], gradients.concat(), [], targets).expect("samples");
    let model = |net: &Net, x: &Tensor| {
        let parts: Vec<Tensor> =
            PARTS.iter().map(|&(name, n)| net.parameter(name, [n], Init::Constant(0.0))).collect();
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0).mul(&x.reshape([COUNT])).sum_all()
    };
    let options =
        TrainOptions { batch_size: BatchSize::Rows(1), sampling: Sampling::File, ..TrainOptions::default() };
    let gpu = adapter::open_with(GpuOptions::default());
    let made = Trainer::new(&gpu, &model, &|loss, _| loss.clone(), update, &data, &options);
    let mut trainer = made.expect("a trainer");
    let mut at = 0;
    let part = |(name, n): (&str, usize)| {
        at += n;
        NamedTensor { name: name.into(), shape: [n].into(), values: start()[at - n..at].to_vec() }
    };
    trainer.load_state_dict(&PARTS.map(part)).expect("the model's own");
    trainer
}

fn flat(tensors: Vec<NamedTensor>) -> Vec<f64> {
    tensors.into_iter().flat_map(|t| t.values).map(f64::from).collect()
}

fn x(trainer: &Trainer) -> Vec<f64> {
    flat(trainer.average_state_dict().expect("weights").expect("an average"))
}

fn y(trainer: &Trainer) -> Vec<f64> {
    flat(trainer.state_dict().expect("weights"))
}

/// The numbers of both methods; those without a second moment have no `beta2`.
#[derive(Clone, Copy)]
struct Numbers {
    lr: f64,
    beta: f64,
    second: Option<(f64, f64)>,
    decay: f64,
    warmup: usize,
    r: f64,
    power: f64,
}

impl Numbers {
    fn of(optimizer: &Optimizer) -> Numbers {
        match optimizer {
            Optimizer::ScheduleFreeAdamW(o) => Numbers {
                lr: o.lr,
                beta: o.betas[0],
                second: Some((o.betas[1], o.eps)),
                decay: o.weight_decay,
                warmup: o.warmup_steps as usize,
                r: o.r,
                power: o.weight_lr_power,
            },
            Optimizer::ScheduleFreeSgd(o) => Numbers {
                lr: o.lr,
                beta: o.momentum,
                second: None,
                decay: o.weight_decay,
                warmup: o.warmup_steps as usize,
                r: o.r,
                power: o.weight_lr_power,
            },
            other => unreachable!("{other:?} has a schedule"),
        }
    }

    /// x and y after the steps, and what each may be off by. x is kept as the paper has it, the weighted mean of all z:
    /// the engine does not keep it.
    fn trace(self, w: f64, gradients: impl Iterator<Item = f64>) -> [(f64, f64); 2] {
        let (mut x, mut z, mut v, mut sum) = (w, w, 0.0, 0.0);
        let (mut largest, mut added, mut t) = (w.abs(), 0.0, 0);
        for g in gradients {
            t += 1;
            let y = (1.0 - self.beta) * z + self.beta * x;
            let warm = if t <= self.warmup { t as f64 / self.warmup as f64 } else { 1.0 };
            let lr = self.lr * warm;
            let direction = match self.second {
                None => g,
                Some((beta2, eps)) => {
                    v = beta2 * v + (1.0 - beta2) * g * g;
                    g / ((v / (1.0 - beta2.powi(t as i32))).sqrt() + eps)
                }
            };
            let step = lr * (direction + self.decay * y);
            let weight = (t as f64).powf(self.r) * lr.powf(self.power);
            sum += weight;
            let share = weight / sum;
            added += 2.0 * step.abs() + (share * (z - y)).abs();
            z -= step;
            x = (1.0 - share) * x + share * z;
            largest = f64::max(largest, y.abs()).max(z.abs());
        }
        let y = (1.0 - self.beta) * z + self.beta * x;
        let off = ROUNDOFF * (3.0 * f64::from(t as u32) * largest + 64.0 * added);
        [(x, off * (2.0 / self.beta - 1.0)), (y, off)]
    }
}

/// Both methods with groups, a frozen parameter, and a step that is left out: the count of steps does not know of it.
#[test]
fn x_and_y_are_those_of_the_paper() {
    for optimizer in [Optimizer::ScheduleFreeAdamW(adamw()), Optimizer::ScheduleFreeSgd(sgd())] {
        let groups = vec![
            ParamGroup::new(["b"]).lr_factor(0.5).set("weight_decay", 0.0),
            ParamGroup::new(["c"]).frozen(),
        ];
        let update = Update { groups, skip_nonfinite: Some(true), ..Update::new(optimizer.clone()) };
        let mut gradients: Vec<Vec<f32>> = (0..=STEPS).map(gradient).collect();
        gradients[0].fill(f32::NAN);
        let mut trainer = trainer(&update, &gradients);
        let first: Vec<f64> = start().into_iter().map(f64::from).collect();
        assert_eq!((x(&trainer), y(&trainer)), (first.clone(), first.clone()), "before the first step");
        trainer.advance(1).expect("a step that is left out");
        assert_eq!((x(&trainer), y(&trainer)), (first.clone(), first.clone()), "before the first update");
        trainer.advance(STEPS as u64).expect("steps");
        assert_eq!(trainer.skipped_steps().expect("a count"), 1);

        let numbers = Numbers::of(&optimizer);
        let half = Numbers { lr: numbers.lr / 2.0, decay: 0.0, ..numbers };
        let (have_x, have_y) = (x(&trainer), y(&trainer));
        let mut apart = 0;
        for i in 0..COUNT {
            let of_i = gradients[1..].iter().map(|g| f64::from(g[i]));
            let [(want_x, off_x), (want_y, off_y)] = match i {
                0..35 => numbers.trace(first[i], of_i),
                35..336 => half.trace(first[i], of_i),
                _ => [(first[i], 0.0); 2],
            };
            let (dx, dy) = ((have_x[i] - want_x).abs(), (have_y[i] - want_y).abs());
            assert!(dx <= off_x, "{optimizer:?}, x of {i}: {} for {want_x}, off by {off_x:e}", have_x[i]);
            assert!(dy <= off_y, "{optimizer:?}, y of {i}: {} for {want_y}, off by {off_y:e}", have_y[i]);
            apart += usize::from((want_x - want_y).abs() > 20.0 * (off_x + off_y));
        }
        // Else one could be taken for the other.
        assert!(apart > COUNT / 2, "{optimizer:?}: x and y differ in {apart} numbers of {COUNT}");
    }
}

/// As with x's weights loaded into a run that has no average, to the bit; and not as with y's.
#[test]
fn evaluation_is_of_x() {
    let gpu = adapter::open_with(GpuOptions::default());
    let data = downhill::data::digits().expect("digits");
    let model = |net: &Net, x: &Tensor| net.linear("out", &x.flatten(), 10);
    let loss = |y: &Tensor, t: &Tensor| cross_entropy(y, t, &CrossEntropy::default());
    let run = |optimizer: &Optimizer| {
        Trainer::new(&gpu, &model, &loss, optimizer, &data, &TrainOptions::default()).expect("a trainer")
    };
    let evaluated = |trainer: &mut Trainer| trainer.evaluate().expect("a loss").expect("a part").loss;
    let plain = Optimizer::Sgd(Sgd::default());
    let of = |weights: &[NamedTensor]| {
        let mut trainer = run(&plain);
        trainer.load_state_dict(weights).expect("weights");
        evaluated(&mut trainer)
    };
    let mut trainer = run(&Optimizer::ScheduleFreeAdamW(adamw()));
    let before = of(&trainer.state_dict().expect("weights"));
    assert_eq!(evaluated(&mut trainer), before, "before the first step");
    // Evaluations in between change nothing.
    for _ in 0..2 {
        trainer.advance(40).expect("steps");
        let loss = evaluated(&mut trainer);
        let x = trainer.average_state_dict().expect("weights").expect("an average");
        assert_eq!(loss, of(&x));
        assert_ne!(loss, of(&trainer.state_dict().expect("weights")));
        assert!(loss < before / 2.0, "from {before} to {loss}");
    }
    let mut through = run(&Optimizer::ScheduleFreeAdamW(adamw()));
    through.advance(80).expect("steps");
    assert_eq!(x(&through), x(&trainer));
}

#[test]
fn what_cannot_be_with_it_is_refused() {
    let refused = |update: Update, words: &[&str]| match update.validate() {
        Err(Error::Config(text)) => assert!(words.iter().all(|word| text.contains(word)), "{text}"),
        other => panic!("{words:?}: {other:?}"),
    };
    for optimizer in [Optimizer::ScheduleFreeAdamW(adamw()), Optimizer::ScheduleFreeSgd(sgd())] {
        let average = Some(Average::Ema { decay: 0.9, eval: true });
        refused(Update { average, ..Update::new(optimizer) }, &["average", "schedule-free"]);
    }
    let other = ParamGroup::new(["a"]).set("momentum", 0.5);
    let update = Update { groups: vec![other], ..Update::new(Optimizer::ScheduleFreeSgd(sgd())) };
    refused(update, &["optimizer.groups[0]", "momentum", "same for all groups"]);
}
