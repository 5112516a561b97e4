//! Views of tensors: no arithmetic, only other addresses of elements.

use super::{DType, Op, Tensor};
use crate::shape::Shape;

impl Tensor {
    /// The same elements in row-major order under another shape.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if shape.elements() != self.shape.elements() {
            return self.fail(format!("cannot reshape {} to {shape}: the sizes differ", self.shape));
        }
        if shape == self.shape {
            return self.clone();
        }
        self.graph.push(Op::Reshape, &[self], shape, self.dtype)
    }

    /// Joins all axes but the first: [n, ..] to [n, k].
    pub fn flatten(&self) -> Tensor {
        match self.shape.split_first() {
            Some((&n, rest)) => self.reshape([n, rest.iter().product()]),
            None => self.fail("flatten needs a batch axis, and the input is a scalar".into()),
        }
    }

    /// Output axis i is input axis `perm[i]`.
    pub fn permute(&self, perm: &[usize]) -> Tensor {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if sorted != (0..self.shape.len()).collect::<Vec<_>>() {
            return self.fail(format!("{perm:?} is not a permutation of the axes of {}", self.shape));
        }
        if perm.is_sorted() {
            return self.clone();
        }
        if let Some((source, inner)) = self.permutation() {
            return source.permute(&perm.iter().map(|&p| inner[p]).collect::<Vec<_>>());
        }
        let shape: Vec<usize> = perm.iter().map(|&p| self.shape[p]).collect();
        // Extents of 1 may go anywhere: no element moves.
        if perm.iter().filter(|&&p| self.shape[p] != 1).is_sorted() {
            return self.reshape(shape);
        }
        self.graph.push(Op::Permute(perm.to_vec()), &[self], shape.into(), self.dtype)
    }

    /// Two axes exchanged.
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        let (Some(a), Some(b)) = (self.shape.axis(a), self.shape.axis(b)) else {
            return self.fail(format!("transpose of axes {a} and {b} is out of range for {}", self.shape));
        };
        let mut perm: Vec<usize> = (0..self.shape.len()).collect();
        perm.swap(a, b);
        self.permute(&perm)
    }

    /// NumPy broadcasting to `shape`.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if self.shape.broadcast(&shape).as_ref() != Some(&shape) {
            return self.fail(format!("cannot broadcast {} to {shape}", self.shape));
        }
        if shape == self.shape {
            return self.clone();
        }
        self.graph.push(Op::Broadcast, &[self], shape, self.dtype)
    }

    /// Elements `start..end` along an axis.
    pub fn slice(&self, axis: isize, start: usize, end: usize) -> Tensor {
        let Some(a) = self.shape.axis(axis) else {
            return self.fail(format!("axis {axis} is out of range for {}", self.shape));
        };
        if start >= end || end > self.shape[a] {
            return self
                .fail(format!("cannot slice {start}..{end} of axis {axis} (extent {})", self.shape[a]));
        }
        let mut starts = vec![0; self.shape.len()];
        starts[a] = start;
        let mut shape = self.shape.to_vec();
        shape[a] = end - start;
        self.window(starts, shape.into())
    }

    /// The window of `shape` that begins at `starts`.
    pub(crate) fn window(&self, starts: Vec<usize>, shape: Shape) -> Tensor {
        if shape == self.shape {
            return self.clone();
        }
        self.graph.push(Op::Slice(starts), &[self], shape, self.dtype)
    }

    /// Zeros around: the input begins at `before` in the result of `shape`.
    pub(crate) fn pad(&self, before: Vec<usize>, shape: Shape) -> Tensor {
        if shape == self.shape {
            return self.clone();
        }
        self.graph.push(Op::Pad(before), &[self], shape, self.dtype)
    }

    /// Tensors one after the other along an axis; the other extents agree.
    pub fn concat(tensors: &[&Tensor], axis: isize) -> Tensor {
        let first = tensors[0];
        let Some(a) = first.shape.axis(axis) else {
            return first.fail(format!("axis {axis} is out of range for {}", first.shape));
        };
        let mut shape = first.shape.to_vec();
        shape[a] = 0;
        for t in tensors {
            let fits = t.shape.len() == shape.len()
                && t.dtype == first.dtype
                && (0..shape.len()).all(|i| i == a || t.shape[i] == shape[i]);
            if !fits {
                return first.fail(format!(
                    "cannot concatenate {} and {} along axis {axis}: the other extents differ",
                    first.shape, t.shape
                ));
            }
            shape[a] += t.shape[a];
        }
        // A kernel reads few tensors, so many are joined some at a time, in memory.
        const AT_ONCE: usize = 4;
        if tensors.len() > AT_ONCE {
            let parts: Vec<Tensor> =
                tensors.chunks(AT_ONCE).map(|c| Tensor::concat(c, axis).joined(c)).collect();
            return Tensor::concat(&parts.iter().collect::<Vec<_>>(), axis);
        }
        if tensors.len() == 1 {
            return first.clone();
        }
        first.graph.push(Op::Concat(a), tensors, shape.into(), first.dtype)
    }

    /// Materialized, if it was made of several.
    fn joined(self, parts: &[&Tensor]) -> Tensor {
        if parts.len() > 1 { self.materialized() } else { self }
    }

    /// `torch.gather`: out\[c\] = self[c with c\[axis\] = index\[c\]]. Index i32, of the same rank.
    ///
    /// An index out of range reads a clamped element.
    pub fn gather(&self, axis: isize, index: &Tensor) -> Tensor {
        let Some(a) = self.shape.axis(axis) else {
            return self.fail(format!("axis {axis} is out of range for {}", self.shape));
        };
        let fits = index.dtype == DType::I32
            && index.shape.len() == self.shape.len()
            && (0..self.shape.len()).all(|i| i == a || index.shape[i] <= self.shape[i]);
        if !fits {
            return self.fail(format!(
                "gather from {} along axis {axis} needs an i32 index of the same rank, no larger on the \
                 other axes; got {:?} {}",
                self.shape, index.dtype, index.shape
            ));
        }
        self.graph.push(Op::Gather(a), &[self, index], index.shape.clone(), self.dtype)
    }

    /// `torch.index_select`: slices of `axis` by a list of indices, i32 \[n\].
    pub fn index_select(&self, axis: isize, index: &Tensor) -> Tensor {
        let (Some(a), [n]) = (self.shape.axis(axis), index.shape()) else {
            return self.fail(format!(
                "index_select along axis {axis} of {} needs a list of indices; got {}",
                self.shape, index.shape
            ));
        };
        let mut line = vec![1; self.shape.len()];
        line[a] = *n;
        let mut out = self.shape.to_vec();
        out[a] = *n;
        self.gather(axis, &index.reshape(line).broadcast_to(out))
    }

    /// i32 [..] to f32 [.., classes]: 1 where the class is the element, else 0.
    pub fn one_hot(&self, classes: usize) -> Tensor {
        if self.dtype != DType::I32 {
            return self.fail("one_hot needs an i32 tensor".into());
        }
        let mut shape = self.shape.to_vec();
        shape.push(1);
        let index = self.reshape(shape.clone());
        shape[self.shape.len()] = classes;
        let shape = Shape::from(shape);
        index.broadcast_to(&shape).eq(&self.graph.iota(self.shape.len(), &shape))
    }

    /// i32: 1 where the element is not `value`, else 0.
    pub(crate) fn ne_i32(&self, value: i32) -> Tensor {
        if self.dtype != DType::I32 {
            return self.fail("ignore_index needs integer targets".into());
        }
        self.to_f32().ne(&self.graph.constant(value as f32))
    }

    /// The same values, through which no gradient flows.
    ///
    /// Nothing is computed: differentiation stops at a reshape to the same shape.
    pub fn detach(&self) -> Tensor {
        self.graph.push(Op::Reshape, &[self], self.shape.clone(), self.dtype)
    }
}
