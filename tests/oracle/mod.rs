//! A naive f64 oracle: every op, loss and update rule written from its definition.
//!
//! It imports nothing from the crate, is slow on purpose and knows no trick: no fusion, no
//! stabilised form, no hand-written gradient of an op (`difference` differentiates the forward
//! definitions). The exceptions, the backward passes in `matmul` and `mlp`, are themselves checked
//! against central differences in `tests/oracle/main.rs`.
#![allow(dead_code, unused_imports, reason = "each test crate uses its own part of the oracle")]

pub mod compare;
pub mod difference;
pub mod draw;
pub mod elementwise;
pub mod erf;
pub mod grow;
pub mod loss;
pub mod matmul;
pub mod mlp;
pub mod optim;
pub mod program;
pub mod reduce;
pub mod view;
pub mod window;

/// Half a unit in the last place of 1 in f32: the relative error of one rounding.
pub const ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;

/// A row-major array. Indices and class numbers are whole numbers kept as f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} and its data");
        Self { shape: shape.to_vec(), data }
    }

    pub fn scalar(value: f64) -> Self {
        Self::new(&[], vec![value])
    }

    pub fn full(shape: &[usize], value: f64) -> Self {
        Self::new(shape, vec![value; shape.iter().product()])
    }

    /// The array whose element at each index is `value(index)`.
    pub fn from_fn(shape: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> Self {
        let mut data = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |index| data.push(value(index)));
        Self::new(shape, data)
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    pub fn at(&self, index: &[usize]) -> f64 {
        self.data[offset(&self.shape, index)]
    }

    /// The element at `index` as a row number, refused unless it is a whole number in `0..bound`.
    pub fn index_at(&self, index: &[usize], bound: usize) -> usize {
        let value = self.at(index);
        assert!(
            value.fract() == 0.0 && value >= 0.0 && value < bound as f64,
            "{value} as an index below {bound}"
        );
        value as usize
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(&self.shape, self.data.iter().map(|&x| f(x)).collect())
    }

    pub fn item(&self) -> f64 {
        assert_eq!(self.len(), 1, "item() of shape {:?}", self.shape);
        self.data[0]
    }

    pub fn max_abs(&self) -> f64 {
        self.data.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
    }

    /// max |self − other|; NaN if any difference is.
    pub fn max_diff(&self, other: &Self) -> f64 {
        assert_eq!(self.shape, other.shape);
        let diffs = self.data.iter().zip(&other.data).map(|(a, b)| (a - b).abs());
        diffs.fold(0.0, |m, d| if d <= m { m } else { d })
    }

    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    pub fn to_i32(&self) -> Vec<i32> {
        self.data.iter().map(|&x| x as i32).collect()
    }
}

/// Visits every index of `shape` in row-major order; a scalar has the one empty index.
pub fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let Some(axis) = (0..shape.len()).rev().find(|&a| index[a] + 1 < shape[a]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// Row-major offset of `index` in `shape`.
pub fn offset(shape: &[usize], index: &[usize]) -> usize {
    assert_eq!(shape.len(), index.len(), "index {index:?} into shape {shape:?}");
    shape.iter().zip(index).fold(0, |at, (&size, &i)| {
        assert!(i < size, "index {index:?} into shape {shape:?}");
        at * size + i
    })
}

/// A possibly negative axis as a position.
pub fn axis_of(rank: usize, axis: isize) -> usize {
    let position = if axis < 0 { axis + rank as isize } else { axis };
    assert!((0..rank as isize).contains(&position), "axis {axis} of rank {rank}");
    position as usize
}

/// The axes as positions, in order; no axes means all.
pub fn axes_of(rank: usize, axes: &[isize]) -> Vec<usize> {
    if axes.is_empty() {
        return (0..rank).collect();
    }
    let mut positions: Vec<usize> = axes.iter().map(|&a| axis_of(rank, a)).collect();
    positions.sort_unstable();
    positions
}

/// NumPy's rule: align at the right, sizes equal or one of them 1.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (m, n) if m == n || n == 1 => Some(m),
            (1, n) => Some(n),
            _ => None,
        })
        .collect()
}
