//! The functions of `shaders/shared/math.wgsl` against f64, in units in the last place of the exact result.
//!
//! A unit is relative, so a result of 1e-30 has to be as good as one of 1: what a sum with 1 rounds away is seen.

mod adapter;
#[path = "oracle/erf.rs"]
mod erf;

use std::sync::OnceLock;

use downhill::nn::loss;
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};

fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| adapter::open_with(GpuOptions::default()))
}

/// The distance of two neighbouring f32s near x, at least that of the smallest normal ones.
fn unit(x: f64) -> f64 {
    2f64.powi(x.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor() as i32 - 23)
}

/// f(x) of every number, in calls of one length.
fn apply(f: impl Fn(&Tensor) -> Tensor, x: &[f32]) -> Vec<f32> {
    let graph = Graph::new();
    let length = x.len().min(1 << 20);
    let y = f(&graph.input("x", [length]));
    let mut function = Function::new(gpu(), &graph, &[&y]).expect("compiles");
    let mut out = Vec::new();
    for part in x.chunks(length) {
        let mut part = part.to_vec();
        let given = part.len();
        part.resize(length, 0.0);
        out.extend_from_slice(&function.call(&[("x", Value::F32(&part))]).expect("runs")[0][..given]);
    }
    out
}

/// Every `stride`-th f32 from `low` to `high`, in their order, and `high`.
fn numbers(low: f32, high: f32, stride: usize) -> impl Iterator<Item = f32> {
    let place = |x: f32| {
        let size = i64::from(x.to_bits() & 0x7fff_ffff);
        if x < 0.0 { -size } else { size }
    };
    let number = |place: i64| {
        let size = f32::from_bits(place.unsigned_abs() as u32);
        if place < 0 { -size } else { size }
    };
    (place(low)..=place(high)).step_by(stride).map(number).chain([high])
}

/// A function, the numbers at which it is looked at, the units that it may be off, and its exact value.
struct Row {
    name: &'static str,
    range: (f32, f32),
    units: f64,
    build: fn(&Tensor) -> Tensor,
    exact: fn(f64) -> f64,
}

const fn row(
    name: &'static str,
    range: (f32, f32),
    units: f64,
    build: fn(&Tensor) -> Tensor,
    exact: fn(f64) -> f64,
) -> Row {
    Row { name, range, units, build, exact }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn elu(x: f64) -> f64 {
    if x > 0.0 { x } else { x.exp_m1() }
}

const EVERY: (f32, f32) = (-3.4e38, 3.4e38);

/// The functions of math.wgsl. What is measured on lavapipe is about half of the units, which are those of a driver that
/// divides as roughly as WGSL allows.
const FUNCTIONS: &[Row] = &[
    row("exp", (-87.0, 88.5), 2.0, |x| x.exp(), f64::exp),
    row("log", (1.2e-38, 3.4e38), 2.0, |x| x.log(), f64::ln),
    row("sin", EVERY, 4.0, |x| x.sin(), f64::sin),
    row("cos", EVERY, 4.0, |x| x.cos(), f64::cos),
    row("tanh", (-30.0, 30.0), 4.0, |x| x.tanh(), f64::tanh),
    row("sigmoid", (-87.0, 87.0), 4.0, |x| x.sigmoid(), sigmoid),
    row("erf", (-9.0, 9.0), 4.0, |x| x.erf(), erf::erf),
    row("elu", (-87.0, 87.0), 4.0, |x| x.elu(1.0), elu),
    row("softplus", (-87.0, 87.0), 4.0, |x| x.softplus(1.0, 100.0), softplus),
    row("pow 2.7", (3e-14, 1e14), 4.0, |x| x.pow_scalar(2.7), |x| x.powf(f64::from(2.7f32))),
    row("pow -0.3", (1.2e-38, 3.4e38), 4.0, |x| x.pow_scalar(-0.3), |x| x.powf(f64::from(-0.3f32))),
    row("pow 700", (0.9, 1.1), 4.0, |x| x.pow_scalar(700.0), |x| x.powf(700.0)),
    row("pow 3e6", (0.999_98, 1.000_02), 4.0, |x| x.pow_scalar(3e6), |x| x.powf(3e6)),
];

fn measure(row: &Row, stride: usize) {
    let x: Vec<f32> = numbers(row.range.0, row.range.1, stride).collect();
    // The worst, and where.
    let (mut worst, mut at) = (0.0, String::new());
    for part in x.chunks(1 << 22) {
        for (&x, got) in part.iter().zip(apply(row.build, part)) {
            let want = (row.exact)(f64::from(x));
            // Below the normal range an adapter may take a number for 0.
            if x.is_subnormal() || want != 0.0 && want.abs() < f64::from(f32::MIN_POSITIVE) {
                continue;
            }
            let off = (f64::from(got) - want).abs() / unit(want);
            if off.is_nan() || off > worst {
                (worst, at) = (off, format!("{x:e}: {got:e} where {want:e} is exact"));
            }
            assert!(off <= row.units, "{}: {off} units at {at}", row.name);
        }
    }
    println!("{:10} {worst:.2} units, at {at}", row.name);
}

#[test]
fn small_results_are_as_good_as_large_ones() {
    FUNCTIONS.iter().for_each(|row| measure(row, 4001));
}

/// Some minutes.
#[test]
#[ignore = "looks at each of two thousand million numbers"]
fn softplus_is_right_for_every_f32() {
    FUNCTIONS.iter().filter(|row| row.name == "softplus").for_each(|row| measure(row, 1));
}

/// A single logit against a single label, and the gradient.
#[test]
fn binary_cross_entropy_of_a_certain_answer_keeps_its_digits() {
    for label in [0.0f32, 1.0] {
        let graph = Graph::new();
        let x = graph.input("x", [1]);
        let value = loss::bce_with_logits(&x, &graph.constant(label).reshape([1]));
        let gradient = graph.grad(&value, &[&x]).swap_remove(0);
        let mut function = Function::new(gpu(), &graph, &[&value, &gradient]).expect("compiles");
        let toward = 1.0 - 2.0 * f64::from(label);
        for x in numbers(-87.0, 87.0, 700_001).chain([0.0]) {
            let got = function.call(&[("x", Value::F32(&[x]))]).expect("runs");
            // log(1 + e^x) for label 0 and log(1 + e^-x) for label 1.
            let wrong = toward * f64::from(x);
            for (got, want) in [(got[0][0], softplus(wrong)), (got[1][0], toward * sigmoid(wrong))] {
                let off = (f64::from(got) - want).abs() / unit(want);
                assert!(
                    off <= 4.0,
                    "label {label}, logit {x:e}: {got:e} where {want:e} is exact: {off} units"
                );
            }
        }
    }
}

/// Pairs at the ends of the range, with C's results.
#[test]
fn powers_at_the_ends_are_those_of_c() {
    let ends =
        [0.0f32, -0.0, 0.5, 1.0, 1.5, 2.0, 3.0, f32::MAX, f32::INFINITY, f32::NAN, 16_777_217.0, 1e-30];
    let all: Vec<f32> = ends.iter().flat_map(|x| [*x, -x]).collect();
    let pairs: Vec<(f32, f32)> = all.iter().flat_map(|a| all.iter().map(|b| (*a, *b))).collect();
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [pairs.len()]), graph.input("b", [pairs.len()]));
    let mut function = Function::new(gpu(), &graph, &[&a.pow(&b)]).expect("compiles");
    let (left, right): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
    let got =
        function.call(&[("a", Value::F32(&left)), ("b", Value::F32(&right))]).expect("runs").swap_remove(0);
    for ((a, b), got) in pairs.into_iter().zip(got) {
        let want = f64::from(a).powf(f64::from(b));
        let rounded = want as f32;
        let same = match rounded {
            _ if rounded.is_nan() => got.is_nan(),
            // Below the normal range an adapter may flush to zero.
            _ if want.abs() < f64::from(f32::MIN_POSITIVE) => got.abs() < f32::MIN_POSITIVE,
            _ if rounded.is_infinite() => got == rounded,
            _ => (f64::from(got) - want).abs() <= 4.0 * unit(want),
        };
        assert!(same, "pow({a:e}, {b:e}) is {got:e} where {want:e} is exact");
    }
}

#[test]
fn sines_of_what_is_not_finite_are_nan() {
    let x = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    assert!(apply(|x| x.sin(), &x).iter().chain(&apply(|x| x.cos(), &x)).all(|y| y.is_nan()));
}

#[test]
fn sines_near_multiples_of_pi_keep_their_digits() {
    let near = |k: f64| (k * std::f64::consts::PI) as f32;
    let x: Vec<f32> = (1..100_000).step_by(7).map(|k| near(f64::from(k))).collect();
    // 16367173 2^72 is the f32 that is nearest of all to a multiple of pi/2.
    let nearest = vec![16_367_173.0 * 2f32.powi(72), -16_367_173.0 * 2f32.powi(72)];
    let sines = x.iter().zip(apply(|x| x.sin(), &x)).map(|(x, got)| (*x, got, f64::from(*x).sin()));
    let cosines =
        nearest.iter().zip(apply(|x| x.cos(), &nearest)).map(|(x, got)| (*x, got, f64::from(*x).cos()));
    for (x, got, want) in sines.chain(cosines) {
        let off = (f64::from(got) - want).abs() / unit(want);
        assert!(off <= 4.0, "at {x:e}: {got:e} where {want:e} is exact: {off} units");
    }
}

/// As torch.logsumexp.
#[test]
fn an_infinite_logit_has_an_infinite_logsumexp() {
    let inf = f32::INFINITY;
    let x = [inf, 1.0, inf, inf, -inf, -inf, -inf, 2.0, inf, -inf, f32::NAN, 0.0];
    let graph = Graph::new();
    let y = graph.input("x", [6, 2]).logsumexp(&[1], false);
    let got =
        Function::new(gpu(), &graph, &[&y]).expect("compiles").call(&[("x", Value::F32(&x))]).expect("runs");
    assert_eq!(got[0][..5], [inf, inf, -inf, 2.0, inf]);
    assert!(got[0][5].is_nan());
}

/// As torch.nn.functional.layer_norm of three numbers: an overflow is seen.
#[test]
fn a_variance_past_the_largest_number_is_no_silent_zero() {
    let row = |scale: f32| [1.0f32, 2.0, 4.0].map(|x| x * scale);
    let graph = Graph::new();
    let x = graph.input("x", [1, 3]);
    let net = downhill::nn::Net::new(&graph, true);
    let options = downhill::nn::LayerNorm { elementwise_affine: false, ..Default::default() };
    let y = net.layer_norm("norm", &x, &options);
    let mut function = Function::new(gpu(), &graph, &[&y]).expect("compiles");
    let mut of = |scale: f32| function.call(&[("x", Value::F32(&row(scale)))]).expect("runs").swap_remove(0);
    for (got, want) in of(1e18).iter().zip([-1.069_045, -0.267_261_2, 1.336_306_3]) {
        assert!((got - want).abs() < 1e-6, "{got} where {want} is right");
    }
    assert!(of(1e20).iter().all(|y| y.is_nan()), "{:?}", of(1e20));
}
