//! Random shapes, values and arguments for one op. Everything follows from a seed, and every value
//! is an f32, so that the GPU and the oracle start from the same numbers.

use super::{Array, ROUNDOFF};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::IndexedRandom, seq::SliceRandom};
use std::ops::RangeInclusive;

pub type Rng = ChaCha8Rng;

/// The generator of case `index` of the test `name`. `DOWNHILL_SEED` draws other cases.
pub fn rng_of(name: &str, index: u64) -> Rng {
    let base: u64 = env("DOWNHILL_SEED").unwrap_or(0);
    // FNV-1a, so that a test keeps its cases when others are added
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    Rng::seed_from_u64(hash ^ base.rotate_left(32) ^ index)
}

/// How many cases to run: `default` times `DOWNHILL_CASES`, which need not be whole.
pub fn cases(default: usize) -> usize {
    let factor: f64 = env("DOWNHILL_CASES").unwrap_or(1.0);
    ((default as f64 * factor).round() as usize).max(1)
}

/// An environment variable, refused if it does not parse: a typo must not run the default silently.
pub fn env<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} does not parse")))
}

pub fn uniform(rng: &mut Rng, shape: &[usize], low: f64, high: f64) -> Array {
    Array::from_fn(shape, |_| f64::from(rng.random_range(low..high) as f32))
}

/// Weights for a sum of outputs: of either sign and nowhere near 0, so that no element is unseen.
pub fn weights(rng: &mut Rng, shape: &[usize]) -> Array {
    let sizes = uniform(rng, shape, 0.5, 1.5);
    Array::from_fn(shape, |index| if rng.random_bool(0.5) { -sizes.at(index) } else { sizes.at(index) })
}

/// Each element off by a random relative error of up to one f32 rounding.
pub fn jittered(rng: &mut Rng, array: &Array) -> Array {
    Array::from_fn(&array.shape, |index| array.at(index) * (1.0 + ROUNDOFF * rng.random_range(-1.0..1.0)))
}

/// Where an input's values come from.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    Uniform(f64, f64),
    /// In (−3, 3), within 0.3/64 of (4i + phase)/64. Phase 1 keeps 0.01 away from the multiples of 1/16,
    /// where kinks lie; one input of phase 0 and one of phase 2 stay 0.02 away from a tie, and their
    /// difference as far from any multiple of 1/16.
    Comb(u8),
    /// In (−2, 2), no two nearer than 3/len: no tie for a maximum.
    Distinct,
    /// −1, 0 or 1: ties everywhere, for ops that are compared and not differentiated.
    Levels,
    /// 0 or 1.
    Mask,
}

impl Domain {
    pub fn draw(self, rng: &mut Rng, shape: &[usize]) -> Array {
        let values = match self {
            Domain::Uniform(low, high) => uniform(rng, shape, low, high),
            Domain::Comb(phase) => Array::from_fn(shape, |_| {
                let tooth = f64::from(4 * rng.random_range(-47..47_i32) + i32::from(phase));
                (tooth + rng.random_range(-0.3..0.3)) / 64.0
            }),
            Domain::Distinct => {
                let len = shape.iter().product::<usize>();
                let mut steps: Vec<f64> = (0..len).map(|i| i as f64).collect();
                steps.shuffle(rng);
                let place = |step| 4.0 * (step + rng.random_range(0.0..0.25)) / len as f64 - 2.0;
                Array::new(shape, steps.into_iter().map(place).collect())
            }
            Domain::Levels => Array::from_fn(shape, |_| f64::from(rng.random_range(-1..=1_i8))),
            Domain::Mask => Array::from_fn(shape, |_| f64::from(rng.random_range(0..=1_i8))),
        };
        values.map(|x| f64::from(x as f32))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// f32, differentiated.
    Real,
    /// f32, not differentiated.
    Fixed,
    /// i32.
    Index,
}

#[derive(Clone, Debug)]
pub struct Input {
    pub array: Array,
    pub kind: Kind,
}

/// The arguments of an op that are not tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    pub axis: isize,
    pub axes: Vec<isize>,
    pub keepdim: bool,
    pub shape: Vec<usize>,
    pub order: Vec<usize>,
    pub range: [usize; 2],
    pub classes: usize,
}

#[derive(Clone, Debug)]
pub struct Drawn {
    pub inputs: Vec<Input>,
    pub args: Args,
}

fn real(array: Array) -> Input {
    Input { array, kind: Kind::Real }
}

const SIZES: [usize; 15] = [1, 1, 2, 3, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33];

/// Sizes of 1, of powers of two and of their neighbours, 600 elements or fewer; one shape in eight has
/// an axis longer than a workgroup.
pub fn shape(rng: &mut Rng, ranks: RangeInclusive<usize>) -> Vec<usize> {
    let rank = rng.random_range(ranks);
    if rank > 0 && rng.random_bool(0.125) {
        let mut shape = vec![1; rank];
        shape[rng.random_range(0..rank)] = rng.random_range(257..1100);
        if rank > 1 && rng.random_bool(0.5) {
            let other = rng.random_range(0..rank);
            shape[other] = if shape[other] == 1 { 3 } else { shape[other] };
        }
        return shape;
    }
    loop {
        let shape: Vec<usize> = (0..rank).map(|_| *SIZES.choose(rng).expect("sizes")).collect();
        if shape.iter().product::<usize>() <= 600 {
            return shape;
        }
    }
}

/// A shape that broadcasts to `shape`: some axes 1, some leading ones dropped.
pub fn narrowed(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let dropped = if rng.random_bool(0.3) { rng.random_range(0..=shape.len()) } else { 0 };
    shape[dropped..].iter().map(|&size| if rng.random_bool(0.3) { 1 } else { size }).collect()
}

fn any_axis(rng: &mut Rng, rank: usize) -> isize {
    rng.random_range(-(rank as i64)..rank as i64) as isize
}

/// Some of the axes, in any order and of either sign; none stands for all.
pub fn some_axes(rng: &mut Rng, rank: usize) -> Vec<isize> {
    let mut axes: Vec<isize> = (0..rank as isize).filter(|_| rng.random_bool(0.5)).collect();
    axes.shuffle(rng);
    axes.iter().map(|&a| if rng.random_bool(0.5) { a - rank as isize } else { a }).collect()
}

/// One input of rank 0 to 4.
pub fn one(rng: &mut Rng, domain: Domain) -> Drawn {
    let shape = shape(rng, 0..=4);
    Drawn { inputs: vec![real(domain.draw(rng, &shape))], args: Args::default() }
}

/// Inputs that broadcast together, each with its own domain; a mask is not differentiated.
pub fn broadcast(rng: &mut Rng, domains: &[Domain]) -> Drawn {
    let whole = shape(rng, 0..=4);
    let same = rng.random_bool(0.25);
    let input = |&domain: &Domain| {
        let shape = if same { whole.clone() } else { narrowed(rng, &whole) };
        let kind = if matches!(domain, Domain::Mask) { Kind::Fixed } else { Kind::Real };
        Input { array: domain.draw(rng, &shape), kind }
    };
    Drawn { inputs: domains.iter().map(input).collect(), args: Args::default() }
}

/// One input of rank 1 or more, with `axes` and `keepdim`.
pub fn reduced(rng: &mut Rng, domain: Domain) -> Drawn {
    let shape = shape(rng, 1..=4);
    let args = Args { axes: some_axes(rng, shape.len()), keepdim: rng.random_bool(0.5), ..Args::default() };
    Drawn { inputs: vec![real(domain.draw(rng, &shape))], args }
}

/// As `one`, with the arguments of every view: `shape` to reshape to, `order` a permutation, `axis` and
/// `axes[0]` any two axes, `range` a part of `axis`.
pub fn viewed(rng: &mut Rng) -> Drawn {
    let shape = shape(rng, 1..=4);
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.shuffle(rng);
    let axis = any_axis(rng, shape.len());
    let size = shape[super::axis_of(shape.len(), axis)];
    let start = rng.random_range(0..size);
    let range = [start, rng.random_range(start + 1..=size)];
    let axes = vec![any_axis(rng, shape.len())];
    let args = Args { axis, axes, order, range, shape: regrouped(rng, &shape), ..Args::default() };
    Drawn { inputs: vec![real(uniform(rng, &shape, -3.0, 3.0))], args }
}

/// Another shape for as many elements, of rank 1 to 4.
pub fn regrouped(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let mut left: usize = shape.iter().product();
    let mut out = Vec::new();
    while out.len() < 3 && rng.random_bool(0.7) {
        let divisors: Vec<usize> = (1..=left).filter(|d| left.is_multiple_of(*d)).collect();
        let size = *divisors.choose(rng).expect("1 divides");
        out.push(size);
        left /= size;
    }
    out.push(left);
    out
}

/// One input, and in `shape` what it broadcasts to.
pub fn broadcast_to(rng: &mut Rng) -> Drawn {
    let whole = shape(rng, 1..=4);
    let from = narrowed(rng, &whole);
    let args = Args { shape: whole, ..Args::default() };
    Drawn { inputs: vec![real(uniform(rng, &from, -3.0, 3.0))], args }
}

/// Three inputs whose sizes differ on `axis` only.
pub fn joined(rng: &mut Rng) -> Drawn {
    let shape = shape(rng, 1..=3);
    let axis = any_axis(rng, shape.len());
    let at = super::axis_of(shape.len(), axis);
    let part = |_| {
        let mut shape = shape.clone();
        shape[at] = rng.random_range(1..=9);
        real(uniform(rng, &shape, -3.0, 3.0))
    };
    Drawn { inputs: (0..3).map(part).collect(), args: Args { axis, ..Args::default() } }
}

/// An input and an index of its rank, no larger than it but on `axis`, with repeats.
pub fn gathered(rng: &mut Rng) -> Drawn {
    let shape = shape(rng, 1..=3);
    let axis = any_axis(rng, shape.len());
    let at = super::axis_of(shape.len(), axis);
    let mut picks: Vec<usize> = shape.iter().map(|&size| rng.random_range(size.div_ceil(2)..=size)).collect();
    picks[at] = repeating(rng, shape[at]);
    let index = indices(rng, &picks, shape[at]);
    Drawn {
        inputs: vec![real(uniform(rng, &shape, -3.0, 3.0)), index],
        args: Args { axis, ..Args::default() },
    }
}

/// An input and a vector of indices into `axis`, with repeats.
pub fn index_selected(rng: &mut Rng) -> Drawn {
    let shape = shape(rng, 1..=4);
    let axis = any_axis(rng, shape.len());
    let size = shape[super::axis_of(shape.len(), axis)];
    let picks = repeating(rng, size);
    let index = indices(rng, &[picks], size);
    Drawn {
        inputs: vec![real(uniform(rng, &shape, -3.0, 3.0)), index],
        args: Args { axis, ..Args::default() },
    }
}

/// Class numbers of rank 1 to 3, and how many classes there are.
pub fn classes(rng: &mut Rng) -> Drawn {
    let shape = shape(rng, 1..=3);
    let classes = rng.random_range(1..=11);
    Drawn { inputs: vec![indices(rng, &shape, classes)], args: Args { classes, ..Args::default() } }
}

/// Logits [N, C] within `spread` of 0, and N class numbers; with `ignored` some are −100, never all.
pub fn labelled(rng: &mut Rng, spread: f64, ignored: bool) -> Drawn {
    let (rows, classes) = (rng.random_range(2..=40), rng.random_range(2..=17));
    let mut targets = indices(rng, &[rows], classes);
    if ignored {
        let ignore = |&row: &usize| row == 1 || (row > 1 && rng.random_bool(0.3));
        (0..rows).filter(ignore).for_each(|row| targets.array.data[row] = -100.0);
    }
    let logits = uniform(rng, &[rows, classes], -spread, spread);
    Drawn { inputs: vec![real(logits), targets], args: Args::default() }
}

/// Two inputs of one shape.
pub fn pair(rng: &mut Rng, first: Domain, second: Domain) -> Drawn {
    let shape = shape(rng, 1..=3);
    let inputs = vec![real(first.draw(rng, &shape)), real(second.draw(rng, &shape))];
    Drawn { inputs, args: Args::default() }
}

/// How many to pick from `size`: more than there are, unless those are many.
fn repeating(rng: &mut Rng, size: usize) -> usize {
    size.min(20) + rng.random_range(1..=5)
}

fn indices(rng: &mut Rng, shape: &[usize], bound: usize) -> Input {
    let array = Array::from_fn(shape, |_| rng.random_range(0..bound) as f64);
    Input { array, kind: Kind::Index }
}
