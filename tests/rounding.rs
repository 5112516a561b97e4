//! Weights rounded to f16 by chance: neighbours only, right on average, the same bits for the same seed and step.

mod adapter;

use adapter::{families, open};
use downhill::compile::{TrainOptions, TrainPlan};
use downhill::config::Config;
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::Family;
use downhill::kernel::Target;
use downhill::kernel::{Precision, Rounding};
use downhill::nn::Net;
use downhill::optim::{Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::plan::{Memory, Program};
use downhill::train::Trainer;
use downhill::{Gpu, Init, Tensor};

/// A matrix of the given rows and columns.
const SIDE: usize = 256;

fn options(weight_rounding: Rounding, precision: Precision) -> TrainOptions {
    TrainOptions { weight_rounding, precision, batch_size: BatchSize::Full, ..TrainOptions::default() }
}

fn train_plan(
    family: Family,
    rounding: Rounding,
    precision: Precision,
) -> downhill::error::Result<TrainPlan> {
    let data = Dataset::from_arrays("one", [SIDE], vec![1.0; SIDE], [], vec![0.0])?;
    let data = data.with_eval(vec![1.0; SIDE], vec![0.0])?;
    let model =
        |net: &Net, x: &Tensor| x.matmul(&net.parameter("w", [SIDE, SIDE], Init::Constant(0.0))).sum_all();
    let target = options(rounding, precision).target(Target::new(family));
    let batches = BatchPlan::new(1, BatchSize::Full, false)?;
    TrainPlan::builder(&data, Optimizer::Sgd(Sgd::default()))
        .model(&model, &|y, _| y.clone())
        .batches(batches)
        .target(target)
        .build()
}

/// The kernel that rounds, alone.
struct Rounds {
    gpu: Gpu,
    memory: Memory,
    program: Program,
}

impl Rounds {
    /// None where the adapter has no f16.
    fn new(family: Family, rounding: Rounding, mutant: Option<(&str, &str)>) -> Option<Rounds> {
        let gpu = open(family);
        if !gpu.has_f16() {
            eprintln!("{} has no shader-f16: nothing to test", gpu.adapter().name);
            return None;
        }
        let train_plan = train_plan(family, rounding, Precision::F16).expect("a plan");
        let mut plan = train_plan.train[0].plan.clone();
        plan.steps.retain(|step| step.kernel.entry.starts_with("half_weights"));
        if let Some((from, to)) = mutant {
            let text = &mut plan.steps[0].kernel.wgsl;
            assert!(text.contains(from), "no `{from}` left to mutate");
            *text = text.replace(from, to);
        }
        let memory = Memory::allocate(&gpu, &train_plan.memory).expect("memory");
        let program = Program::new(&gpu, &plan, &memory).expect("a kernel");
        Some(Rounds { gpu, memory, program })
    }

    /// The bits that `values`, again and again, are rounded to, with these words of the state from its second on.
    fn bits(&self, values: &[f32], words: [u32; 4]) -> Vec<u16> {
        let all: Vec<f32> = (0..SIDE * SIDE).map(|i| values[i % values.len()]).collect();
        self.gpu.write(self.memory.get("parameters"), 0, bytemuck::cast_slice(&all));
        self.gpu.write(self.memory.get("state"), 4, bytemuck::cast_slice(&words));
        let mut recorder = self.gpu.recorder();
        recorder.pass(&self.program.dispatches, 1);
        recorder.submit().expect("a pass");
        let half = self.memory.get("parameters (f16)");
        let bytes = pollster::block_on(self.gpu.read(half, 0, 2 * all.len() as u64)).expect("bytes");
        bytemuck::pod_collect_to_vec(&bytes)
    }
}

/// [open, before, seed, seed]
fn step(open: u32, before: u32) -> [u32; 4] {
    [open, before, 7, 1]
}

/// The value of an f16 with these bits.
fn value(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, part) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => part * 2f64.powi(-24),
        31 if part == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + part) * 2f64.powi(exponent - 25),
    }
}

/// The f16 next to `x` below and above in size, as bits without the sign; twice the same where `x` is one.
fn neighbours(x: f32) -> [u16; 2] {
    let size = f64::from(x.abs());
    let above = (0..=31 << 10).find(|&bits| value(bits) >= size).expect("infinity is above all");
    [if value(above) == size { above } else { above - 1 }, above]
}

/// Of all sizes between the least f16 and the largest, the places between neighbours too.
fn inexact() -> Vec<f32> {
    let mut values =
        vec![1.0 + 1.0 / 2048.0, 1.5 + 1.0 / 8192.0, -3.0 - 1.0 / 1024.0, 0.1, -0.7, 65_503.0, 1e-9];
    let least = 2f32.powi(-24);
    values.extend([
        0.25 * least,
        -0.5 * least,
        3.3 * least,
        1022.75 * least,
        -1023.25 * least,
        1024.6 * least,
    ]);
    values.extend((0..38).map(|i| (0.537 + 0.012 * i as f32) * 2f32.powi(i - 23)));
    values
}

const EXACT: [f32; 12] = [
    0.0,
    -0.0,
    1.0,
    -2.5,
    65_504.0,
    -65_504.0,
    5.960_464_5e-8,
    -2.980_232_2e-7,
    6.103_515_6e-5,
    6.097_555e-5,
    4100.0,
    0.333_251_95,
];

/// What is wrong with means over eight steps.
///
/// # Tolerance
/// Of n independent draws with probability p, the count lies within t = L/3 + √(L²/9 + 2np(1 − p)L) of np but with
/// probability 2e^−L (Bernstein). L = 30 leaves one in 10¹¹ for all values together. Below 2⁻¹⁴ draws are multiples of
/// 2⁻²⁴, so p is off by that.
fn faults(rounds: &Rounds) -> Vec<String> {
    let values = inexact();
    let steps: Vec<Vec<u16>> = (0..8).map(|s| rounds.bits(&values, step(1, s))).collect();
    let mut faults = Vec::new();
    for (v, &x) in values.iter().enumerate() {
        let [low, high] = neighbours(x);
        assert_ne!(low, high, "{x} is an f16");
        let sign = if x < 0.0 { 1 << 15 } else { 0 };
        let drawn = || steps.iter().flat_map(|bits| bits.iter().skip(v).step_by(values.len()));
        if let Some(other) = drawn().find(|&&b| b != low | sign && b != high | sign) {
            faults.push(format!("{x} became {}", value(*other)));
            continue;
        }
        let n = drawn().count() as f64;
        let ups = drawn().filter(|&&b| b == high | sign).count() as f64;
        let p = (f64::from(x.abs()) - value(low)) / (value(high) - value(low));
        let l = 30.0;
        let bound = l / 3.0 + (l * l / 9.0 + 2.0 * n * p * (1.0 - p) * l).sqrt() + n * 2f64.powi(-24);
        if (ups - n * p).abs() > bound {
            faults.push(format!("{x}: {ups} times up of {n}, and {} ± {bound} are expected", n * p));
        }
    }
    faults
}

#[test]
fn results_are_neighbours_and_right_on_average() {
    for &family in families() {
        let Some(rounds) = Rounds::new(family, Rounding::Stochastic, None) else { return };
        let faults = faults(&rounds);
        assert!(faults.is_empty(), "{family:?}: {faults:#?}");
    }
}

#[test]
fn mutants_are_noticed() {
    let mutants = [
        ("drawn >> vec4<u32>(19u)", "drawn >> vec4<u32>(20u)"),
        ("drawn >> vec4<u32>(19u)", "drawn >> vec4<u32>(18u)"),
        ("select(low, low + 1.0, up)", "low"),
        ("0xffffe000u", "0xffffc000u"),
        ("0x38800000u", "0x38000000u"),
        ("0x38800000u", "0x39800000u"),
        ("select(least, -least, bits != size)", "least"),
        ("0x477fe000u", "0x3f800000u"),
    ];
    for mutant in mutants {
        let Some(rounds) = Rounds::new(Family::Tiled, Rounding::Stochastic, Some(mutant)) else { return };
        assert!(!faults(&rounds).is_empty(), "nobody notices {mutant:?}");
    }
}

#[test]
fn exact_values_stay_and_what_does_not_fit_goes_to_the_nearest() {
    for &family in families() {
        let Some(rounds) = Rounds::new(family, Rounding::Stochastic, None) else { return };
        let nearest = Rounds::new(family, Rounding::Nearest, None).expect("f16");
        for s in 0..4 {
            let bits = rounds.bits(&EXACT, step(1, s));
            for (i, &b) in bits.iter().enumerate() {
                let x = EXACT[i % EXACT.len()];
                let same = value(b) == f64::from(x) && (b >> 15 == 1) == x.is_sign_negative();
                assert!(same, "{x} became {}", value(b));
            }
            let past = [65_505.0, -65_519.0, 65_521.0, -1e6, 3e38, f32::INFINITY, f32::NEG_INFINITY];
            assert_eq!(rounds.bits(&past, step(1, s)), nearest.bits(&past, step(1, s)), "{family:?}");
            let nan = rounds.bits(&[f32::NAN, -f32::NAN], step(1, s));
            assert!(nan.iter().all(|&b| value(b).is_nan()), "{family:?}");
        }
    }
}

#[test]
fn draws_are_of_seed_and_step() {
    for &family in families() {
        let Some(rounds) = Rounds::new(family, Rounding::Stochastic, None) else { return };
        let of = |words| rounds.bits(&[1.0 + 1.0 / 2048.0], words);
        let first = of(step(1, 0));
        assert_eq!(first, of(step(1, 0)), "{family:?}");
        assert_eq!(of(step(3, 4)), of(step(1, 6)), "{family:?}: windows matter");
        // Two steps, or two seeds, are up together for a fourth of all, within Bernstein's bound of `faults`.
        for other in [step(1, 1), [1, 0, 8, 1], [1, 0, 7, 2]] {
            let n = first.len() as f64;
            let both = first.iter().zip(of(other)).filter(|&(&a, b)| a != 0x3c00 && b != 0x3c00).count();
            let bound = 10.0 + (100.0 + 2.0 * n * 3.0 / 16.0 * 30.0).sqrt();
            assert!((both as f64 - n / 4.0).abs() <= bound, "{family:?} {other:?}: {both} of {n}");
        }
    }
}

#[test]
fn training_rounds_by_chance_and_evaluation_does_not() {
    for family in [Family::Subgroup, Family::Tiled] {
        let plan = train_plan(family, Rounding::Stochastic, Precision::F16).expect("a plan");
        let entry = |builds: &[downhill::compile::StepPlan]| {
            let mut entries = builds[0].plan.steps.iter().map(|step| step.kernel.entry);
            entries.find(|entry| entry.starts_with("half_weights")).expect("weights in f16")
        };
        assert_eq!((entry(&plan.train), entry(&plan.eval)), ("half_weights_stochastic", "half_weights"));
    }
}

fn config(settings: &[&str]) -> downhill::error::Result<Config> {
    let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    Config::parse(include_str!("../examples/digits.toml"), &settings)
}

#[test]
fn a_net_learns_and_equal_seeds_are_equal_bits() {
    for gpu in families().iter().map(|&family| open(family)).filter(Gpu::has_f16) {
        let trainer = |seed: &str| {
            let settings =
                ["train.precision=f16", "train.weight_rounding=stochastic", "train.epochs=8", seed];
            let config = config(&settings).expect("a config");
            config.trainer(&gpu, &config.dataset().expect("digits")).expect("a trainer")
        };
        let bits = |trainer: &Trainer| -> Vec<u32> {
            let flat = |t: NamedTensor| t.values.into_iter().map(f32::to_bits);
            trainer.state_dict().expect("weights").into_iter().flat_map(flat).collect()
        };
        let (mut whole, mut parts) = (trainer("seed=3"), trainer("seed=3"));
        let last = whole.run(&mut ()).expect("a run").last.expect("an epoch");
        assert!(last.eval_accuracy.is_some_and(|a| a > 0.93), "{:?}", last.eval_accuracy);
        let mut left = whole.steps_done();
        for n in [1, 2, 5, 30].into_iter().cycle() {
            let n = left.min(n);
            parts.advance(n).expect("steps");
            left -= n;
            if left == 0 {
                break;
            }
        }
        assert_eq!(bits(&whole), bits(&parts));
    }
}

#[test]
fn the_key_is_read_and_written_and_needs_f16() {
    let both = ["train.precision=f16", "train.weight_rounding=stochastic"];
    let rounding = |config: &Config| config.options.weight_rounding;
    let asked = config(&both).expect("a config");
    assert_eq!(rounding(&asked), Rounding::Stochastic);
    assert_eq!(rounding(&Config::parse(&asked.to_toml(), &[]).expect("its own")), Rounding::Stochastic);
    let plain = config(&[]).expect("a config");
    assert_eq!(rounding(&plain), Rounding::Nearest);
    assert_eq!(rounding(&Config::parse(&plain.to_toml(), &[]).expect("its own")), Rounding::Nearest);
    let words = "train.weight_rounding = \"stochastic\": weights in f32 are not rounded; set train.precision = \"f16\"";
    let refused = [
        config(&both[1..]).map(drop),
        train_plan(Family::Tiled, Rounding::Stochastic, Precision::F32).map(drop),
    ];
    for refused in refused {
        let error = refused.expect_err("no rounding in f32").to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = config(&["train.weight_rounding=up"]).expect_err("no such rounding").to_string();
    assert!(
        error.contains("train.weight_rounding = \"up\": \"nearest\" or \"stochastic\" is needed"),
        "{error}"
    );
}
