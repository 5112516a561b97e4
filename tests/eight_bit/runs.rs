//! Whole runs: what a step makes of its gradients besides goes with 8 bits as without, bytes are what is said, bits repeat,
//! and a net learns as much.

use downhill::compile::{TrainOptions, TrainPlan};
use downhill::config::Config;
use downhill::data::{BatchPlan, BatchSize, Dataset, Sampling};
use downhill::gpu::Family;
use downhill::nn::Net;
use downhill::optim::{AdamW, Average, Clip, Optimizer, ParamGroup, Update};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Gpu, Init, Tensor};

use super::adapter::{families, open, target};
use super::noise;

const STEPS: usize = 6;
/// One is too small for 8 bits.
const TENSORS: [(&str, usize); 3] = [("a", 4200), ("b", 50), ("c", 5000)];
const WIDTH: usize = 9250;

fn adamw(lr: f64, state_bits: u32) -> Optimizer {
    Optimizer::AdamW(AdamW { lr, betas: [0.8, 0.95], eps: 1e-4, state_bits, ..AdamW::default() })
}

/// A gradient for each step.
fn gradients() -> Vec<Vec<f32>> {
    let of = |t: u64| (0..WIDTH).map(|i| (10f64.powf(2.0 * noise(7, i)) * noise(t, i)) as f32).collect();
    (1..=STEPS as u64).map(of).collect()
}

/// The loss is Σ w·x, whose gradient is x; a batch is a sample.
fn model(net: &Net, x: &Tensor) -> Tensor {
    let mut at = 0;
    let mut parts = TENSORS.iter().map(|&(name, n)| {
        let part =
            x.slice(1, at, at + n).mul(&net.parameter(name, [n], Init::Normal { mean: 0.0, std: 0.5 }));
        at += n;
        part.sum_all()
    });
    let first = parts.next().expect("tensors");
    parts.fold(first, |sum, part| sum.add(&part))
}

fn trainer(gpu: &Gpu, update: &Update, gradients: &[Vec<f32>]) -> Trainer {
    let data = Dataset::from_arrays("gradients", [WIDTH], gradients.concat(), [], vec![0.0; gradients.len()]);
    let options =
        TrainOptions { batch_size: BatchSize::Rows(1), sampling: Sampling::File, ..TrainOptions::default() };
    Trainer::new(gpu, &model, &|y, _| y.clone(), update, &data.expect("a data set"), &options)
        .expect("a trainer")
}

/// The weights after one step for each gradient.
fn run(gpu: &Gpu, update: &Update, gradients: &[Vec<f32>]) -> Vec<NamedTensor> {
    let mut trainer = trainer(gpu, update, gradients);
    trainer.advance(gradients.len() as u64).expect("steps");
    trainer.state_dict().expect("weights")
}

fn bits(tensor: &NamedTensor) -> Vec<u32> {
    tensor.values.iter().map(|w| w.to_bits()).collect()
}

/// `b` alone is kept in f32; the others are no further off than their codes make them.
#[test]
fn small_tensors_go_as_in_32_bits() {
    for &family in families() {
        let gpu = open(family);
        let (wide, narrow) = (adamw(0.01, 32), adamw(0.01, 8));
        let [wide, narrow] = [wide, narrow].map(|o| run(&gpu, &Update::new(o), &gradients()));
        let largest = |i: usize| {
            let off = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
            wide[i].values.iter().zip(&narrow[i].values).map(off).fold(0.0, f64::max)
        };
        // Two kernels of the same operations: half a unit a step of the weight (to 4), and 64 of a way of 0.01 a step.
        let bound = STEPS as f64 * 2f64.powi(-24) * (4.0 + 64.0 * 0.01);
        assert!(largest(1) <= bound, "{family:?}: {} > {bound}", largest(1));
        for i in [0, 2] {
            // Not the same bits, and no step is longer than what Adam's can be in so few steps.
            assert!(largest(i) > 1e-4 && largest(i) < 2.0 * STEPS as f64 * 0.01 * 2.0, "{}", largest(i));
        }
    }
}

#[test]
fn a_step_left_out_leaves_no_trace() {
    for &family in families() {
        let gpu = open(family);
        let update = Update { skip_nonfinite: Some(true), ..Update::new(adamw(0.01, 8)) };
        let mut with = gradients();
        let mut bad = vec![0.5; WIDTH];
        bad[4300] = f32::NAN;
        with.insert(3, bad);
        let [with, without] = [with, gradients()].map(|g| run(&gpu, &update, &g));
        for (a, b) in with.iter().zip(&without) {
            assert_eq!(bits(a), bits(b), "{family:?}: {}", a.name);
        }
    }
}

#[test]
fn gradients_are_clipped() {
    for &family in families() {
        let gpu = open(family);
        let clipped = |max: f32| -> Vec<Vec<f32>> {
            gradients().iter().map(|g| g.iter().map(|x| x.clamp(-max, max)).collect()).collect()
        };
        let update = Update { clip: Some(Clip::Value(0.25)), ..Update::new(adamw(0.01, 8)) };
        let [before, within] = [clipped(0.25), gradients()].map(|g| run(&gpu, &update, &g));
        let free = run(&gpu, &Update::new(adamw(0.01, 8)), &gradients());
        for i in 0..3 {
            assert_eq!(bits(&before[i]), bits(&within[i]), "{family:?}: {}", before[i].name);
            assert_ne!(bits(&before[i]), bits(&free[i]), "{family:?}: {}", before[i].name);
        }
        // A bound that binds nothing multiplies by 1.
        let norm = Update { clip: Some(Clip::Norm(1e9)), ..Update::new(adamw(0.01, 8)) };
        let (plain, bound) =
            (run(&gpu, &Update::new(adamw(0.01, 8)), &gradients()), run(&gpu, &norm, &gradients()));
        assert_eq!(bits(&plain[2]), bits(&bound[2]), "{family:?}: a bound that binds nothing");
    }
}

#[test]
fn groups_have_their_own_numbers_and_what_is_frozen_stays() {
    for &family in families() {
        let gpu = open(family);
        let groups = vec![ParamGroup::new(["c"]).lr_factor(0.25)];
        let grouped = run(&gpu, &Update { groups, ..Update::new(adamw(0.01, 8)) }, &gradients());
        let [fast, slow] = [0.01, 0.0025].map(|lr| run(&gpu, &Update::new(adamw(lr, 8)), &gradients()));
        for i in 0..3 {
            let want = if i == 2 { &slow[i] } else { &fast[i] };
            assert_eq!(bits(&grouped[i]), bits(want), "{family:?}: {}", want.name);
        }
        let groups = vec![ParamGroup::new(["a"]).frozen()];
        let frozen = Update { groups, ..Update::new(adamw(0.01, 8)) };
        let start = trainer(&gpu, &frozen, &gradients()).state_dict().expect("weights");
        let after = run(&gpu, &frozen, &gradients());
        assert_eq!(bits(&after[0]), bits(&start[0]));
        assert_eq!(bits(&after[2]), bits(&fast[2]), "{family:?}: beside frozen ones");
    }
}

#[test]
fn the_average_is_of_the_weights() {
    for &family in families() {
        let gpu = open(family);
        let update =
            Update { average: Some(Average::Ema { decay: 0.75, eval: true }), ..Update::new(adamw(0.01, 8)) };
        let mut trainer = trainer(&gpu, &update, &gradients());
        let flat = |tensors: Vec<NamedTensor>| {
            tensors.into_iter().flat_map(|t| t.values).map(f64::from).collect::<Vec<f64>>()
        };
        let mut want = flat(trainer.state_dict().expect("weights"));
        let plain = run(&gpu, &Update::new(adamw(0.01, 8)), &gradients());
        for t in 1..=STEPS as u64 {
            trainer.advance(1).expect("a step");
            let now = flat(trainer.state_dict().expect("weights"));
            let keep = Average::Ema { decay: 0.75, eval: true }.keep(t, STEPS as u64);
            want.iter_mut().zip(now).for_each(|(a, w)| *a = keep * *a + (1.0 - keep) * w);
        }
        let have = flat(trainer.average_state_dict().expect("weights").expect("an average"));
        for (have, want) in have.iter().zip(&want) {
            // Each step rounds products and a sum of numbers to 4.
            assert!((have - want).abs() <= STEPS as f64 * 4.0 * 4.0 * 2f64.powi(-24), "{have} {want}");
        }
        assert_eq!(
            flat(trainer.state_dict().expect("weights")),
            flat(plain),
            "{family:?}: beside an average"
        );
    }
}

#[test]
fn bits_repeat() {
    for &family in families() {
        let update = Update::new(adamw(0.01, 8));
        let [a, b] = [0, 1].map(|_| run(&open(family), &update, &gradients()));
        a.iter().zip(&b).for_each(|(a, b)| assert_eq!(bits(a), bits(b), "{family:?}"));
    }
}

/// `a` is 17 blocks and `c` 20, of 64 words each and a pair of scales; `b` lies in one block of 256 words.
#[test]
fn the_plan_and_the_ledger_have_the_true_bytes() {
    let data = Dataset::from_arrays("gradients", [WIDTH], vec![0.0; WIDTH], [], vec![0.0]).expect("a sample");
    for &family in families() {
        let batches = BatchPlan::new(1, BatchSize::Full, false).expect("batches");
        let gpu = open(family);
        let of = |bits| {
            let update = Update::new(adamw(0.01, bits));
            TrainPlan::builder(&data, &update)
                .model(&model, &|y, _| y.clone())
                .batches(batches)
                .target(target(family).with_reads(gpu.reads()))
                .build()
                .expect("a plan")
        };
        let bytes =
            |plan: &TrainPlan, name: &str| plan.memory.iter().find(|b| b.name == name).map_or(0, |b| b.bytes);
        let plan = of(8);
        let moment = 37 * 256 + 1024;
        assert_eq!(["exp_avg", "exp_avg_sq", "absmax"].map(|n| bytes(&plan, n)), [moment, moment, 37 * 8]);
        let wide = of(32);
        let kept = bytes(&wide, "exp_avg") + bytes(&wide, "exp_avg_sq");
        assert!(2 * moment + 37 * 8 < kept * 29 / 100, "of {kept} bytes");
        let trainer = trainer(&gpu, &Update::new(adamw(0.01, 8)), &[vec![0.0; WIDTH]]);
        let mut planned: Vec<_> = plan.all_buffers().into_iter().map(|b| (b.name, b.bytes)).collect();
        let mut held = gpu.ledger().entries();
        planned.sort();
        held.sort();
        assert_eq!(held, planned, "{family:?}");
        drop(trainer);
    }
}

/// Nothing is in 8 bits: the slot of scales is there all the same.
#[test]
fn a_net_of_small_tensors_trains() {
    let data = Dataset::from_arrays("one", [3], vec![1.0; 3], [], vec![0.0]).expect("a sample");
    let tiny = |net: &Net, x: &Tensor| net.parameter("w", [3], Init::Constant(1.0)).mul(x).sum_all();
    let options = TrainOptions { batch_size: BatchSize::Full, ..TrainOptions::default() };
    let gpu = open(Family::Tiled);
    let mut trainer =
        Trainer::new(&gpu, &tiny, &|y, _| y.clone(), adamw(0.5, 8), &data, &options).expect("a trainer");
    trainer.advance(1).expect("a step");
    let w = &trainer.state_dict().expect("weights")[0].values;
    // 1 - 0.5 (0.01 + 1 / (1 + 1e-4))
    let want = 1.0 - 0.5 * (0.01 + 1.0 / 1.0001);
    assert!(w.iter().all(|&w| (f64::from(w) - want).abs() <= 64.0 * 2f64.powi(-24)), "{w:?} {want}");
}

#[test]
fn a_net_learns_as_much_as_in_32_bits() {
    let accuracy = |bits: u32| {
        let text = format!(
            "[data]\nsource = \"digits\"\nbatch_size = 32\n[model]\nlayers = [\"flatten\", {{ linear = 128 }}, \"relu\", \
             {{ linear = 64 }}, \"relu\", {{ linear = 10 }}]\nloss = \"cross_entropy\"\n[optimizer]\nname = \"adamw\"\n\
             lr = 2e-3\nstate_bits = {bits}\n[train]\nepochs = 15\n"
        );
        let config = Config::parse(&text, &[]).expect("a config");
        assert_eq!(Config::parse(&config.to_toml(), &[]).expect("its own"), config);
        let data = config.dataset().expect("digits");
        let mut trainer = config.trainer(&open(families()[0]), &data).expect("a trainer");
        let last = trainer.run(&mut ()).expect("a run").last.expect("an epoch");
        last.eval_accuracy.expect("classes")
    };
    let [narrow, wide] = [8, 32].map(accuracy);
    println!("accuracy: {narrow} in 8 bits, {wide} in 32");
    assert!(wide > 0.9 && narrow >= wide - 0.01, "{narrow} in 8 bits, {wide} in 32");
}
