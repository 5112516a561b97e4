//! `reduce.wgsl` and `reduce_rows.wgsl`: sums and maxima over axes, with their inputs and their epilogue computed in the
//! same kernel.

use super::chain::{self, Sink, function, operands, sink_parts};
use super::expr::{Coordinates, Printer, types};
use super::{Family, Kernel, Operand, Target, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::{Fold, Node, NodeId, Op};
use crate::shape::Shape;

/// The most elements that one invocation folds, for accuracy and for the loop limit.
const CHUNK: usize = 2048;

/// A reduction.
pub struct Reduction<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// The reduce node.
    pub node: NodeId,
    /// The last node of the epilogue, or `node` itself.
    pub root: NodeId,
    /// A value of the epilogue that is written to the second output.
    pub side_output: Option<NodeId>,
    /// True for nodes in memory.
    pub stored: &'a dyn Fn(NodeId) -> bool,
    /// The destination of the result.
    pub sink: Sink,
}

/// The function of a fold, under a name.
pub(super) fn fold_text(name: &str, fold: Fold) -> String {
    let join = match fold {
        Fold::Sum => "a + b",
        Fold::Max => "maximum(a, b)",
    };
    format!("fn {name}(a: f32, b: f32) -> f32 {{ return {join}; }}\n")
}

/// The coordinates of element (o, r) of a reduction in its input: the kept axes from o, the folded ones from r.
fn place(printer: &mut Printer<'_>, shape: &Shape, axes: &[usize]) -> Coordinates {
    let pick = |folded: bool| -> Shape {
        let dims: Vec<usize> =
            (0..shape.len()).map(|i| if axes.contains(&i) == folded { shape[i] } else { 1 }).collect();
        dims.into()
    };
    let outer = printer.split("o", &pick(false));
    let inner = printer.split("r", &pick(true));
    Coordinates::Axes(
        (0..shape.len())
            .map(|i| if axes.contains(&i) { inner[i].clone() } else { outer[i].clone() })
            .collect(),
    )
}

/// The file and entry point of a kernel, and its fixed text.
struct Form {
    file: &'static str,
    entry: &'static str,
    width: usize,
}

fn form(target: Target, outputs: usize, length: usize) -> Form {
    if target.family == Family::Tiled && length > 32 && outputs < 4096 {
        Form { file: "reduce_rows", entry: "reduce_rows_fold", width: 64 }
    } else {
        Form { file: "reduce", entry: "reduce_fold", width: 1 }
    }
}

/// Elements of a part where a GPU would otherwise be mostly idle: 16 loads of an invocation, one after the other.
const PART: usize = 16 * 64;
/// The shortest row that is cut: a second kernel costs as much as about 25 loads.
const SHORTEST_CUT: usize = 4 * PART;
/// Workgroups that occupy a card.
const ENOUGH_GROUPS: usize = 512;

/// Parts of each of `outputs` rows that are a workgroup each, so that enough workgroups share the work.
fn wanted_parts(outputs: usize, length: usize) -> usize {
    if length < SHORTEST_CUT { 1 } else { length.div_ceil(PART).min(ENOUGH_GROUPS / outputs).max(1) }
}

/// The sizes of a fold: `outputs` rows of `length`, each cut into `parts` of `chunk`.
struct Sizes {
    outputs: usize,
    length: usize,
    parts: usize,
    chunk: usize,
    /// The fold reads partial results, which are f32 whatever the type of the node.
    of_partials: bool,
}

fn build(
    r: &Reduction<'_>,
    form: &Form,
    sizes: &Sizes,
    sink: Sink,
    inputs: &[NodeId],
    mut slots: Vec<(&str, String)>,
) -> Kernel {
    let mut others =
        vec![(chain::OUTPUT, (sizes.parts == 1).then_some(r.root)), (chain::SECOND, r.side_output)];
    if sizes.of_partials {
        others.push((0, None));
    }
    slots.push(("types", types(r.nodes, inputs, &others)));
    let mut constants = vec![
        ("OUTPUTS", sizes.outputs as u32),
        ("LENGTH", sizes.length as u32),
        ("PARTS", sizes.parts as u32),
        ("CHUNK", sizes.chunk as u32),
    ];
    sink_parts(sink, &mut slots, &mut constants);
    let invocations = sizes.outputs * sizes.parts * form.width;
    Kernel {
        entry: form.entry,
        wgsl: wgsl::compose(form.file, &slots),
        constants,
        operands: operands(inputs, sink),
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(invocations.div_ceil(64)),
        flops: (sizes.outputs * sizes.length) as u64,
        iterations: sizes.chunk / if form.width == 1 { 4 } else { form.width } + 8,
    }
}

/// The epilogue slot for a chain that ends in `r.root`, and all inputs, those of the epilogue included.
fn epilogue(r: &Reduction<'_>, inputs: Vec<NodeId>, slots: &mut Vec<(&str, String)>) -> Vec<NodeId> {
    if r.root == r.node {
        return inputs;
    }
    let printed = Printer::new(r.nodes, r.stored, Some(r.node), inputs)
        .side_output(r.side_output)
        .finish(r.root, Coordinates::Linear("i".into()));
    slots.push(("epilogue", function("fn epilogue(acc: f32, i: u32)", &printed)));
    printed.inputs
}

/// One kernel, or two where rows are long: partial results, then their fold. The bytes of the partial results
/// come with the second.
pub fn kernels(r: &Reduction<'_>, target: Target) -> (Kernel, Option<(Kernel, u64)>) {
    let Op::Reduce(fold, axes) = &r.nodes[r.node.0].op else { unreachable!("not a reduction") };
    let input = r.nodes[r.node.0].inputs[0];
    let shape = &r.nodes[input.0].shape;
    let outputs = r.nodes[r.node.0].shape.elements();
    let length = shape.elements() / outputs;

    let mut printer = Printer::new(r.nodes, r.stored, None, vec![]);
    let at = place(&mut printer, shape, axes);
    let value = printer.finish(input, at);

    let form = form(target, outputs, length);
    let least = length.div_ceil(CHUNK.max(length.isqrt()) * form.width);
    let wanted = if form.width > 1 { wanted_parts(outputs, length) } else { 1 };
    let chunk = length.div_ceil(least.max(wanted));
    // Even chunks may leave the last ones empty.
    let parts = length.div_ceil(chunk);

    let mut slots =
        vec![("fold", fold_text("fold", *fold)), ("value", function("fn value(o: u32, r: u32)", &value))];
    let sizes = Sizes { outputs, length, parts, chunk, of_partials: false };
    let (sink, inputs) = if parts == 1 {
        (r.sink, epilogue(r, value.inputs.clone(), &mut slots))
    } else {
        (Sink::Memory, value.inputs.clone())
    };
    let mut first = build(r, &form, &sizes, sink, &inputs, slots);
    first.flops += value.flops * (outputs * length) as u64;
    if parts == 1 {
        first.operands.extend(second_output(r));
        return (first, None);
    }
    for (slot, _, operand) in &mut first.operands {
        if *slot == chain::OUTPUT {
            *operand = Operand::Named(PARTIAL);
        }
    }
    let second = fold_partials(r, *fold, outputs, parts, "o * LENGTH + r", target);
    (first, Some((second, (outputs * parts * 4) as u64)))
}

/// Folds partial results that lie at `index` of the buffer [`PARTIAL`], in order, with the epilogue.
pub fn fold_partials(
    r: &Reduction<'_>,
    fold: Fold,
    outputs: usize,
    parts: usize,
    index: &str,
    target: Target,
) -> Kernel {
    let value = format!("fn value(o: u32, r: u32) -> f32 {{ return in0[{index}]; }}\n");
    let mut slots = vec![("fold", fold_text("fold", fold)), ("value", value)];
    // The node itself stands for its partial results at in0.
    let inputs = epilogue(r, vec![r.node], &mut slots);
    let sizes = Sizes { outputs, length: parts, parts: 1, chunk: parts, of_partials: true };
    let mut kernel = build(r, &form(target, outputs, parts), &sizes, r.sink, &inputs, slots);
    for (slot, _, operand) in &mut kernel.operands {
        if *slot == 0 {
            *operand = Operand::Named(PARTIAL);
        }
    }
    kernel.operands.extend(second_output(r));
    kernel
}

fn second_output(r: &Reduction<'_>) -> Option<(u32, Access, Operand)> {
    r.side_output.map(|_| (chain::SECOND, Access::Write, Operand::Second))
}

/// The name under which two kernels share partial results.
pub const PARTIAL: &str = "partial";
