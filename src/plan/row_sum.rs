//! The sum of each row of a product's first operand, which the product's kernel computes besides: the gradient of a bias
//! beside that of the weight, since both read the gradient of the layer's output.

use super::axes::{Axes, own, through};
use super::fuse::Fusion;
use crate::graph::{Fold, Node, NodeId, Op};
use crate::kernel::{Family, matmul};

/// The longest K of products of more than two axes: longer ones are cut in parts, which no sum of a row is.
const LONGEST: usize = 1023;

impl Fusion {
    /// The reduction that sums the rows of the first operand of the product `start`, if no kernel reads it.
    pub(super) fn row_sum(&self, nodes: &[Node], start: NodeId, family: Family) -> Option<NodeId> {
        let node = &nodes[start.0];
        let Op::Matmul { trans_a, .. } = node.op else { return None };
        let beside = self.epilogues.get(&start).is_some_and(|epilogue| epilogue.side_output.is_some());
        let operand = node.inputs[0];
        let shape = &nodes[operand.0].shape;
        let rank = shape.len();
        let (m, k) =
            if trans_a { (shape[rank - 1], shape[rank - 2]) } else { (shape[rank - 2], shape[rank - 1]) };
        let plain = rank == 2 && trans_a;
        let allowed = if plain { !matmul::long(k) } else { family == Family::Tiled && k <= LONGEST };
        if beside || !allowed || shape.elements() != m * k {
            return None;
        }
        let mut base = operand;
        while nodes[base.0].op == Op::Reshape && !self.stored[base.0] {
            base = nodes[base.0].inputs[0];
        }
        let sums = self.sums(nodes, base);
        let free = |id: &NodeId| {
            self.stored[id.0]
                && self.producer[id.0].is_none()
                && self.consumers[id.0].is_empty()
                && !self.grouped.contains_key(id)
        };
        sums.into_iter().filter(free).find(|&sum| self.is_row_sum(nodes, sum, base, m, trans_a))
    }

    /// The sums of `base` seen through reshapes and permutations.
    fn sums(&self, nodes: &[Node], base: NodeId) -> Vec<NodeId> {
        let (mut open, mut sums) = (vec![base], Vec::new());
        while let Some(at) = open.pop() {
            for &reader in &self.consumers[at.0] {
                match &nodes[reader.0].op {
                    Op::Reshape | Op::Permute(_) if !self.stored[reader.0] => open.push(reader),
                    Op::Reduce(Fold::Sum, _) => sums.push(reader),
                    _ => {}
                }
            }
        }
        sums.sort();
        sums
    }

    /// True where `sum` folds the axes of `base` along K, and its `m` results are the rows in order.
    fn is_row_sum(&self, nodes: &[Node], sum: NodeId, base: NodeId, m: usize, trans_a: bool) -> bool {
        let Op::Reduce(_, folded) = &nodes[sum.0].op else { return false };
        let mut at = nodes[sum.0].inputs[0];
        let mut axes: Axes = own(&nodes[at.0].shape);
        while at != base {
            let input = nodes[at.0].inputs[0];
            axes = through(&nodes[at.0], &axes, &nodes[input.0].shape);
            at = input;
        }
        let Some(axes) = axes else { return false };
        let axes = axes.concat();
        let is_folded: Vec<bool> = axes.iter().map(|axis| folded.contains(axis)).collect();
        let kept: Vec<usize> = axes.iter().copied().filter(|axis| !folded.contains(axis)).collect();
        // [k, m] in memory: the folded axes come first; [m, k]: they come last.
        let apart =
            is_folded.windows(2).all(|pair| if trans_a { pair[0] || !pair[1] } else { !pair[0] || pair[1] });
        nodes[sum.0].shape.elements() == m && apart && kept.is_sorted()
    }
}
