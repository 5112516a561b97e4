//! Chooses the kernel of a product by family, shape and strides.

use super::block::Layout;
use super::choice::{candidate, choose};
use super::kind::ProductKind;
use super::product::{Matrix, MatrixView, Product};
use super::tile::TILES;
use super::tuned::{ProductTile, TunedProducts};
use crate::kernel::{Family, MAX_ITERATIONS, ProductTiles, Target};

/// A kernel, and how it covers the product.
pub struct Variant {
    /// The entry point, and the file.
    pub entry: &'static str,
    /// Rows of a workgroup.
    pub rows: usize,
    /// Columns of a workgroup.
    pub cols: usize,
    /// Its own override constants.
    pub constants: Vec<(&'static str, u32)>,
    /// K of a part, a multiple of 4.
    pub chunk: usize,
    /// Loop iterations of an invocation.
    pub iterations: usize,
    /// True where A is read one number at a time, because its strides are no multiples of 4.
    pub by_one: bool,
    /// Product and tile of `matmul_block`.
    pub block: Option<ProductTile>,
}

pub fn flag(b: bool) -> u32 {
    u32::from(b)
}

/// The kernel for a product. `tuned` names tiles in place of the predicted ones.
pub fn variant(p: &Product<'_>, target: Target, tuned: &TunedProducts) -> Variant {
    match target.family {
        Family::Tiled if target.tiles == ProductTiles::Plain => tiled(p),
        Family::Tiled => block(p, target.tiles, tuned),
        Family::Subgroup => subgroup(p),
    }
}

/// True where offset, strides and extent are multiples of 4, so that fours of numbers are vec4s.
fn is_fours(v: &MatrixView, stride: usize, extent: usize) -> bool {
    [v.offset, v.batch, stride, extent].iter().all(|x| x.is_multiple_of(4))
}

fn block(p: &Product<'_>, tiles: ProductTiles, tuned: &TunedProducts) -> Variant {
    let (a, b) = (p.a.strides(), p.b.strides());
    let layout = |m: &Matrix, v: &MatrixView, k_stride: usize, line_stride: usize, lines: usize| {
        if m.is_mapped() {
            // The places of a convolution are more than its taps, and neighbours in memory.
            return Layout { along_k: p.k > lines, fours: false, mapped: true };
        }
        if k_stride == 1 && is_fours(v, line_stride, p.k) {
            return Layout { along_k: true, fours: true, mapped: false };
        }
        if line_stride == 1 && is_fours(v, k_stride, lines) {
            return Layout { along_k: false, fours: true, mapped: false };
        }
        Layout { along_k: k_stride == 1 || line_stride != 1, fours: false, mapped: false }
    };
    let sizes = p.sizes();
    let kind = ProductKind {
        sizes,
        a: layout(&p.a, &a, a.col, a.row, p.m),
        b: layout(&p.b, &b, b.row, b.col, p.n),
        row_sum: p.row_sum,
        half: [&p.a, &p.b].iter().any(|operand| p.nodes[operand.node().0].half),
    };
    let named = tuned.get(&kind).filter(|_| tiles == ProductTiles::Predicted);
    let choice = match (named, tiles) {
        (Some(named), _) => named.of(sizes),
        (None, ProductTiles::Given { index, parts }) => {
            candidate(sizes, &TILES[index], if p.row_sum { 1 } else { parts })
        }
        (None, ProductTiles::Predicted | ProductTiles::Plain) => choose(sizes, p.row_sum),
    };
    let tile = choice.tile;
    Variant {
        entry: "matmul_block",
        rows: tile.rows,
        cols: tile.cols,
        constants: tile.constants().to_vec(),
        chunk: choice.chunk,
        iterations: tile.iterations(choice.chunk),
        by_one: false,
        block: Some(ProductTile { kind, choice: choice.into(), is_tuned: named.is_some() }),
    }
}

fn tiled(p: &Product<'_>) -> Variant {
    let (a, b) = (p.a.strides(), p.b.strides());
    let large = p.m >= 512 && p.n >= 512;
    // A browser has workgroup memory begin at zero, and SwiftShader compiles that number by number: small tiles compile in a
    // quarter of the time, and make the same bits.
    let is_much = p.m.saturating_mul(p.n).saturating_mul(p.k) > 1 << 22;
    let threads = match large {
        _ if cfg!(target_arch = "wasm32") => 2 << u32::from(is_much),
        true => 16,
        false => 8,
    };
    let tile = 4 * threads as usize;
    let groups = p.m.div_ceil(tile) * p.n.div_ceil(tile) * p.batch;
    let wanted = if p.k >= 1024 && groups < 64 { (p.k / 512).min(128 / groups).max(1) } else { 1 };
    let constants = vec![
        ("THREADS", threads),
        ("TILE", 4 * threads),
        ("SLAB", 64 * threads),
        ("A_ALONG_K", flag(a.col == 1)),
        ("B_ALONG_K", flag(b.row == 1)),
    ];
    Variant { constants, ..loop_of("matmul_tiled", [tile, tile], p, 1, wanted) }
}

/// A kernel with one loop over K, `step` elements an iteration, and K in `wanted` parts or as many as the loop limit asks for.
fn loop_of(
    entry: &'static str,
    [rows, cols]: [usize; 2],
    p: &Product<'_>,
    step: usize,
    wanted: usize,
) -> Variant {
    let needed = p.k.div_ceil(MAX_ITERATIONS / 2 * step);
    let parts = if p.row_sum { 1 } else { needed.max(wanted) };
    let chunk = p.k.div_ceil(parts).next_multiple_of(4);
    let iterations = chunk / step + 4;
    Variant { entry, rows, cols, constants: vec![], chunk, iterations, by_one: false, block: None }
}

fn subgroup(p: &Product<'_>) -> Variant {
    let (a, b) = (p.a.strides(), p.b.strides());
    if p.a.is_mapped() || p.b.is_mapped() {
        let (rows, cols) = (if p.m <= 8 { 8 } else { 16 }, 32);
        let groups = p.m.div_ceil(rows) * p.n.div_ceil(cols) * p.batch;
        // A convolution's weight gradient: few elements, each a sum over every position of the batch.
        let wanted = if p.k >= 512 && groups < 8 { (p.k / 256).min(8 / groups) } else { 1 };
        let constants = vec![("ROWS", rows as u32)];
        return Variant { constants, ..loop_of("matmul_subgroup_map", [rows, cols], p, 2, wanted) };
    }
    let k4 = p.k.is_multiple_of(4);
    let a_rows = a.col == 1 && is_fours(&a, a.row, 4);
    let a_cols = a.row == 1 && is_fours(&a, a.col, p.m);
    let b_cols = b.col == 1 && is_fours(&b, b.row, p.n);
    if k4 && a_rows && b.row == 1 && is_fours(&b, b.col, 4) && !p.row_sum {
        return loop_of("matmul_subgroup_nt", [16, 16], p, 4, 1);
    }
    if b_cols {
        let vec4 = k4 && (a_cols || a_rows);
        let constants = vec![("A_COLS", flag(vec4 && a_cols))];
        return Variant { constants, by_one: !vec4, ..loop_of("matmul_subgroup_n", [16, 32], p, 4, 1) };
    }
    loop_of("matmul_subgroup_any", [16, 8], p, 4, 1)
}
