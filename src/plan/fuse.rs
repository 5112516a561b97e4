//! What lies in memory, and what is computed on the way in or out of another kernel.

use std::collections::HashMap;

use super::absorb::Along;
use super::view::Views;
use crate::graph::{Node, NodeId, Op};
use crate::kernel::MAX_INPUTS;
use crate::kernel::text::unary_cost;

/// An elementwise value that costs more than this is computed once when several kernels want it.
const CHEAP: u64 = 24;
/// No printed expression grows past this.
const LARGEST: u64 = 160;
/// Distinct values in memory a printed expression may read; one binding stays free for a chain's extra input.
const MAX_LEAVES: usize = MAX_INPUTS - 1;

/// Distinct values in memory that what is printed into a kernel may read.
fn most_leaves(op: &Op) -> usize {
    match op {
        // These bind six buffers of their own.
        Op::AttentionGradQ(_) | Op::AttentionGradKv(_) => 2,
        _ => MAX_LEAVES,
    }
}

/// The decisions for a graph.
#[derive(Debug)]
pub(super) struct Fusion {
    /// Reached from an output.
    pub live: Vec<bool>,
    /// Lies in memory.
    pub stored: Vec<bool>,
    /// For the last value that a matmul's or reduction's kernel computes, that matmul or reduction.
    pub producer: Vec<Option<NodeId>>,
    /// What the kernel of a matmul or reduction computes on the way out, by its node.
    pub along: HashMap<NodeId, Along>,
    /// Consumers of each node.
    pub consumers: Vec<Vec<NodeId>>,
    /// Computed inside the kernel of some matmul or reduction.
    pub claimed: Vec<bool>,
    /// What lies in memory of that which a node is computed from.
    pub leaves: Vec<Vec<NodeId>>,
}

impl Fusion {
    /// Decides for everything that `outputs` need.
    pub fn new(nodes: &[Node], outputs: &[NodeId]) -> Self {
        let n = nodes.len();
        let mut f = Fusion {
            live: vec![false; n],
            stored: vec![false; n],
            producer: vec![None; n],
            along: HashMap::new(),
            consumers: vec![Vec::new(); n],
            claimed: vec![false; n],
            leaves: vec![Vec::new(); n],
        };
        for id in outputs {
            f.live[id.0] = true;
            f.stored[id.0] = true;
        }
        for i in (0..n).rev() {
            if f.live[i] {
                for input in &nodes[i].inputs {
                    f.live[input.0] = true;
                    f.consumers[input.0].push(NodeId(i));
                }
            }
        }
        for i in 0..n {
            if f.live[i] {
                f.decide(nodes, i);
            }
        }
        // What a later decision stored is a leaf of its own now, beside those below it.
        loop {
            let before = f.stored.clone();
            for i in 0..n {
                if f.live[i] {
                    f.gather_leaves(nodes, i);
                }
            }
            if before == f.stored {
                break;
            }
        }
        for i in 0..n {
            if f.live[i] && matches!(nodes[i].op, Op::Matmul { .. } | Op::Reduce(..)) {
                f.absorb(nodes, NodeId(i), outputs);
            }
        }
        f
    }

    /// Consumers that compute, seen through views.
    fn demand(&self, nodes: &[Node], id: usize) -> usize {
        let through = |c: &NodeId| if nodes[c.0].op.is_view() { self.demand(nodes, c.0) } else { 1 };
        self.consumers[id].iter().map(through).sum()
    }

    fn decide(&mut self, nodes: &[Node], i: usize) {
        let node = &nodes[i];
        match &node.op {
            Op::Input(_) | Op::Parameter(_) | Op::Buffer(_) | Op::Clock => self.stored[i] = true,
            _ if node.kept => {
                self.gather_leaves(nodes, i);
                self.store(i);
            }
            Op::Constant(_) | Op::Iota(_) => {}
            Op::Matmul { .. } => {
                for &operand in &node.inputs {
                    let views = Views::new(nodes, &self.stored);
                    let strided = views.matrix(operand).map(|v| v.node);
                    let base = strided.or_else(|| views.mapped(operand)).unwrap_or(operand);
                    self.store(base.0);
                }
                self.store(i);
            }
            Op::Attention(_) | Op::AttentionLse(_) | Op::AttentionGradQ(_) | Op::AttentionGradKv(_) => {
                for (place, &operand) in node.inputs[..node.op.direct_inputs()].iter().enumerate() {
                    let views = Views::new(nodes, &self.stored);
                    let rows = views.rows(operand).map(|v| v.node);
                    let base = if place < 3 { rows } else { Some(views.contiguous(operand)) };
                    self.store(base.unwrap_or(operand).0);
                }
                self.gather_leaves(nodes, i);
                self.store(i);
            }
            Op::CrossEntropy(_) | Op::CrossEntropyGrad(_) | Op::SegmentSum => {
                for &operand in &node.inputs[..node.op.direct_inputs()] {
                    let base = Views::new(nodes, &self.stored).contiguous(operand);
                    self.store(base.0);
                }
                self.gather_leaves(nodes, i);
                self.store(i);
            }
            Op::Reduce(..) => {
                self.gather_leaves(nodes, i);
                self.store(i);
            }
            op => {
                self.gather_leaves(nodes, i);
                let cost = self.cost(nodes, i);
                let grows = |c: &NodeId| {
                    matches!(nodes[c.0].op, Op::Broadcast | Op::Window(..))
                        && nodes[c.0].shape.elements() > node.shape.elements()
                };
                let repeated = self.demand(nodes, i) > 1 || self.consumers[i].iter().any(grows);
                if op.is_elementwise() && (cost > LARGEST || (cost > CHEAP && repeated)) {
                    self.store(i);
                }
            }
        }
    }

    fn store(&mut self, i: usize) {
        self.stored[i] = true;
    }

    /// Operations for an element, each node between it and memory counted once.
    fn cost(&self, nodes: &[Node], i: usize) -> u64 {
        let mut cone = vec![i];
        let mut cost = 0;
        let mut at = 0;
        while let Some(&node) = cone.get(at).filter(|_| cost <= LARGEST) {
            cost += match nodes[node].op {
                Op::Unary(u) => unary_cost(u),
                Op::Constant(_) | Op::Iota(_) => 0,
                _ => 1,
            };
            for input in nodes[node].inputs.iter().filter(|n| !self.stored[n.0]) {
                if !cone.contains(&input.0) {
                    cone.push(input.0);
                }
            }
            at += 1;
        }
        cost
    }

    fn leaves_of(&self, id: NodeId) -> Vec<NodeId> {
        if self.stored[id.0] { vec![id] } else { self.leaves[id.0].clone() }
    }

    /// The union of the inputs' leaves; while they are too many, the input with the most goes to memory.
    fn gather_leaves(&mut self, nodes: &[Node], i: usize) {
        loop {
            let mut union: Vec<NodeId> = Vec::new();
            let mut most: Option<(usize, NodeId)> = None;
            for &input in &nodes[i].inputs[nodes[i].op.direct_inputs()..] {
                let leaves = self.leaves_of(input);
                if leaves.len() > 1 && most.is_none_or(|(n, _)| leaves.len() > n) {
                    most = Some((leaves.len(), input));
                }
                for leaf in leaves {
                    if !union.contains(&leaf) {
                        union.push(leaf);
                    }
                }
            }
            match most {
                Some((_, input)) if union.len() > most_leaves(&nodes[i].op) => self.store(input.0),
                _ => {
                    self.leaves[i] = union;
                    return;
                }
            }
        }
    }
}
