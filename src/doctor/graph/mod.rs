//! Evaluates a graph in f64, node by node, with loops that share nothing with the kernels. Each number has a bound of
//! its f32 rounding error.

mod functions;
mod heads;
mod views;

use heads::{Attention, CrossEntropy};
use views::{each, index};

use crate::check::{Near, depth};
use crate::graph::{AttentionAttrs, Clock, Fold, Graph, Node, NodeId, Op, Tensor};

/// The words of the step's state that graphs are evaluated with: step 7 of a run of this seed.
pub(super) const STATE: [u32; Clock::WORDS] = {
    let mut words = [0; Clock::WORDS];
    words[Clock::Before as usize] = 6;
    words[Clock::Open as usize] = 1;
    words[Clock::SeedLow as usize] = 0x9e37_79b9;
    words[Clock::SeedHigh as usize] = 0x2545_f491;
    words
};

/// The numbers of each of `outputs`, from those of inputs by name and of parameters by their index.
pub(super) fn evaluate(
    graph: &Graph,
    outputs: &[Tensor],
    input: &dyn Fn(&str) -> Vec<Near>,
    parameter: &dyn Fn(usize) -> Vec<Near>,
) -> Vec<Vec<Near>> {
    let nodes = graph.nodes();
    let mut wanted = vec![false; nodes.len()];
    outputs.iter().for_each(|t| wanted[t.id().0] = true);
    for i in (0..nodes.len()).rev() {
        if wanted[i] {
            nodes[i].inputs.iter().for_each(|input| wanted[input.0] = true);
        }
    }
    let mut values: Vec<Vec<Near>> = vec![Vec::new(); nodes.len()];
    for i in (0..nodes.len()).filter(|&i| wanted[i]) {
        values[i] = match &nodes[i].op {
            Op::Input(name) => input(name),
            Op::Parameter(index) => parameter(*index),
            _ => Known { nodes: &nodes, values: &values }.node(&nodes[i]),
        };
    }
    outputs.iter().map(|t| values[t.id().0].clone()).collect()
}

/// The nodes, and the values computed so far.
struct Known<'a> {
    nodes: &'a [Node],
    values: &'a [Vec<Near>],
}

impl<'a> Known<'a> {
    fn of(&self, id: NodeId) -> (&'a [usize], &'a [Near]) {
        (&self.nodes[id.0].shape, &self.values[id.0])
    }

    fn node(&self, node: &Node) -> Vec<Near> {
        let shape = &node.shape[..];
        let count: usize = shape.iter().product();
        let inputs: Vec<_> = node.inputs.iter().map(|&id| self.of(id)).collect();
        let numbers = |i: usize| inputs[i].1;
        match &node.op {
            Op::Input(_) | Op::Parameter(_) | Op::Buffer(_) => unreachable!("given from outside"),
            Op::Clock => STATE.iter().map(|word| Near { value: f64::from(*word), bound: 0.0 }).collect(),
            Op::Random(stream) => (0..count as u32).map(|i| uniform(i, *stream)).collect(),
            Op::Constant(bits) => vec![Near::exact(bits.get()); count],
            Op::Iota(axis) => {
                let mut out = Vec::with_capacity(count);
                each(shape, |at| out.push(Near::exact(at[*axis] as f32)));
                out
            }
            Op::Unary(op) => numbers(0).iter().map(|x| functions::unary(*op, *x)).collect(),
            Op::Binary(op) => {
                numbers(0).iter().zip(numbers(1)).map(|(a, b)| functions::binary(*op, *a, *b)).collect()
            }
            Op::Select => {
                (0..count).map(|i| functions::select(numbers(0)[i], numbers(1)[i], numbers(2)[i])).collect()
            }
            Op::Reduce(fold, axes) => reduce(*fold, axes, inputs[0]),
            Op::Matmul { trans_a, trans_b } => matmul([*trans_a, *trans_b], inputs[0], inputs[1], shape),
            Op::Concat(axis) => views::concat(*axis, &inputs, shape),
            Op::Gather(axis) => views::gather(*axis, inputs[0], numbers(1), shape),
            Op::CrossEntropy(attrs) | Op::CrossEntropyGrad(attrs) => {
                let (logits, targets) = (numbers(0), numbers(1));
                let rows = CrossEntropy { attrs: *attrs, classes: inputs[0].0[1], logits, targets };
                if inputs.len() > 2 { rows.gradient(numbers(2)) } else { rows.loss() }
            }
            Op::Attention(attrs) => attention(*attrs, &inputs, 3).forward(),
            Op::AttentionStats(attrs) => attention(*attrs, &inputs, 3).stats(),
            Op::AttentionGradQ(attrs) => attention(*attrs, &inputs, 5).grad_q(numbers(3), numbers(4)),
            Op::AttentionGradKv(attrs) => attention(*attrs, &inputs, 5).grad_kv(numbers(3), numbers(4)),
            Op::SegmentSum => heads::segment_sum(numbers(0), shape[1], numbers(1), numbers(2)),
            op => match views::view(op, inputs[0], shape) {
                Some(values) => values,
                None => unreachable!("{} is a view", op.name()),
            },
        }
    }
}

fn attention<'a>(attrs: AttentionAttrs, inputs: &[(&'a [usize], &'a [Near])], own: usize) -> Attention<'a> {
    let (q, k) = (inputs[0].0, inputs[1].0);
    let sizes = [q[0], q[1], k[1], q[2], q[3]];
    let mut rest = inputs[own..].iter().map(|input| input.1);
    let mask = rest.next_if(attrs.masked);
    let keep = rest.next_if(attrs.kept);
    Attention { attrs, sizes, rows: [inputs[0].1, inputs[1].1, inputs[2].1], mask, keep }
}

/// Takes the next item only where `given` is true.
trait NextIf: Iterator {
    fn next_if(&mut self, given: bool) -> Option<Self::Item> {
        if given { self.next() } else { None }
    }
}

impl<I: Iterator> NextIf for I {}

fn reduce(fold: Fold, axes: &[usize], (shape, values): (&[usize], &[Near])) -> Vec<Near> {
    let kept: Vec<usize> = (0..shape.len()).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
    let count: usize = kept.iter().product();
    let mut rows: Vec<Vec<Near>> = vec![Vec::with_capacity(values.len() / count); count];
    let mut i = 0;
    each(shape, |at| {
        let at: Vec<usize> = at.iter().zip(&kept).map(|(c, extent)| c % extent).collect();
        rows[index(&at, &kept)].push(values[i]);
        i += 1;
    });
    let folded = |row: &Vec<Near>| match fold {
        Fold::Sum => Near::sum(row.iter().map(|x| (*x, 1)), depth(row.len())),
        Fold::Max => row.iter().copied().reduce(Near::max).unwrap_or_default(),
    };
    rows.iter().map(folded).collect()
}

fn matmul(trans: [bool; 2], a: (&[usize], &[Near]), b: (&[usize], &[Near]), shape: &[usize]) -> Vec<Near> {
    let rank = shape.len();
    let (m, n) = (shape[rank - 2], shape[rank - 1]);
    let k = a.0[if trans[0] { rank - 2 } else { rank - 1 }];
    let mut out = Vec::with_capacity(shape.iter().product());
    for z in 0..shape[..rank - 2].iter().product() {
        let (a, b) = (&a.1[z * m * k..][..m * k], &b.1[z * k * n..][..k * n]);
        for (row, col) in (0..m).flat_map(|row| (0..n).map(move |col| (row, col))) {
            let left = |i: usize| a[if trans[0] { i * m + row } else { row * k + i }];
            let right = |i: usize| b[if trans[1] { col * k + i } else { i * n + col }];
            out.push(Near::sum((0..k).map(|i| (left(i) * right(i), 1)), k));
        }
    }
    out
}

/// A number of [0, 1) from seed, step, stream and index: pcg4d of Jarzynski and Olano 2020, 24 bits of its first word.
fn uniform(index: u32, stream: u32) -> Near {
    let word = |clock: Clock| STATE[clock as usize];
    let step = word(Clock::Before).wrapping_add(word(Clock::Open));
    let high = word(Clock::SeedHigh) ^ stream.wrapping_mul(2_654_435_769);
    let drawn = pcg4d([index, step, word(Clock::SeedLow), high])[0] >> 8;
    Near { value: f64::from(drawn) / f64::from(1u32 << 24), bound: 0.0 }
}

/// See [`uniform`].
pub(super) fn pcg4d(seed: [u32; 4]) -> [u32; 4] {
    let mut v = seed.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let mix = |v: &mut [u32; 4]| {
        for (to, a, b) in [(0, 1, 3), (1, 2, 0), (2, 0, 1), (3, 1, 2)] {
            v[to] = v[to].wrapping_add(v[a].wrapping_mul(v[b]));
        }
    };
    mix(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    mix(&mut v);
    v
}
