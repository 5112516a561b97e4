//! Random expressions: small graphs of ops as plain data, evaluated here in f64 and built by the
//! test as a graph of the crate. Tensors are used several times, views sit between elementwise ops,
//! reductions are broadcast back: whatever a fuser might get wrong.

use super::{
    Array,
    draw::{Rng, jittered},
    elementwise as el,
    matmul::matmul,
    reduce::{self, reduce},
    view,
};
use rand::SeedableRng;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    Neg,
    Exp,
    Log,
    Sqrt,
    Abs,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Relu,
    Silu,
    Gelu,
    GeluTanh,
    Square,
    Recip,
    LeakyRelu(f32),
    Elu(f32),
    /// With threshold 40, where nothing jumps: log(1 + e⁻⁴⁰) = 4e-18.
    Softplus(f32),
    Clamp(f32, f32),
    AddScalar(f32),
    MulScalar(f32),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Minimum,
    Maximum,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reduction {
    Sum,
    Mean,
    Amax,
    LogSumExp,
}

/// Arguments are numbers of earlier nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The next input, in order.
    Input,
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    /// The third where the first is less than the second, else the fourth.
    SelectLess([usize; 4]),
    Reduce(Reduction, usize, Vec<isize>, bool),
    Softmax(usize, Vec<isize>),
    LogSoftmax(usize, Vec<isize>),
    /// To the node's shape.
    Reshape(usize),
    /// To the node's shape.
    BroadcastTo(usize),
    Transpose(usize, isize, isize),
    Permute(usize, Vec<usize>),
    Slice(usize, isize, usize, usize),
    Concat(Vec<usize>, isize),
    MatMul(usize, usize),
}

#[derive(Clone, Debug)]
pub struct Node {
    pub op: Op,
    pub shape: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Program {
    pub nodes: Vec<Node>,
}

pub struct Evaluation {
    /// One value a node.
    pub values: Vec<Array>,
    /// The least distance of any element from a kink or a tie of the op it goes through.
    pub margin: f64,
}

impl Op {
    pub fn arguments(&self) -> Vec<usize> {
        match self {
            Op::Input => vec![],
            Op::Binary(_, a, b) | Op::MatMul(a, b) => vec![*a, *b],
            Op::SelectLess(arguments) => arguments.to_vec(),
            Op::Concat(arguments, _) => arguments.clone(),
            Op::Unary(_, a)
            | Op::Reduce(_, a, ..)
            | Op::Softmax(a, _)
            | Op::LogSoftmax(a, _)
            | Op::Reshape(a)
            | Op::BroadcastTo(a)
            | Op::Transpose(a, ..)
            | Op::Permute(a, _)
            | Op::Slice(a, ..) => vec![*a],
        }
    }
}

impl Unary {
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Unary::Neg => -x,
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Sqrt => x.sqrt(),
            Unary::Abs => x.abs(),
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Tanh => x.tanh(),
            Unary::Sigmoid => el::sigmoid(x),
            Unary::Relu => el::relu(x),
            Unary::Silu => el::silu(x),
            Unary::Gelu => el::gelu(x),
            Unary::GeluTanh => el::gelu_tanh(x),
            Unary::Square => x * x,
            Unary::Recip => 1.0 / x,
            Unary::LeakyRelu(slope) => el::leaky_relu(x, f64::from(slope)),
            Unary::Elu(alpha) => el::elu(x, f64::from(alpha)),
            Unary::Softplus(beta) => el::softplus(x, f64::from(beta), 40.0),
            Unary::Clamp(min, max) => el::clamp(x, f64::from(min), f64::from(max)),
            Unary::AddScalar(c) => x + f64::from(c),
            Unary::MulScalar(c) => x * f64::from(c),
        }
    }

    /// The points where the derivative jumps.
    fn kinks(self) -> Vec<f64> {
        match self {
            Unary::Abs | Unary::Relu | Unary::LeakyRelu(_) | Unary::Elu(_) => vec![0.0],
            Unary::Clamp(min, max) => vec![f64::from(min), f64::from(max)],
            _ => vec![],
        }
    }
}

impl Binary {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Minimum => a.min(b),
            Binary::Maximum => a.max(b),
        }
    }
}

impl Program {
    pub fn input_nodes(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&i| self.nodes[i].op == Op::Input).collect()
    }

    /// The nodes that no other one uses: the outputs.
    pub fn sinks(&self) -> Vec<usize> {
        let used: Vec<usize> = self.nodes.iter().flat_map(|node| node.op.arguments()).collect();
        (0..self.nodes.len()).filter(|i| !used.contains(i)).collect()
    }

    /// Ops on the longest way from an input to an output.
    pub fn depth(&self) -> usize {
        let mut depths: Vec<usize> = Vec::new();
        for node in &self.nodes {
            let below = node.op.arguments().iter().map(|&a| depths[a] + 1).max();
            depths.push(below.unwrap_or(0));
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// The value of each node. With `jitter`, every element of every node that computes something is
    /// off by a random relative error of up to one f32 rounding, the same for the same seed: the
    /// spread over seeds shows what rounding alone does to a result.
    pub fn eval(&self, inputs: &[Array], jitter: Option<u64>) -> Evaluation {
        let mut noise = jitter.map(Rng::seed_from_u64);
        let mut inputs = inputs.iter();
        let mut values: Vec<Array> = Vec::new();
        let mut margin = f64::INFINITY;
        for node in &self.nodes {
            margin = margin.min(node.op.margin(&values));
            let mut value = match &node.op {
                Op::Input => inputs.next().expect("an array for each input").clone(),
                op => op.eval(&values, &node.shape),
            };
            assert_eq!(value.shape, node.shape, "shape of {:?}", node.op);
            if let (Some(rng), false) = (&mut noise, node.op.moves_only()) {
                value = jittered(rng, &value);
            }
            values.push(value);
        }
        Evaluation { values, margin }
    }
}

impl Op {
    /// Whether the op copies its arguments' elements unchanged.
    fn moves_only(&self) -> bool {
        !matches!(
            self,
            Op::Input
                | Op::Unary(..)
                | Op::Binary(..)
                | Op::Reduce(..)
                | Op::Softmax(..)
                | Op::LogSoftmax(..)
                | Op::MatMul(..)
        )
    }

    fn eval(&self, values: &[Array], shape: &[usize]) -> Array {
        let v = |i: &usize| &values[*i];
        match self {
            Op::Input => unreachable!("inputs are given"),
            Op::Unary(unary, a) => v(a).map(|x| unary.apply(x)),
            Op::Binary(binary, a, b) => el::zip(v(a), v(b), |x, y| binary.apply(x, y)),
            Op::SelectLess([a, b, yes, no]) => {
                el::select(&el::compare(v(a), v(b), |x, y| x < y), v(yes), v(no))
            }
            Op::Reduce(Reduction::Sum, a, axes, keepdim) => reduce::sum(v(a), axes, *keepdim),
            Op::Reduce(Reduction::Mean, a, axes, keepdim) => reduce::mean(v(a), axes, *keepdim),
            Op::Reduce(Reduction::Amax, a, axes, keepdim) => reduce::amax(v(a), axes, *keepdim),
            Op::Reduce(Reduction::LogSumExp, a, axes, keepdim) => reduce::logsumexp(v(a), axes, *keepdim),
            Op::Softmax(a, axes) => reduce::softmax(v(a), axes),
            Op::LogSoftmax(a, axes) => reduce::log_softmax(v(a), axes),
            Op::Reshape(a) => view::reshape(v(a), shape),
            Op::BroadcastTo(a) => view::broadcast_to(v(a), shape),
            Op::Transpose(a, first, second) => view::transpose(v(a), *first, *second),
            Op::Permute(a, order) => view::permute(v(a), order),
            Op::Slice(a, axis, start, end) => view::slice(v(a), *axis, *start, *end),
            Op::Concat(parts, axis) => view::concat(&parts.iter().map(v).collect::<Vec<_>>(), *axis),
            Op::MatMul(a, b) => matmul(v(a), v(b)),
        }
    }

    /// Distance of the nearest element from where the op is not smooth.
    fn margin(&self, values: &[Array]) -> f64 {
        let least = |array: Array| array.data.into_iter().fold(f64::INFINITY, f64::min);
        let apart = |a: usize, b: usize| least(el::zip(&values[a], &values[b], |x, y| (x - y).abs()));
        match self {
            Op::Unary(unary, a) => {
                let kinks = unary.kinks();
                let nearest = |x: f64| kinks.iter().map(|k| (x - k).abs()).fold(f64::INFINITY, f64::min);
                least(values[*a].map(nearest))
            }
            Op::Binary(Binary::Minimum | Binary::Maximum, a, b) | Op::SelectLess([a, b, ..]) => apart(*a, *b),
            Op::Reduce(Reduction::Amax, a, axes, _) => least(reduce(&values[*a], axes, false, gap)),
            _ => f64::INFINITY,
        }
    }
}

/// How far the second largest is below the largest.
fn gap(group: &[f64]) -> f64 {
    let mut sorted = group.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted[..] {
        [.., second, first] => first - second,
        _ => f64::INFINITY,
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            writeln!(f, "  %{i} = {:?}  {:?}", node.op, node.shape)?;
        }
        write!(f, "  outputs: {:?}", self.sinks())
    }
}
