//! The lists of ops agree with the rules in f64, which are written independently. A wrong update is found.

use super::arenas::Arenas;
use super::list::{Array, Call, List, Number, Op, TEMPORARIES};
use super::unfused::ops;
use super::update::{GRAIN, Update};
use super::{OptimBench, Options, Way};
use crate::check::Near;
use crate::check::noise;
use crate::check::{Element, Settings, TensorTerms};
use crate::gpu::{Gpu, GpuOptions};
use crate::kernel::{Family, Target};
use crate::optim::{Adafactor, AdamW, Lamb, Lars, Muon, Optimizer};

const STEP: u64 = 10;

/// The defaults with weight decay and with numbers in place of zeros, and the names of the slots.
fn settings(name: &str) -> (Settings, Vec<&'static str>) {
    let (real, others) = match name {
        "momentum" => ("sgd", ", momentum = 0.9, dampening = 0.3"),
        "adagrad" => (name, ", lr_decay = 0.1"),
        "schedule_free_adamw" | "schedule_free_sgd" => (name, ", warmup_steps = 4, r = 1.0"),
        name => (name, ""),
    };
    let optimizer = Optimizer::parse(real, &format!("weight_decay = 0.1{others}")).unwrap();
    (Settings::from_optimizer(&optimizer).unwrap(), optimizer.kernel().slots)
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
        let (x, a, b) = (*self.at(call.x), *self.at(call.a), *self.at(call.b));
        let s = match call.s {
            Number::Plain(s) => s,
            Number::Of(array) => *self.at(array),
        };
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
            Op::LerpOf => a + s * (b - a),
            Op::QuotientOf => a / b,
            Op::Div => x / s,
            Op::AtLeast => x.max(s),
            Op::OverRoot => 1.0 / x.sqrt(),
            Op::Square => x * x,
        };
    }
}

/// Optimizers that look at whole tensors. Only a device computes their norms and products. The tests below cover them.
const BY_TENSOR: [&str; 4] = ["lamb", "lars", "adafactor", "muon"];

#[test]
fn the_ops_of_elementwise_optimizers_make_their_update() {
    let elementwise = Optimizer::NAMES.into_iter().filter(|name| !BY_TENSOR.contains(name));
    for name in elementwise.chain(["momentum"]) {
        let (settings, names) = settings(name);
        let Some(list) = ops(&settings, STEP, [1, GRAIN], Target::new(Family::Subgroup)).unwrap() else {
            continue;
        };
        let list = list.calls().expect(name);
        for four in noise(3, 4000, -1.0, 1.0).chunks_exact(4) {
            let first = |slot: &&str| {
                let signed = ["exp_avg", "momentum_buffer", "z"].contains(slot);
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
            want.step(&settings, STEP, TensorTerms::default()).unwrap();
            let temporaries = [f32::NAN; TEMPORARIES];
            let mut got = Host { param: four[0], grad: four[1], names: &names, slots, temporaries };
            list.iter().for_each(|call| got.run(call));
            assert_eq!(got.grad, four[1], "{name} changed the gradient");
            let all = std::iter::once((got.param, want.param)).chain(got.slots.into_iter().zip(want.slots));
            for (i, (got, near)) in all.enumerate() {
                let error = (f64::from(got) - near.value).abs();
                assert!(error <= 2.0 * near.bound, "{name}, array {i}: {got}, not {near:?}");
                // The bound is far below the movement of a step, so a wrong step is seen.
                let step = (near.value - f64::from(four[0])).abs();
                assert!(
                    i > 0 || near.bound < 1e-2 * step.max(1e-4),
                    "{name}: {near:?} after a step of {step}"
                );
            }
        }
    }
}

#[test]
fn an_op_counts_what_it_moves() {
    let of = |op, x, a, b| Call { op, x, a, b, s: Number::Plain(1.0) }.bytes();
    let (w, g, m) = (Array::Param, Array::Grad, Array::Slot("exp_avg"));
    // In place: x read and written. addcmul of g with itself reads g once.
    assert_eq!(of(Op::Mul, w, w, w), 8);
    assert_eq!(of(Op::AddProduct, m, g, g), 12);
    assert_eq!(of(Op::AddQuotient, w, g, m), 16);
    assert_eq!(of(Op::SqrtOf, Array::Temporary(0), m, m), 8);
    // torch's single-tensor AdamW, by the book.
    let (settings, _) = settings("adamw");
    let of = |settings| ops(settings, STEP, [3, GRAIN], Target::new(Family::Subgroup)).unwrap().unwrap();
    let list: List = of(&settings);
    assert_eq!((list.dispatches(), list.bytes()), (8, 80 * 3 * GRAIN as u64));
    // A number for each row or column is not one for each parameter.
    let adafactor = Settings::from_optimizer(&Optimizer::Adafactor(Adafactor::default())).unwrap();
    let mut list = of(&adafactor);
    assert_eq!(["row_var", "col_var"].map(|name| list.length(Array::Slot(name))), [3, GRAIN]);
    let before = list.bytes();
    list.push(Op::Mul, Array::Slot("row_var"), [], 1.0);
    assert_eq!(list.bytes() - before, 8 * 3);
}

fn software() -> Gpu {
    let options = |adapter: &str| GpuOptions { adapter: adapter.into(), ..GpuOptions::default() };
    Gpu::open(&options("software")).or_else(|_| Gpu::open(&options("auto"))).unwrap()
}

/// The right settings, and settings whose step is slightly longer, by more than the bound allows.
fn right_and_wrong() -> [(Optimizer, Optimizer); 5] {
    let (lamb, lars) = (Lamb::default(), Lars::default());
    let (adafactor, muon) = (Adafactor::default(), Muon::default());
    [
        (Optimizer::AdamW(AdamW::default()), Optimizer::AdamW(AdamW { lr: 1.001e-3, ..AdamW::default() })),
        (Optimizer::Lamb(lamb.clone()), Optimizer::Lamb(Lamb { lr: 1.01e-3, ..lamb })),
        (Optimizer::Lars(lars.clone()), Optimizer::Lars(Lars { trust_coefficient: 1.01e-3, ..lars })),
        (Optimizer::Adafactor(adafactor.clone()), Optimizer::Adafactor(Adafactor { d: 1.01, ..adafactor })),
        (
            Optimizer::Muon(muon.clone()),
            Optimizer::Muon(Muon { ns_coefficients: [3.4445, -4.775, 2.0], ..muon }),
        ),
    ]
}

#[test]
fn a_wrong_update_is_refused_before_it_is_timed() {
    let gpu = software();
    // More elements than are checked in full, in two sets.
    let (shape, tensors, sets) = ([32, GRAIN], 3, 2);
    for (right, wrong) in right_and_wrong() {
        let update = Update::new(&gpu, &right, STEP).unwrap();
        let arenas = Arenas::new(&gpu, &update, shape, tensors, sets).unwrap();
        let planned = update.of(&gpu, shape, tensors).unwrap();
        let after_one_update = |set: usize, optimizer: &Optimizer| {
            let expected = arenas.expected(set, &Settings::from_optimizer(optimizer).unwrap(), STEP).unwrap();
            arenas.reset(&gpu, Way::Fused, &expected).unwrap();
            let dispatches = update.dispatches(&gpu, &planned, |name| arenas.set(name, set)).unwrap();
            let mut recorder = gpu.recorder();
            recorder.pass(&dispatches, 1);
            recorder.submit().unwrap();
            arenas.check(&gpu, right.name(), Way::Fused, &expected)
        };
        for set in 0..sets {
            let share = after_one_update(set, &right).unwrap();
            assert!(share > 0.0 && share <= 1.0, "{}: {share}", right.name());
        }
        let text = after_one_update(1, &wrong).expect_err(right.name()).to_string();
        let begins = format!("{} fused: element", right.name());
        assert!(text.contains(&begins) && text.contains("nothing was timed"), "{text}");
    }
}

/// Tall, square and wide matrices, checked in all ways before they are timed.
#[test]
fn optimizers_that_look_at_tensors_are_measured_at_every_shape() {
    let bench = OptimBench {
        optimizers: BY_TENSOR.map(str::to_owned).to_vec(),
        sizes: vec![5 * GRAIN, GRAIN * GRAIN, 300 * GRAIN],
        tensors: vec![1, 3],
    };
    let mut options = Options::new(true);
    options.effort = options.effort.exactly(1);
    let report = bench.run(&software(), &options).unwrap();
    // One tensor is updated in two ways, three tensors in three.
    assert_eq!(report.sheets[0].rows.len(), BY_TENSOR.len() * 3 * (2 + 3));
}
