//! Reverse-mode differentiation. The gradient of a graph is more graph, so second derivatives follow; only cross-entropy,
//! attention and segment sums (embeddings) refuse one.
//!
//! [`Graph::custom_gradient`] replaces the derived gradient of a value by a rule on the value's gradient, its inputs and
//! saved tensors. Norms, pools, convolutions, embeddings and attention use it. To the planner such a node is a reshape. A
//! rule reads tensors of the forward pass only from its arguments, which makes checkpointing possible:
//! `graph/checkpoint.rs` hands it copies that the backward pass recomputes.
//!
//! `Tensor::detach` is a reshape to the same shape, at which differentiation stops.

use std::collections::{HashMap, HashSet};

use super::checkpoint::Recomputed;
use super::{Binary, Fold, Graph, Node, NodeId, Op, Tensor, Unary, Windowed};
use crate::graph::DType;
use crate::shape::Shape;

impl Graph {
    /// The gradients of a scalar `loss` for each of `wrt`; zeros where the loss does not depend on one.
    pub fn grad(&self, loss: &Tensor, wrt: &[&Tensor]) -> Vec<Tensor> {
        if loss.shape.elements() != 1 || loss.dtype != DType::F32 {
            self.fail(format!("a gradient needs a scalar loss; this one is {:?} {}", loss.dtype, loss.shape));
            return wrt.iter().map(|t| (*t).clone()).collect();
        }
        let nodes = self.nodes();
        let wanted: HashSet<NodeId> = wrt.iter().map(|t| t.id()).collect();
        let reaches = self.reaching(&nodes, &wanted);
        let mut recomputed = Recomputed::new(self, &nodes);
        let mut grads: HashMap<NodeId, Tensor> = HashMap::new();
        grads.insert(loss.id(), self.full(1.0, &loss.shape));
        for index in (0..=loss.id().0).rev() {
            let id = NodeId(index);
            if !reaches[index] {
                continue;
            }
            let Some(dy) = grads.get(&id).cloned() else { continue };
            let node = &nodes[index];
            let (sources, parts) = match self.custom_gradient_of(id) {
                Some(p) => {
                    let inputs: Vec<Tensor> = p.inputs.iter().map(|&i| recomputed.tensor(i)).collect();
                    let saved: Vec<Tensor> = p.saved.iter().map(|&i| recomputed.tensor(i)).collect();
                    let parts = self.scoped(&node.scope, || (p.backward)(&dy, &inputs, &saved));
                    (p.inputs, parts)
                }
                None => {
                    let largest = matches!(node.op, Op::Reduce(Fold::Max, _));
                    let y = if largest { recomputed.with_inputs(id) } else { recomputed.tensor(id) };
                    let inputs: Vec<Tensor> = node.inputs.iter().map(|&i| recomputed.tensor(i)).collect();
                    let needed: Vec<bool> = node.inputs.iter().map(|i| reaches[i.0]).collect();
                    let parts = self.scoped(&node.scope, || backward(node, &inputs, &needed, &y, &dy));
                    (node.inputs.clone(), parts)
                }
            };
            for (input, part) in sources.iter().zip(parts) {
                if let Some(part) = part.filter(|_| reaches[input.0]) {
                    let sum = match grads.get(input) {
                        Some(sum) => sum.add(&part),
                        None => part,
                    };
                    grads.insert(*input, sum);
                }
            }
        }
        wrt.iter().map(|t| grads.get(&t.id()).cloned().unwrap_or_else(|| self.full(0.0, &t.shape))).collect()
    }

    /// Marks the nodes that depend on a wanted one through operations that carry gradients.
    fn reaching(&self, nodes: &[Node], wanted: &HashSet<NodeId>) -> Vec<bool> {
        let mut reaches = vec![false; nodes.len()];
        for (i, node) in nodes.iter().enumerate() {
            let through = match self.custom_gradient_of(NodeId(i)) {
                Some(p) => p.inputs.iter().any(|n| reaches[n.0]),
                // A reshape to its own shape is `detach`.
                None if node.op == Op::Reshape && nodes[node.inputs[0].0].shape == node.shape => false,
                None => node.inputs.iter().any(|n| reaches[n.0]),
            };
            reaches[i] = through || wanted.contains(&NodeId(i));
        }
        reaches
    }
}

/// Sums `t` over the axes along which `shape` was broadcast, back to `shape`.
fn unbroadcast(t: &Tensor, shape: &Shape) -> Tensor {
    let extra = t.shape.len() - shape.len();
    let axes: Vec<isize> = (0..t.shape.len())
        .filter(|&i| i < extra || (shape[i - extra] == 1 && t.shape[i] != 1))
        .map(|i| i as isize)
        .collect();
    if axes.is_empty() { t.clone() } else { t.sum(&axes, true).reshape(shape) }
}

/// The gradient for each input of a node, given its output `y` and the gradient `dy` of it.
fn backward(node: &Node, inputs: &[Tensor], needed: &[bool], y: &Tensor, dy: &Tensor) -> Vec<Option<Tensor>> {
    let zero = || dy.graph.constant(0.0);
    match &node.op {
        Op::Input(_)
        | Op::Parameter(_)
        | Op::Buffer(_)
        | Op::Clock
        | Op::Random(_)
        | Op::Constant(_)
        | Op::Iota(_) => vec![None; node.inputs.len()],
        Op::Unary(op) => vec![unary(*op, &inputs[0], y, dy)],
        Op::Binary(op) => binary(*op, &inputs[0], &inputs[1], needed, y, dy),
        Op::Select => {
            vec![None, Some(inputs[0].select(dy, &zero())), Some(inputs[0].select(&zero(), dy))]
        }
        Op::Reduce(Fold::Sum, _) => vec![Some(dy.broadcast_to(&inputs[0].shape))],
        Op::Reduce(Fold::Max, axes) => {
            let axes: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
            let hit = inputs[0].eq(y);
            let share = dy.div(&hit.sum(&axes, true));
            vec![Some(hit.mul(&share))]
        }
        Op::Matmul { trans_a, trans_b } => matmul(*trans_a, *trans_b, inputs, needed, dy),
        Op::Reshape => vec![Some(dy.reshape(&inputs[0].shape))],
        Op::Permute(perm) => {
            let mut inverse = vec![0; perm.len()];
            for (i, &p) in perm.iter().enumerate() {
                inverse[p] = i;
            }
            vec![Some(dy.permute(&inverse))]
        }
        Op::Broadcast => vec![Some(unbroadcast(dy, &inputs[0].shape))],
        Op::Slice(starts) => vec![Some(dy.pad(starts.clone(), inputs[0].shape.clone()))],
        Op::Pad(before) => vec![Some(dy.window(before.clone(), inputs[0].shape.clone()))],
        Op::Concat(axis) => {
            let mut start = 0;
            let mut part = |t: &Tensor| {
                let mut starts = vec![0; t.shape.len()];
                starts[*axis] = start;
                start += t.shape[*axis];
                Some(dy.window(starts, t.shape.clone()))
            };
            inputs.iter().map(&mut part).collect()
        }
        Op::Window(window, seen) => {
            let shape = &inputs[0].shape;
            vec![Some(match seen {
                Windowed::Unfold(_) => dy.fold_windows(*window, shape[window.axis]).sum(&[-1], false),
                Windowed::Fold => dy.fold_transpose(*window, shape[window.axis]),
                Windowed::FoldTranspose => dy.fold_windows(*window, shape[window.axis]),
            })]
        }
        Op::Gather(axis) => vec![Some(scatter(*axis, &inputs[0].shape, &inputs[1], dy)), None],
        Op::CrossEntropy(attrs) => {
            vec![Some(inputs[0].cross_entropy_grad(&inputs[1], dy, *attrs)), None]
        }
        Op::Attention(_)
        | Op::AttentionStats(_)
        | Op::AttentionGradQ(_)
        | Op::AttentionGradKv(_)
        | Op::AttentionGrad(_)
        | Op::AttentionGradBeside(_)
        | Op::SegmentSum => {
            dy.fail(format!("{} has no second derivative here", node.op.name()));
            vec![None; node.inputs.len()]
        }
        Op::CrossEntropyGrad(_) => {
            dy.fail("cross_entropy has no second derivative here; compose it from log_softmax".into());
            vec![None; 3]
        }
    }
}

fn unary(op: Unary, x: &Tensor, y: &Tensor, dy: &Tensor) -> Option<Tensor> {
    let zero = || dy.graph.constant(0.0);
    Some(match op {
        Unary::Neg => dy.neg(),
        Unary::Exp => dy.mul(y),
        Unary::Log => dy.div(x),
        Unary::Sqrt => dy.mul_scalar(0.5).div(y),
        Unary::Recip => dy.mul(y).mul(y).neg(),
        Unary::Abs => dy.mul(&x.sign()),
        Unary::Sin => dy.mul(&x.cos()),
        Unary::Cos => dy.mul(&x.sin()).neg(),
        Unary::Tanh => dy.mul(&(1.0 - y.square())),
        Unary::Sigmoid => dy.mul(&y.mul(&(1.0 - y))),
        Unary::Erf => {
            let scale = (2.0 / std::f64::consts::PI.sqrt()) as f32;
            dy.mul(&x.square().neg().exp().mul_scalar(scale))
        }
        Unary::Relu => y.gt(&zero()).select(dy, &zero()),
        Unary::LeakyRelu(slope) => {
            let tested = if slope.get() >= 0.0 { y } else { x };
            tested.gt(&zero()).select(dy, &dy.mul_scalar(slope.get()))
        }
        Unary::Elu(alpha) => {
            let tested = if alpha.get() >= 0.0 { y } else { x };
            tested.gt(&zero()).select(dy, &dy.mul(&y.add_scalar(alpha.get())))
        }
        Unary::Softplus(beta, threshold) => {
            let scaled = x.mul_scalar(beta.get());
            let past = scaled.gt(&dy.graph.constant(threshold.get()));
            past.select(dy, &dy.mul(&scaled.sigmoid()))
        }
        Unary::PowConst(c) => dy.mul(&x.pow_scalar(c.get() - 1.0).mul_scalar(c.get())),
        Unary::Sign | Unary::ToF32 | Unary::ToI32 => return None,
    })
}

fn binary(
    op: Binary,
    a: &Tensor,
    b: &Tensor,
    needed: &[bool],
    y: &Tensor,
    dy: &Tensor,
) -> Vec<Option<Tensor>> {
    let zero = || dy.graph.constant(0.0);
    let shared = |wins: &Tensor| {
        let half = a.eq(b).select(&dy.mul_scalar(0.5), &zero());
        Some(wins.select(dy, &half))
    };
    match op {
        Binary::Add => vec![Some(dy.clone()), Some(dy.clone())],
        Binary::Sub => vec![Some(dy.clone()), needed[1].then(|| dy.neg())],
        Binary::Mul => vec![needed[0].then(|| dy.mul(b)), needed[1].then(|| dy.mul(a))],
        Binary::Div => vec![needed[0].then(|| dy.div(b)), needed[1].then(|| dy.mul(y).div(b).neg())],
        Binary::Pow => {
            // d/da = b·a^(b−1), 0 where b is 0; d/db = y·ln a, 0 where a is 0 and b ≥ 0.
            let base = || {
                let d = dy.mul(b).mul(&a.pow(&b.add_scalar(-1.0)));
                b.eq(&zero()).select(&zero(), &d)
            };
            let exponent = || {
                let still = a.eq(&zero()).mul(&b.ge(&zero()));
                still.select(&zero(), &dy.mul(y).mul(&a.log()))
            };
            vec![needed[0].then(base), needed[1].then(exponent)]
        }
        Binary::Min => vec![shared(&a.lt(b)), shared(&b.lt(a))],
        Binary::Max => vec![shared(&a.gt(b)), shared(&b.gt(a))],
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => vec![None, None],
    }
}

/// y = op(A)·op(B): dA and dB, each laid out as its operand is stored.
fn matmul(ta: bool, tb: bool, inputs: &[Tensor], needed: &[bool], dy: &Tensor) -> Vec<Option<Tensor>> {
    let (a, b) = (&inputs[0], &inputs[1]);
    // dop(A) = dy·op(B)ᵀ; stored transposed it is op(B)·dyᵀ.
    let da = || if ta { b.matmul_node(dy, tb, true) } else { dy.matmul_node(b, false, !tb) };
    // dop(B) = op(A)ᵀ·dy; stored transposed it is dyᵀ·op(A).
    let db = || if tb { dy.matmul_node(a, true, ta) } else { a.matmul_node(dy, !ta, false) };
    vec![needed[0].then(da), needed[1].then(db)]
}

/// The transpose of gather: sums `dy` into `shape` where `index` points along `axis`, in index order.
fn scatter(axis: usize, shape: &Shape, index: &Tensor, dy: &Tensor) -> Tensor {
    let mut line = index.shape.to_vec();
    line.insert(axis, 1);
    let mut wide = line.clone();
    wide[axis] = shape[axis];
    let wide = Shape::from(wide);
    let spread = |t: &Tensor| t.reshape(line.clone()).broadcast_to(&wide);
    let hit = spread(index).eq(&dy.graph.iota(axis, &wide));
    let sum = hit.select(&spread(dy), &dy.graph.constant(0.0)).sum(&[axis as isize + 1], false);
    sum.pad(vec![0; shape.len()], shape.clone())
}
