//! `matmul_*.wgsl`: batched matrix products over strided operands, with their epilogue.
//!
//! - `block`, for GPUs: workgroup memory and barriers, by tiles of 16 by 16 to 128 by 128 whose text is printed (`tile.rs`,
//!   `block.rs`). `choice.rs` chooses the tile, and the parts of K, by predicted time, where `tuned.rs` has none for the
//!   product (`kind.rs`).
//! - `tiled`, for software adapters without the next ones. Tiles are 32 by 32, or 64 by 64 where both sides of the result
//!   are at least 512. K is cut in parts where it is long and the result is small.
//! - `subgroup`, for software adapters with subgroups of eight, where barriers are ruinous: a workgroup is one subgroup,
//!   and values pass by broadcast. A tile is 16 rows by 16 (`nt`: both operands along K), 32 (`n`: B along N) or 8 columns
//!   (`any` strides).
//!
//! `variant.rs` chooses the kernel by family, shape and strides. Transposes and batch axes are strides and never copies. The
//! bias gradient is a second output of the weight gradient's kernel (`row_sum`). A second kernel adds the partial products
//! of a cut K in a fixed order and computes the epilogue.
//!
//! lavapipe compiles a kernel at its first dispatch, in a time that grows with the kernel's text, and unrolls loops with a
//! known count. So the subgroup kernels end in a loop over four rows at a time, and the loops of cross-entropy run over
//! addresses.

mod block;
mod choice;
mod kind;
mod product;
mod template;
mod tile;
mod tuned;
mod variant;

pub use block::Layout;
pub use choice::{Choice, Sizes, choose, choose_among, ranked, work};
pub use kind::ProductKind;
pub use product::{Matrix, MatrixView, Product};
pub use template::template;
pub use tile::{TILES, Tile};
pub use tuned::{NONE_TUNED, ProductTile, TileChoice, TunedProducts};

use super::chain::{OUTPUT, SECOND, function};
use super::expr::{Coordinates, Printer, types};
use super::map::{self, Side};
use super::reduce::PARTIAL;
use super::{Kernel, MAX_ITERATIONS, Operand, Target};
use crate::gpu::{Access, wgsl};
use crate::shape::Shape;
use block::Block;
use variant::{flag, variant};

/// True where the loop limit forces K to be cut, which rules out a row sum in the same kernel.
pub fn long(k: usize) -> bool {
    k > MAX_ITERATIONS / 2
}

/// The kernel of a product.
pub struct ProductKernel {
    /// The kernel.
    pub kernel: Kernel,
    /// The first axis of the shape [parts, batch·m·n] of its partial results where K is cut: then the caller folds them, with
    /// the epilogue, by a reduction over that axis.
    pub parts: Option<usize>,
    /// The product and its tile, where the kernel is `matmul_block` and its operands have strides.
    pub tile: Option<ProductTile>,
}

/// The kernel of a product. `tuned` names tiles in place of the predicted ones.
pub fn kernel(p: &Product<'_>, target: Target, tuned: &TunedProducts) -> ProductKernel {
    let v = variant(p, target, tuned);
    let splits = p.k.div_ceil(v.chunk);
    let split = splits > 1;

    let mut slots = Vec::new();
    let mut inputs = Vec::new();
    let mut epilogue_flops = 0;
    let mut flops = 2 * [p.batch, p.m, p.n, p.k].iter().map(|&n| n as u64).product::<u64>();
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
        epilogue_flops = printed.flops;
        flops += printed.flops * (p.batch * p.m * p.n) as u64;
        inputs = printed.inputs;
    }
    if p.row_sum {
        slots.push(("row_sum", wgsl::source("shared/row_sum").unwrap_or_default().to_owned()));
        flops += (p.m * p.k) as u64;
    }
    if let Some(ProductTile { kind, choice, .. }) = v.block {
        let block = Block { tile: choice.tile, a: kind.a, b: kind.b, row_sum: p.row_sum, epilogue_flops };
        slots.extend(block.slots());
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
        ("CHUNK", number(v.chunk)),
        ("A_OFFSET", number(a.offset)),
        ("A_ROW", number(a.row)),
        ("A_COL", number(a.col)),
        ("A_BATCH", number(a.batch)),
        ("B_OFFSET", number(b.offset)),
        ("B_ROW", number(b.row)),
        ("B_COL", number(b.col)),
        ("B_BATCH", number(b.batch)),
    ]);
    if v.block.is_none() {
        constants.push(("ROW_SUM", flag(p.row_sum)));
    }
    let kernel = Kernel {
        entry: v.entry,
        wgsl: wgsl::compose(v.entry, &slots),
        constants,
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: [p.n.div_ceil(v.cols) as u32, p.m.div_ceil(v.rows) as u32, (p.batch * splits) as u32],
        flops,
        iterations: v.iterations,
    };
    let tile = v.block.filter(|_| !p.a.is_mapped() && !p.b.is_mapped());
    ProductKernel { kernel, parts: split.then_some(splits), tile }
}
