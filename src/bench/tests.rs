//! The lists of ops and the rules in f64, written apart, agree; and a wrong update is found.

use toml::Table;

use super::arenas::{Arenas, Span};
use super::call::noise;
use super::reference::{Element, NAMES, Near, Settings};
use super::unfused::{Array, Call, Op, TEMPORARIES, calls};
use super::update::{GRAIN, Update};
use crate::gpu::{Gpu, GpuOptions};
use crate::optim::{AdamW, Optimizer};

const STEP: u64 = 10;

/// torch's defaults, but for weight decay; NAdam's and RAdam's too, and the slots as torch names them.
fn settings(name: &str) -> (Settings, Vec<&'static str>) {
    let (keys, slots): (&str, &[&str]) = match name {
        "sgd" => ("lr = 1e-3", &[]),
        "momentum" => ("lr = 1e-3\nmomentum = 0.9\ndampening = 0.3", &["momentum_buffer"]),
        "rmsprop" => ("lr = 1e-2\nalpha = 0.99\neps = 1e-8", &["square_avg"]),
        "adam" | "adamw" | "radam" => {
            ("lr = 1e-3\nbetas = [0.9, 0.999]\neps = 1e-8", &["exp_avg", "exp_avg_sq"])
        }
        "nadam" => {
            ("lr = 2e-3\nbetas = [0.9, 0.999]\neps = 1e-8\nmomentum_decay = 4e-3", &["exp_avg", "exp_avg_sq"])
        }
        "adamax" => ("lr = 2e-3\nbetas = [0.9, 0.999]\neps = 1e-8", &["exp_avg", "exp_inf"]),
        "adagrad" => ("lr = 1e-2\nlr_decay = 0.1\neps = 1e-10", &["sum"]),
        "adadelta" => ("lr = 1.0\nrho = 0.9\neps = 1e-6", &["square_avg", "acc_delta"]),
        "lion" => ("lr = 1e-4\nbetas = [0.9, 0.99]", &["exp_avg"]),
        other => panic!("no settings for {other}"),
    };
    let real = if name == "momentum" { "sgd" } else { name };
    let text = format!("name = \"{real}\"\nweight_decay = 0.1\n{keys}");
    (Settings { table: text.parse::<Table>().unwrap() }, slots.to_vec())
}

/// One element of every array, in f32, changed by an op.
struct Host<'h> {
    param: f32,
    grad: f32,
    names: &'h [&'static str],
    slots: Vec<f32>,
    temporaries: [f32; TEMPORARIES],
}

impl Host<'_> {
    fn at(&mut self, array: Array) -> &mut f32 {
        match array {
            Array::Param => &mut self.param,
            Array::Grad => &mut self.grad,
            Array::Slot(name) => &mut self.slots[self.names.iter().position(|n| *n == name).unwrap()],
            Array::Temporary(i) => &mut self.temporaries[i],
        }
    }

    fn run(&mut self, call: &Call) {
        let (x, a, b, s) = (*self.at(call.x), *self.at(call.a), *self.at(call.b), call.s);
        *self.at(call.x) = match call.op {
            Op::Mul => x * s,
            Op::Add => x + s,
            Op::Lerp => x + s * (a - x),
            Op::AddScaled => x + s * a,
            Op::AddProduct => x + s * a * b,
            Op::AddQuotient => x + s * a / b,
            Op::Sqrt => x.sqrt(),
            Op::MulBy => x * a,
            Op::DivBy => x / a,
            Op::Max => x.max(a),
            Op::AbsOf => a.abs(),
            Op::Sign => x.signum(),
            Op::Over => s / x,
            Op::SumOf => a + s * b,
            Op::SqrtOf => a.sqrt(),
            Op::ShiftOf => a + s,
            Op::ScaleOf => a * s,
        };
    }
}

#[test]
fn the_ops_of_every_optimizer_make_its_update() {
    for name in NAMES.into_iter().chain(["momentum"]) {
        let (settings, names) = settings(name);
        let list = calls(&settings, STEP).unwrap();
        for four in noise(3, 4000, -1.0, 1.0).chunks_exact(4) {
            let first = |slot: &&str| {
                let signed = ["exp_avg", "momentum_buffer"].contains(slot);
                if signed { four[2] } else { 0.1 + four[3].abs() }
            };
            let slots: Vec<f32> = names.iter().map(first).collect();
            let near = slots.iter().map(|s| Near::exact(*s)).collect();
            let mut want = Element {
                param: Near::exact(four[0]),
                grad: Near::exact(four[1]),
                names: &names,
                slots: near,
            };
            want.step(&settings, STEP).unwrap();
            let temporaries = [f32::NAN; TEMPORARIES];
            let mut got = Host { param: four[0], grad: four[1], names: &names, slots, temporaries };
            list.iter().for_each(|call| got.run(call));
            assert_eq!(got.grad, four[1], "{name} changed the gradient");
            let all = std::iter::once((got.param, want.param)).chain(got.slots.into_iter().zip(want.slots));
            for (i, (got, near)) in all.enumerate() {
                let off = (f64::from(got) - near.value).abs();
                assert!(off <= 2.0 * near.off, "{name}, array {i}: {got}, not {near:?}");
                // The bound is far below what a step moves, so that a wrong step is seen.
                let step = (near.value - f64::from(four[0])).abs();
                assert!(i > 0 || near.off < 1e-2 * step.max(1e-4), "{name}: {near:?} after a step of {step}");
            }
        }
    }
}

#[test]
fn an_op_counts_what_it_moves() {
    let of = |op, x, a, b| Call { op, x, a, b, s: 1.0 }.bytes();
    let (w, g, m) = (Array::Param, Array::Grad, Array::Slot("exp_avg"));
    // In place: x read and written. addcmul of g with itself reads g once.
    assert_eq!(of(Op::Mul, w, w, w), 8);
    assert_eq!(of(Op::AddProduct, m, g, g), 12);
    assert_eq!(of(Op::AddQuotient, w, g, m), 16);
    assert_eq!(of(Op::SqrtOf, Array::Temporary(0), m, m), 8);
    // torch's single-tensor AdamW, by the book.
    let (settings, _) = settings("adamw");
    let list = calls(&settings, STEP).unwrap();
    assert_eq!((list.len(), list.iter().map(Call::bytes).sum::<u32>()), (8, 80));
}

#[test]
fn a_wrong_update_is_refused_before_it_is_timed() {
    let options = |adapter: &str| GpuOptions { adapter: adapter.into(), ..GpuOptions::default() };
    let gpu = Gpu::open(&options("software")).or_else(|_| Gpu::open(&options("auto"))).unwrap();
    let adamw = |lr| Optimizer::AdamW(AdamW { lr, ..AdamW::default() });
    let update = Update::new(&gpu, &adamw(1e-3), STEP).unwrap();
    // More than is checked whole, in two sets.
    let (elements, sets) = (64 * GRAIN, 2);
    let arenas = Arenas::new(&gpu, &update.arrays(), elements, sets).unwrap();
    let after_one_update = |set: usize, settings: &Settings| {
        arenas.reset(&gpu, set);
        let span = Span { set, first: 0, elements };
        let dispatch = update.dispatch(&gpu, elements, |name| arenas.place(name, span)).unwrap();
        let mut recorder = gpu.recorder();
        recorder.pass(&[dispatch], 1);
        recorder.submit().unwrap();
        arenas.check(&gpu, set, settings, STEP, "fused")
    };
    let right = Settings::of(&adamw(1e-3)).unwrap();
    for set in 0..sets {
        let share = after_one_update(set, &right).unwrap();
        assert!(share > 0.0 && share <= 1.0, "{share}");
    }
    // A thousandth more of a step is seen.
    let wrong = Settings::of(&adamw(1.001e-3)).unwrap();
    let text = after_one_update(1, &wrong).unwrap_err().to_string();
    assert!(text.contains("adamw fused: element") && text.contains("nothing was timed"), "{text}");
}
