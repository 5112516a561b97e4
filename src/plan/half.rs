//! f16 is a storage format: marks the values that lie in memory as f16 once fusion has chosen the values in memory.
//!
//! Each kernel names the element type of each binding (`T0` to `T11`, printed by `types` in `kernel/expr.rs`) and computes
//! in f32. One kernel rounds the weights once a step, over the whole arena. The loss scale is part of the step state,
//! beside the words that settle a step (`kernel/gradients.rs`).

use super::fuse::Fusion;
use crate::graph::{DType, Node, NodeId, Op, Unary, Windowed};
use crate::kernel::reduce_chain;

/// Values of fewer elements stay f32: f16 would gain nothing.
const LEAST: usize = 64;

/// Marks the nodes that lie in memory as f16: activations and their gradients, and weights of two axes or more.
///
/// Sums over a batch or an axis (losses, means, variances, normalisers) stay f32, and so do values that go to a sink: the
/// gradient arena, running buffers, metrics and outputs. Counts and indices stay f32 because they may be large.
pub(super) fn mark(nodes: &mut [Node], fusion: &Fusion, outputs: &[NodeId]) {
    let (exact, real) = (exact(nodes), real(nodes));
    for i in 0..nodes.len() {
        let id = NodeId(i);
        let in_memory = fusion.live[i] && fusion.stored[i] && !outputs.contains(&id);
        let worth = real[i] && !exact[i] && nodes[i].shape.elements() >= LEAST;
        // A number a row that a group makes is a statistic.
        let of_row = fusion.grouped.get(&id).is_some_and(|&group| {
            fusion.groups[group].chain.outputs.contains(&reduce_chain::Output::Row(id))
        });
        nodes[i].half = !of_row && in_memory && nodes[i].dtype == DType::F32 && worth && {
            let makers = fusion.epilogues.iter().filter(|(_, epilogue)| epilogue.side_output == Some(id));
            let start = fusion.producer[i].or(makers.map(|(start, _)| *start).next()).unwrap_or(id);
            match &nodes[start.0].op {
                Op::Parameter(_) => nodes[i].shape.len() > 1,
                Op::Reduce(..) => over_windows(nodes, fusion, start),
                op => is_activation(op),
            }
        };
    }
}

fn is_activation(op: &Op) -> bool {
    match op {
        Op::Matmul { .. }
        | Op::Attention(_)
        | Op::AttentionGradQ(_)
        | Op::AttentionGradKv(_)
        | Op::AttentionGrad(_)
        | Op::AttentionGradBeside(_)
        | Op::CrossEntropyGrad(_) => true,
        op => op.is_elementwise() || op.is_view(),
    }
}

/// Marks the nodes computed from parameters, f32 data or random numbers, and not from indices and counts alone.
fn real(nodes: &[Node]) -> Vec<bool> {
    let mut real: Vec<bool> = Vec::with_capacity(nodes.len());
    for node in nodes {
        real.push(match node.op {
            Op::Input(_) => node.dtype == DType::F32,
            Op::Parameter(_) | Op::Random(_) | Op::Buffer(_) => true,
            _ => node.inputs.iter().any(|input| real[input.0]),
        });
    }
    real
}

/// Marks the values that must stay f32: the normalisers and row numbers that attention's gradients and segment sums
/// read, and the inputs, element by element, of whole numbers.
fn exact(nodes: &[Node]) -> Vec<bool> {
    let mut exact = vec![false; nodes.len()];
    for (i, node) in nodes.iter().enumerate().rev() {
        let passes = exact[i] && (node.op.is_elementwise() || node.op.is_view());
        if passes || node.op == Op::Unary(Unary::ToI32) {
            node.inputs.iter().for_each(|input| exact[input.0] = true);
        }
    }
    for node in nodes {
        let read: &[NodeId] = match node.op {
            Op::AttentionGradQ(_)
            | Op::AttentionGradKv(_)
            | Op::AttentionGrad(_)
            | Op::AttentionGradBeside(_) => &node.inputs[4..5],
            Op::SegmentSum => &node.inputs[1..3],
            _ => &[],
        };
        for &id in read {
            let mut id = id;
            exact[id.0] = true;
            while let Op::Reshape = nodes[id.0].op {
                id = nodes[id.0].inputs[0];
                exact[id.0] = true;
            }
        }
    }
    exact
}

/// True for a pool or a depthwise convolution: a sum over the elements of a window.
fn over_windows(nodes: &[Node], fusion: &Fusion, reduce: NodeId) -> bool {
    let mut open = nodes[reduce.0].inputs.clone();
    let mut seen = open.clone();
    while let Some(id) = open.pop() {
        if matches!(nodes[id.0].op, Op::Window(_, Windowed::Unfold(_) | Windowed::Fold)) {
            return true;
        }
        if !fusion.stored[id.0] {
            for &input in &nodes[id.0].inputs {
                if !seen.contains(&input) {
                    seen.push(input);
                    open.push(input);
                }
            }
        }
    }
    false
}
