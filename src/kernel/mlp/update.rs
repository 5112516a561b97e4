//! The gradients of an optimizer's kernel, computed where it would else read them from memory.

use std::fmt::Write;

use super::{Gradient, Metric, Mlp, Place, TARGETS, VALUES};
use crate::gpu::{Access, wgsl};
use crate::graph::{Fold, NodeId, Op};
use crate::kernel::expr::{Coordinates, Printer};
use crate::kernel::feed::STATE;
use crate::kernel::gradients::RING;
use crate::kernel::matmul::MatrixView;
use crate::kernel::update::{Computed, GRADIENTS};
use crate::kernel::{Kernel, Operand, grid};
use crate::shape::Shape;

/// The open step, which a kernel before this one has written.
const OPEN: &str = "state[1]";

/// The first binding after those of an update.
const FIRST: u32 = 8;

/// The kernel that writes the gradients to memory, of `bytes` with padding, for who else reads them.
pub fn stored_gradients(net: &Mlp, bytes: u64) -> Kernel {
    let Computed { mut slots, bound, flops, iterations } = sums(net, &[]);
    slots.retain(|(slot, _)| *slot == "raw_gradient");
    let fours = bytes as usize / 16;
    let named = |slot, access, name| (slot, access, Operand::Named(name));
    let mut operands = vec![
        named(0, Access::Read, VALUES),
        named(1, Access::Write, GRADIENTS),
        named(2, Access::Read, STATE),
    ];
    operands.extend(bound.iter().map(|&(slot, access, name)| named(slot, access, name)));
    Kernel {
        entry: "mlp_gradients",
        wgsl: wgsl::compose("mlp_gradients", &slots),
        constants: vec![("LENGTH", fours as u32)],
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(fours.div_ceil(64)),
        flops,
        iterations,
    }
}

/// The gradients of a net, in the order of its arena, and its metrics.
pub fn computed(net: &Mlp) -> Computed {
    sums(net, &net.metrics)
}

fn sums(net: &Mlp, metrics: &[Metric]) -> Computed {
    let mut text = String::new();
    let mut pick = String::new();
    let mut flops = 0;
    for (p, (start, gradient)) in net.gradients.iter().enumerate() {
        let end = net.gradients.get(p + 1).map_or(u32::MAX, |(next, _)| *next as u32);
        let _ = writeln!(pick, "    if (i < {end}u) {{ return gradient_{p}(i - {start}u); }}");
        match gradient {
            Gradient::Product { a, b, m, n } => {
                product(&mut text, net, p, (a, b), (*m, *n));
                flops += 2 * (m * n * net.batch) as u64;
            }
            Gradient::Sum { value, width } => {
                sum(&mut text, net, p, *value, *width);
                flops += (width * net.batch) as u64;
            }
        }
    }
    let _ = write!(text, "fn raw_gradient(i: u32) -> vec4<f32> {{\n{pick}    return vec4<f32>();\n}}\n");
    let (mut closing, mut folded) = (String::new(), 0);
    for (i, metric) in metrics.iter().enumerate() {
        flops += self::metric(&mut text, net, i, metric);
        folded += net.nodes[net.nodes[metric.node.0].inputs[0].0].shape.elements().div_ceil(64);
        let _ = writeln!(closing, "    if (block == 0u) {{ metric_{i}(lane); }}");
    }
    let mut bound = vec![(FIRST, Access::Read, VALUES)];
    let mut declared = format!("@group(0) @binding({FIRST}) var<storage, read> values: array<f32>;\n");
    if !metrics.is_empty() {
        bound.push((FIRST + 1, Access::Write, RING));
        let _ = writeln!(
            declared,
            "@group(0) @binding({}) var<storage, read_write> metrics: array<f32>;\nvar<workgroup> parts: array<f32, 64>;",
            FIRST + 1
        );
    }
    if text.contains("targets_in[") {
        bound.push((FIRST + 2, Access::Read, TARGETS));
        let _ = writeln!(
            declared,
            "@group(0) @binding({}) var<storage, read> targets_in: array<i32>;",
            FIRST + 2
        );
    }
    for shared in ["shared/math", "shared/random"] {
        let source = wgsl::source(shared).unwrap_or_default();
        if calls(&text, source) {
            declared += source;
        }
    }
    Computed {
        slots: vec![("raw_gradient", declared + &text), ("closing", closing)],
        bound,
        flops,
        // Eight samples a turn.
        iterations: net.batch.div_ceil(8) + 8 + folded,
    }
}

/// True where `text` calls a function that `source` has.
fn calls(text: &str, source: &str) -> bool {
    let names = source.lines().filter_map(|line| line.strip_prefix("fn ")?.split_once('('));
    names.into_iter().any(|(name, _)| text.contains(&format!("{name}(")))
}

/// The place of element (0, 0) of a matrix among the values.
fn first(net: &Mlp, matrix: &MatrixView) -> usize {
    match net.places.get(&matrix.node) {
        Some(Place::Values(first)) => first + matrix.offset,
        _ => unreachable!("an operand of a gradient lies among the values"),
    }
}

/// The sums of eight samples at a time, in four parts.
fn over_samples(batch: usize, zero: &str, term: &dyn Fn(&str) -> String) -> String {
    let mut text =
        format!("    var s0 = {zero};\n    var s1 = {zero};\n    var s2 = {zero};\n    var s3 = {zero};\n");
    let whole = batch / 8 * 8;
    if whole > 0 {
        let _ = writeln!(text, "    for (var b = 0u; b < {whole}u; b += 8u) {{");
        for c in 0..8 {
            let _ = writeln!(text, "        s{} += {};", c % 4, term(&format!("(b + {c}u)")));
        }
        text += "    }\n";
    }
    for b in whole..batch {
        let _ = writeln!(text, "    s{} += {};", b % 4, term(&format!("{b}u")));
    }
    text + "    return (s0 + s1) + (s2 + s3);\n"
}

fn product(
    text: &mut String,
    net: &Mlp,
    p: usize,
    (a, b): (&MatrixView, &MatrixView),
    (m, n): (usize, usize),
) {
    let (a0, b0) = (first(net, a), first(net, b));
    let left = |at: &str| format!("values[{a0}u + m * {}u + {at} * {}u]", a.row, a.col);
    if b.col == 1 && [n, b0, b.row].iter().all(|x| x.is_multiple_of(4)) {
        let fours = n / 4;
        let term = |at: &str| format!("{} * grad[{}u + {at} * {}u + n]", left(at), b0 / 4, b.row / 4);
        let _ = write!(
            text,
            "fn gradient_{p}(i: u32) -> vec4<f32> {{\n    let m = i / {fours}u;\n    let n = i % {fours}u;\n\
             \x20   if (m >= {m}u) {{ return vec4<f32>(); }}\n{}}}\n",
            over_samples(net.batch, "vec4<f32>()", &term)
        );
        return;
    }
    let term = |at: &str| format!("{} * values[{b0}u + {at} * {}u + n * {}u]", left(at), b.row, b.col);
    let _ = write!(
        text,
        "fn element_{p}(e: u32) -> f32 {{\n    let m = e / {n}u;\n    let n = e % {n}u;\n\
         \x20   if (m >= {m}u) {{ return 0.0; }}\n{}}}\n{}",
        over_samples(net.batch, "0.0", &term),
        four_elements(p)
    );
}

/// The gradient of four elements, one by one.
fn four_elements(p: usize) -> String {
    format!(
        "fn gradient_{p}(i: u32) -> vec4<f32> {{\n    return vec4<f32>(element_{p}(4u * i), element_{p}(4u * i + 1u), \
         element_{p}(4u * i + 2u), element_{p}(4u * i + 3u));\n}}\n"
    )
}

fn sum(text: &mut String, net: &Mlp, p: usize, value: NodeId, width: usize) {
    let shape = &net.nodes[value.0].shape;
    let stored = |id: NodeId| net.places.contains_key(&id);
    let load = |id: NodeId, index: &str| net.load(id, index, OPEN);
    let mut printer = Printer::new(&net.nodes, &stored, None, vec![]).loads(&load);
    let mut axes = vec!["b".to_owned()];
    axes.extend(printer.split("e", &Shape::from(&shape[1..])));
    let printed = printer.finish(value, Coordinates::Axes(axes));
    let term = |at: &str| format!("term_{p}({at}, e)");
    let _ = write!(
        text,
        "fn term_{p}(b: u32, e: u32) -> f32 {{\n{}    return {};\n}}\n\
         fn element_{p}(e: u32) -> f32 {{\n    if (e >= {width}u) {{ return 0.0; }}\n{}}}\n{}",
        printed.body,
        printed.value,
        over_samples(net.batch, "0.0", &term),
        four_elements(p)
    );
}

/// Folds a metric by one workgroup; returns its operations.
fn metric(text: &mut String, net: &Mlp, i: usize, metric: &Metric) -> u64 {
    let Op::Reduce(Fold::Sum, _) = &net.nodes[metric.node.0].op else { unreachable!("metrics are sums") };
    let input = net.nodes[metric.node.0].inputs[0];
    let length = net.nodes[input.0].shape.elements();
    let stored = |id: NodeId| net.places.contains_key(&id);
    let load = |id: NodeId, index: &str| net.load(id, index, OPEN);
    let value = Printer::new(&net.nodes, &stored, None, vec![])
        .loads(&load)
        .finish(input, Coordinates::Linear("r".into()));
    let end = Printer::new(&net.nodes, &stored, Some(metric.node), vec![])
        .loads(&load)
        .finish(metric.root, Coordinates::Linear("0u".into()));
    let _ = write!(
        text,
        "fn part_{i}(r: u32) -> f32 {{\n{}    return {};\n}}\n\
         fn metric_{i}(lane: u32) {{\n    var sum = 0.0;\n\
         \x20   for (var r = lane; r < {length}u; r += 64u) {{ sum += part_{i}(r); }}\n    parts[lane] = sum;\n\
         \x20   for (var half = 32u; half > 0u; half >>= 1u) {{\n        workgroupBarrier();\n\
         \x20       if (lane < half) {{ parts[lane] += parts[lane + half]; }}\n    }}\n    workgroupBarrier();\n\
         \x20   if (lane == 0u) {{\n        let acc = parts[0];\n{}        metrics[(state[1] - 1u) * {}u + {}u] = {};\n    }}\n\
         \x20   workgroupBarrier();\n}}\n",
        value.body, value.value, end.body, net.columns, metric.column, end.value
    );
    (value.flops + 1) * length as u64
}
