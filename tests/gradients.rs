//! Every op's value and gradient against the f64 oracle: one table entry an op, then products of
//! many sizes, a perceptron, and random composite expressions, which is where a fuser goes wrong.
//!
//! `DOWNHILL_CASES=10` runs ten times as many cases, `DOWNHILL_SEED=1` draws others,
//! `DOWNHILL_ONLY="composite 17"` runs those whose label contains the text, and
//! `DOWNHILL_ADAPTER` names an adapter other than the software one.
//!
//! # Tolerance
//! Rounding is measured rather than guessed at: the oracle runs again with its inputs, weights,
//! outputs (and in a composite every intermediate value) off by up to one f32 rounding, u = 2⁻²⁴, and
//! the largest change of any element is the *noise* of that tensor. The tolerance is 32 times
//! (noise + u·(1 + largest |element|)): 32 for the few units in the last place WGSL allows `exp`,
//! `log` and division, for sums in any order, and for the luck of three samples; the 1 for
//! inputs and weights of order 1 that cancel (1 − tanh²). For values of order 1 that is 4e-6, where a
//! wrong formula is off by 1e-3 or more.

mod oracle;

use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value, nn::loss};
use oracle::{
    Array, ROUNDOFF,
    compare::{self, Cases, check_gradient, compare, tolerance},
    difference::numeric_grad,
    draw::{self, Args, Domain, Drawn, Input, Kind, Rng, cases, env, jittered, rng_of},
    elementwise as el,
    matmul::{matmul, matmul_backward},
    mlp::{Activation, Mlp},
    program::{self, Program},
    reduce, view,
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use std::sync::OnceLock;

/// The adapter under test, its shaders checked for bounds or not: both must be right, as the unchecked
/// ones are sound only where every kernel guards its own edges.
fn gpu(shader_checks: bool) -> &'static Gpu {
    static GPUS: [OnceLock<Gpu>; 2] = [const { OnceLock::new() }; 2];
    GPUS[usize::from(shader_checks)].get_or_init(|| {
        let adapter: String = env("DOWNHILL_ADAPTER").unwrap_or("software".to_owned());
        let options = GpuOptions { adapter: adapter.as_str().into(), shader_checks, ..Default::default() };
        Gpu::open(&options).expect("the adapter under test")
    })
}

/// The data of an input, owned.
enum Data {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

impl Data {
    fn value(&self) -> Value<'_> {
        match self {
            Data::F32(values) => Value::F32(values),
            Data::I32(values) => Value::I32(values),
        }
    }
}

fn call(function: &mut Function, feed: &[(String, Data)]) -> Result<Vec<Vec<f32>>, String> {
    let feed: Vec<(&str, Value)> = feed.iter().map(|(name, data)| (name.as_str(), data.value())).collect();
    function.call(&feed).map_err(|e| format!("the call failed: {e}"))
}

fn bits(outputs: &[Vec<f32>]) -> Vec<Vec<u32>> {
    outputs.iter().map(|values| values.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Weights times values, summed: the loss whose gradient is compared, on the GPU.
fn weighted_sum(graph: &Graph, values: &[&Tensor]) -> Tensor {
    let term = |(i, value): (usize, &&Tensor)| {
        let weight = graph.input(&format!("u{i}"), value.shape());
        (*value * &weight).sum_all()
    };
    values.iter().enumerate().map(term).reduce(|a, b| &a + &b).expect("a value")
}

type JitteredValues<'a> = dyn Fn(&[Array], Option<u64>) -> Vec<Array> + 'a;

/// One graph against its oracle.
struct Case<'a> {
    inputs: &'a [Input],
    /// From the inputs to any number of values.
    build: &'a dyn Fn(&[Tensor]) -> Vec<Tensor>,
    /// The same values in f64, where `Some(seed)` with rounding errors.
    oracle: &'a JitteredValues<'a>,
    /// The values that the function returns; the others may vanish in fusion.
    returned: &'a [usize],
    /// The values that go into the loss. None: no gradient.
    in_loss: &'a [usize],
}

impl Case<'_> {
    fn check(&self, gpu: &Gpu, rng: &mut Rng) -> Result<(), String> {
        let arrays: Vec<Array> = self.inputs.iter().map(|input| input.array.clone()).collect();
        let want = (self.oracle)(&arrays, None);
        let weights: Vec<Array> = self.in_loss.iter().map(|&i| draw::weights(rng, &want[i].shape)).collect();
        let outputs = self.run(gpu, &want, &weights)?;

        let (values, gradients) = outputs.split_at(self.returned.len());
        let jittered: Vec<Vec<Array>> = (0..3).map(|seed| (self.oracle)(&arrays, Some(seed))).collect();
        for (&i, got) in self.returned.iter().zip(values) {
            let noise = jittered.iter().map(|j| j[i].max_diff(&want[i])).fold(0.0, f64::max);
            compare(&format!("value {i}"), got, &want[i], |_| tolerance(want[i].max_abs(), noise))?;
        }
        let f = |arrays: &[Array], jitter: Option<u64>| {
            let values = (self.oracle)(arrays, jitter);
            let picked: Vec<&Array> = self.in_loss.iter().map(|&i| &values[i]).collect();
            compare::weighted_sum(&picked, &weights, jitter)
        };
        for (&which, got) in self.differentiated().iter().zip(gradients) {
            check_gradient(&f, &arrays, which, got, rng)?;
        }
        Ok(())
    }

    fn differentiated(&self) -> Vec<usize> {
        let wanted = |&i: &usize| self.inputs[i].kind == Kind::Real && !self.in_loss.is_empty();
        (0..self.inputs.len()).filter(wanted).collect()
    }

    /// Builds, checks the shapes and runs: the returned values, then the gradients.
    fn run(&self, gpu: &Gpu, want: &[Array], weights: &[Array]) -> Result<Vec<Vec<f32>>, String> {
        let graph = Graph::new();
        let input = |(i, input): (usize, &Input)| match input.kind {
            Kind::Index => graph.input_i32(&format!("x{i}"), &input.array.shape[..]),
            Kind::Real | Kind::Fixed => graph.input(&format!("x{i}"), &input.array.shape[..]),
        };
        let inputs: Vec<Tensor> = self.inputs.iter().enumerate().map(input).collect();
        let values = (self.build)(&inputs);
        graph.check().map_err(|e| format!("refused: {e}"))?;
        for (i, (value, want)) in values.iter().zip(want).enumerate() {
            if value.shape() != want.shape {
                return Err(format!("value {i} has shape {:?}, expected {:?}", value.shape(), want.shape));
            }
        }
        let wrt: Vec<&Tensor> = self.differentiated().iter().map(|&i| &inputs[i]).collect();
        let mut gradients = Vec::new();
        if !wrt.is_empty() {
            let in_loss: Vec<&Tensor> = self.in_loss.iter().map(|&i| &values[i]).collect();
            gradients = graph.grad(&weighted_sum(&graph, &in_loss), &wrt);
            graph.check().map_err(|e| format!("its gradient is refused: {e}"))?;
        }
        for (gradient, input) in gradients.iter().zip(&wrt) {
            if gradient.shape() != input.shape() {
                return Err(format!("a gradient of shape {:?} for {:?}", gradient.shape(), input.shape()));
            }
        }
        let outputs: Vec<&Tensor> = self.returned.iter().map(|&i| &values[i]).chain(&gradients).collect();
        let mut function = Function::new(gpu, &graph, &outputs).map_err(|e| format!("no function: {e}"))?;

        let feed = |factor: f32| -> Vec<(String, Data)> {
            let input = |(i, input): (usize, &Input)| {
                let data = match input.kind {
                    Kind::Index => Data::I32(input.array.to_i32()),
                    _ => Data::F32(input.array.to_f32().iter().map(|x| x * factor).collect()),
                };
                (format!("x{i}"), data)
            };
            let weight = |(i, w): (usize, &Array)| (format!("u{i}"), Data::F32(w.to_f32()));
            let inputs = self.inputs.iter().enumerate().map(input);
            let weights = if wrt.is_empty() { &[] } else { weights };
            inputs.chain(weights.iter().enumerate().map(weight)).collect()
        };
        let first = call(&mut function, &feed(1.0))?;
        // a call must leave nothing behind: other values between, and then the same bits again
        call(&mut function, &feed(0.5))?;
        if bits(&call(&mut function, &feed(1.0))?) != bits(&first) {
            return Err("the same inputs gave other bits the second time".to_owned());
        }
        Ok(first)
    }
}

type Build<T> = Box<dyn Fn(&[T], &Args) -> T>;

/// One op: how to draw its inputs, how to build it, what it means.
struct Op {
    name: &'static str,
    draw: Box<dyn Fn(&mut Rng) -> Drawn>,
    gpu: Build<Tensor>,
    cpu: Build<Array>,
    differentiable: bool,
}

fn op(
    name: &'static str,
    draw: impl Fn(&mut Rng) -> Drawn + 'static,
    gpu: impl Fn(&[Tensor], &Args) -> Tensor + 'static,
    cpu: impl Fn(&[Array], &Args) -> Array + 'static,
) -> Op {
    Op { name, draw: Box::new(draw), gpu: Box::new(gpu), cpu: Box::new(cpu), differentiable: true }
}

fn unary(
    name: &'static str,
    domain: Domain,
    gpu: impl Fn(&Tensor) -> Tensor + 'static,
    cpu: impl Fn(f64) -> f64 + 'static,
) -> Op {
    op(name, move |rng| draw::one(rng, domain), move |x, _| gpu(&x[0]), move |x, _| x[0].map(&cpu))
}

fn binary(
    name: &'static str,
    domains: [Domain; 2],
    gpu: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
    cpu: impl Fn(f64, f64) -> f64 + 'static,
) -> Op {
    op(
        name,
        move |rng| draw::broadcast(rng, &domains),
        move |x, _| gpu(&x[0], &x[1]),
        move |x, _| el::zip(&x[0], &x[1], &cpu),
    )
}

fn relation(
    name: &'static str,
    gpu: impl Fn(&Tensor, &Tensor) -> Tensor + 'static,
    cpu: impl Fn(f64, f64) -> bool + 'static,
) -> Op {
    let cpu = move |a, b| if cpu(a, b) { 1.0 } else { 0.0 };
    Op { differentiable: false, ..binary(name, [Domain::Levels; 2], gpu, cpu) }
}

fn reduction(
    name: &'static str,
    domain: Domain,
    gpu: impl Fn(&Tensor, &[isize], bool) -> Tensor + 'static,
    cpu: impl Fn(&Array, &[isize], bool) -> Array + 'static,
) -> Op {
    op(
        name,
        move |rng| draw::reduced(rng, domain),
        move |x, p| gpu(&x[0], &p.axes, p.keepdim),
        move |x, p| cpu(&x[0], &p.axes, p.keepdim),
    )
}

/// Either sign, moderate.
const REAL: Domain = Domain::Uniform(-3.0, 3.0);
const POSITIVE: Domain = Domain::Uniform(0.2, 3.0);
const NEGATIVE: Domain = Domain::Uniform(-3.0, -0.4);
/// Away from kinks at multiples of 1/16.
const KINKED: Domain = Domain::Comb(1);
/// Never tied with each other.
const UNTIED: [Domain; 2] = [Domain::Comb(0), Domain::Comb(2)];
/// Where eˣ overflows f32, or 1 + eˣ loses the 1: only the stable forms survive.
const WIDE: Domain = Domain::Uniform(-120.0, 120.0);

fn elementwise_table() -> Vec<Op> {
    vec![
        binary("add", [REAL, REAL], |a, b| a.add(b), |a, b| a + b),
        binary("sub", [REAL, REAL], |a, b| a.sub(b), |a, b| a - b),
        binary("mul", [REAL, REAL], |a, b| a.mul(b), |a, b| a * b),
        binary("div", [REAL, POSITIVE], |a, b| a.div(b), |a, b| a / b),
        binary("div by negatives", [REAL, NEGATIVE], |a, b| a.div(b), |a, b| a / b),
        binary("pow", [POSITIVE, Domain::Uniform(-2.0, 2.0)], |a, b| a.pow(b), f64::powf),
        binary("minimum", UNTIED, |a, b| a.minimum(b), f64::min),
        binary("maximum", UNTIED, |a, b| a.maximum(b), f64::max),
        binary(
            "operators",
            [REAL, REAL],
            |a, b| -((a + b) / (b * b + 1.5) - 0.5),
            |a, b| -((a + b) / (b * b + 1.5) - 0.5),
        ),
        binary(
            "operators, f32 first",
            [REAL, POSITIVE],
            |a, b| 2.0 - 0.5 * (a - 3.0 / b),
            |a, b| 2.0 - 0.5 * (a - 3.0 / b),
        ),
        unary("add_scalar", REAL, |x| x.add_scalar(-1.375), |x| x - 1.375),
        unary("mul_scalar", REAL, |x| x.mul_scalar(-1.375), |x| x * -1.375),
        unary("pow_scalar, whole", KINKED, |x| x.pow_scalar(3.0), |x| x.powi(3)),
        unary("pow_scalar, negative", NEGATIVE, |x| x.pow_scalar(-2.0), |x| x.powi(-2)),
        unary("pow_scalar, broken", POSITIVE, |x| x.pow_scalar(1.625), |x| x.powf(1.625)),
        unary("neg", REAL, |x| x.neg(), |x| -x),
        unary("exp", REAL, |x| x.exp(), f64::exp),
        unary("log", POSITIVE, |x| x.log(), f64::ln),
        unary("log, wide", Domain::Uniform(1e-3, 1e4), |x| x.log(), f64::ln),
        unary("sqrt", POSITIVE, |x| x.sqrt(), f64::sqrt),
        unary("abs", KINKED, |x| x.abs(), f64::abs),
        unary("sin", REAL, |x| x.sin(), f64::sin),
        unary("cos", REAL, |x| x.cos(), f64::cos),
        unary("tanh", REAL, |x| x.tanh(), f64::tanh),
        unary("tanh, wide", WIDE, |x| x.tanh(), f64::tanh),
        unary("sigmoid", REAL, |x| x.sigmoid(), el::sigmoid),
        unary("sigmoid, wide", WIDE, |x| x.sigmoid(), el::sigmoid),
        unary("relu", KINKED, |x| x.relu(), el::relu),
        unary("silu", REAL, |x| x.silu(), el::silu),
        unary("silu, wide", WIDE, |x| x.silu(), el::silu),
        unary("gelu", Domain::Uniform(-5.0, 5.0), |x| x.gelu(), el::gelu),
        unary("gelu, wide", WIDE, |x| x.gelu(), el::gelu),
        unary("gelu_tanh", Domain::Uniform(-5.0, 5.0), |x| x.gelu_tanh(), el::gelu_tanh),
        unary("gelu_tanh, wide", WIDE, |x| x.gelu_tanh(), el::gelu_tanh),
        unary("square", REAL, |x| x.square(), |x| x * x),
        unary("recip", POSITIVE, |x| x.recip(), f64::recip),
        unary("recip of negatives", NEGATIVE, |x| x.recip(), f64::recip),
        unary("leaky_relu", KINKED, |x| x.leaky_relu(0.125), |x| el::leaky_relu(x, 0.125)),
        unary("elu", KINKED, |x| x.elu(0.75), |x| el::elu(x, 0.75)),
        unary("softplus", REAL, |x| x.softplus(1.0, 20.0), |x| el::softplus(x, 1.0, 20.0)),
        unary("softplus, low threshold", KINKED, |x| x.softplus(2.0, 3.0), |x| el::softplus(x, 2.0, 3.0)),
        unary("softplus, wide", WIDE, |x| x.softplus(0.5, 20.0), |x| el::softplus(x, 0.5, 20.0)),
        unary("clamp", KINKED, |x| x.clamp(-1.25, 0.5), |x| el::clamp(x, -1.25, 0.5)),
        relation("eq", |a, b| a.eq(b), |a, b| a == b),
        relation("ne", |a, b| a.ne(b), |a, b| a != b),
        relation("lt", |a, b| a.lt(b), |a, b| a < b),
        relation("le", |a, b| a.le(b), |a, b| a <= b),
        relation("gt", |a, b| a.gt(b), |a, b| a > b),
        relation("ge", |a, b| a.ge(b), |a, b| a >= b),
        op(
            "select",
            |rng| draw::broadcast(rng, &[Domain::Mask, REAL, REAL]),
            |x, _| x[0].select(&x[1], &x[2]),
            |x, _| el::select(&x[0], &x[1], &x[2]),
        ),
        op(
            "select of a relation",
            |rng| draw::broadcast(rng, &UNTIED),
            |x, _| x[0].gt(&x[1]).select(&x[0].square(), &x[1]),
            |x, _| el::select(&el::compare(&x[0], &x[1], |a, b| a > b), &x[0].map(|x| x * x), &x[1]),
        ),
    ]
}

fn table() -> Vec<Op> {
    let mut table = elementwise_table();
    table.extend([
        reduction("sum", REAL, Tensor::sum, reduce::sum),
        reduction("mean", REAL, Tensor::mean, reduce::mean),
        reduction("amax", Domain::Distinct, Tensor::amax, reduce::amax),
        reduction("logsumexp", REAL, Tensor::logsumexp, reduce::logsumexp),
        reduction("logsumexp, wide", WIDE, Tensor::logsumexp, reduce::logsumexp),
        reduction("sum_all", REAL, |x, _, _| x.sum_all(), |x, _, _| reduce::sum(x, &[], false)),
        reduction("mean_all", REAL, |x, _, _| x.mean_all(), |x, _, _| reduce::mean(x, &[], false)),
        reduction("softmax", REAL, |x, axes, _| x.softmax(axes), |x, axes, _| reduce::softmax(x, axes)),
        reduction("softmax, wide", WIDE, |x, a, _| x.softmax(a), |x, a, _| reduce::softmax(x, a)),
        reduction("log_softmax", REAL, |x, a, _| x.log_softmax(a), |x, a, _| reduce::log_softmax(x, a)),
        reduction("log_softmax, wide", WIDE, |x, a, _| x.log_softmax(a), |x, a, _| reduce::log_softmax(x, a)),
        op(
            "reshape",
            draw::viewed,
            |x, p| x[0].reshape(p.shape.clone()),
            |x, p| view::reshape(&x[0], &p.shape),
        ),
        op(
            "transpose",
            draw::viewed,
            |x, p| x[0].transpose(p.axis, p.axes[0]),
            |x, p| view::transpose(&x[0], p.axis, p.axes[0]),
        ),
        op("permute", draw::viewed, |x, p| x[0].permute(&p.order), |x, p| view::permute(&x[0], &p.order)),
        op(
            "slice",
            draw::viewed,
            |x, p| x[0].slice(p.axis, p.range[0], p.range[1]),
            |x, p| view::slice(&x[0], p.axis, p.range[0], p.range[1]),
        ),
        op(
            "broadcast_to",
            draw::broadcast_to,
            |x, p| x[0].broadcast_to(p.shape.clone()),
            |x, p| view::broadcast_to(&x[0], &p.shape),
        ),
        op(
            "concat",
            draw::joined,
            |x, p| Tensor::concat(&[&x[0], &x[1], &x[2]], p.axis),
            |x, p| view::concat(&[&x[0], &x[1], &x[2]], p.axis),
        ),
        op(
            "concat with itself",
            draw::joined,
            |x, p| Tensor::concat(&[&x[0], &x[1], &x[0], &x[2]], p.axis),
            |x, p| view::concat(&[&x[0], &x[1], &x[0], &x[2]], p.axis),
        ),
        op(
            "gather",
            draw::gathered,
            |x, p| x[0].gather(p.axis, &x[1]),
            |x, p| view::gather(&x[0], p.axis, &x[1]),
        ),
        op(
            "index_select",
            draw::index_selected,
            |x, p| x[0].index_select(p.axis, &x[1]),
            |x, p| view::index_select(&x[0], p.axis, &x[1]),
        ),
        Op {
            differentiable: false,
            ..op(
                "one_hot",
                draw::classes,
                |x, p| x[0].one_hot(p.classes),
                |x, p| view::one_hot(&x[0], p.classes),
            )
        },
        op(
            "cross_entropy",
            |rng| draw::labelled(rng, 3.0, false),
            |x, _| loss::cross_entropy(&x[0], &x[1], &loss::CrossEntropy::default()),
            |x, _| oracle::loss::cross_entropy(&x[0], &x[1], 0.0, None),
        ),
        op(
            "cross_entropy, wide",
            |rng| draw::labelled(rng, 120.0, false),
            |x, _| loss::cross_entropy(&x[0], &x[1], &loss::CrossEntropy::default()),
            |x, _| oracle::loss::cross_entropy(&x[0], &x[1], 0.0, None),
        ),
        op(
            "cross_entropy, smoothed and ignoring",
            |rng| draw::labelled(rng, 3.0, true),
            |x, _| {
                let options = loss::CrossEntropy { label_smoothing: 0.125, ignore_index: Some(-100) };
                loss::cross_entropy(&x[0], &x[1], &options)
            },
            |x, _| oracle::loss::cross_entropy(&x[0], &x[1], 0.125, Some(-100)),
        ),
        op(
            "mse",
            |rng| draw::pair(rng, REAL, REAL),
            |x, _| loss::mse(&x[0], &x[1]),
            |x, _| oracle::loss::mse(&x[0], &x[1]),
        ),
        op(
            "l1",
            |rng| draw::pair(rng, UNTIED[0], UNTIED[1]),
            |x, _| loss::l1(&x[0], &x[1]),
            |x, _| oracle::loss::l1(&x[0], &x[1]),
        ),
        op(
            "huber",
            |rng| draw::pair(rng, UNTIED[0], UNTIED[1]),
            |x, _| loss::huber(&x[0], &x[1], 0.5),
            |x, _| oracle::loss::huber(&x[0], &x[1], 0.5),
        ),
        op(
            "bce_with_logits",
            |rng| with_fixed_target(draw::pair(rng, REAL, Domain::Uniform(0.0, 1.0))),
            |x, _| loss::bce_with_logits(&x[0], &x[1]),
            |x, _| oracle::loss::bce_with_logits(&x[0], &x[1]),
        ),
        op(
            "bce_with_logits, wide",
            |rng| with_fixed_target(draw::pair(rng, WIDE, Domain::Mask)),
            |x, _| loss::bce_with_logits(&x[0], &x[1]),
            |x, _| oracle::loss::bce_with_logits(&x[0], &x[1]),
        ),
    ]);
    table
}

fn with_fixed_target(mut drawn: Drawn) -> Drawn {
    drawn.inputs[1].kind = Kind::Fixed;
    drawn
}

#[test]
fn every_op_and_its_gradient() {
    let mut all = Cases::default();
    for op in table() {
        for index in 0..cases(2) {
            let mut rng = rng_of(op.name, index as u64);
            let Drawn { inputs, args } = (op.draw)(&mut rng);
            let oracle = |arrays: &[Array], jitter: Option<u64>| {
                let Some(seed) = jitter else { return vec![(op.cpu)(arrays, &args)] };
                let mut rng = Rng::seed_from_u64(seed);
                let off = |(array, input): (&Array, &Input)| match input.kind {
                    Kind::Real if op.differentiable => jittered(&mut rng, array),
                    _ => array.clone(),
                };
                let arrays: Vec<Array> = arrays.iter().zip(&inputs).map(off).collect();
                vec![jittered(&mut rng, &(op.cpu)(&arrays, &args))]
            };
            let case = Case {
                inputs: &inputs,
                build: &|x| vec![(op.gpu)(x, &args)],
                oracle: &oracle,
                returned: &[0],
                in_loss: if op.differentiable { &[0] } else { &[] },
            };
            all.run(&format!("{} {index}", op.name), || {
                let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.array.shape[..]).collect();
                case.check(gpu(index % 2 == 0), &mut rng)
                    .map_err(|why| format!("{why}\n  inputs of shapes {shapes:?}, {args:?}"))
            });
        }
    }
    all.finish();
}

/// Builds a random program, one tensor a node.
fn build(program: &Program, inputs: &[Tensor]) -> Vec<Tensor> {
    let mut inputs = inputs.iter();
    let mut built: Vec<Tensor> = Vec::new();
    for node in &program.nodes {
        let v = |i: &usize| &built[*i];
        let tensor = match &node.op {
            program::Op::Input => inputs.next().expect("a tensor for each input").clone(),
            program::Op::Unary(unary, a) => build_unary(*unary, v(a)),
            program::Op::Binary(binary, a, b) => match binary {
                program::Binary::Add => v(a).add(v(b)),
                program::Binary::Sub => v(a).sub(v(b)),
                program::Binary::Mul => v(a).mul(v(b)),
                program::Binary::Div => v(a).div(v(b)),
                program::Binary::Minimum => v(a).minimum(v(b)),
                program::Binary::Maximum => v(a).maximum(v(b)),
            },
            program::Op::SelectLess([a, b, yes, no]) => v(a).lt(v(b)).select(v(yes), v(no)),
            program::Op::Reduce(reduction, a, axes, keepdim) => match reduction {
                program::Reduction::Sum => v(a).sum(axes, *keepdim),
                program::Reduction::Mean => v(a).mean(axes, *keepdim),
                program::Reduction::Amax => v(a).amax(axes, *keepdim),
                program::Reduction::LogSumExp => v(a).logsumexp(axes, *keepdim),
            },
            program::Op::Softmax(a, axes) => v(a).softmax(axes),
            program::Op::LogSoftmax(a, axes) => v(a).log_softmax(axes),
            program::Op::Reshape(a) => v(a).reshape(node.shape.clone()),
            program::Op::BroadcastTo(a) => v(a).broadcast_to(node.shape.clone()),
            program::Op::Transpose(a, first, second) => v(a).transpose(*first, *second),
            program::Op::Permute(a, order) => v(a).permute(order),
            program::Op::Slice(a, axis, start, end) => v(a).slice(*axis, *start, *end),
            program::Op::Concat(parts, axis) => {
                Tensor::concat(&parts.iter().map(v).collect::<Vec<_>>(), *axis)
            }
            program::Op::MatMul(a, b) => v(a).matmul(v(b)),
        };
        built.push(tensor);
    }
    built
}

fn build_unary(unary: program::Unary, x: &Tensor) -> Tensor {
    match unary {
        program::Unary::Neg => x.neg(),
        program::Unary::Exp => x.exp(),
        program::Unary::Log => x.log(),
        program::Unary::Sqrt => x.sqrt(),
        program::Unary::Abs => x.abs(),
        program::Unary::Sin => x.sin(),
        program::Unary::Cos => x.cos(),
        program::Unary::Tanh => x.tanh(),
        program::Unary::Sigmoid => x.sigmoid(),
        program::Unary::Relu => x.relu(),
        program::Unary::Silu => x.silu(),
        program::Unary::Gelu => x.gelu(),
        program::Unary::GeluTanh => x.gelu_tanh(),
        program::Unary::Square => x.square(),
        program::Unary::Recip => x.recip(),
        program::Unary::LeakyRelu(slope) => x.leaky_relu(slope),
        program::Unary::Elu(alpha) => x.elu(alpha),
        program::Unary::Softplus(beta) => x.softplus(beta, 40.0),
        program::Unary::Clamp(min, max) => x.clamp(min, max),
        program::Unary::AddScalar(c) => x.add_scalar(c),
        program::Unary::MulScalar(c) => x.mul_scalar(c),
    }
}

/// A third of the graphs return their outputs, a third every intermediate value too, and a third the
/// gradients alone: what must be kept decides what may be fused.
#[test]
fn random_composites_and_their_gradients() {
    let mut all = Cases::default();
    for index in 0..cases(60) {
        let mut rng = rng_of("composite", index as u64);
        let (program, arrays) = Program::draw(&mut rng);
        let inputs: Vec<Input> = arrays.into_iter().map(|array| Input { array, kind: Kind::Real }).collect();
        let computed = |&i: &usize| program.nodes[i].op != program::Op::Input;
        let returned: Vec<usize> = match index % 3 {
            0 => program.sinks().into_iter().filter(computed).collect(),
            1 => (0..program.nodes.len()).filter(computed).collect(),
            _ => vec![],
        };
        let case = Case {
            inputs: &inputs,
            build: &|x| build(&program, x),
            oracle: &|arrays, jitter| program.eval(arrays, jitter).values,
            returned: &returned,
            in_loss: &program.sinks(),
        };
        all.run(&format!("composite {index}"), || {
            let checked = case.check(gpu(index % 2 == 0), &mut rng);
            checked.map_err(|why| format!("{why}\n{program}\n  returned: {returned:?}"))
        });
    }
    all.finish();
}

/// Leading axes of a and b: none, equal, broadcast on either side and on both.
const LEADING: [(&[usize], &[usize]); 6] =
    [(&[], &[]), (&[3], &[3]), (&[4], &[]), (&[], &[2]), (&[2, 1], &[3]), (&[2, 3], &[1, 3])];
const SIDES: [usize; 14] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100];

/// Every size is each of m, n and k once a round; transposes and leading axes go round beside them.
#[test]
fn matmul_of_every_size() {
    let mut all = Cases::default();
    for round in 0..cases(3) {
        let mut rng = rng_of("matmul", round as u64);
        let mut shuffled = || {
            let mut sides = SIDES;
            sides.shuffle(&mut rng);
            sides
        };
        let (ms, ns, ks) = (shuffled(), shuffled(), shuffled());
        for (i, ((m, n), k)) in ms.into_iter().zip(ns).zip(ks).enumerate() {
            let turn = round * SIDES.len() + i;
            let (a_lead, b_lead) = if m * n * k > 100_000 { LEADING[0] } else { LEADING[turn % 6] };
            let transposed = [turn % 2 == 1, turn / 2 % 2 == 1];
            let label =
                format!("matmul {turn}: {a_lead:?}{m}x{k} by {b_lead:?}{k}x{n}, transposed {transposed:?}");
            all.run(&label, || {
                let side = |rows, columns, swap| if swap { [columns, rows] } else { [rows, columns] };
                let a = draw::uniform(&mut rng, &[a_lead, &side(m, k, transposed[0])].concat(), -2.0, 2.0);
                let b = draw::uniform(&mut rng, &[b_lead, &side(k, n, transposed[1])].concat(), -2.0, 2.0);
                check_matmul(gpu((turn / 4).is_multiple_of(2)), &a, &b, transposed, &mut rng)
            });
        }
    }
    all.finish();
}

fn check_matmul(gpu: &Gpu, a: &Array, b: &Array, transposed: [bool; 2], rng: &mut Rng) -> Result<(), String> {
    let turned = |x: &Array, turn: bool| if turn { view::transpose(x, -1, -2) } else { x.clone() };
    let (a_plain, b_plain) = (turned(a, transposed[0]), turned(b, transposed[1]));
    let want = matmul(&a_plain, &b_plain);
    let u = draw::weights(rng, &want.shape);
    let (da, db) = matmul_backward(&a_plain, &b_plain, &u);
    // the same with all numbers positive: what rounding errors are relative to
    let [a_abs, b_abs, u_abs] = [&a_plain, &b_plain, &u].map(|x| x.map(f64::abs));
    let scale = matmul(&a_abs, &b_abs);
    let (da_scale, db_scale) = matmul_backward(&a_abs, &b_abs, &u_abs);

    let graph = Graph::new();
    let inputs = [graph.input("a", &a.shape[..]), graph.input("b", &b.shape[..])];
    let [x, y] = [0, 1].map(|i| if transposed[i] { inputs[i].transpose(-1, -2) } else { inputs[i].clone() });
    let product = x.matmul(&y);
    let gradients = graph.grad(&weighted_sum(&graph, &[&product]), &[&inputs[0], &inputs[1]]);
    let mut function = Function::new(gpu, &graph, &[&product, &gradients[0], &gradients[1]])
        .map_err(|e| format!("no function: {e}"))?;
    let feed = [("a", a), ("b", b), ("u0", &u)].map(|(name, x)| (name.to_owned(), Data::F32(x.to_f32())));
    let got = call(&mut function, &feed)?;

    // terms: how many products an element adds up. In any order, and with products rounded or fused, the
    // error is at most terms · u · Σ|terms|. For long sums that is far too kind, as rounding errors have
    // either sign; terms · 1e-7 · max · max is still four deviations or more.
    let check = |what: &str, got: &[f32], want: &Array, scale: &Array, terms: usize, most: f64| {
        let (terms, rounded) = (terms as f64, ROUNDOFF * 1.001);
        compare(what, got, want, |i| (terms * rounded * scale.data[i]).min((terms + 2.0) * 1e-7 * most))
    };
    let [k, m, n] = [a_plain.shape[a.rank() - 1], want.shape[want.rank() - 2], want.shape[want.rank() - 1]];
    let batch = want.len() / (m * n);
    let (a_terms, b_terms) = (n * batch * m * k / a.len(), m * batch * k * n / b.len());
    check("product", &got[0], &want, &scale, k, a.max_abs() * b.max_abs())?;
    let (da, da_scale) = (turned(&da, transposed[0]), turned(&da_scale, transposed[0]));
    check("gradient of a", &got[1], &da, &da_scale, a_terms, u.max_abs() * b.max_abs())?;
    let (db, db_scale) = (turned(&db, transposed[1]), turned(&db_scale, transposed[1]));
    check("gradient of b", &got[2], &db, &db_scale, b_terms, u.max_abs() * a.max_abs())
}

/// A whole model: loss and gradients of a perceptron against its hand-written backward pass.
#[test]
fn perceptron_with_cross_entropy() {
    let mut all = Cases::default();
    for (index, activation) in [Activation::Relu, Activation::Tanh].into_iter().enumerate() {
        for shader_checks in [true, false] {
            let mut rng = rng_of("perceptron", index as u64);
            let x = draw::uniform(&mut rng, &[19, 13], -2.0, 2.0);
            let labels = Array::from_fn(&[19], |_| f64::from(rng.random_range(0..10_u8)));
            let mlp = loop {
                let mlp = Mlp::draw(&mut rng, &[13, 33, 17, 10], activation);
                if mlp.margin(&x) > 1e-4 {
                    break mlp; // no ReLU so near its kink that rounding could carry it across
                }
            };
            all.run(&format!("perceptron {activation:?}, shader checks {shader_checks}"), || {
                check_perceptron(gpu(shader_checks), &mlp, &x, &labels)
            });
        }
    }
    all.finish();
}

fn check_perceptron(gpu: &Gpu, mlp: &Mlp, x: &Array, labels: &Array) -> Result<(), String> {
    let graph = Graph::new();
    let (input, targets) = (graph.input("x", &x.shape[..]), graph.input_i32("labels", &labels.shape[..]));
    let parameters = mlp.parameters();
    let tensors: Vec<Tensor> =
        parameters.iter().enumerate().map(|(i, p)| graph.input(&format!("p{i}"), &p.shape[..])).collect();
    let mut value = input.clone();
    for (i, layer) in tensors.chunks(2).enumerate() {
        value = &value.matmul(&layer[0].transpose(-1, -2)) + &layer[1];
        if i + 1 < mlp.layers.len() {
            value = if mlp.activation == Activation::Relu { value.relu() } else { value.tanh() };
        }
    }
    let loss = loss::cross_entropy(&value, &targets, &loss::CrossEntropy::default());
    let gradients = graph.grad(&loss, &tensors.iter().collect::<Vec<_>>());
    let outputs: Vec<&Tensor> = [&loss].into_iter().chain(&gradients).collect();
    let mut function = Function::new(gpu, &graph, &outputs).map_err(|e| format!("no function: {e}"))?;
    let mut feed: Vec<(String, Data)> =
        parameters.iter().enumerate().map(|(i, p)| (format!("p{i}"), Data::F32(p.to_f32()))).collect();
    feed.push(("x".to_owned(), Data::F32(x.to_f32())));
    feed.push(("labels".to_owned(), Data::I32(labels.to_i32())));
    let got = call(&mut function, &feed)?;

    let all = |mlp: &Mlp, x: &Array| {
        let (loss, gradients) = mlp.loss_and_gradients(x, labels);
        [vec![Array::scalar(loss)], gradients].concat()
    };
    let want = all(mlp, x);
    let shaken = (0..3).map(|seed| {
        let mut rng = Rng::seed_from_u64(seed);
        let mut mlp = mlp.clone();
        mlp.parameters_mut().into_iter().for_each(|p| *p = jittered(&mut rng, p));
        all(&mlp, &jittered(&mut rng, x))
    });
    let shaken: Vec<Vec<Array>> = shaken.collect();
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let noise = shaken.iter().map(|s| s[i].max_diff(want)).fold(0.0, f64::max);
        // the rows' softmax errors of order u come in by way of a mean, so nothing of order 1 is left
        let tolerance = 32.0 * (noise + ROUNDOFF * want.max_abs());
        compare(&format!("output {i} (loss, then parameters)"), got, want, |_| tolerance)?;
    }
    Ok(())
}

/// Builds y from inputs of the given values, and compares the gradients of its sum exactly.
fn assert_subgradients(
    what: &str,
    inputs: &[&[f32]],
    build: impl Fn(&[Tensor]) -> Tensor,
    want: &[&[f32]],
    shader_checks: bool,
) {
    let graph = Graph::new();
    let name = |i: usize| format!("x{i}");
    let tensors: Vec<Tensor> =
        inputs.iter().enumerate().map(|(i, x)| graph.input(&name(i), [x.len()])).collect();
    let gradients = graph.grad(&build(&tensors).sum_all(), &tensors.iter().collect::<Vec<_>>());
    let outputs: Vec<&Tensor> = gradients.iter().collect();
    let mut function = Function::new(gpu(shader_checks), &graph, &outputs).expect("a function");
    let feed: Vec<(String, Data)> =
        inputs.iter().enumerate().map(|(i, x)| (name(i), Data::F32(x.to_vec()))).collect();
    let got = call(&mut function, &feed).expect("a call");
    assert_eq!(got, want, "{what}");
}

/// All numbers here are exact in f32.
#[test]
fn subgradients_at_ties_follow_torch() {
    type Build = fn(&[Tensor]) -> Tensor;
    type Values = &'static [&'static [f32]];
    let table: [(&str, Values, Build, Values); 9] = [
        (
            "amax",
            &[&[1.0, 3.0, 3.0, 2.0, 3.0, 3.0]],
            |x| x[0].amax(&[0], false),
            &[&[0.0, 0.25, 0.25, 0.0, 0.25, 0.25]],
        ),
        (
            "maximum",
            &[&[1.0, 2.0, 5.0], &[1.0, 3.0, 4.0]],
            |x| x[0].maximum(&x[1]),
            &[&[0.5, 0.0, 1.0], &[0.5, 1.0, 0.0]],
        ),
        (
            "minimum",
            &[&[1.0, 2.0, 5.0], &[1.0, 3.0, 4.0]],
            |x| x[0].minimum(&x[1]),
            &[&[0.5, 1.0, 0.0], &[0.5, 0.0, 1.0]],
        ),
        ("clamp", &[&[-1.5, -1.0, 0.0, 0.5, 0.75]], |x| x[0].clamp(-1.0, 0.5), &[&[0.0, 1.0, 1.0, 1.0, 0.0]]),
        ("abs", &[&[-2.0, 0.0, 2.0]], |x| x[0].abs(), &[&[-1.0, 0.0, 1.0]]),
        ("relu", &[&[-2.0, 0.0, 2.0]], |x| x[0].relu(), &[&[0.0, 0.0, 1.0]]),
        ("leaky_relu", &[&[-2.0, 0.0, 2.0]], |x| x[0].leaky_relu(0.25), &[&[0.25, 0.25, 1.0]]),
        (
            "l1",
            &[&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]],
            |x| loss::l1(&x[0], &x[1]),
            &[&[0.0, -0.25, 0.25, 0.0], &[0.0, 0.25, -0.25, 0.0]],
        ),
        ("detach", &[&[1.0, -2.0, 3.0]], |x| &x[0].detach() * &x[0], &[&[1.0, -2.0, 3.0]]),
    ];
    for (what, inputs, build, want) in table {
        for shader_checks in [true, false] {
            assert_subgradients(what, inputs, build, want, shader_checks);
        }
    }
}

/// A graph can be differentiated again: with respect to other tensors, and a gradient itself.
#[test]
fn gradients_of_gradients() {
    let mut rng = rng_of("gradients of gradients", 0);
    let [x, w, v] =
        [[6, 5], [5, 3], [6, 5]].map(|shape: [usize; 2]| draw::uniform(&mut rng, &shape, -1.0, 1.0));
    // L = Σ tanh(x·w), so that ∂L/∂x = (1 − tanh²)·wᵀ, and S = Σ v ∘ ∂L/∂x
    let s = |inputs: &[Array]| {
        let slope = matmul(&inputs[0], &inputs[1]).map(|y| 1.0 - y.tanh() * y.tanh());
        let gradient = matmul(&slope, &view::transpose(&inputs[1], 0, 1));
        el::zip(&gradient, &v, |g, v| g * v).data.iter().sum()
    };
    let inputs = [x.clone(), w.clone()];
    let want = [numeric_grad(&s, &inputs, 0), numeric_grad(&s, &inputs, 1)];

    let graph = Graph::new();
    let [tx, tw, tv] = [("x", &x), ("w", &w), ("v", &v)].map(|(name, a)| graph.input(name, &a.shape[..]));
    let first = graph.grad(&tx.matmul(&tw).tanh().sum_all(), &[&tx]);
    let second = graph.grad(&(&first[0] * &tv).sum_all(), &[&tx, &tw]);
    let mut function = Function::new(gpu(true), &graph, &[&second[0], &second[1]]).expect("a function");
    let feed = [("x", &x), ("w", &w), ("v", &v)].map(|(name, a)| (name.to_owned(), Data::F32(a.to_f32())));
    let got = call(&mut function, &feed).expect("a call");
    for (got, want) in got.iter().zip(&want) {
        // sums of up to 18 products of order 1
        compare("second gradient", got, want, |_| 64.0 * ROUNDOFF * (1.0 + want.max_abs())).unwrap();
    }
}
