//! Fusion: decides which values are materialized in memory, and which are computed inside the kernels that read or make
//! other values.
//!
//! Materialized are inputs and parameters, the operands of a matmul or cross-entropy (the base of a strided view, if there
//! is one), the results of matmuls, reductions and cross-entropy, and outputs. Any other value is recomputed by each
//! reader, unless
//! - it costs more than [`CHEAP`] operations (`exp` and its like count as 8) and several readers or a broadcast want it,
//! - its expression is longer than [`LARGEST`],
//! - its expression would read more than [`MAX_LEAVES`] values in memory: then the input that reads most is materialized.
//!
//! Epilogue: each matmul and reduction then also computes what follows from its result element by element, as far as the
//! bindings suffice. It takes the only reader of a value, link by link. Where a value has several readers, it takes the
//! first value in memory to which every path is elementwise. One value on the way may be read by others that come later;
//! the kernel writes it as its side output. So a layer's pre-activation, its activation and the activation's whole
//! derivative cost no dispatch: kernel by kernel, a training step of a three-layer perceptron is 12 dispatches.

use std::collections::HashMap;

use super::view::Views;
use crate::graph::{DType, Node, NodeId, Op};
use crate::kernel::functions::unary_cost;
use crate::kernel::reduce_chain::ReduceChain;
use crate::kernel::{Family, MAX_INPUTS};

/// The largest cost of an elementwise value that several kernels each recompute.
const CHEAP: u64 = 24;
/// The largest cost of a printed expression.
const LARGEST: u64 = 160;
/// The most values in memory that a printed expression reads. One binding stays free for a chain's extra input.
const MAX_LEAVES: usize = MAX_INPUTS - 1;

/// The most values in memory that the expressions printed into a kernel read.
fn most_leaves(op: &Op) -> usize {
    match op {
        // These bind six to eight buffers of their own.
        Op::AttentionGradQ(_)
        | Op::AttentionGradKv(_)
        | Op::AttentionGrad(_)
        | Op::AttentionGradBeside(_) => 2,
        _ => MAX_LEAVES,
    }
}

/// The elementwise values that the kernel of a matmul or reduction computes after its result.
#[derive(Debug, Default)]
pub(super) struct Epilogue {
    /// The nodes in order. The last one is the kernel's output.
    pub nodes: Vec<NodeId>,
    /// A value on the way that others read too. The kernel writes it as its second output.
    pub side_output: Option<NodeId>,
}

/// True for a node that can end an epilogue: kernels of matmuls and reductions write f32.
fn can_end(node: &Node) -> bool {
    node.op.is_elementwise() && node.dtype == DType::F32
}

/// A group, and the node in whose place it is emitted.
#[derive(Debug)]
pub(super) struct Group {
    pub chain: ReduceChain,
    /// The values in memory that it reads.
    pub leaves: Vec<NodeId>,
    /// Members that no kernel but the group's reads.
    pub inner: Vec<NodeId>,
    /// The values that it computes on the way.
    pub between: Vec<NodeId>,
    /// The first value outside that is computed from it.
    pub before: NodeId,
    pub position: NodeId,
}

/// The next value that an epilogue can take.
struct Next {
    /// The nodes from the first one computed to the value itself.
    nodes: Vec<NodeId>,
    /// True where another kernel reads its input too.
    shared: bool,
}

/// The decisions for a graph.
#[derive(Debug)]
pub(super) struct Fusion {
    /// Reached from an output.
    pub live: Vec<bool>,
    /// Materialized in memory.
    pub stored: Vec<bool>,
    /// For the last value that the kernel of a matmul or reduction computes: that matmul or reduction.
    pub producer: Vec<Option<NodeId>>,
    /// The epilogue of each matmul or reduction that has one.
    pub epilogues: HashMap<NodeId, Epilogue>,
    /// Consumers of each node.
    pub consumers: Vec<Vec<NodeId>>,
    /// Computed inside the kernel of some matmul or reduction.
    pub claimed: Vec<bool>,
    /// The values in memory that each node's expression reads.
    pub leaves: Vec<Vec<NodeId>>,
    /// Reductions whose kernel computes values that depend on each other, and those values.
    pub groups: Vec<Group>,
    /// The group of each member.
    pub grouped: HashMap<NodeId, usize>,
}

impl Fusion {
    /// Decides for everything that `outputs` need. `grouped`: reductions that depend on each other are one kernel.
    pub fn new(nodes: &[Node], outputs: &[NodeId], grouped: bool) -> Self {
        let n = nodes.len();
        let mut f = Fusion {
            live: vec![false; n],
            stored: vec![false; n],
            producer: vec![None; n],
            epilogues: HashMap::new(),
            consumers: vec![Vec::new(); n],
            claimed: vec![false; n],
            leaves: vec![Vec::new(); n],
            groups: Vec::new(),
            grouped: HashMap::new(),
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
        // A value that a later decision materialized is a leaf of its own now.
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
        let starts = |f: &Fusion, is: fn(&Op) -> bool| -> Vec<NodeId> {
            let free = |i: &usize| f.live[*i] && !f.grouped.contains_key(&NodeId(*i));
            (0..n).filter(free).filter(|&i| is(&nodes[i].op)).map(NodeId).collect()
        };
        if grouped {
            for start in starts(&f, |op| matches!(op, Op::Matmul { .. })) {
                f.fuse_epilogue(nodes, start, outputs);
            }
            let taken = starts(&f, |op| matches!(op, Op::Matmul { .. }));
            let taken = taken.iter().filter_map(|&start| f.row_sum(nodes, start, Family::Tiled)).collect();
            f.group(nodes, outputs, &taken);
            for start in starts(&f, |op| matches!(op, Op::Reduce(..))) {
                f.fuse_epilogue(nodes, start, outputs);
            }
        } else {
            for start in starts(&f, |op| matches!(op, Op::Matmul { .. } | Op::Reduce(..))) {
                f.fuse_epilogue(nodes, start, outputs);
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
            Op::Attention(_)
            | Op::AttentionStats(_)
            | Op::AttentionGradQ(_)
            | Op::AttentionGradKv(_)
            | Op::AttentionGrad(_)
            | Op::AttentionGradBeside(_) => {
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

    /// Operations for an element. Each node between it and memory counts once.
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

    /// Sets the leaves of node `i` to the union of its inputs' leaves. While they are too many, the input with the most is
    /// materialized.
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

    /// Extends the kernel of `start` by elementwise values computed from its result, as far as the bindings suffice.
    pub(super) fn fuse_epilogue(&mut self, nodes: &[Node], start: NodeId, outputs: &[NodeId]) {
        let mut epilogue = Epilogue::default();
        let mut root = start;
        while !outputs.contains(&root) && epilogue.side_output.is_none() {
            let Some(next) = self.link(nodes, start, root, outputs).or_else(|| self.join(nodes, root)) else {
                break;
            };
            let computed = [&epilogue.nodes[..], &next.nodes].concat();
            let new = next.nodes[next.nodes.len() - 1];
            // A partial result takes a binding of its own. What is read must be made before.
            let reads = self.reads(nodes, start, new, &computed);
            if reads.len() > MAX_INPUTS - 1 || reads.iter().any(|&leaf| self.position(leaf) >= new) {
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

    /// True for a value that is read by no kernel but the one that makes it.
    pub fn is_unread(&self, id: NodeId) -> bool {
        let inner = |group: &usize| self.groups[*group].inner.contains(&id);
        self.consumers[id.0].is_empty() || self.grouped.get(&id).is_some_and(inner)
    }

    /// True for a value that a kernel writes as its side output.
    pub fn is_side_output(&self, id: NodeId) -> bool {
        self.epilogues.values().any(|a| a.side_output == Some(id))
    }

    /// The only consumer of `root`, seen through reshapes, if it is elementwise.
    fn link(&self, nodes: &[Node], start: NodeId, root: NodeId, outputs: &[NodeId]) -> Option<Next> {
        let mut cursor = root;
        loop {
            // A value that must be in memory ends the epilogue.
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

    /// The first value in memory that is computed from `root`, if it and every path to it are elementwise. Other readers of
    /// `root` must come later, for one kernel makes both values at once.
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
        // The nodes between `root` and the target that the target is computed from.
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

    /// The values that the kernel of `start` reads from memory to compute `root` through `computed`.
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
