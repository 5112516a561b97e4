//! `reduce_chain.wgsl`: reductions over the same axes, and what is computed from them, in one kernel.
//!
//! `plan/group.rs` decides which values belong together. This file prints them: a function for the input of each
//! reduction, for each value of a row and for each output, and the passes that call them.

use std::collections::HashMap;
use std::fmt::Write;

use super::expr::{Coordinates, Printer, scalar};
use super::reduce::fold_text;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::{Fold, Node, NodeId, Op};
use crate::shape::Shape;

/// A value over rows and the elements of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node: a reduction, or a value for each element.
    pub node: NodeId,
    /// The axes that number the rows, the first outermost; of a reduction those of its input.
    pub kept: Vec<usize>,
    /// The axes that number the elements of a row.
    pub folded: Vec<usize>,
}

/// A value that the kernel writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A number a row: a reduction, or a value computed from some.
    Row(NodeId),
    /// A number an element.
    Full(Member),
}

impl Output {
    /// Its node.
    pub fn node(&self) -> NodeId {
        match self {
            Output::Row(node) => *node,
            Output::Full(member) => member.node,
        }
    }
}

/// The values of one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReduceChain {
    /// The reductions of each pass over the rows. Those of a pass do not depend on each other.
    pub passes: Vec<Vec<Member>>,
    /// The values of a row that are computed after each pass, in order.
    pub rows: Vec<Vec<NodeId>>,
    /// The values that are written.
    pub outputs: Vec<Output>,
    /// Rows.
    pub count: usize,
    /// Elements of a row.
    pub length: usize,
}

/// Invocations of a workgroup for rows of `length`: as many as most kernels have, beside which it can run then; more where
/// rows are long.
pub fn width(length: usize) -> usize {
    if length <= 1024 { 64 } else { 256 }
}

/// Prints functions that share inputs and the names of variables.
struct Text<'a> {
    nodes: &'a [Node],
    stored: &'a dyn Fn(NodeId) -> bool,
    inputs: Vec<NodeId>,
    variables: HashMap<NodeId, String>,
    values: String,
    levels: String,
    flops: u64,
}

impl<'a> Text<'a> {
    fn printer(&mut self) -> Printer<'a> {
        let inputs = std::mem::take(&mut self.inputs);
        Printer::new(self.nodes, self.stored, None, inputs).variables(self.variables.clone())
    }

    /// The coordinates of element (o, r) of a member in `shape`.
    fn place(printer: &mut Printer<'_>, member: &Member, shape: &Shape) -> Coordinates {
        let pick = |axes: &[usize]| Shape::from(axes.iter().map(|&a| shape[a]).collect::<Vec<_>>());
        let outer = printer.split("o", &pick(&member.kept));
        let inner = printer.split("r", &pick(&member.folded));
        let mut axes = vec!["0u".to_owned(); shape.len()];
        for (&axis, at) in member.kept.iter().zip(outer).chain(member.folded.iter().zip(inner)) {
            axes[axis] = at;
        }
        Coordinates::Axes(axes)
    }

    /// The variable of a number a row.
    fn variable(&mut self, node: NodeId) -> String {
        let name = format!("s{}", self.variables.len());
        let _ = writeln!(self.values, "var<private> {name}: f32;");
        self.variables.insert(node, name.clone());
        name
    }

    fn pass(&mut self, pass: &[Member], elements: u64) {
        let mut names = Vec::new();
        for member in pass {
            let Op::Reduce(fold, _) = &self.nodes[member.node.0].op else { unreachable!("not a reduction") };
            let input = self.nodes[member.node.0].inputs[0];
            let mut printer = self.printer();
            let at = Self::place(&mut printer, member, &self.nodes[input.0].shape);
            let printed = printer.finish(input, at);
            let i = self.variables.len();
            let _ = write!(
                self.values,
                "{}var<workgroup> tree{i}: array<f32, WIDTH>;\nfn value{i}(o: u32, r: u32) -> f32 {{\n{}    return {};\n}}\n",
                fold_text(&format!("fold{i}"), *fold),
                printed.body,
                printed.value
            );
            self.flops += (printed.flops + 1) * elements;
            self.inputs = printed.inputs;
            names.push((i, *fold));
            self.variable(member.node);
        }
        let each = |text: &dyn Fn(usize) -> String| names.iter().map(|(i, _)| text(*i)).collect::<Vec<_>>();
        for (i, fold) in &names {
            // A largest value may be met twice, a number in a sum may not.
            let start = match fold {
                Fold::Sum => "0.0".to_owned(),
                Fold::Max => format!("value{i}(o, min(lane, LENGTH - 1u))"),
            };
            let _ = writeln!(self.levels, "    var a{i} = {start};");
        }
        let folds = each(&|i| format!("a{i} = fold{i}(a{i}, value{i}(o, r));")).join(" ");
        let stores = each(&|i| format!("    tree{i}[lane] = a{i};\n")).concat();
        let joins =
            each(&|i| format!("tree{i}[lane] = fold{i}(tree{i}[lane], tree{i}[lane + half]);")).join(" ");
        let loads = each(&|i| format!("    s{i} = tree{i}[0];\n")).concat();
        let _ = write!(
            self.levels,
            "    for (var r = lane; r < LENGTH; r += WIDTH) {{ {folds} }}\n{stores}\
             \x20   for (var half = WIDTH / 2u; half > 0u; half >>= 1u) {{\n        workgroupBarrier();\n\
             \x20       if (lane < half) {{ {joins} }}\n    }}\n    workgroupBarrier();\n{loads}"
        );
    }

    fn row(&mut self, node: NodeId) {
        let printed = self.printer().finish(node, Coordinates::Linear("o".into()));
        let i = self.variables.len();
        let _ = write!(
            self.values,
            "fn row{i}(o: u32) -> f32 {{\n{}    return {};\n}}\n",
            printed.body, printed.value
        );
        self.inputs = printed.inputs;
        let name = self.variable(node);
        let _ = writeln!(self.levels, "    {name} = row{i}(o);");
    }
}

/// The kernel. Its outputs are operands [`Operand::Made`].
pub fn kernel(nodes: &[Node], stored: &dyn Fn(NodeId) -> bool, chain: &ReduceChain) -> Kernel {
    let (count, length) = (chain.count, chain.length);
    let elements = (count * length) as u64;
    let mut text = Text {
        nodes,
        stored,
        inputs: Vec::new(),
        variables: HashMap::new(),
        values: String::new(),
        levels: String::new(),
        flops: 0,
    };
    for (i, pass) in chain.passes.iter().enumerate() {
        text.pass(pass, elements);
        chain.rows[i].iter().for_each(|&row| text.row(row));
    }
    let (mut first, mut all) = (String::new(), String::new());
    for (k, output) in chain.outputs.iter().enumerate() {
        match output {
            Output::Row(node) => {
                let _ = writeln!(first, "        out{k}[o] = U{k}({});", text.variables[node]);
            }
            Output::Full(member) => {
                let shape = &nodes[member.node.0].shape;
                let mut printer = text.printer();
                let place = Text::place(&mut printer, member, shape);
                let at = printer.index(&place, shape);
                let printed = printer.finish(member.node, place);
                let _ = write!(
                    text.values,
                    "fn write{k}(o: u32, r: u32) {{\n{}    out{k}[{at}] = U{k}({});\n}}\n",
                    printed.body, printed.value
                );
                text.flops += printed.flops * elements;
                text.inputs = printed.inputs;
                let _ = write!(all, " write{k}(o, r);");
            }
        }
    }
    let mut writes = String::new();
    if !first.is_empty() {
        let _ = write!(writes, "    if (lane == 0u) {{\n{first}    }}\n");
    }
    if !all.is_empty() {
        let _ = writeln!(writes, "    for (var r = lane; r < LENGTH; r += WIDTH) {{{all} }}");
    }

    let mut bindings = String::new();
    let mut operands = Vec::new();
    let mut bind = |access: Access, letter: char, name: String, node: NodeId, operand: Operand| {
        let slot = operands.len() as u32;
        let mode = if access == Access::Write { "read_write" } else { "read" };
        let (alias, ty) = (name.replace(|c: char| c.is_ascii_alphabetic(), ""), scalar(&nodes[node.0]));
        let _ = write!(
            bindings,
            "alias {letter}{alias} = {ty};\n@group(0) @binding({slot}) var<storage, {mode}> {name}: array<{letter}{alias}>;\n"
        );
        operands.push((slot, access, operand));
    };
    for (i, &node) in text.inputs.iter().enumerate() {
        bind(Access::Read, 'T', format!("in{i}"), node, Operand::Node(node));
    }
    for (k, output) in chain.outputs.iter().enumerate() {
        bind(Access::Write, 'U', format!("out{k}"), output.node(), Operand::Made(output.node()));
    }
    let width = width(length);
    let passes = chain.passes.len() + usize::from(!all.is_empty());
    Kernel {
        entry: "reduce_chain_fold",
        wgsl: wgsl::compose(
            "reduce_chain",
            &[("bindings", bindings), ("values", text.values), ("levels", text.levels), ("writes", writes)],
        ),
        constants: vec![("OUTPUTS", count as u32), ("LENGTH", length as u32), ("WIDTH", width as u32)],
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(count),
        flops: text.flops,
        iterations: length.div_ceil(width) * passes + 8 * chain.passes.len(),
    }
}
