//! Gradient checkpointing: the backward pass recomputes the inner values of a block instead of keeping them in memory.
//! Source: Chen et al. 2016.

use std::collections::{BTreeSet, HashMap};

use super::{CustomGradient, Graph, Node, NodeId, Op, Tensor};

impl Graph {
    /// Runs `build` as a block: the backward pass recomputes the block's values from its inputs.
    ///
    /// The numbers are the same, random ones included. A block inside a block is part of it.
    pub fn checkpoint(&self, build: impl FnOnce() -> Tensor) -> Tensor {
        let start = self.inner.borrow().nodes.len();
        let y = build();
        let mut inner = self.inner.borrow_mut();
        let end = inner.nodes.len();
        inner.checkpoints.retain(|block| block.end <= start);
        inner.checkpoints.push(start..end);
        drop(inner);
        y
    }

    /// True where the backward pass recomputes some block.
    pub(crate) fn has_checkpoints(&self) -> bool {
        !self.inner.borrow().checkpoints.is_empty()
    }

    /// Removes all blocks: every value is kept for the backward pass.
    pub(crate) fn forget_checkpoints(&self) {
        self.inner.borrow_mut().checkpoints.clear();
    }

    /// Cuts the nodes so far into `blocks` parts of about equal size and checkpoints all but the last. The cuts are where
    /// fewest bytes pass from one part to the next, for those are kept.
    pub(crate) fn checkpoint_in(&self, blocks: usize) {
        let nodes = self.nodes();
        let bytes = |node: &Node| {
            if node.is_leaf() || node.op.is_view() { 0 } else { node.shape.elements() as u64 }
        };
        // The bytes that pass a cut before node i: every value made before it and read after it.
        let mut last = vec![0; nodes.len()];
        let mut base: Vec<usize> = Vec::with_capacity(nodes.len());
        for (i, node) in nodes.iter().enumerate() {
            let below = node.op.is_view().then(|| node.inputs.first().map(|n| base[n.0])).flatten();
            base.push(below.unwrap_or(i));
            for input in &node.inputs {
                last[base[input.0]] = i;
            }
        }
        let mut passing = vec![0u64; nodes.len() + 1];
        for (made, node) in nodes.iter().enumerate() {
            passing[made + 1..=last[made].max(made)].iter_mut().for_each(|sum| *sum += bytes(node));
        }
        let total: u64 = nodes.iter().map(bytes).sum();
        let sums: Vec<u64> = nodes
            .iter()
            .scan(0, |sum, node| {
                *sum += bytes(node);
                Some(*sum)
            })
            .collect();
        let mut start = 0;
        for block in 1..blocks as u64 {
            // Within half a block of the even cut.
            let near = |i: &usize| {
                let twice = 2 * sums[*i] * blocks as u64;
                twice > (2 * block - 1) * total && twice < (2 * block + 1) * total
            };
            let Some(cut) = (start + 1..nodes.len()).filter(near).min_by_key(|&i| passing[i]) else {
                continue;
            };
            self.inner.borrow_mut().checkpoints.push(start..cut);
            start = cut;
        }
    }
}

impl Node {
    /// True for a node without inputs, which is never recomputed.
    fn is_leaf(&self) -> bool {
        matches!(
            self.op,
            Op::Input(_)
                | Op::Parameter(_)
                | Op::Buffer(_)
                | Op::Clock
                | Op::Random(_)
                | Op::Constant(_)
                | Op::Iota(_)
        )
    }
}

/// The recomputed nodes of checkpointed blocks, as far as a backward pass has asked for them.
pub(super) struct Recomputed<'a> {
    graph: &'a Graph,
    nodes: &'a [Node],
    /// True for a node that is made in a block and read in no other place.
    is_recomputed: Vec<bool>,
    made: HashMap<NodeId, NodeId>,
}

impl<'a> Recomputed<'a> {
    pub fn new(graph: &'a Graph, nodes: &'a [Node]) -> Self {
        let mut is_recomputed = vec![false; nodes.len()];
        let blocks = graph.inner.borrow().checkpoints.clone();
        if blocks.is_empty() {
            return Recomputed { graph, nodes, is_recomputed, made: HashMap::new() };
        }
        let block_of = |id: usize| blocks.iter().position(|block| block.contains(&id));
        for (id, node) in nodes.iter().enumerate() {
            let own = block_of(id);
            is_recomputed[id] = own.is_some() && !node.is_leaf();
            let said = graph.custom_gradient_of(NodeId(id));
            let more = said.iter().flat_map(|p| p.inputs.iter().chain(&p.saved));
            for input in node.inputs.iter().chain(more) {
                // A value that another block reads is kept.
                is_recomputed[input.0] &= block_of(input.0) == own;
            }
        }
        Recomputed { graph, nodes, is_recomputed, made: HashMap::new() }
    }

    /// The node for the backward pass to read: itself, or its recomputed copy where its block is checkpointed.
    pub fn get(&mut self, id: NodeId) -> NodeId {
        if !self.is_recomputed[id.0] {
            return id;
        }
        // The inputs of a node come before it.
        let (mut wanted, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(id) = open.pop() {
            if self.is_recomputed[id.0] && !self.made.contains_key(&id) && wanted.insert(id.0) {
                open.extend(&self.nodes[id.0].inputs);
                let said = self.graph.custom_gradient_of(id);
                said.iter().for_each(|p| open.extend(p.inputs.iter().chain(&p.saved)));
            }
        }
        for id in wanted {
            let copy = self.copy(NodeId(id));
            self.made.insert(NodeId(id), copy);
        }
        self.read(id)
    }

    /// The recomputed copy of a node, or the node itself.
    fn read(&self, id: NodeId) -> NodeId {
        self.made.get(&id).copied().unwrap_or(id)
    }

    /// A copy of the node that reads the recomputed copies of its inputs.
    fn copy(&self, id: NodeId) -> NodeId {
        let node = &self.nodes[id.0];
        let inputs = node.inputs.iter().map(|&n| self.read(n)).collect();
        let scope = format!("recomputed {}", node.scope);
        let copy = self.graph.push_new(Node { inputs, scope, ..node.clone() });
        if let Some(p) = self.graph.custom_gradient_of(id) {
            let inputs = p.inputs.iter().map(|&n| self.read(n)).collect();
            let saved = p.saved.iter().map(|&n| self.read(n)).collect();
            let p = CustomGradient { inputs, saved, backward: p.backward };
            self.graph.inner.borrow_mut().custom_gradients.insert(copy, p);
        }
        copy
    }

    /// A value that the backward pass compares with its inputs. It is recomputed wherever they are, so no rounding tells it
    /// from them.
    pub fn with_inputs(&mut self, id: NodeId) -> Tensor {
        let inputs = &self.nodes[id.0].inputs;
        let remade = inputs.iter().any(|&n| self.get(n) != n);
        let id = if remade && !self.is_recomputed[id.0] { self.copy(id) } else { self.get(id) };
        self.graph.tensor(id)
    }

    /// [`Recomputed::get`] as a tensor.
    pub fn tensor(&mut self, id: NodeId) -> Tensor {
        let id = self.get(id);
        self.graph.tensor(id)
    }
}
