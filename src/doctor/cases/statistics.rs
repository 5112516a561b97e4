//! Statistics of weights, gradients and updates: of tensors of one number and of several chunks, with and without a loss
//! scale, with numbers that are not finite; and of more chunks than a workgroup has lanes, whose records are made up.

use super::super::case::{Case, Claim, Want, bytes, exact, word_bytes};
use crate::check::{Near, UNIT, noise};
use crate::kernel::feed::STATE;
use crate::kernel::gradients::RING;
use crate::kernel::statistics::{BINS, CHUNKS, KINDS, LAYOUT, Layout, PREVIOUS, TENSORS, WORDS, limits};
use crate::kernel::update::{GRADIENTS, PARAMETERS};

/// Sizes of the tensors. No number of the last tensor is finite.
const SIZES: [usize; 4] = [7, 33_000, 1, 3];
/// Alignment of the start of a tensor, in numbers.
const ALIGNMENT: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    vec![of_numbers(None), of_numbers(Some(1024.0)), of_many_chunks()]
}

/// A record, with exact and rounded numbers.
#[derive(Clone)]
struct Record {
    /// Number of finite numbers.
    count: f64,
    /// Number of zeros, and number of numbers that are not finite.
    counts: [u32; 2],
    /// The smallest and the largest finite number, if any.
    range: Option<[Near; 2]>,
    mean: Near,
    /// The mean of the magnitudes.
    size: f64,
    spread: Near,
    squares: Near,
    bins: Vec<u32>,
}

fn sum(numbers: impl Iterator<Item = Near>, depth: usize) -> Near {
    Near::sum(numbers.map(|x| (x, 1)), depth)
}

impl Record {
    /// The record of a chunk, as its 64 lanes add it up.
    fn of_chunk(all: &[Near]) -> Record {
        let finite: Vec<Near> = all.iter().copied().filter(|x| x.value.is_finite()).collect();
        let count = finite.len() as f64;
        let depth = all.len().div_ceil(64) + 6;
        let mean = sum(finite.iter().copied(), depth) / Near::exact(count.max(1.0) as f32);
        let size = sum(finite.iter().map(|x| x.abs()), depth).value / count.max(1.0);
        let from_mean = |x: &Near| *x - Near { bound: 0.0, ..mean };
        let mut spread = sum(finite.iter().map(|x| from_mean(x) * from_mean(x)), depth);
        // About m′ in place of the mean m the spread is Σ (x − m)² + n (m′ − m)². The second term counts twice, since x
        // and m′ may be off together.
        spread.bound += 2.0 * count * mean.bound.powi(2);
        let ends = |a: Near, b: &Near, up: bool| if (b.value > a.value) == up { *b } else { a };
        let end = |up| finite.iter().fold(finite[0], |a, b| ends(a, b, up));
        let limits = limits();
        let mut bins = vec![0; BINS];
        for x in &finite {
            // Below 0 a limit belongs to the bin below it.
            let above = |limit: &&f64| if x.value < 0.0 { x.value > **limit } else { x.value >= **limit };
            bins[limits.iter().filter(above).count()] += 1;
        }
        let zeros = finite.iter().filter(|x| x.value == 0.0).count() as u32;
        Record {
            count,
            counts: [zeros, (all.len() - finite.len()) as u32],
            range: (!finite.is_empty()).then(|| [end(false), end(true)]),
            mean,
            size,
            spread,
            squares: sum(finite.iter().map(|x| *x * *x), depth),
            bins,
        }
    }

    /// The record of a tensor. Its spread is that within the chunks plus that between their means.
    ///
    /// A number passes at most `levels` merges. In each merge the first part has at least as many numbers as the
    /// second, or none. For parts of n and m numbers, n ≥ m, the mean a + (b − a) m/(n + m) rounds by 1 + 2.5 + 1 units
    /// of (|a| + |b|) m/(n + m), which is at most the largest mean magnitude, and by one unit of itself. The errors of
    /// a and b are averaged as a and b are.
    ///
    /// The spread between two means, (b − a)² n m/(n + m), rounds by 7.5 units: the difference by one, twice; its
    /// square, the share of m, n times that and the product by 1 + 2.5 + 1 + 1. With w for n m/(n + m), d for b − a and
    /// means that are off by e, it is off by Σ w ((|d| + 2e)² − d²). Σ w d² is at most S, the spread of all. Σ w is at
    /// most a quarter of all numbers for each level. So the error is at most (√S + e √(levels count))² − S. Each level
    /// has two more additions.
    fn of_tensor(chunks: &[Record]) -> Record {
        let levels = chunks.len().div_ceil(64) + 6;
        let rounded = |units: f64| units * UNIT;
        let count: f64 = chunks.iter().map(|c| c.count).sum();
        let mean = chunks.iter().map(|c| c.count * c.mean.value).sum::<f64>() / count.max(1.0);
        let largest = |of: fn(&Record) -> f64| chunks.iter().map(of).fold(0.0, f64::max);
        let size = largest(|c| c.size);
        let bound = largest(|c| c.mean.bound) + rounded(5.5 * levels as f64) * size;
        let between: f64 = chunks.iter().map(|c| c.count * (c.mean.value - mean).powi(2)).sum();
        let mut spread = sum(chunks.iter().map(|c| c.spread), 2 * levels);
        spread.value += between;
        spread.bound += rounded(8.0 + 2.0 * levels as f64) * between;
        spread.bound += (spread.value.sqrt() + bound * (levels as f64 * count).sqrt()).powi(2) - spread.value;
        let end = |i: usize, up: bool| {
            let all = chunks.iter().filter_map(|c| c.range.map(|range| range[i]));
            all.reduce(|a, b| if (b.value > a.value) == up { b } else { a })
        };
        let total = |i: usize| chunks.iter().map(|c| c.counts[i]).sum();
        Record {
            count,
            counts: [total(0), total(1)],
            range: end(0, false).zip(end(1, true)).map(|(low, high)| [low, high]),
            mean: Near { value: mean, bound },
            size,
            spread,
            squares: sum(chunks.iter().map(|c| c.squares), levels),
            bins: (0..BINS).map(|b| chunks.iter().map(|c| c.bins[b]).sum()).collect(),
        }
    }

    /// The claims on record `at` of a buffer. Where no number is finite, the smallest and the largest are not compared.
    fn claims(&self, buffer: &str, at: usize) -> Vec<Claim> {
        let claim =
            |word: usize, want| Claim { buffer: buffer.into(), offset: 4 * (at * WORDS + word) as u64, want };
        let mut all = vec![
            claim(0, Want::Words(self.counts.to_vec())),
            claim(4, Want::Numbers(vec![self.mean, self.spread, self.squares])),
            claim(WORDS - BINS, Want::Words(self.bins.clone())),
        ];
        all.extend(self.range.map(|range| claim(2, Want::Numbers(range.to_vec()))));
        all
    }
}

/// Number `i`: one of these five times a power of two. The numbers have both signs and go from 2⁻³⁵ to 2⁹; some are 0,
/// and few are not finite. The means of chunks differ.
fn number(i: usize, of: [f32; 5]) -> f32 {
    let sign = if (i / 7).is_multiple_of(3) { -1.0 } else { 1.0 };
    let power = (i * 31 % 42) as i32 - 35 + 2 * (i / 10_000 % 2) as i32;
    match i {
        5 => f32::INFINITY,
        20_000 => f32::NAN,
        _ if i.is_multiple_of(13) => 0.0 * sign,
        _ => sign * of[i % 5] * 2f32.powi(power),
    }
}

fn of_numbers(scale: Option<f32>) -> Case {
    let starts: Vec<usize> = SIZES
        .iter()
        .scan(0, |next, size| {
            let start = *next;
            *next = (start + size).next_multiple_of(ALIGNMENT);
            Some(start)
        })
        .collect();
    let layout = Layout::new(starts.iter().zip(SIZES).map(|(&start, size)| (4 * start as u64, size)));
    // No tensor contains the number that fills the gaps between them.
    let mut arenas = [const { Vec::new() }; 3];
    arenas.iter_mut().for_each(|arena| arena.resize(starts[3] + ALIGNMENT, 7.0_f32));
    let by = scale.unwrap_or(1.0);
    let mut numbers: [Vec<Near>; KINDS] = std::array::from_fn(|_| exact(&arenas[0]));
    for (&start, size) in starts.iter().zip(SIZES) {
        for i in 0..size {
            let one = if size == 3 { f32::NAN } else { 1.0 };
            // Some weights are on the limits of bins. A quotient is not, since it may be off.
            let weight = one * number(i, [1.0, 1.125, 1.375, 1.625, 1.875]);
            let grad = one * number(i + 2, [1.25, 1.375, 1.5, 1.625, 1.75]) * by;
            // Few digits, so that differences are exact.
            let previous = weight * [0.25, -0.5, 4.0, 1.0][i % 4];
            for (arena, number) in arenas.iter_mut().zip([weight, previous, grad]) {
                arena[start + i] = number;
            }
            numbers[0][start + i] = Near::exact(weight);
            numbers[1][start + i] = Near::exact(grad) / Near::exact(by);
            numbers[2][start + i] = Near::exact(weight - previous);
        }
    }

    let (spans, tensors) = layout.words.split_at(layout.words.len() - 2 * SIZES.len());
    let spans: Vec<[usize; 2]> =
        spans.as_chunks().0.iter().map(|span| span.map(|word| word as usize)).collect();
    let mut claims = Vec::new();
    for (kind, numbers) in numbers.iter().enumerate() {
        let of_span = |[first, count]: &[usize; 2]| Record::of_chunk(&numbers[*first..][..*count]);
        let chunks: Vec<Record> = spans.iter().map(of_span).collect();
        let records = chunks.iter().enumerate();
        claims.extend(records.flat_map(|(i, record)| record.claims(CHUNKS, i * KINDS + kind)));
        for (i, [from, to]) in tensors.as_chunks().0.iter().enumerate() {
            let record = Record::of_tensor(&chunks[*from as usize..*to as usize]);
            claims.extend(record.claims(TENSORS, i * KINDS + kind));
        }
    }
    let [weights, previous, grads] = arenas.each_ref().map(|arena| bytes(arena));
    let given = vec![
        (PARAMETERS, weights),
        (PREVIOUS, previous),
        (GRADIENTS, grads),
        (LAYOUT, word_bytes(&layout.words)),
        // The second step of its window.
        (RING, bytes(&[3.0, 5.0, 9.0, 3.0, 5.0, by])),
        (STATE, word_bytes(&[1, 2])),
    ];
    let [chunks, records] = layout.bytes();
    let what = if scale.is_some() { "scaled gradients" } else { "gradients as they are" };
    let kernels = layout.kernels(GRADIENTS, scale.map(|_| (2, 3))).into();
    Case::of_kernels("statistics", what, kernels, given, &[(CHUNKS, chunks), (TENSORS, records)], claims)
}

/// A tensor of 130 chunks, the last a short one, each with fewer finite numbers than the one before.
fn of_many_chunks() -> Case {
    let first = Layout::new([(0, 1 << 24)]).words[1] as usize;
    let layout = Layout::new([(0, 129 * first + 100)]);
    let counts = layout.words[..2 * 130].as_chunks().0.iter().map(|[_, count]| *count);
    let [low, high, mean, spread, squares] = [
        noise(91, 130 * KINDS, -3.0, -2.0),
        noise(92, 130 * KINDS, 2.0, 3.0),
        noise(93, 130 * KINDS, -1.0, 1.0),
        noise(94, 130 * KINDS, 0.5, 3.0),
        noise(95, 130 * KINDS, 0.5, 9.0),
    ];
    let mut words = Vec::new();
    let mut records: [Vec<Record>; KINDS] = Default::default();
    for (c, count) in counts.enumerate() {
        for (kind, records) in records.iter_mut().enumerate() {
            let i = c * KINDS + kind;
            let counts = [i as u32 % 5, (40 * c as u32).min(count / 2)];
            let bins: Vec<u32> = (0..BINS).map(|b| (b * 7 + i) as u32 % 11).collect();
            let finite = count - counts[1];
            let [spread, squares] = [spread[i], squares[i]].map(|mean| mean * finite as f32);
            words.extend(counts);
            words.extend([low[i], high[i], mean[i], spread, squares, 0.0].map(f32::to_bits));
            words.extend(&bins);
            records.push(Record {
                count: finite.into(),
                counts,
                range: Some([low[i], high[i]].map(Near::exact)),
                mean: Near::exact(mean[i]),
                size: f64::from(mean[i]).abs(),
                spread: Near::exact(spread),
                squares: Near::exact(squares),
                bins,
            });
        }
    }
    let tensors = records.iter().map(|chunks| Record::of_tensor(chunks)).enumerate();
    let claims = tensors.flat_map(|(kind, record)| record.claims(TENSORS, kind)).collect();
    let given = vec![(LAYOUT, word_bytes(&layout.words)), (CHUNKS, word_bytes(&words))];
    let [_, kernel] = layout.kernels(GRADIENTS, None);
    let [_, bytes] = layout.bytes();
    Case::of_kernels("statistics", "130 chunks of a tensor", vec![kernel], given, &[(TENSORS, bytes)], claims)
}
