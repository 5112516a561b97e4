//! What the planner changes in its copy of a graph for GPUs, whose kernels bind more buffers than those of software adapters.

use super::group;
use crate::graph::{Binary, Fold, Node, NodeId, Op};
use crate::kernel::MAX_ITERATIONS;
use crate::kernel::attention::joined_iterations;

/// A slice that is a whole part of a concatenation in memory reads the part itself. Norms join small tensors for kernels
/// with few bindings; a group binds them apart.
pub(super) fn take_apart(nodes: &mut [Node]) {
    for i in 0..nodes.len() {
        let Op::Slice(starts) = &nodes[i].op else { continue };
        let whole = &nodes[nodes[i].inputs[0].0];
        let Op::Concat(axis) = whole.op else { continue };
        let mut start = 0;
        let part = whole.inputs.iter().copied().find(|part| {
            let shape = &nodes[part.0].shape;
            let at = start;
            start += shape[axis];
            let begins = starts.iter().enumerate().all(|(a, &s)| s == if a == axis { at } else { 0 });
            begins && *shape == nodes[i].shape
        });
        if let Some(part) = part.filter(|&part| whole.materialized && is_of_group(nodes, part)) {
            (nodes[i].op, nodes[i].inputs) = (Op::Reshape, vec![part]);
        }
    }
}

/// True where a number a row is computed from a reduction whose rows a group would take.
fn is_of_group(nodes: &[Node], part: NodeId) -> bool {
    let count = nodes[part.0].shape.elements();
    let (mut open, mut seen) = (vec![part], vec![part]);
    while let Some(id) = open.pop() {
        let node = &nodes[id.0];
        if let Op::Reduce(..) = node.op {
            let length = nodes[node.inputs[0].0].shape.elements() / node.shape.elements();
            if node.shape.elements() == count {
                return group::may_group(count, length);
            }
        } else if node.op.is_elementwise() || node.op.is_view() {
            for &input in node.inputs.iter().filter(|&&input| nodes[input.0].shape.elements() == count) {
                if !seen.contains(&input) {
                    seen.push(input);
                    open.push(input);
                }
            }
        }
    }
    false
}

/// Where both gradients of attention are wanted, one kernel makes them. It computes the sum of dout·out over a row where it
/// reads it, in place of the third part of the statistics.
pub(super) fn join_attention(nodes: &mut [Node], outputs: &[NodeId]) {
    let mut live = vec![false; nodes.len()];
    outputs.iter().for_each(|id| live[id.0] = true);
    for i in (0..nodes.len()).rev() {
        if live[i] {
            nodes[i].inputs.iter().for_each(|input| live[input.0] = true);
        }
    }
    for q in 0..nodes.len() {
        let Op::AttentionGradQ(attrs) = nodes[q].op else { continue };
        let shape = |i: usize| &nodes[nodes[q].inputs[i].0].shape;
        // Long contexts stay apart, within the loop limit.
        if joined_iterations(shape(0)[1], shape(1)[1], shape(0)[3]) > MAX_ITERATIONS {
            continue;
        }
        let twin = |n: &Node| n.op == Op::AttentionGradKv(attrs) && n.inputs == nodes[q].inputs;
        let Some(kv) = (0..nodes.len()).find(|&i| live[i] && twin(&nodes[i])) else { continue };
        let (true, Some((softmax, out))) = (live[q], forward(nodes, &nodes[q])) else { continue };
        let mut inputs = nodes[q].inputs.clone();
        inputs.splice(4..5, [softmax, out]);
        (nodes[q].op, nodes[q].inputs) = (Op::AttentionGrad(attrs), inputs.clone());
        (nodes[kv].op, nodes[kv].inputs) = (Op::AttentionGradBeside(attrs), inputs);
    }
}

/// The statistics of the softmax and the output of the attention whose gradient a node is.
fn forward(nodes: &[Node], grad: &Node) -> Option<(NodeId, NodeId)> {
    let (dout, stats) = (grad.inputs[3], &nodes[grad.inputs[4].0]);
    let (Op::Concat(0), &[softmax, mut delta]) = (&stats.op, &stats.inputs[..]) else { return None };
    while nodes[delta.0].op == Op::Reshape {
        delta = nodes[delta.0].inputs[0];
    }
    let (Op::Reduce(Fold::Sum, axes), Op::AttentionStats(_)) = (&nodes[delta.0].op, &nodes[softmax.0].op)
    else {
        return None;
    };
    let product = &nodes[nodes[delta.0].inputs[0].0];
    let (Op::Binary(Binary::Mul), [3]) = (&product.op, &axes[..]) else { return None };
    let out = if product.inputs[0] == dout { product.inputs[1] } else { product.inputs[0] };
    (product.inputs.contains(&dout)).then_some((softmax, out))
}

#[cfg(test)]
mod tests {
    use crate::gpu::Family;
    use crate::graph::{AttentionOptions, Graph};
    use crate::kernel::Target;
    use crate::plan::{Plan, Ring, Sink};

    /// The kernels of attention's gradients over this many places.
    fn gradients(places: usize, width: usize) -> Vec<&'static str> {
        let graph = Graph::new();
        let [q, k, v] = ["q", "k", "v"].map(|name| graph.input(name, [1, places, 1, width]));
        let options = AttentionOptions { causal: true, ..AttentionOptions::default() };
        let loss = q.attention(&k, &v, &options).square().sum_all();
        let sinks = graph.grad(&loss, &[&q, &k, &v]).into_iter().zip(["dq", "dk", "dv"]);
        let sinks: Vec<_> = sinks.map(|(t, name)| (t, Sink::Buffer(name.into()))).collect();
        let ring = Ring { columns: 1, rows: 1 };
        let plan = Plan::new(&graph, &sinks, ring, Target::new(Family::Tiled)).unwrap();
        let entries = plan.steps.iter().map(|step| step.kernel.entry);
        entries.filter(|entry| entry.starts_with("attention_tiled_grad")).collect()
    }

    #[test]
    fn gradients_of_long_contexts_stay_apart() {
        for (places, width) in [(64, 32), (2048, 64), (1024, 128), (4096, 32)] {
            assert_eq!(gradients(places, width), ["attention_tiled_grad"], "{places} x {width}");
        }
        assert_eq!(gradients(3000, 64), ["attention_tiled_grad_q", "attention_tiled_grad_kv"]);
    }
}
