//! `matmul_*.wgsl`: batched matrix products over strided operands, with their epilogue. This file chooses the kernel by
//! family, shape and strides.
//!
//! - `tiled`: workgroup memory and barriers. Tiles are 32×32, or 64×64 where both sides of the result are at least 512. K
//!   is cut in parts where it is long and the result is small.
//! - `subgroup`, for software adapters with subgroups of eight, where barriers are ruinous: a workgroup is one subgroup,
//!   and values pass by broadcast. A tile is 16 rows by 16 (`nt`: both operands along K), 32 (`n`: B along N) or 8 columns
//!   (`any` strides). Other software adapters take `tiled`.
//!
//! Transposes and batch axes are strides and never copies. The bias gradient is a second output of the weight gradient's
//! kernel (`row_sum`). A second kernel adds the partial products of a cut K in a fixed order and computes the epilogue.
//!
//! lavapipe compiles a kernel at its first dispatch, in a time that grows with the kernel's text, and unrolls loops with a
//! known count. So the subgroup kernels end in a loop over four rows at a time, and the loops of cross-entropy run over
//! addresses.

use super::chain::{OUTPUT, SECOND, function};
use super::expr::{Coordinates, Printer, types};
use super::map::{self, Side};
use super::reduce::PARTIAL;
use super::{Family, Kernel, MAX_ITERATIONS, Operand, Target};
use crate::gpu::{Access, wgsl};
use crate::graph::{Node, NodeId};
use crate::shape::Shape;

/// A matrix operand in memory: element (z, i, j) is at `offset + z·batch + i·row + j·col` of `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixView {
    /// The node in memory.
    pub node: NodeId,
    /// The first element.
    pub offset: usize,
    /// Stride from row to row.
    pub row: usize,
    /// Stride from column to column.
    pub col: usize,
    /// Stride from matrix to matrix; 0 broadcasts.
    pub batch: usize,
}

/// A matrix operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matrix {
    /// Strides over a node in memory.
    Strided(MatrixView),
    /// A chain of views [batch.., rows, columns] over a node in memory, computed element by element.
    Mapped {
        /// The node in memory.
        base: NodeId,
        /// The last view.
        view: NodeId,
        /// The view is [batch.., columns, rows].
        turned: bool,
    },
}

impl Matrix {
    fn node(&self) -> NodeId {
        match self {
            Matrix::Strided(view) => view.node,
            Matrix::Mapped { base, .. } => *base,
        }
    }

    /// Its strides; zeros for a mapped operand, and then no kernel reads them.
    fn strides(&self) -> MatrixView {
        match self {
            Matrix::Strided(view) => view.clone(),
            Matrix::Mapped { base, .. } => MatrixView { node: *base, offset: 0, row: 0, col: 0, batch: 0 },
        }
    }

    fn is_mapped(&self) -> bool {
        matches!(self, Matrix::Mapped { .. })
    }
}

/// out\[z\] = epilogue(A\[z\]·B\[z\]).
pub struct Product<'a> {
    /// All nodes.
    pub nodes: &'a [Node],
    /// The matmul node.
    pub node: NodeId,
    /// The last node of the epilogue, or `node` itself.
    pub root: NodeId,
    /// A value of the epilogue that is written to the second output.
    pub side_output: Option<NodeId>,
    /// True for nodes in memory.
    pub stored: &'a dyn Fn(NodeId) -> bool,
    /// [m, k]
    pub a: Matrix,
    /// [k, n]
    pub b: Matrix,
    /// Products in the batch.
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The summed axis.
    pub k: usize,
    /// Also write the sum of each row of A to the second output.
    pub row_sum: bool,
}

struct Variant {
    entry: &'static str,
    rows: usize,
    cols: usize,
    constants: Vec<(&'static str, u32)>,
    /// Elements of K that one iteration covers.
    slab: usize,
    /// True where A is read one number at a time, because its strides are no multiples of 4.
    by_one: bool,
}

fn flag(b: bool) -> u32 {
    u32::from(b)
}

/// The kernel for a product, by family and strides.
fn variant(p: &Product<'_>, target: Target) -> Variant {
    let (a, b) = (p.a.strides(), p.b.strides());
    if target.family == Family::Tiled {
        let large = p.m >= 512 && p.n >= 512;
        let threads = if large { 16 } else { 8 };
        let constants = vec![
            ("THREADS", threads),
            ("TILE", 4 * threads),
            ("SLAB", 64 * threads),
            ("A_ALONG_K", flag(a.col == 1)),
            ("B_ALONG_K", flag(b.row == 1)),
        ];
        let tile = 4 * threads as usize;
        return Variant { entry: "matmul_tiled", rows: tile, cols: tile, constants, slab: 1, by_one: false };
    }
    if p.a.is_mapped() || p.b.is_mapped() {
        let (rows, cols) = (if p.m <= 8 { 8 } else { 16 }, 32);
        let constants = vec![("ROWS", rows as u32)];
        return Variant { entry: "matmul_subgroup_map", rows, cols, constants, slab: 2, by_one: false };
    }
    let fours =
        |v: &MatrixView, stride: usize| [v.offset, v.batch, stride].iter().all(|x| x.is_multiple_of(4));
    let k4 = p.k.is_multiple_of(4);
    let a_rows = a.col == 1 && fours(&a, a.row);
    let a_cols = a.row == 1 && fours(&a, a.col) && p.m.is_multiple_of(4);
    let b_cols = b.col == 1 && fours(&b, b.row) && p.n.is_multiple_of(4);
    if k4 && a_rows && b.row == 1 && fours(&b, b.col) && !p.row_sum {
        return Variant {
            entry: "matmul_subgroup_nt",
            rows: 16,
            cols: 16,
            constants: vec![],
            slab: 4,
            by_one: false,
        };
    }
    if b_cols {
        let vec4 = k4 && (a_cols || a_rows);
        let constants = vec![("A_COLS", flag(vec4 && a_cols))];
        return Variant { entry: "matmul_subgroup_n", rows: 16, cols: 32, constants, slab: 4, by_one: !vec4 };
    }
    Variant { entry: "matmul_subgroup_any", rows: 16, cols: 8, constants: vec![], slab: 4, by_one: false }
}

/// The number of parts of K: as few as the loop limit allows, and on GPUs enough to occupy the card where the result is
/// small and K is long.
fn splits(p: &Product<'_>, v: &Variant, target: Target) -> usize {
    if p.row_sum {
        return 1;
    }
    let needed = p.k.div_ceil(MAX_ITERATIONS / 2 * v.slab);
    let groups = p.m.div_ceil(v.rows) * p.n.div_ceil(v.cols) * p.batch;
    let wanted = match target.family {
        // A convolution's weight gradient: few elements, each a sum over every position of the batch.
        Family::Subgroup if v.entry == "matmul_subgroup_map" && p.k >= 512 && groups < 8 => {
            (p.k / 256).min(8 / groups)
        }
        Family::Tiled if p.k >= 1024 && groups < 64 => (p.k / 512).min(128 / groups).max(1),
        _ => 1,
    };
    needed.max(wanted)
}

/// True where the loop limit forces K to be cut, which rules out a row sum in the same kernel.
pub fn long(k: usize) -> bool {
    k > MAX_ITERATIONS / 2
}

/// The kernel, and the shape [parts, batch·m·n] of its partial results where K is cut: then the caller folds
/// them, with the epilogue, by a reduction over the first axis.
pub fn kernel(p: &Product<'_>, target: Target) -> (Kernel, Option<usize>) {
    let v = variant(p, target);
    let splits = splits(p, &v, target);
    let chunk = p.k.div_ceil(splits).next_multiple_of(4);
    let splits = p.k.div_ceil(chunk);
    let split = splits > 1;

    let mut slots = Vec::new();
    let mut inputs = Vec::new();
    let mut flops = 2 * (p.batch * p.m * p.n * p.k) as u64;
    if p.root != p.node && !split {
        let mut printer = Printer::new(p.nodes, p.stored, Some(p.node), vec![]).side_output(p.side_output);
        let shape = &p.nodes[p.root.0].shape;
        let place = if *shape == p.nodes[p.node.0].shape {
            let lead = Shape::from(&shape[..shape.len() - 2]);
            let mut axes = printer.split("batch", &lead);
            axes.extend(["row".into(), "col".into()]);
            Coordinates::Axes(axes)
        } else {
            Coordinates::Linear("i".into())
        };
        let mut printed = printer.finish(p.root, place);
        printed.body.insert_str(0, "    let i = (batch * M + row) * N + col;\n");
        let head = "fn epilogue(acc: f32, batch: u32, row: u32, col: u32)";
        slots.push(("epilogue", function(head, &printed)));
        flops += printed.flops * (p.batch * p.m * p.n) as u64;
        inputs = printed.inputs;
    }
    if p.row_sum {
        slots.push(("row_sum", wgsl::source("shared/row_sum").unwrap_or_default().to_owned()));
        flops += (p.m * p.k) as u64;
    }
    if v.by_one {
        slots.push(("a_unit", wgsl::source("shared/a_numbers").unwrap_or_default().to_owned()));
    }
    for (slot, side, matrix) in [("a_map", Side::A, &p.a), ("b_map", Side::B, &p.b)] {
        if let Matrix::Mapped { view, turned, .. } = matrix {
            slots.push((slot, map::operand(p.nodes, p.stored, side, *view, *turned)));
        }
    }
    let made = (!split).then_some(p.root);
    let others = [(OUTPUT, made), (SECOND, p.side_output), (8, Some(p.a.node())), (9, Some(p.b.node()))];
    slots.push(("types", types(p.nodes, &inputs, &others)));

    let mut operands: Vec<_> =
        (0..).zip(&inputs).map(|(slot, &node)| (slot, Access::Read, Operand::Node(node))).collect();
    let out = if split { Operand::Named(PARTIAL) } else { Operand::Output };
    operands.push((OUTPUT, Access::Write, out));
    if p.row_sum || (p.side_output.is_some() && !split) {
        operands.push((SECOND, Access::Write, Operand::Second));
    }
    operands.push((8, Access::Read, Operand::Node(p.a.node())));
    operands.push((9, Access::Read, Operand::Node(p.b.node())));

    let (a, b) = (p.a.strides(), p.b.strides());
    let mut constants = v.constants;
    let number = |n: usize| n as u32;
    constants.extend([
        ("M", number(p.m)),
        ("N", number(p.n)),
        ("K", number(p.k)),
        ("BATCHES", number(p.batch)),
        ("CHUNK", number(chunk)),
        ("A_OFFSET", number(a.offset)),
        ("A_ROW", number(a.row)),
        ("A_COL", number(a.col)),
        ("A_BATCH", number(a.batch)),
        ("B_OFFSET", number(b.offset)),
        ("B_ROW", number(b.row)),
        ("B_COL", number(b.col)),
        ("B_BATCH", number(b.batch)),
        ("ROW_SUM", flag(p.row_sum)),
    ]);
    let kernel = Kernel {
        entry: v.entry,
        wgsl: wgsl::compose(v.entry, &slots),
        constants,
        operands,
        reads_old: false,
        grid: [p.n.div_ceil(v.cols) as u32, p.m.div_ceil(v.rows) as u32, (p.batch * splits) as u32],
        flops,
        iterations: chunk / v.slab + 4,
    };
    (kernel, split.then_some(splits))
}
