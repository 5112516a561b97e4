//! What lies in memory, and what is computed on the way in or out of another kernel.

use std::collections::HashMap;

use super::view::Views;
use crate::graph::{DType, Node, NodeId, Op};
use crate::kernel::MAX_INPUTS;
use crate::kernel::functions::unary_cost;

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

/// What follows a matmul or reduction inside its kernel.
#[derive(Debug, Default)]
pub(super) struct Epilogue {
    /// The nodes computed, in order; the last is what the kernel makes.
    pub nodes: Vec<NodeId>,
    /// A value on the way that others read too: the kernel writes it beside its result.
    pub side_output: Option<NodeId>,
}

/// A matmul or reduction can make it: it writes f32.
fn can_end(node: &Node) -> bool {
    node.op.is_elementwise() && node.dtype == DType::F32
}

/// The next value a kernel can compute.
struct Next {
    /// From the first to the value itself.
    nodes: Vec<NodeId>,
    /// Somebody else reads what it is computed from.
    shared: bool,
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
    pub epilogues: HashMap<NodeId, Epilogue>,
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
            epilogues: HashMap::new(),
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
                f.fuse_epilogue(nodes, NodeId(i), outputs);
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
            _ if node.materialized => {
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

    /// Extends the kernel of `start` by elementwise values that are computed from its result, element by element, as
    /// far as the bindings suffice.
    pub(super) fn fuse_epilogue(&mut self, nodes: &[Node], start: NodeId, outputs: &[NodeId]) {
        let mut epilogue = Epilogue::default();
        let mut root = start;
        while !outputs.contains(&root) && epilogue.side_output.is_none() {
            let Some(next) = self.link(nodes, start, root, outputs).or_else(|| self.join(nodes, root)) else {
                break;
            };
            let computed = [&epilogue.nodes[..], &next.nodes].concat();
            let new = next.nodes[next.nodes.len() - 1];
            // A partial result takes a binding of its own.
            if self.reads(nodes, start, new, &computed).len() > MAX_INPUTS - 1 {
                break;
            }
            if next.shared {
                epilogue.side_output = Some(root);
            } else {
                self.stored[root.0] = false;
            }
            for node in &next.nodes {
                self.claimed[node.0] = true;
            }
            epilogue.nodes = computed;
            root = new;
        }
        if root != start {
            self.stored[root.0] = true;
            self.producer[root.0] = Some(start);
            if let Some(side_output) = epilogue.side_output {
                self.stored[side_output.0] = true;
            }
            self.epilogues.insert(start, epilogue);
        }
    }

    /// True for a value that some other's kernel writes beside its own result.
    pub fn is_side_output(&self, id: NodeId) -> bool {
        self.epilogues.values().any(|a| a.side_output == Some(id))
    }

    /// The only consumer of `root`, seen through reshapes, if it is elementwise.
    fn link(&self, nodes: &[Node], start: NodeId, root: NodeId, outputs: &[NodeId]) -> Option<Next> {
        let mut cursor = root;
        loop {
            // Past a value that must lie in memory no link goes on.
            if outputs.contains(&cursor) || (cursor != start && self.stored[cursor.0]) {
                return None;
            }
            let [next] = self.consumers[cursor.0][..] else { return None };
            if nodes[next.0].op != Op::Reshape {
                let free = can_end(&nodes[next.0]) && !self.claimed[next.0];
                return free.then(|| Next { nodes: vec![next], shared: false });
            }
            cursor = next;
        }
    }

    /// The first value in memory that is computed from `root`, if it is elementwise and every way to it is. Where
    /// others read `root` as well, they must come later, for both are made at once.
    fn join(&self, nodes: &[Node], root: NodeId) -> Option<Next> {
        let mut between = vec![root];
        let mut readers = Vec::new();
        let mut i = 0;
        while let Some(&node) = between.get(i) {
            for &c in &self.consumers[node.0] {
                let inline = !self.stored[c.0] && (nodes[c.0].op.is_elementwise() || nodes[c.0].op.is_view());
                let list = if inline { &mut between } else { &mut readers };
                if !list.contains(&c) {
                    list.push(c);
                }
            }
            i += 1;
        }
        let target = *readers.iter().min()?;
        let free = can_end(&nodes[target.0])
            && self.stored[target.0]
            && !self.claimed[target.0]
            && self.producer[target.0].is_none();
        if !free {
            return None;
        }
        // Of what lies between, that which the target is computed from.
        let mut path = vec![target];
        let mut i = 0;
        while let Some(&node) = path.get(i) {
            for &input in nodes[node.0].inputs.iter().filter(|&n| *n != root && between.contains(n)) {
                if !path.contains(&input) {
                    path.push(input);
                }
            }
            i += 1;
        }
        path.sort();
        let aligned = |n: &NodeId| nodes[n.0].op.is_elementwise() || nodes[n.0].op == Op::Reshape;
        let shared = readers.len() > 1;
        path.iter().all(aligned).then_some(Next { nodes: path, shared })
    }

    /// What the kernel of `start` reads from memory to compute `root` by way of `computed`.
    fn reads(&self, nodes: &[Node], start: NodeId, root: NodeId, computed: &[NodeId]) -> Vec<NodeId> {
        let mut leaves = match nodes[start.0].op {
            Op::Reduce(..) => self.leaves[start.0].clone(),
            _ => vec![],
        };
        let mut seen = vec![root];
        let mut i = 0;
        while let Some(&node) = seen.get(i) {
            for &input in nodes[node.0].inputs.iter().filter(|&&n| n != start) {
                let leaf = self.stored[input.0] && !computed.contains(&input);
                let list = if leaf { &mut leaves } else { &mut seen };
                if !list.contains(&input) {
                    list.push(input);
                }
            }
            i += 1;
        }
        leaves
    }
}
