//! What lies in memory, and what is computed on the way in or out of another kernel.

use super::view::Views;
use crate::graph::{Node, NodeId, Op};
use crate::kernel::MAX_INPUTS;
use crate::kernel::expr::unary_cost;

/// An elementwise value that costs more than this is computed once when several kernels want it.
const CHEAP: u64 = 16;
/// No printed expression grows past this.
const LARGEST: u64 = 160;
/// Distinct values in memory a printed expression may read; one binding stays free for a chain's extra input.
const MAX_LEAVES: usize = MAX_INPUTS - 1;

/// The decisions for a graph.
#[derive(Debug)]
pub(super) struct Fusion {
    /// Reached from an output.
    pub live: Vec<bool>,
    /// Lies in memory.
    pub stored: Vec<bool>,
    /// For the last node of a chain, the matmul or reduction whose kernel computes it.
    pub producer: Vec<Option<NodeId>>,
    /// Consumers of each node.
    pub consumers: Vec<Vec<NodeId>>,
    /// Computed inside the kernel of some matmul or reduction.
    claimed: Vec<bool>,
    leaves: Vec<Vec<NodeId>>,
    cost: Vec<u64>,
}

impl Fusion {
    /// Decides for everything that `outputs` need.
    pub fn new(nodes: &[Node], outputs: &[NodeId]) -> Self {
        let n = nodes.len();
        let mut f = Fusion {
            live: vec![false; n],
            stored: vec![false; n],
            producer: vec![None; n],
            consumers: vec![Vec::new(); n],
            claimed: vec![false; n],
            leaves: vec![Vec::new(); n],
            cost: vec![0; n],
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
            Op::Input(_) | Op::Parameter(_) => self.stored[i] = true,
            Op::Constant(_) | Op::Iota(_) => {}
            Op::Matmul { .. } => {
                for &operand in &node.inputs {
                    let base = Views::new(nodes, &self.stored).matrix(operand).map_or(operand, |v| v.node);
                    self.store(base.0);
                }
                self.store(i);
            }
            Op::CrossEntropy(_) | Op::CrossEntropyGrad(_) => {
                for &operand in &node.inputs[..2] {
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
                let own = match op {
                    Op::Unary(u) => unary_cost(*u),
                    _ => 1,
                };
                let cost = own + node.inputs.iter().map(|&n| self.cost_of(n)).sum::<u64>();
                self.cost[i] = cost;
                let grows = |c: &NodeId| {
                    nodes[c.0].op == Op::Broadcast && nodes[c.0].shape.elements() > node.shape.elements()
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

    fn cost_of(&self, id: NodeId) -> u64 {
        if self.stored[id.0] { 0 } else { self.cost[id.0] }
    }

    fn leaves_of(&self, id: NodeId) -> Vec<NodeId> {
        if self.stored[id.0] { vec![id] } else { self.leaves[id.0].clone() }
    }

    /// The union of the inputs' leaves; while they are too many, the input with the most goes to memory.
    fn gather_leaves(&mut self, nodes: &[Node], i: usize) {
        loop {
            let mut union: Vec<NodeId> = Vec::new();
            let mut most: Option<(usize, NodeId)> = None;
            for &input in &nodes[i].inputs {
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
                Some((_, input)) if union.len() > MAX_LEAVES => self.store(input.0),
                _ => {
                    self.leaves[i] = union;
                    return;
                }
            }
        }
    }

    /// Extends the kernel of `start` by the elementwise chain that follows it, as far as each link has one
    /// consumer and the bindings suffice.
    fn absorb(&mut self, nodes: &[Node], start: NodeId, outputs: &[NodeId]) {
        let mut extra: Vec<NodeId> = match nodes[start.0].op {
            Op::Reduce(..) => self.leaves[start.0].clone(),
            _ => vec![],
        };
        // A partial result takes a binding of its own.
        let room = MAX_INPUTS - 1;
        let (mut cursor, mut root) = (start, start);
        while let [next] = self.consumers[cursor.0][..] {
            // Past a value that must lie in memory no kernel can go on.
            let fixed = outputs.contains(&cursor) || (cursor != start && self.stored[cursor.0]);
            if fixed {
                break;
            }
            let node = &nodes[next.0];
            if node.op == Op::Reshape {
                cursor = next;
                continue;
            }
            if !node.op.is_elementwise() || self.claimed[next.0] {
                break;
            }
            let mut union = extra.clone();
            for &other in node.inputs.iter().filter(|&&n| n != cursor) {
                for leaf in self.leaves_of(other) {
                    if !union.contains(&leaf) {
                        union.push(leaf);
                    }
                }
            }
            if union.len() > room {
                break;
            }
            extra = union;
            self.claimed[next.0] = true;
            (cursor, root) = (next, next);
        }
        if root != start {
            self.stored[start.0] = false;
            self.stored[root.0] = true;
            self.producer[root.0] = Some(start);
        }
    }
}
