//! What a step makes of given gradients beside the optimizer's rule: groups, frozen parameters, clipping, steps left out,
//! micro-batches, averages. References in f64.
//!
//! # Tolerance
//! As in `optimizers.rs`: after t steps 3·t·u·max|w| for the stored weights and 64·u of the way that was gone. Where
//! gradients are multiplied with a factor or added up, each is off by another 8·u of the largest gradient of its tensor,
//! which the optimizer passes on; `ROOM` is for that.

mod adapter;

use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::nn::Net;
use downhill::optim::{Adam, AdamW, Average, Clip, Optimizer, ParamGroup, Sgd, Update};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, GpuOptions, Init, Tensor};

const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;
const ROOM: f64 = 4.0;

/// Names and extents of the model's parameters. The last is past what one workgroup looks through alone.
const SMALL: [(&str, &[usize]); 3] = [("a.weight", &[5, 7]), ("a.bias", &[13]), ("b.weight", &[300, 2])];
const LARGE: [(&str, &[usize]); 3] = [("a.weight", &[5, 7]), ("a.bias", &[13]), ("b.weight", &[300, 301])];

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Numbers in [-1, 1), the same for the same place.
fn noise(seed: u64, i: usize) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    for _ in 0..3 {
        x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

struct Case {
    shapes: [(&'static str, &'static [usize]); 3],
    /// The gradient of each sample, the parameters one after the other.
    samples: Vec<Vec<f32>>,
    options: TrainOptions,
}

impl Case {
    fn new(shapes: [(&'static str, &'static [usize]); 3], samples: usize, rows: usize) -> Case {
        let width = shapes.iter().map(|(_, shape)| count(shape)).sum::<usize>();
        let size = |s: usize| 10f64.powf(1.5 * (s as f64 * 0.7).sin() - 1.0);
        let sample = |s| (0..width).map(|i| (size(s) * (noise(s as u64, i) + 0.2)) as f32).collect();
        let options = TrainOptions {
            batch_size: BatchSize::Rows(rows),
            sampling: Sampling::File,
            ..TrainOptions::default()
        };
        Case { shapes, samples: (0..samples).map(sample).collect(), options }
    }

    fn width(&self) -> usize {
        self.samples[0].len()
    }

    /// On the loss mean over the batch of Σ w·x, whose gradient is the mean of the batch's x.
    fn trainer(&self, update: &Update) -> Result<Trainer, Error> {
        let width = self.width();
        let targets = vec![0.0; self.samples.len()];
        let data = Dataset::from_arrays("gradients", [width], self.samples.concat(), [], targets)?;
        let shapes = self.shapes;
        let model = move |net: &Net, x: &Tensor| {
            let mut sum: Option<Tensor> = None;
            let mut at = 0;
            for (name, shape) in shapes {
                let n = count(shape);
                let w = net.parameter(name, shape.to_vec(), Init::Constant(0.0)).reshape([1, n]);
                let part = w.mul(&x.slice(1, at, at + n)).sum(&[1], false);
                sum = Some(sum.map_or(part.clone(), |sum| sum.add(&part)));
                at += n;
            }
            sum.expect("parameters").mean_all()
        };
        let gpu = adapter::open_with(GpuOptions::default());
        let mut trainer = Trainer::new(&gpu, &model, &|loss, _| loss.clone(), update, &data, &self.options)?;
        trainer.load_state_dict(&self.start())?;
        Ok(trainer)
    }

    fn start(&self) -> Vec<NamedTensor> {
        let mut at = 0;
        let tensor = |(name, shape): (&str, &[usize])| {
            let values = (at..at + count(shape)).map(|i| noise(99, i) as f32).collect();
            at += count(shape);
            NamedTensor { name: name.into(), shape: shape.to_vec().into(), values }
        };
        self.shapes.into_iter().map(tensor).collect()
    }

    /// The gradient of each step: means over the batches in file order, a short one at the end of an epoch.
    fn gradients(&self, steps: usize) -> Vec<Vec<f64>> {
        let BatchSize::Rows(rows) = self.options.batch_size else { unreachable!("rows are given") };
        let batches: Vec<&[Vec<f32>]> = self.samples.chunks(rows).collect();
        let mean = |t: usize| {
            let batch = batches[t % batches.len()];
            let sum = |i| batch.iter().map(|x| f64::from(x[i])).sum::<f64>();
            (0..self.width()).map(|i| sum(i) / batch.len() as f64).collect()
        };
        (0..steps).map(mean).collect()
    }

    /// Which parameter each number belongs to.
    fn owners(&self) -> Vec<usize> {
        (0..3).flat_map(|p| std::iter::repeat_n(p, count(self.shapes[p].1))).collect()
    }
}

fn flat(tensors: Vec<NamedTensor>) -> Vec<f64> {
    tensors.into_iter().flat_map(|t| t.values).map(f64::from).collect()
}

/// AdamW's numbers for a number of the model; `None` is frozen.
#[derive(Clone, Copy)]
struct Numbers {
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
}

/// The weights after each step, by AdamW in f64; steps of a gradient that is `None` are left out.
fn adamw(
    start: &[f64],
    gradients: &[Option<Vec<f64>>],
    of: impl Fn(usize) -> Option<Numbers>,
) -> Vec<Vec<f64>> {
    let mut w = start.to_vec();
    let (mut m, mut v, mut t) = (vec![0.0; w.len()], vec![0.0; w.len()], 0);
    let mut trace = vec![w.clone()];
    for g in gradients {
        if let Some(g) = g {
            t += 1;
            for i in 0..w.len() {
                let Some(n) = of(i) else { continue };
                m[i] = n.beta1 * m[i] + (1.0 - n.beta1) * g[i];
                v[i] = n.beta2 * v[i] + (1.0 - n.beta2) * g[i] * g[i];
                let (m, v) = (m[i] / (1.0 - n.beta1.powi(t)), v[i] / (1.0 - n.beta2.powi(t)));
                w[i] -= n.lr * (n.decay * w[i] + m / (v.sqrt() + n.eps));
            }
        }
        trace.push(w.clone());
    }
    trace
}

const NUMBERS: Numbers = Numbers { lr: 0.01, beta1: 0.8, beta2: 0.95, eps: 1e-3, decay: 0.1 };

fn optimizer() -> Optimizer {
    let Numbers { lr, beta1, beta2, eps, decay } = NUMBERS;
    Optimizer::AdamW(AdamW { lr, betas: [beta1, beta2], eps, weight_decay: decay, ..AdamW::default() })
}

#[track_caller]
fn assert_follows(trainer: &mut Trainer, trace: &[Vec<f64>], room: f64) {
    let mut way = vec![0.0; trace[0].len()];
    for (t, pair) in trace.windows(2).enumerate() {
        trainer.advance(1).expect("a step");
        let have = flat(trainer.state_dict().expect("weights"));
        for i in 0..have.len() {
            way[i] += (pair[1][i] - pair[0][i]).abs();
            let largest = pair[0][i].abs().max(pair[1][i].abs());
            let allowed = room * ROUNDOFF * (3.0 * (t + 1) as f64 * largest + 64.0 * way[i]);
            let off = (have[i] - pair[1][i]).abs();
            assert!(
                off <= allowed,
                "step {}, number {i}: {} for {}, off by {off:e} > {allowed:e}",
                t + 1,
                have[i],
                pair[1][i]
            );
        }
    }
}

fn all(gradients: Vec<Vec<f64>>) -> Vec<Option<Vec<f64>>> {
    gradients.into_iter().map(Some).collect()
}

const STEPS: usize = 12;

#[test]
fn each_group_has_its_own_numbers() {
    let case = Case::new(SMALL, STEPS, 1);
    let groups = vec![
        ParamGroup::new(["*.bias"]).lr_factor(0.25).set("weight_decay", 0.0),
        ParamGroup::new(["b.*"]).set("betas", vec![0.5, 0.6]).set("lr", 0.02),
    ];
    let update = Update { groups, ..Update::new(optimizer()) };
    let owners = case.owners();
    let numbers = |i: usize| {
        Some(match owners[i] {
            0 => NUMBERS,
            1 => Numbers { lr: 0.0025, decay: 0.0, ..NUMBERS },
            _ => Numbers { lr: 0.02, beta1: 0.5, beta2: 0.6, ..NUMBERS },
        })
    };
    let trace = adamw(&flat(case.start()), &all(case.gradients(STEPS)), numbers);
    let mut trainer = case.trainer(&update).expect("a trainer");
    assert_eq!(trainer.plan().groups.groups.len(), 3);
    let updates = trainer.plan().train[0].plan.steps.iter().filter(|s| s.kernel.entry == "adam_update");
    assert_eq!(updates.count(), 1);
    assert_follows(&mut trainer, &trace, 1.0);
    // At another rate every group keeps its ratio.
    let mut trainer = case.trainer(&update).expect("a trainer");
    trainer.set_lr(0.005);
    let halved = |i| numbers(i).map(|n| Numbers { lr: n.lr / 2.0, ..n });
    assert_follows(&mut trainer, &adamw(&flat(case.start()), &all(case.gradients(STEPS)), halved), 1.0);
}

#[test]
fn decay_can_leave_out_biases_and_norms() {
    let case = Case::new(SMALL, STEPS, 1);
    let update = Update { decay_biases_and_norms: false, ..Update::new(optimizer()) };
    let owners = case.owners();
    let numbers = |i: usize| Some(if owners[i] == 1 { Numbers { decay: 0.0, ..NUMBERS } } else { NUMBERS });
    let trace = adamw(&flat(case.start()), &all(case.gradients(STEPS)), numbers);
    assert_follows(&mut case.trainer(&update).expect("a trainer"), &trace, 1.0);
}

#[test]
fn frozen_parameters_stay_and_cost_nothing() {
    let case = Case::new(SMALL, STEPS, 1);
    let update = Update { groups: vec![ParamGroup::new(["b.weight"]).frozen()], ..Update::new(optimizer()) };
    let owners = case.owners();
    let numbers = |i: usize| (owners[i] != 2).then_some(NUMBERS);
    let trace = adamw(&flat(case.start()), &all(case.gradients(STEPS)), numbers);
    let mut trainer = case.trainer(&update).expect("a trainer");
    assert_follows(&mut trainer, &trace, 1.0);
    assert_eq!(flat(trainer.state_dict().expect("weights"))[48..], flat(case.start())[48..]);
    let bytes = |name: &str| trainer.plan().memory.iter().find(|b| b.name == name).expect(name).bytes;
    // 35 and 13 numbers, each rounded up to 256 bytes; the 600 frozen ones are not there.
    for name in ["gradients", "exp_avg", "exp_avg_sq"] {
        assert_eq!(bytes(name), 512, "{name}");
    }
    let everything = Update { groups: vec![ParamGroup::new(["*"]).frozen()], ..Update::new(optimizer()) };
    let err = case.trainer(&everything).expect_err("nothing to train").to_string();
    assert!(err.contains("every parameter is frozen"), "{err}");
}

#[test]
fn groups_that_cannot_be_are_refused() {
    let case = Case::new(SMALL, 1, 1);
    let refused = [
        (ParamGroup::new(["a.weigth"]), "no parameter is named \"a.weigth\"; did you mean \"a.weight\"?"),
        (ParamGroup::new(["c.*"]), "there are: a.weight, a.bias, b.weight"),
        (
            ParamGroup::new(["*"]).set("weight_decya", 0.0),
            "unknown key optimizer.groups[0].weight_decya; did you mean",
        ),
        (ParamGroup::new(["*"]).set("lr", -1.0), "optimizer.groups[0].lr = -1.0"),
        (ParamGroup::new(["*"]).set("amsgrad", true), "change what the optimizer keeps"),
        (ParamGroup::new(["*"]).lr_factor(-1.0), "optimizer.groups[0].lr_factor = -1.0"),
        (ParamGroup::new(["*"]).set("name", "sgd"), "a group has the run's optimizer"),
    ];
    for (group, message) in refused {
        let update = Update { groups: vec![group], ..Update::new(optimizer()) };
        let err = case.trainer(&update).expect_err(message).to_string();
        assert!(err.contains(message), "{err}");
    }
}

/// The gradients clipped by their norm.
fn clipped(gradients: &[Vec<f64>], max: f64) -> Vec<Vec<f64>> {
    let clip = |g: &Vec<f64>| {
        let norm = g.iter().map(|x| x * x).sum::<f64>().sqrt();
        let factor = (max / (norm + 1e-6)).min(1.0);
        g.iter().map(|x| x * factor).collect()
    };
    gradients.iter().map(clip).collect()
}

#[test]
fn clipping_by_norm_is_over_all_parameters() {
    for (shapes, dispatches) in [(SMALL, 1), (LARGE, 2)] {
        let case = Case::new(shapes, STEPS, 1);
        let gradients = case.gradients(STEPS);
        let norms: Vec<f64> = gradients.iter().map(|g| g.iter().map(|x| x * x).sum::<f64>().sqrt()).collect();
        let mut sorted = norms.clone();
        sorted.sort_by(f64::total_cmp);
        let max = f64::from(sorted[STEPS / 2] as f32); // half of the steps are clipped
        let update = Update { clip: Some(Clip::Norm(max)), ..Update::new(optimizer()) };
        let trace = adamw(&flat(case.start()), &all(clipped(&gradients, max)), |_| Some(NUMBERS));
        let mut trainer = case.trainer(&update).expect("a trainer");
        let looks = |s: &&downhill::plan::Step| s.kernel.entry.starts_with("gradients_");
        assert_eq!(trainer.plan().train[0].plan.steps.iter().filter(looks).count(), dispatches);
        assert_follows(&mut trainer, &trace, ROOM);
        // Clipping has an effect, and the norm is reported.
        let unclipped = adamw(&flat(case.start()), &all(gradients), |_| Some(NUMBERS));
        let apart =
            (0..case.width()).filter(|&i| (unclipped[STEPS][i] - trace[STEPS][i]).abs() > 1e-4).count();
        assert!(apart > case.width() / 10, "{apart}");
        let records = case.trainer(&update).expect("a trainer").advance(STEPS as u64).expect("steps");
        for (record, norm) in records.iter().zip(norms) {
            let told = f64::from(record.gradient_check.expect("checks").grad_norm);
            assert!((told - norm).abs() <= 1e-5 * norm, "{told} for {norm}");
        }
    }
}

#[test]
fn clipping_by_value_is_element_by_element() {
    let case = Case::new(SMALL, STEPS, 1);
    let update = Update { clip: Some(Clip::Value(0.25)), ..Update::new(optimizer()) };
    let clamp = |g: Vec<f64>| g.into_iter().map(|x| x.clamp(-0.25, 0.25)).collect();
    let gradients = case.gradients(STEPS).into_iter().map(clamp).collect();
    let trace = adamw(&flat(case.start()), &all(gradients), |_| Some(NUMBERS));
    assert_follows(&mut case.trainer(&update).expect("a trainer"), &trace, 1.0);
}

/// A bound for each number is none for what is no number: the run must not go on as if it were.
#[test]
fn clipping_by_value_does_not_hide_nan() {
    let mut case = Case::new(SMALL, 2, 1);
    case.samples[0][40] = f32::NAN;
    let update = Update { clip: Some(Clip::Value(0.5)), ..Update::new(Optimizer::Sgd(Sgd::default())) };
    let mut trainer = case.trainer(&update).expect("a trainer");
    assert!(matches!(trainer.advance(1), Err(Error::Diverged { step: 1, .. })));
    let weights = flat(trainer.state_dict().expect("weights"));
    let lost: Vec<usize> = (0..weights.len()).filter(|&i| weights[i].is_nan()).collect();
    assert_eq!(lost, [40]);
}

#[test]
fn steps_without_finite_gradients_are_left_out_and_counted() {
    for shapes in [SMALL, LARGE] {
        for bad in [f32::INFINITY, f32::NAN, f32::NEG_INFINITY] {
            let mut case = Case::new(shapes, STEPS, 1);
            let gradients = case.gradients(STEPS);
            let left_out = [0, 4, 5, 9];
            for (at, &t) in [0, 40, 47, case.width() - 1].iter().zip(&left_out) {
                case.samples[t][*at] = bad;
            }
            let given = gradients.into_iter().enumerate().map(|(t, g)| (!left_out.contains(&t)).then_some(g));
            let trace = adamw(&flat(case.start()), &given.collect::<Vec<_>>(), |_| Some(NUMBERS));
            let update = Update { skip_nonfinite: Some(true), ..Update::new(optimizer()) };
            assert_follows(&mut case.trainer(&update).expect("a trainer"), &trace, ROOM);
            // The same in windows of many steps, of which the host learns late.
            let mut trainer = case.trainer(&update).expect("a trainer");
            let records = trainer.advance(STEPS as u64).expect("steps");
            let skipped: Vec<usize> =
                (0..STEPS).filter(|&t| records[t].gradient_check.expect("checks").skipped).collect();
            assert_eq!(skipped, left_out);
            assert_eq!(trainer.skipped_steps().expect("a count"), 4);
            let end = flat(trainer.state_dict().expect("weights"));
            let mut one_by_one = case.trainer(&update).expect("a trainer");
            (0..STEPS).for_each(|_| drop(one_by_one.advance(1).expect("a step")));
            assert_eq!(flat(one_by_one.state_dict().expect("weights")), end);
            // Without, the run ends at the first of them.
            let err =
                case.trainer(&optimizer().into()).expect("a trainer").advance(STEPS as u64).unwrap_err();
            assert!(matches!(err, Error::Diverged { step: 1, .. }), "{err}");
        }
    }
}

#[test]
fn a_run_that_has_no_finite_gradients_any_more_ends() {
    let mut case = Case::new(SMALL, 300, 1);
    case.samples.iter_mut().skip(10).for_each(|x| x[3] = f32::NAN);
    let update = Update { clip: Some(Clip::Norm(1.0)), ..Update::new(optimizer()) };
    let err = case.trainer(&update).expect("a trainer").advance(300).expect_err("no end");
    assert!(matches!(err, Error::Diverged { step: 110, .. }), "{err}");
}

#[test]
fn micro_batches_give_the_gradient_of_the_batch() {
    // 19 samples in batches of 7, 7 and 5.
    let mut case = Case::new(SMALL, 19, 7);
    let trace = adamw(&flat(case.start()), &all(case.gradients(STEPS)), |_| Some(NUMBERS));
    let mut whole = case.trainer(&optimizer().into()).expect("a trainer");
    let records = whole.advance(STEPS as u64).expect("steps");
    let bits = flat(whole.state_dict().expect("weights"));
    for micro in [1, 2, 3, 4, 5, 6, 7, 1000] {
        case.options.micro_batch = MicroBatch::Rows(micro);
        assert_follows(&mut case.trainer(&optimizer().into()).expect("a trainer"), &trace, ROOM);
        let mut trainer = case.trainer(&optimizer().into()).expect("a trainer");
        for (have, want) in trainer.advance(STEPS as u64).expect("steps").iter().zip(&records) {
            assert_eq!((have.step, have.epoch), (want.step, want.epoch));
            assert!((have.loss - want.loss).abs() <= 1e-5 * (1.0 + want.loss.abs()), "{have:?} for {want:?}");
        }
        if micro >= 7 {
            assert_eq!(flat(trainer.state_dict().expect("weights")), bits);
        }
    }
    case.options.micro_batch = MicroBatch::Rows(0);
    let err = case.trainer(&optimizer().into()).expect_err("no samples").to_string();
    assert!(err.contains("train.micro_batch = 0"), "{err}");
    let mut case = Case::new(SMALL, 200, 200);
    case.options.micro_batch = MicroBatch::Rows(2);
    let err = case.trainer(&optimizer().into()).expect_err("too many").to_string();
    assert!(err.contains("100 micro-batches") && err.contains("the least is 4"), "{err}");
}

/// Everything at once: groups, clipping by the norm of the trained, micro-batches, a step left out, an average.
#[test]
fn all_of_it_goes_together() {
    let mut case = Case::new(SMALL, 21, 4);
    case.options.micro_batch = MicroBatch::Rows(3);
    let steps = 11; // epochs of 6
    let mut gradients = case.gradients(steps);
    let owners = case.owners();
    gradients.iter_mut().for_each(|g| (0..g.len()).filter(|&i| owners[i] == 1).for_each(|i| g[i] = 0.0));
    case.samples[8][0] = f32::NAN; // in step 3 of each epoch
    let given: Vec<_> =
        clipped(&gradients, 0.5).into_iter().enumerate().map(|(t, g)| (t % 6 != 2).then_some(g)).collect();
    let groups = vec![ParamGroup::new(["a.bias"]).frozen(), ParamGroup::new(["b.*"]).lr_factor(3.0)];
    let average = Some(Average::Ema { decay: 0.75, eval: true });
    let update = Update { groups, clip: Some(Clip::Norm(0.5)), average, ..Update::new(optimizer()) };
    let numbers = |i: usize| match owners[i] {
        0 => Some(NUMBERS),
        1 => None,
        _ => Some(Numbers { lr: 0.03, ..NUMBERS }),
    };
    let trace = adamw(&flat(case.start()), &given, numbers);
    let mut trainer = case.trainer(&update).expect("a trainer");
    assert_follows(&mut trainer, &trace, ROOM);
    let mut average = trace[1].clone();
    for t in (2..=steps).filter(|t| (t - 1) % 6 != 2) {
        average.iter_mut().zip(&trace[t]).for_each(|(avg, w)| *avg = 0.75 * *avg + 0.25 * w);
    }
    let have = flat(trainer.average_state_dict().expect("weights").expect("an average"));
    for (i, (have, want)) in have.iter().zip(&average).enumerate() {
        assert!((have - want).abs() <= 2e-6, "{i}: {have} for {want}");
    }
}

#[test]
fn averages_follow_the_weights() {
    let case = Case::new(SMALL, 8, 2); // epochs of 4
    let steps = 14;
    let trace = adamw(&flat(case.start()), &all(case.gradients(steps)), |_| Some(NUMBERS));
    let mean = |of: &[usize], i: usize| of.iter().map(|&t| trace[t][i]).sum::<f64>() / of.len() as f64;
    let ema = |i| (2..=steps).fold(trace[1][i], |avg, t| 0.9 * avg + 0.1 * trace[t][i]);
    let swa = |i| mean(&[8, 12], i);
    let late = |i| trace[steps][i];
    let cases: [(Average, &dyn Fn(usize) -> f64); 3] = [
        (Average::Ema { decay: 0.9, eval: true }, &ema),
        (Average::Swa { start_epoch: 1, eval: true }, &swa),
        (Average::Swa { start_epoch: 9, eval: true }, &late),
    ];
    for (average, want) in cases {
        let update = Update { average: Some(average), ..Update::new(optimizer()) };
        let mut trainer = case.trainer(&update).expect("a trainer");
        let first = flat(trainer.average_state_dict().expect("weights").expect("an average"));
        assert_eq!(first, flat(case.start()), "before the first step it is the weights");
        trainer.advance(steps as u64).expect("steps");
        let have = flat(trainer.average_state_dict().expect("weights").expect("an average"));
        for (i, have) in have.iter().enumerate() {
            assert!((have - want(i)).abs() <= 2e-6, "{average:?}, {i}: {have} for {}", want(i));
        }
    }
    assert!(
        case.trainer(&optimizer().into()).expect("a trainer").average_state_dict().expect("none").is_none()
    );
}

/// Evaluation is of the average where that is asked for: the same as with the average's weights loaded.
#[test]
fn evaluation_is_of_the_average_when_asked() {
    let gpu = adapter::open_with(GpuOptions::default());
    let data = downhill::data::digits().expect("digits");
    let model = |net: &Net, x: &Tensor| net.linear("out", &x.flatten(), 10);
    let loss = |y: &Tensor, t: &Tensor| downhill::nn::loss::cross_entropy(y, t, &Default::default());
    let adam = Optimizer::Adam(Adam { lr: 0.01, ..Adam::default() });
    let options = TrainOptions::default();
    let evaluated = |average| {
        let update = Update { average, ..Update::new(adam.clone()) };
        let mut trainer = Trainer::new(&gpu, &model, &loss, update, &data, &options).expect("a trainer");
        trainer.advance(60).expect("steps");
        let loss = trainer.evaluate().expect("a loss").expect("an evaluation part").loss;
        (loss, trainer.average_state_dict().expect("weights"), trainer.state_dict().expect("weights"))
    };
    let sgd = Optimizer::Sgd(Sgd::default());
    let of = |weights: &[NamedTensor]| {
        let mut trainer = Trainer::new(&gpu, &model, &loss, &sgd, &data, &options).expect("a trainer");
        trainer.load_state_dict(weights).expect("weights");
        trainer.evaluate().expect("a loss").expect("an evaluation part").loss
    };
    let (with, average, raw) = evaluated(Some(Average::Ema { decay: 0.9, eval: true }));
    let (without, ..) = evaluated(Some(Average::Ema { decay: 0.9, eval: false }));
    assert_eq!(with, of(&average.expect("an average")));
    assert_eq!(without, of(&raw));
    assert_ne!(with, without);
    assert_eq!(without, evaluated(None).0);
}
