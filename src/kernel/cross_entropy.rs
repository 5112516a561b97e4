//! `cross_entropy.wgsl`: the loss rows, their gradient, or both in one pass over the logits.

use super::chain::{OUTPUT, SECOND, function};
use super::expr::{Coordinates, Printer, types};
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::{CrossEntropyAttrs, Node, NodeId, Op};

/// The outputs of one kernel, and its inputs.
pub struct Rows<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// True for nodes in memory.
    pub stored: &'a dyn Fn(NodeId) -> bool,
    /// The node of the losses, if they are wanted.
    pub loss: Option<NodeId>,
    /// The node of the gradient, if it is wanted.
    pub grad: Option<NodeId>,
    /// The node that holds the logits.
    pub logits: NodeId,
    /// The node that holds the targets.
    pub targets: NodeId,
}

/// The kernel: losses are its output and the gradient the second, or the gradient alone is its output.
pub fn kernel(r: &Rows<'_>) -> Kernel {
    let node = r.grad.or(r.loss).map(|id| &r.nodes[id.0]);
    let Some((node, Op::CrossEntropy(attrs) | Op::CrossEntropyGrad(attrs))) = node.map(|n| (n, &n.op)) else {
        unreachable!("not a cross-entropy")
    };
    let CrossEntropyAttrs { label_smoothing, ignore_index } = *attrs;
    let logits = &r.nodes[node.inputs[0].0].shape;
    let (rows, classes) = (logits[0], logits[1]);

    let mut slots = Vec::new();
    let mut inputs = Vec::new();
    let mut flops = 12 * (rows * classes) as u64;
    if let Some(grad) = r.grad {
        let upstream = r.nodes[grad.0].inputs[2];
        let printed =
            Printer::new(r.nodes, r.stored, None, vec![]).finish(upstream, Coordinates::Linear("i".into()));
        slots.push(("upstream", function("fn upstream(i: u32)", &printed)));
        flops += 12 * (rows * classes) as u64;
        inputs = printed.inputs;
    }
    let others = [(OUTPUT, None), (SECOND, r.grad), (8, Some(r.logits))];
    slots.push(("types", types(r.nodes, &inputs, &others)));
    let mut operands: Vec<_> =
        (0..).zip(&inputs).map(|(slot, &n)| (slot, Access::Read, Operand::Node(n))).collect();
    let entry = match (r.loss, r.grad) {
        (Some(_), Some(_)) => {
            operands.push((OUTPUT, Access::Write, Operand::Output));
            operands.push((SECOND, Access::Write, Operand::Second));
            "cross_entropy_both"
        }
        (None, Some(_)) => {
            operands.push((SECOND, Access::Write, Operand::Output));
            "cross_entropy_grad"
        }
        _ => {
            operands.push((OUTPUT, Access::Write, Operand::Output));
            "cross_entropy_rows"
        }
    };
    operands.push((8, Access::Read, Operand::Node(r.logits)));
    operands.push((9, Access::Read, Operand::Node(r.targets)));
    Kernel {
        entry,
        wgsl: wgsl::compose("cross_entropy", &slots),
        constants: vec![
            ("ROWS", rows as u32),
            ("CLASSES", classes as u32),
            ("SMOOTHING_BITS", label_smoothing.get().to_bits()),
            ("HAS_IGNORE", u32::from(ignore_index.is_some())),
            ("IGNORE_BITS", ignore_index.unwrap_or(0).cast_unsigned()),
        ],
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(rows.div_ceil(64)),
        flops,
        iterations: 4 * classes,
    }
}
