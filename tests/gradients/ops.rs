//! One table entry an op: how its inputs are drawn, how it is built, what it means.

use downhill::{Tensor, nn::loss};
use rand::SeedableRng;

use crate::case::{Case, gpu};
use crate::oracle::{
    self, Array,
    compare::Cases,
    draw::{self, Args, Domain, Drawn, Input, Kind, Rng, cases, jittered, rng_of},
    elementwise as el, reduce, view,
};

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
                "to_i32",
                |rng| draw::one(rng, KINKED),
                |x, _| x[0].to_i32().to_f32(),
                |x, _| x[0].map(f64::trunc),
            )
        },
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
    for (number, op) in table().into_iter().enumerate() {
        for index in 0..cases(2) {
            // The two cases of an op on the two families, with checks and without from op to op.
            let turn = 2 * index + (number + index / 2) % 2;
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
                case.check(gpu(turn), &mut rng)
                    .map_err(|why| format!("{why}\n  inputs of shapes {shapes:?}, {args:?}"))
            });
        }
    }
    all.finish();
}
