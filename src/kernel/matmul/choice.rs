//! Chooses tile and parts of K for a product on GPUs, by predicted time.

use std::cmp::Ordering;

use super::tile::{TILES, Tile};
use crate::kernel::MAX_GROUPS;
use crate::kernel::MAX_ITERATIONS;
use crate::kernel::cost::Work;

/// The sizes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
        loaded_bytes: 4.0 * ((tile.rows + tile.cols) as u64 * chunk as u64 * groups as u64) as f64,
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

/// The fewest parts of K that keep within the loop limit. K is in one part where the kernel also sums rows.
pub fn least_parts(s: Sizes, row_sum: bool) -> usize {
    if row_sum { 1 } else { s.k.div_ceil(MOST_CHUNK) }
}

/// A grid has no more workgroups along an axis.
pub fn fits(s: Sizes, c: &Choice) -> bool {
    let groups = [s.m.div_ceil(c.tile.rows), s.n.div_ceil(c.tile.cols), s.batch * c.parts];
    groups.iter().all(|&n| n <= MAX_GROUPS as usize)
}

/// Every tile with every number of parts that can make the product.
fn all(s: Sizes, row_sum: bool) -> impl Iterator<Item = Choice> {
    let least = least_parts(s, row_sum);
    let most = if row_sum { 1 } else { MOST_PARTS.max(least) };
    let doubled =
        std::iter::successors(Some(least), |parts| Some(parts * 2)).take_while(move |parts| *parts <= most);
    let all = doubled.flat_map(move |parts| TILES.iter().map(move |tile| candidate(s, tile, parts)));
    all.filter(move |c| fits(s, c))
}

/// By predicted time, then by work.
fn order(s: Sizes, a: &Choice, b: &Choice) -> Ordering {
    a.microseconds.total_cmp(&b.microseconds).then_with(|| padded(s, a).cmp(&padded(s, b)))
}

/// The choice of the least predicted time; of equal ones that of the least work, then the first. K is in one part where the
/// kernel also sums rows.
pub fn choose(s: Sizes, row_sum: bool) -> Choice {
    let least = all(s, row_sum).min_by(|a, b| order(s, a, b));
    least.unwrap_or_else(|| candidate(s, &TILES[0], least_parts(s, row_sum)))
}

/// The choice of each tile, in the parts of K that are predicted to be the fastest: [`choose`]'s first, then by predicted time.
pub fn ranked(s: Sizes, row_sum: bool) -> Vec<Choice> {
    let mut sorted: Vec<Choice> = all(s, row_sum).collect();
    sorted.sort_by(|a, b| order(s, a, b));
    let mut best: Vec<Choice> = Vec::new();
    for choice in sorted {
        if best.iter().all(|known| known.tile != choice.tile) {
            best.push(choice);
        }
    }
    best
}

/// The index of the tile of least predicted time among those with workgroups of `invocations` and K in as many parts.
pub fn choose_among(s: Sizes, invocations: usize, parts: usize) -> Option<usize> {
    let all = (0..).zip(&TILES).filter(|(_, tile)| tile.invocations() == invocations);
    let all = all.map(|(index, tile)| (index, candidate(s, tile, parts)));
    let fitting = all.filter(|(_, choice)| choice.parts == parts && fits(s, choice));
    fitting.min_by(|(_, a), (_, b)| a.microseconds.total_cmp(&b.microseconds)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of a run follow from these.
    #[test]
    fn tall_products_fit_a_grid() {
        for m in [1_100_000, 2_000_000, 8_000_000] {
            let tile = choose(Sizes { m, n: 10, k: 64, batch: 1 }, false).tile;
            assert!(m.div_ceil(tile.rows) <= MAX_GROUPS as usize, "{m} rows by {}", tile.rows);
        }
    }

    #[test]
    fn choices_are_pinned() {
        // m, n, k; the tile and the parts of K.
        let nets = [
            // 64-64-64-10 at 128: layers, gradients of weights, gradients of inputs.
            ([128, 64, 64], [16, 16, 1]),
            ([64, 64, 128], [16, 16, 1]),
            ([128, 10, 64], [16, 16, 1]),
            ([10, 64, 128], [16, 16, 1]),
            ([128, 64, 10], [64, 32, 1]),
            // 784-256-256-10 at 128.
            ([128, 256, 784], [16, 16, 1]),
            ([256, 784, 128], [32, 32, 1]),
            ([128, 256, 256], [16, 16, 1]),
            ([256, 256, 128], [16, 16, 1]),
            ([128, 10, 256], [16, 16, 1]),
            ([10, 256, 128], [16, 16, 1]),
            ([128, 256, 10], [64, 32, 1]),
            // 784-512-512-10 at 512.
            ([512, 512, 784], [64, 32, 1]),
            ([512, 784, 512], [64, 64, 1]),
            ([512, 512, 512], [32, 32, 1]),
            ([512, 10, 512], [16, 16, 1]),
            ([10, 512, 512], [16, 16, 1]),
            ([512, 512, 10], [64, 32, 1]),
            // examples/tiny_gpt.toml: 12 contexts of 64.
            ([768, 128, 128], [32, 32, 1]),
            ([768, 384, 128], [32, 32, 1]),
            ([128, 128, 768], [16, 16, 1]),
            ([384, 128, 768], [16, 16, 1]),
            ([768, 512, 128], [32, 32, 1]),
            ([768, 128, 512], [32, 32, 1]),
            ([512, 128, 768], [16, 16, 1]),
            ([128, 512, 768], [16, 16, 1]),
            ([768, 160, 128], [32, 32, 1]),
            ([160, 128, 768], [16, 16, 1]),
            ([768, 128, 160], [32, 32, 1]),
        ];
        let squares = [
            (256, [16, 16, 1]),
            (512, [32, 32, 1]),
            (1024, [64, 64, 1]),
            (2048, [128, 128, 1]),
            (4096, [128, 128, 1]),
        ];
        let mut wrong = Vec::new();
        for ([m, n, k], want) in nets.into_iter().chain(squares.map(|(n, want)| ([n; 3], want))) {
            let c = choose(Sizes { batch: 1, m, n, k }, false);
            let got = [c.tile.rows, c.tile.cols, c.parts];
            if got != want {
                wrong.push(format!("{m}x{n}x{k}: {got:?}, {want:?} is pinned"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// A long sum of few elements is cut, unless the kernel also sums rows; a part is no longer than the loop limit allows.
    #[test]
    fn parts_of_k() {
        let long = Sizes { batch: 1, m: 16, n: 16, k: 65_536 };
        let cut = choose(long, false);
        assert!(cut.parts > 1 && cut.chunk * cut.parts >= long.k && cut.chunk * (cut.parts - 1) < long.k);
        assert_eq!(choose(long, true).parts, 1);
        for tile in &TILES {
            let parts = long.k.div_ceil(MOST_CHUNK);
            let c = candidate(Sizes { m: 4096, n: 4096, ..long }, tile, parts);
            assert!(tile.iterations(c.chunk) <= MAX_ITERATIONS && c.chunk.is_multiple_of(4), "{c:?}");
        }
    }

    /// What is measured begins with what is predicted, and has each tile once.
    #[test]
    fn the_first_of_a_ranking_is_the_choice() {
        for (m, n, k) in [(128, 64, 784), (10, 512, 512), (16, 16, 65_536), (2048, 2048, 2048), (3, 5, 7)] {
            for row_sum in [false, true] {
                let s = Sizes { batch: 1, m, n, k };
                let ranked = ranked(s, row_sum);
                assert_eq!(ranked[0], choose(s, row_sum));
                assert_eq!(ranked.len(), TILES.len());
                assert!(ranked.is_sorted_by(|a, b| a.microseconds <= b.microseconds));
                assert!(ranked.iter().all(|c| TILES.iter().filter(|t| *t == c.tile).count() == 1));
            }
        }
    }

    /// What is predicted for a part of a sum falls with the number of parts; for the whole with that of the folds it rises.
    #[test]
    fn a_cut_pays_where_it_shortens_a_long_sum_alone() {
        let at = |k: usize, parts: usize| {
            candidate(Sizes { batch: 1, m: 16, n: 16, k }, &TILES[0], parts).microseconds
        };
        assert!(at(65_536, 8) < at(65_536, 1));
        assert!(at(1024, 2) > at(1024, 1));
    }
}
