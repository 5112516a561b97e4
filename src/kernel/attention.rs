//! `attention_*.wgsl` and `segment_sum.wgsl`: attention without its matrix of weights, and sums of rows by number.
//!
//! Attention reads queries, keys and values by strides where the projection wrote them. It keeps two numbers for each
//! query, the largest score and the reciprocal sum of exponentials, and the backward kernels recompute the weights. On GPUs
//! one dispatch makes all gradients, some workgroups that of q and the others those of k and v.
//! Mask and dropout are printed expressions, so they take no memory either.
//!
//! The gradient of an embedding chains the rows that have the same number: two reductions find the first row of each chain
//! and the next row of each row. `segment_sum` walks the chains in a fixed order, without atomics and without sorting.

use super::chain::{OUTPUT, SECOND, function};
use super::expr::{Coordinates, Printer, types};
use super::{Family, Kernel, Operand, Target, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::{AttentionAttrs, Node, NodeId, Op};

/// Rows in memory: element (n, t, h, i) is at `offset + n·batch + t·row + h·head + i` of `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsView {
    /// The node in memory.
    pub node: NodeId,
    /// The first element.
    pub offset: usize,
    /// Stride from sample to sample.
    pub batch: usize,
    /// Stride from row to row.
    pub row: usize,
    /// Stride from head to head.
    pub head: usize,
}

/// One of the three kernels of attention.
pub struct Attention<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// The node computed.
    pub node: NodeId,
    /// True for nodes in memory.
    pub stored: &'a dyn Fn(NodeId) -> bool,
    /// Queries, keys and values.
    pub rows: [RowsView; 3],
    /// For a gradient: the nodes that hold dout, the statistics, and where one kernel makes all, the output.
    pub given: Vec<NodeId>,
    /// The second output: the statistics of the softmax, [2·n, tq, heads], or the gradients of k and v.
    pub second: Option<NodeId>,
}

/// Loop iterations of the kernel that makes all gradients, of heads of width `d`.
pub fn joined_iterations(queries: usize, keys: usize, d: usize) -> usize {
    let fours = d.div_ceil(4);
    queries.max(keys).div_ceil(8) * (4 * fours + 1) + 4 * fours
}

/// The kernel of an attention node or of one of its gradients.
pub fn kernel(a: &Attention<'_>, target: Target) -> Kernel {
    let node = &a.nodes[a.node.0];
    let (Op::Attention(attrs)
    | Op::AttentionGradQ(attrs)
    | Op::AttentionGradKv(attrs)
    | Op::AttentionGrad(attrs)) = &node.op
    else {
        unreachable!("not attention")
    };
    let both = matches!(node.op, Op::AttentionGrad(_));
    let AttentionAttrs { causal, scale, masked, kept } = *attrs;
    let query = &a.nodes[node.inputs[0].0].shape;
    let (n, tq, heads, d) = (query[0], query[1], query[2], query[3]);
    let tk = a.nodes[node.inputs[1].0].shape[1];

    let mut slots = vec![("sizes", format!("const D = {d}u;\nconst D4 = {}u;\n", d.div_ceil(4)))];
    let mut inputs: Vec<NodeId> = Vec::new();
    let mut flops = 0;
    let names = ["mask", "keep"].into_iter().zip([masked, kept]).filter(|(_, given)| *given);
    for ((name, _), &input) in names.zip(&node.inputs[node.op.direct_inputs()..]) {
        let axes = ["n", "h", "row", "col"].map(str::to_owned).to_vec();
        let printed = Printer::new(a.nodes, a.stored, None, inputs).finish(input, Coordinates::Axes(axes));
        slots.push((name, function(&format!("fn {name}(n: u32, h: u32, row: u32, col: u32)"), &printed)));
        flops += printed.flops;
        inputs = printed.inputs;
    }
    if a.second.is_some() && !both {
        slots.push(("stats", wgsl::source("shared/attention_stats").unwrap_or_default().to_owned()));
    }
    let mut others = vec![(OUTPUT, Some(a.node)), (SECOND, a.second.filter(|_| both))];
    others.extend((8..).zip(a.rows.iter().map(|r| Some(r.node))));
    others.push((11, a.given.first().copied()));
    if target.family == Family::Tiled {
        others.push((13, a.given.get(2).copied()));
    }
    slots.push(("types", types(a.nodes, &inputs, &others)));
    fours(a, d, target.family, &mut slots);

    let mut operands: Vec<_> =
        (0..).zip(&inputs).map(|(slot, &id)| (slot, Access::Read, Operand::Node(id))).collect();
    operands.push((OUTPUT, Access::Write, Operand::Output));
    if a.second.is_some() {
        operands.push((SECOND, Access::Write, Operand::Second));
    }
    let given = a.rows.iter().map(|r| r.node).chain(a.given.iter().copied());
    operands.extend((8..).zip(given).map(|(slot, id)| (slot, Access::Read, Operand::Node(id))));

    let (file, width) = match target.family {
        Family::Subgroup => ("attention_subgroup", 8),
        Family::Tiled => ("attention_tiled", 32),
    };
    // Rows of this side, rows of the other side, and multiplications by D for each pair.
    let (entry, own, other, products) = match (&node.op, target.family) {
        (Op::Attention(_), Family::Subgroup) => ("attention_subgroup_forward", tq, tk, 2),
        (Op::Attention(_), Family::Tiled) => ("attention_tiled_forward", tq, tk, 2),
        (Op::AttentionGradQ(_), Family::Subgroup) => ("attention_subgroup_grad_q", tq, tk, 3),
        (Op::AttentionGradQ(_), Family::Tiled) => ("attention_tiled_grad_q", tq, tk, 3),
        (Op::AttentionGrad(_), Family::Tiled) => ("attention_tiled_grad", tq, tk.max(tq), 7),
        (_, Family::Subgroup) => ("attention_subgroup_grad_kv", tk, tq, 4),
        (_, Family::Tiled) => ("attention_tiled_grad_kv", tk, tq, 4),
    };
    let pairs = n * heads * if causal { tq * (tq + 1) / 2 } else { tq * tk };
    let mut constants = vec![
        ("BATCH", n as u32),
        ("HEADS", heads as u32),
        ("TQ", tq as u32),
        ("TK", tk as u32),
        ("CAUSAL", u32::from(causal)),
        ("SCALE_BITS", scale.get().to_bits()),
    ];
    if both {
        constants.push(("Q_GROUPS", tq.div_ceil(width) as u32));
    }
    let names = [
        ["Q_OFFSET", "Q_BATCH", "Q_ROW", "Q_HEAD"],
        ["K_OFFSET", "K_BATCH", "K_ROW", "K_HEAD"],
        ["V_OFFSET", "V_BATCH", "V_ROW", "V_HEAD"],
    ];
    for (names, r) in names.into_iter().zip(&a.rows) {
        constants.extend(names.into_iter().zip([r.offset, r.batch, r.row, r.head].map(|x| x as u32)));
    }
    Kernel {
        entry,
        wgsl: wgsl::compose(file, &slots),
        constants,
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: [
            (own.div_ceil(width) + if both { tk.div_ceil(width) } else { 0 }) as u32,
            heads as u32,
            n as u32,
        ],
        flops: pairs as u64 * (2 * (products * d) as u64 + 12 + flops),
        iterations: match both {
            true => joined_iterations(tq, tk, d),
            false => other.div_ceil(8) * (3 * d.div_ceil(4) + 1) + 4 * d.div_ceil(4),
        },
    }
}

/// The slots of the operands whose rows are read four numbers at once: those whose rows begin at multiples of four.
fn fours(a: &Attention<'_>, d: usize, family: Family, slots: &mut Vec<(&str, String)>) {
    const NAMES: [(&str, &str); 3] = [("q_rows", "q"), ("k_rows", "k"), ("v_rows", "v")];
    let whole =
        |strides: &[usize]| d.is_multiple_of(4) && strides.iter().all(|stride| stride.is_multiple_of(4));
    let mut units = Vec::new();
    for (slot, (r, (rows, name))) in (8..).zip(a.rows.iter().zip(NAMES)) {
        let is_whole = whole(&[r.offset, r.batch, r.row, r.head]);
        units.push(unit(slot, is_whole));
        if is_whole {
            let upper = name.to_uppercase();
            let at = format!("{upper}_OFFSET + n * {upper}_BATCH + row * {upper}_ROW + h * {upper}_HEAD");
            slots.push((rows, read_four(name, &at)));
        }
    }
    units.push(unit(11, whole(&[])));
    if whole(&[]) {
        slots.push(("dout_rows", read_four("dout", "((n * TQ + row) * HEADS + h) * D")));
    }
    if family == Family::Tiled {
        units.push(unit(13, whole(&[])));
    }
    if a.given.len() == 3 {
        let four = match whole(&[]) {
            true => read_four("forward", "((n * TQ + row) * HEADS + h) * D"),
            false => wgsl::source("shared/attention_forward").unwrap_or_default().to_owned(),
        };
        let delta = wgsl::source("shared/attention_delta").unwrap_or_default();
        slots.push(("delta", four + "\n" + delta));
        slots.push(("store_kv", wgsl::source("shared/attention_store").unwrap_or_default().to_owned()));
    }
    slots.push(("units", units.concat()));
}

/// What a binding's array is made of: numbers, or fours of them.
fn unit(slot: u32, fours: bool) -> String {
    if fours { format!("alias U{slot} = vec4<T{slot}>; ") } else { format!("alias U{slot} = T{slot}; ") }
}

/// The function that reads four numbers of a row that begins at `at`.
fn read_four(name: &str, at: &str) -> String {
    format!(
        "fn {name}_four(n: u32, row: u32, h: u32, c: u32) -> vec4<f32> {{ return vec4<f32>({name}[({at}) / 4u + c]); }}"
    )
}

/// Sums chains of rows of the node `x` [rows, width]. `head` is the first row of each chain, `next` the row after each.
pub fn segment_sum(nodes: &[Node], node: NodeId, [x, head, next]: [NodeId; 3]) -> Kernel {
    let shape = &nodes[node.0].shape;
    let rows = nodes[nodes[node.0].inputs[0].0].shape[0];
    let read = |slot, id| (slot, Access::Read, Operand::Node(id));
    Kernel {
        entry: "segment_sum",
        wgsl: wgsl::compose("segment_sum", &[("types", types(nodes, &[], &[(8, Some(x))]))]),
        constants: vec![("SEGMENTS", shape[0] as u32), ("WIDTH", shape[1] as u32), ("ROWS", rows as u32)],
        operands: vec![(OUTPUT, Access::Write, Operand::Output), read(8, x), read(9, head), read(10, next)],
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(shape.elements().div_ceil(64)),
        flops: (rows * shape[1]) as u64,
        iterations: rows,
    }
}
