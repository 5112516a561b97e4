//! Shapes: row-major, checked, with NumPy's broadcasting.

use std::fmt;
use std::ops::Deref;

/// The extents of a tensor, outermost first. A scalar has rank 0.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

/// No tensor has more elements than this: linear indices are `u32` in the kernels.
pub const MAX_ELEMENTS: usize = (u32::MAX / 4) as usize;

impl Shape {
    /// Number of elements (1 for a scalar); `usize::MAX` where the product overflows.
    pub fn elements(&self) -> usize {
        self.0.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX)
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.0.len()];
        for axis in (0..self.0.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * self.0[axis + 1];
        }
        strides
    }

    /// Resolves a possibly negative axis; `None` where it is out of range.
    pub fn axis(&self, axis: isize) -> Option<usize> {
        let rank = self.0.len() as isize;
        let axis = if axis < 0 { axis + rank } else { axis };
        (0..rank).contains(&axis).then_some(axis as usize)
    }

    /// The shape both broadcast to by NumPy's rule, or `None` where they do not fit.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.len().max(other.len());
        let dim = |s: &Shape, i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
        (0..rank)
            .map(|i| match (dim(self, i), dim(other, i)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }

    /// The shape after reducing `axes`; kept as extents of 1 with `keepdim`, else dropped.
    pub fn reduced(&self, axes: &[usize], keepdim: bool) -> Shape {
        let keep = |(i, &d): (usize, &usize)| match (axes.contains(&i), keepdim) {
            (false, _) => Some(d),
            (true, true) => Some(1),
            (true, false) => None,
        };
        Shape(self.0.iter().enumerate().filter_map(keep).collect())
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let s = |d: &[usize]| Shape::from(d);
        assert_eq!(s(&[3, 1]).broadcast(&s(&[4])), Some(s(&[3, 4])));
        assert_eq!(s(&[]).broadcast(&s(&[2, 2])), Some(s(&[2, 2])));
        assert_eq!(s(&[3]).broadcast(&s(&[4])), None);
    }

    #[test]
    fn strides_and_reduction() {
        let s = Shape::from([2, 3, 4]);
        assert_eq!(s.strides(), [12, 4, 1]);
        assert_eq!(s.reduced(&[1], true), Shape::from([2, 1, 4]));
        assert_eq!(s.reduced(&[0, 2], false), Shape::from([3]));
        assert_eq!((s.axis(-1), s.axis(3), s.axis(-4)), (Some(2), None, None));
        assert_eq!(Shape::from([usize::MAX, 2]).elements(), usize::MAX);
    }
}
