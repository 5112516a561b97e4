//! `chain.wgsl`: elementwise ops and views in one pass.

use super::expr::{Coordinates, Printed, Printer, types};
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::{DType, Node, NodeId};

/// The destination of a printed kernel's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Its own memory, in row-major order.
    Memory,
    /// Columns of a ring with a row of numbers for each step.
    Ring {
        /// The first column.
        column: u32,
        /// Columns of the ring.
        columns: u32,
    },
}

/// Binding number of the state buffer in printed kernels.
const STATE: u32 = 5;
/// Binding number of the output.
pub(super) const OUTPUT: u32 = 6;
/// Binding number of a second output.
pub(super) const SECOND: u32 = 7;

/// Operands of a kernel that reads `inputs` and writes to `sink`.
pub(super) fn operands(inputs: &[NodeId], sink: Sink) -> Vec<(u32, Access, Operand)> {
    let mut operands: Vec<_> =
        (0..).zip(inputs).map(|(slot, &node)| (slot, Access::Read, Operand::Node(node))).collect();
    if let Sink::Ring { .. } = sink {
        operands.push((STATE, Access::Read, Operand::Named("state")));
    }
    operands.push((OUTPUT, Access::Write, Operand::Output));
    operands
}

/// The `place` slot and the constants of a sink.
pub(super) fn sink_parts(sink: Sink, slots: &mut Vec<(&str, String)>, constants: &mut Vec<(&str, u32)>) {
    if let Sink::Ring { column, columns } = sink {
        slots.push(("place", wgsl::source("shared/ring").unwrap_or_default().to_owned()));
        constants.extend([("COLUMNS", columns), ("COLUMN", column)]);
    }
}

/// The function around a printed body.
pub(super) fn function(head: &str, printed: &Printed) -> String {
    returning("f32", head, printed)
}

fn returning(scalar: &str, head: &str, printed: &Printed) -> String {
    format!("{head} -> {scalar} {{\n{}    return {};\n}}\n", printed.body, printed.value)
}

/// out = the value of `root`, element by element.
pub fn kernel(nodes: &[Node], root: NodeId, stored: &dyn Fn(NodeId) -> bool, sink: Sink) -> Kernel {
    let printed = Printer::new(nodes, stored, None, vec![]).finish(root, Coordinates::Linear("i".into()));
    let n = nodes[root.0].shape.elements();
    // A value that is in memory already is copied where its reader wants f32.
    let made = (!stored(root)).then_some(root);
    let scalar = if nodes[root.0].dtype == DType::I32 { "i32" } else { "f32" };
    let text = returning(scalar, "fn value(i: u32)", &printed);
    let mut slots = vec![("types", types(nodes, &printed.inputs, &[(OUTPUT, made)])), ("value", text)];
    let mut constants = vec![("LENGTH", n as u32)];
    sink_parts(sink, &mut slots, &mut constants);
    Kernel {
        entry: "chain_map",
        wgsl: wgsl::compose("chain", &slots),
        constants,
        operands: operands(&printed.inputs, sink),
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(n.div_ceil(64)),
        flops: printed.flops * n as u64,
        iterations: 1,
    }
}
