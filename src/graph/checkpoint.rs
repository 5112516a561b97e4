//! Gradient checkpointing: what a block computes on the way is not kept for the backward pass, but computed again.
//! Source: Chen et al. 2016.

use std::collections::HashMap;

use super::{Graph, Node, NodeId, Op, Prescription, Tensor};

impl Graph {
    /// Runs `build`; the backward pass will compute again what it made, from what went into it.
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

    /// Whether some block is to be computed again.
    pub(crate) fn has_checkpoints(&self) -> bool {
        !self.inner.borrow().checkpoints.is_empty()
    }

    /// Keeps what every block makes after all.
    pub(crate) fn forget_checkpoints(&self) {
        self.inner.borrow_mut().checkpoints.clear();
    }
}

/// The nodes of checkpointed blocks made again, as far as a backward pass has asked for them.
pub(super) struct Again<'a> {
    graph: &'a Graph,
    nodes: &'a [Node],
    made: HashMap<NodeId, NodeId>,
}

impl<'a> Again<'a> {
    pub fn new(graph: &'a Graph, nodes: &'a [Node]) -> Self {
        Again { graph, nodes, made: HashMap::new() }
    }

    /// The node as the backward pass is to read it: itself, or made again where its block is checkpointed.
    pub fn of(&mut self, id: NodeId) -> NodeId {
        if let Some(&again) = self.made.get(&id) {
            return again;
        }
        let inside = self.graph.inner.borrow().checkpoints.iter().any(|block| block.contains(&id.0));
        let node = &self.nodes[id.0];
        let leaf = matches!(
            node.op,
            Op::Input(_)
                | Op::Parameter(_)
                | Op::Buffer(_)
                | Op::Clock
                | Op::Random(_)
                | Op::Constant(_)
                | Op::Iota(_)
        );
        if !inside || leaf {
            return id;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|&n| self.of(n)).collect();
        let again =
            self.graph.push_new(Node { inputs, scope: format!("again {}", node.scope), ..node.clone() });
        if let Some(p) = self.graph.prescription(id) {
            let inputs = p.inputs.iter().map(|&n| self.of(n)).collect();
            let saved = p.saved.iter().map(|&n| self.of(n)).collect();
            let p = Prescription { inputs, saved, backward: p.backward };
            self.graph.inner.borrow_mut().prescribed.insert(again, p);
        }
        self.made.insert(id, again);
        again
    }

    /// [`Again::of`], as a tensor.
    pub fn tensor(&mut self, id: NodeId) -> Tensor {
        let id = self.of(id);
        self.graph.tensor(id)
    }
}
