//! Chooses tile and parts of K for a product on GPUs, by predicted time.

use super::tile::{TILES, Tile};
use crate::kernel::MAX_ITERATIONS;
use crate::kernel::cost::Work;

/// The sizes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Products in the batch.
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// The summed axis.
    pub k: usize,
}

/// A tile, and the number of parts in which K is cut, whose sums a second kernel adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The tile.
    pub tile: &'static Tile,
    /// Parts of K.
    pub parts: usize,
    /// K of a part.
    pub chunk: usize,
    /// Predicted time of the product and of the kernel that adds the parts.
    pub microseconds: f64,
}

/// Cycles of a load of 16 bytes by 32 invocations from workgroup memory: between 1, where many load the same, and 4.
const CYCLES_OF_A_READ: f64 = 3.0;
/// Invocations that load together.
const TOGETHER: f64 = 32.0;
/// Most K of a part, as in other kernels, for accuracy.
const MOST_CHUNK: usize = MAX_ITERATIONS / 2;
/// Most parts of K.
const MOST_PARTS: usize = 64;

/// The work of `groups` workgroups of a tile with `chunk` of K each, over operands of `bytes`.
pub fn work(tile: &Tile, groups: usize, chunk: usize, bytes: f64) -> Work {
    let slabs = chunk.div_ceil(tile.slab);
    let k = (slabs * tile.slab) as f64;
    let area = (tile.rows * tile.cols) as f64;
    let reads = area * k / (tile.each_rows * tile.each_cols) as f64 / TOGETHER
        * ((tile.each_rows + tile.each_cols) / 4) as f64;
    Work {
        groups,
        invocations: tile.invocations(),
        registers: tile.registers,
        // The first slab, then one while each is multiplied.
        rounds: slabs + 1,
        multiply_adds: area * k,
        shared_cycles: CYCLES_OF_A_READ * reads,
        bytes,
        loaded_bytes: 4.0 * ((tile.rows + tile.cols) * chunk * groups) as f64,
    }
}

/// The work of the kernel that adds `parts` partial results.
fn fold(s: Sizes, parts: usize) -> Work {
    let outputs = s.batch * s.m * s.n;
    Work {
        groups: outputs.div_ceil(64),
        invocations: 64,
        registers: 32,
        rounds: parts / 4 + 1,
        multiply_adds: (64 * parts) as f64,
        shared_cycles: 0.0,
        bytes: (4 * outputs * (parts + 1)) as f64,
        loaded_bytes: 0.0,
    }
}

/// The prediction for a tile, and K in at most `parts` parts, or more where the loop limit asks for them.
pub fn candidate(s: Sizes, tile: &'static Tile, parts: usize) -> Choice {
    let chunk = s.k.div_ceil(parts).next_multiple_of(tile.slab).min(s.k.next_multiple_of(4));
    let parts = s.k.div_ceil(chunk);
    let tiles = s.m.div_ceil(tile.rows) * s.n.div_ceil(tile.cols) * s.batch;
    let results = if parts > 1 { 0 } else { s.m * s.n };
    let bytes = (4 * s.batch * (s.m * s.k + s.k * s.n + results)) as f64;
    let product = work(tile, tiles * parts, chunk, bytes).microseconds();
    let folded = if parts > 1 { fold(s, parts).microseconds() } else { 0.0 };
    Choice { tile, parts, chunk, microseconds: product + folded }
}

/// Elements that the workgroups compute, those beyond the edges too.
fn padded(s: Sizes, c: &Choice) -> usize {
    let up = |n: usize, to: usize| n.next_multiple_of(to);
    up(s.m, c.tile.rows) * up(s.n, c.tile.cols) * up(c.chunk, c.tile.slab) * c.parts
}

/// The choice of the least predicted time; of equal ones that of the least work, then the first. K is in one part where the
/// kernel also sums rows.
pub fn choose(s: Sizes, row_sum: bool) -> Choice {
    let least = if row_sum { 1 } else { s.k.div_ceil(MOST_CHUNK) };
    let most = if row_sum { 1 } else { MOST_PARTS.max(least) };
    let doubled = std::iter::successors(Some(least), |parts| Some(parts * 2)).take_while(|parts| *parts <= most);
    let all = doubled.flat_map(|parts| TILES.iter().map(move |tile| candidate(s, tile, parts)));
    all.min_by(|a, b| {
        a.microseconds.total_cmp(&b.microseconds).then_with(|| padded(s, a).cmp(&padded(s, b)))
    })
    .unwrap_or_else(|| candidate(s, &TILES[0], least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_choices() {
        let shapes: [(usize, usize, usize); 24] = [
            (128, 64, 64), (64, 64, 128), (128, 10, 64), (10, 64, 128), (128, 64, 10),
            (128, 256, 784), (256, 784, 128), (128, 256, 256), (256, 256, 128), (128, 10, 256), (10, 256, 128), (128, 256, 10),
            (512, 512, 784), (512, 784, 512), (512, 512, 512), (512, 10, 512), (10, 512, 512), (512, 512, 10),
            (768, 128, 128), (128, 128, 768), (768, 512, 128), (512, 128, 768), (768, 160, 128), (160, 128, 768),
        ];
        for (m, n, k) in shapes.into_iter().chain([256, 512, 1024, 2048, 4096].map(|n| (n, n, n))) {
            let c = choose(Sizes { batch: 1, m, n, k }, false);
            println!("{m} {n} {k}: {}x{}x{} {} parts, chunk {}, {:.2}", c.tile.rows, c.tile.cols, c.tile.slab, c.parts, c.chunk, c.microseconds);
        }
    }
}
