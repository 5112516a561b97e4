//! How far the kernel of a matmul or reduction goes on: the elementwise values that it computes on the way out.

use super::fuse::Fusion;
use crate::graph::{DType, Node, NodeId, Op};
use crate::kernel::MAX_INPUTS;

/// What follows a matmul or reduction inside its kernel.
#[derive(Debug, Default)]
pub(super) struct Along {
    /// The nodes computed, in order; the last is what the kernel makes.
    pub nodes: Vec<NodeId>,
    /// A value on the way that others read too: the kernel writes it beside its result.
    pub beside: Option<NodeId>,
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

impl Fusion {
    /// Extends the kernel of `start` by elementwise values that are computed from its result, element by element, as
    /// far as the bindings suffice.
    pub(super) fn absorb(&mut self, nodes: &[Node], start: NodeId, outputs: &[NodeId]) {
        let mut along = Along::default();
        let mut root = start;
        while !outputs.contains(&root) && along.beside.is_none() {
            let Some(next) = self.link(nodes, start, root, outputs).or_else(|| self.join(nodes, root)) else {
                break;
            };
            let computed = [&along.nodes[..], &next.nodes].concat();
            let new = next.nodes[next.nodes.len() - 1];
            // A partial result takes a binding of its own.
            if self.reads(nodes, start, new, &computed).len() > MAX_INPUTS - 1 {
                break;
            }
            if next.shared {
                along.beside = Some(root);
            } else {
                self.stored[root.0] = false;
            }
            for node in &next.nodes {
                self.claimed[node.0] = true;
            }
            along.nodes = computed;
            root = new;
        }
        if root != start {
            self.stored[root.0] = true;
            self.producer[root.0] = Some(start);
            if let Some(beside) = along.beside {
                self.stored[beside.0] = true;
            }
            self.along.insert(start, along);
        }
    }

    /// True for a value that some other's kernel writes beside its own result.
    pub fn made_beside(&self, id: NodeId) -> bool {
        self.along.values().any(|a| a.beside == Some(id))
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
