//! Draws random programs.

use super::{
    Array, broadcast_shape,
    draw::{self, Rng, uniform},
    program::{Binary, Node, Op, Program, Reduction, Unary},
};
use rand::{RngExt, seq::IndexedRandom, seq::SliceRandom};

const SIZES: [usize; 9] = [1, 2, 3, 4, 5, 7, 8, 9, 17];
const LARGEST: usize = 160;

impl Program {
    /// A program of depth 3 to 6 (a guard or a centring can add two), over one to three inputs and
    /// whatever weights its products take, with values for its inputs. All its values are moderate,
    /// and no element is within 1e-3 of a kink or a tie.
    pub fn draw(rng: &mut Rng) -> (Program, Vec<Array>) {
        loop {
            let program = Program::draw_any(rng);
            for _ in 0..4 {
                let inputs: Vec<Array> = program
                    .input_nodes()
                    .iter()
                    .map(|&node| uniform(rng, &program.nodes[node].shape, -2.0, 2.0))
                    .collect();
                let evaluation = program.eval(&inputs, None);
                let moderate = evaluation.values.iter().all(|v| v.data.iter().all(|x| x.abs() < 30.0));
                if moderate && evaluation.margin > 1e-3 {
                    return (program, inputs);
                }
            }
        }
    }

    fn draw_any(rng: &mut Rng) -> Program {
        let mut program = Program::default();
        let base = loop {
            let rank = rng.random_range(1..=4);
            let shape: Vec<usize> = (0..rank).map(|_| *SIZES.choose(rng).expect("sizes")).collect();
            if (2..=LARGEST).contains(&shape.iter().product()) {
                break shape;
            }
        };
        for _ in 0..rng.random_range(0..=2) {
            let shape = draw::narrowed(rng, &base);
            program.push(Op::Input, shape);
        }
        program.push(Op::Input, base);
        let target = rng.random_range(3..=6);
        while program.depth() < target {
            program.grow(rng);
        }
        program
    }

    fn push(&mut self, op: Op, shape: Vec<usize>) -> usize {
        self.nodes.push(Node { op, shape });
        self.nodes.len() - 1
    }

    fn unary(&mut self, unary: Unary, of: usize) -> usize {
        self.push(Op::Unary(unary, of), self.nodes[of].shape.clone())
    }

    /// Adds an op or a few. Mostly on the newest node, else on any.
    fn grow(&mut self, rng: &mut Rng) {
        let newest = self.nodes.len() - 1;
        let a = if rng.random_bool(0.7) { newest } else { rng.random_range(0..=newest) };
        match rng.random_range(0..100) {
            0..30 => self.grow_unary(rng, a),
            30..55 => self.grow_binary(rng, a),
            55..67 => self.grow_reduction(rng, a),
            67..88 => self.grow_view(rng, a),
            88.. => self.grow_matmul(rng, a),
            _ => unreachable!("a number from 0 to 99"),
        }
    }

    fn grow_unary(&mut self, rng: &mut Rng, a: usize) {
        const SAFE: [Unary; 20] = [
            Unary::Neg,
            Unary::Exp,
            Unary::Abs,
            Unary::Sin,
            Unary::Cos,
            Unary::Tanh,
            Unary::Sigmoid,
            Unary::Relu,
            Unary::Silu,
            Unary::Gelu,
            Unary::GeluTanh,
            Unary::Square,
            Unary::LeakyRelu(0.125),
            Unary::Elu(0.75),
            Unary::Softplus(2.0),
            Unary::Clamp(-1.5, 0.75),
            Unary::AddScalar(-0.625),
            Unary::AddScalar(1.5),
            Unary::MulScalar(0.375),
            Unary::MulScalar(-1.25),
        ];
        const POSITIVE: [Unary; 3] = [Unary::Log, Unary::Sqrt, Unary::Recip];
        if rng.random_bool(0.8) {
            self.unary(*SAFE.choose(rng).expect("ops"), a);
        } else {
            let guarded = self.at_least_half(a);
            self.unary(*POSITIVE.choose(rng).expect("ops"), guarded);
        }
    }

    /// a² + ½
    fn at_least_half(&mut self, a: usize) -> usize {
        let square = self.unary(Unary::Square, a);
        self.unary(Unary::AddScalar(0.5), square)
    }

    fn grow_binary(&mut self, rng: &mut Rng, a: usize) {
        if rng.random_bool(0.25) && !self.nodes[a].shape.is_empty() {
            let subtracted = if rng.random_bool(0.7) { Reduction::Mean } else { Reduction::Amax };
            let reduced = self.reduce(rng, subtracted, a, true);
            self.binary(Binary::Sub, a, reduced);
            return;
        }
        let b = self.partner(rng, a);
        let (a, b) = if rng.random_bool(0.5) { (a, b) } else { (b, a) };
        match rng.random_range(0..8) {
            0 | 1 => self.binary(Binary::Add, a, b),
            2 => self.binary(Binary::Sub, a, b),
            3 | 4 => self.binary(Binary::Mul, a, b),
            5 => {
                let guarded = self.at_least_half(b);
                self.binary(Binary::Div, a, guarded)
            }
            6 => {
                let pick = [Binary::Minimum, Binary::Maximum];
                self.binary(*pick.choose(rng).expect("two"), a, b)
            }
            _ => {
                let shape = broadcast_shape(&self.nodes[a].shape, &self.nodes[b].shape);
                let negated = self.unary(Unary::MulScalar(-0.5), a);
                self.push(Op::SelectLess([a, b, negated, b]), shape.expect("partners broadcast"))
            }
        };
    }

    /// A node that broadcasts with `a`, itself perhaps.
    fn partner(&self, rng: &mut Rng, a: usize) -> usize {
        let fits = |&b: &usize| {
            let shape = broadcast_shape(&self.nodes[a].shape, &self.nodes[b].shape);
            b == a || shape.is_some_and(|shape| shape.iter().product::<usize>() <= LARGEST)
        };
        let fitting: Vec<usize> = (0..self.nodes.len()).filter(fits).collect();
        *fitting.choose(rng).expect("at least a itself")
    }

    fn binary(&mut self, binary: Binary, a: usize, b: usize) -> usize {
        let shape = broadcast_shape(&self.nodes[a].shape, &self.nodes[b].shape);
        self.push(Op::Binary(binary, a, b), shape.expect("partners broadcast"))
    }

    fn grow_reduction(&mut self, rng: &mut Rng, a: usize) {
        let axes = draw::some_axes(rng, self.nodes[a].shape.len());
        let shape = self.nodes[a].shape.clone();
        match rng.random_range(0..10) {
            0..6 => {
                let all = [Reduction::Sum, Reduction::Mean, Reduction::Amax, Reduction::LogSumExp];
                let (reduction, keepdim) = (*all.choose(rng).expect("four"), rng.random_bool(0.6));
                self.reduce(rng, reduction, a, keepdim)
            }
            6 | 7 => self.push(Op::Softmax(a, axes), shape),
            _ => self.push(Op::LogSoftmax(a, axes), shape),
        };
    }

    fn reduce(&mut self, rng: &mut Rng, reduction: Reduction, a: usize, keepdim: bool) -> usize {
        let shape = &self.nodes[a].shape;
        let axes = draw::some_axes(rng, shape.len());
        let gone = super::axes_of(shape.len(), &axes);
        let kept = (0..shape.len()).filter(|axis| keepdim || !gone.contains(axis));
        let shape = kept.map(|axis| if gone.contains(&axis) { 1 } else { shape[axis] }).collect();
        self.push(Op::Reduce(reduction, a, axes, keepdim), shape)
    }

    fn grow_view(&mut self, rng: &mut Rng, a: usize) {
        let mut shape = self.nodes[a].shape.clone();
        let rank = shape.len();
        if rank == 0 {
            let wide = vec![rng.random_range(2..=5)];
            self.push(Op::BroadcastTo(a), wide);
            return;
        }
        let len: usize = shape.iter().product();
        let (first, second) = (rng.random_range(0..rank), rng.random_range(0..rank));
        let signed = |axis: usize, negative: bool| axis as isize - if negative { rank as isize } else { 0 };
        match rng.random_range(0..7) {
            0 => {
                let shape = draw::regrouped(rng, &shape);
                self.push(Op::Reshape(a), shape)
            }
            1 if rank < 4 && len * 3 <= LARGEST => {
                shape.iter_mut().filter(|size| **size == 1).for_each(|size| *size = 3);
                let wider = shape.iter().product::<usize>() * 2 <= LARGEST;
                shape.splice(0..0, wider.then_some(2));
                self.push(Op::BroadcastTo(a), shape)
            }
            2 => {
                shape.swap(first, second);
                self.push(Op::Transpose(a, first as isize, signed(second, true)), shape)
            }
            3 => {
                let mut order: Vec<usize> = (0..rank).collect();
                order.shuffle(rng);
                let shape = order.iter().map(|&axis| shape[axis]).collect();
                self.push(Op::Permute(a, order), shape)
            }
            4 => {
                let start = rng.random_range(0..shape[first]);
                let end = rng.random_range(start + 1..=shape[first]);
                shape[first] = end - start;
                self.push(Op::Slice(a, signed(first, rng.random_bool(0.5)), start, end), shape)
            }
            _ if len > LARGEST => self.unary(Unary::Tanh, a),
            _ => {
                let joins = |&b: &usize| {
                    let other = &self.nodes[b].shape;
                    let agrees = |axis: usize| axis == first || other[axis] == shape[axis];
                    other.len() == rank && (0..rank).all(agrees)
                };
                let fitting: Vec<usize> = (0..self.nodes.len()).filter(joins).collect();
                let b = *fitting.choose(rng).expect("at least a itself");
                shape[first] += self.nodes[b].shape[first];
                let parts = if rng.random_bool(0.5) { vec![a, b] } else { vec![b, a] };
                self.push(Op::Concat(parts, signed(first, rng.random_bool(0.5))), shape)
            }
        };
    }

    /// A product with a new weight, with a node that fits, or of a node and its own transpose.
    fn grow_matmul(&mut self, rng: &mut Rng, a: usize) {
        let shape = self.nodes[a].shape.clone();
        let Some((lead, &[m, k])) = shape.split_last_chunk::<2>() else {
            return self.grow_unary(rng, a);
        };
        let rows: usize = lead.iter().product::<usize>() * m;
        let columns = rng.random_range(1..=9);
        let (b, n) = match rng.random_range(0..3) {
            0 if rows * m <= LARGEST => {
                let shape = [lead, &[k, m]].concat();
                (self.push(Op::Transpose(a, -1, -2), shape), m)
            }
            1 if rows * columns <= LARGEST => {
                let weight = self.push(Op::Input, vec![columns, k]);
                (self.push(Op::Transpose(weight, 0, 1), vec![k, columns]), columns)
            }
            _ if rows * columns <= LARGEST => (self.push(Op::Input, vec![k, columns]), columns),
            _ => return self.grow_unary(rng, a),
        };
        let product = self.push(Op::MatMul(a, b), [lead, &[m, n]].concat());
        // keeps the product of k terms of order 1 of order 1, by a number that is exact in f32
        let scale = 0.5_f32.powi((k as f32).log2().ceil() as i32 / 2);
        if k > 3 {
            self.unary(Unary::MulScalar(scale), product);
        }
    }
}
