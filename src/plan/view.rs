//! Views as strides, so that a matrix operand is read without a copy.

use crate::graph::{Node, NodeId, Op, Windowed};
use crate::kernel::attention::RowsView;
use crate::kernel::matmul::{Matrix, MatrixView};
use crate::shape::Shape;

/// The node behind reshapes, which hold the same elements in the same order.
pub(super) fn strip(nodes: &[Node], mut id: NodeId) -> NodeId {
    while nodes[id.0].op == Op::Reshape {
        id = nodes[id.0].inputs[0];
    }
    id
}

/// Resolves views against the values in memory.
pub(super) struct Views<'a> {
    nodes: &'a [Node],
    stored: &'a [bool],
}

struct Strided {
    base: NodeId,
    offset: usize,
    shape: Shape,
    strides: Vec<usize>,
}

impl Strided {
    fn whole(base: NodeId, shape: &Shape) -> Self {
        Strided { base, offset: 0, shape: shape.clone(), strides: shape.strides() }
    }

    fn is_contiguous(&self) -> bool {
        self.offset == 0
            && self
                .shape
                .iter()
                .zip(self.strides.iter().zip(self.shape.strides()))
                .all(|(&d, (&a, b))| d == 1 || a == b)
    }
}

impl<'a> Views<'a> {
    pub fn new(nodes: &'a [Node], stored: &'a [bool]) -> Self {
        Views { nodes, stored }
    }

    /// `id` as strides over a node that is in memory or has to be.
    fn strided(&self, id: NodeId) -> Option<Strided> {
        let node = &self.nodes[id.0];
        if self.stored[id.0] || !node.op.is_view() {
            return Some(Strided::whole(id, &node.shape));
        }
        let mut inner = self.strided(node.inputs[0])?;
        match &node.op {
            Op::Reshape => {
                inner.strides = reshaped(&inner.shape, &inner.strides, &node.shape)?;
                inner.shape = node.shape.clone();
                Some(inner)
            }
            Op::Permute(perm) => {
                inner.strides = perm.iter().map(|&p| inner.strides[p]).collect();
                inner.shape = node.shape.clone();
                Some(inner)
            }
            Op::Broadcast => {
                let extra = node.shape.len() - inner.shape.len();
                let stride = |i: usize| match i.checked_sub(extra) {
                    Some(j) if inner.shape[j] == node.shape[i] => inner.strides[j],
                    _ => 0,
                };
                inner.strides = (0..node.shape.len()).map(stride).collect();
                inner.shape = node.shape.clone();
                Some(inner)
            }
            Op::Window(w, Windowed::Unfold(_)) => {
                let size = node.shape[w.element];
                let reach = (node.shape[w.axis] - 1) * w.stride + (size - 1) * w.dilation;
                if w.padding > 0 || reach >= inner.shape[w.axis] {
                    return None;
                }
                inner.strides.push(inner.strides[w.axis] * w.dilation);
                inner.strides[w.axis] *= w.stride;
                inner.shape = node.shape.clone();
                Some(inner)
            }
            Op::Slice(starts) => {
                inner.offset += starts.iter().zip(&inner.strides).map(|(s, t)| s * t).sum::<usize>();
                inner.shape = node.shape.clone();
                Some(inner)
            }
            _ => None,
        }
    }

    /// A matrix operand [.., rows, columns] as strides, or `None` where it must be copied first.
    pub fn matrix(&self, id: NodeId) -> Option<MatrixView> {
        let view = self.strided(id)?;
        let rank = view.shape.len();
        let batch = collapse(&view.shape[..rank - 2], &view.strides[..rank - 2])?;
        Some(MatrixView {
            node: view.base,
            offset: view.offset,
            row: view.strides[rank - 2],
            col: view.strides[rank - 1],
            batch,
        })
    }

    /// The operand of a product in memory; `turned` means that it is stored transposed.
    pub fn operand(&self, id: NodeId, turned: bool) -> Matrix {
        let view = match (self.matrix(id), self.mapped(id)) {
            (Some(view), _) => view,
            (None, Some(base)) if self.stored[base.0] => {
                return Matrix::Mapped { base, view: id, turned };
            }
            _ => {
                let shape = &self.nodes[id.0].shape;
                let strides = shape.strides();
                let rank = shape.len();
                let alone = shape[..rank - 2].iter().product::<usize>() == 1;
                let batch = if alone { 0 } else { strides[rank - 3] };
                MatrixView { node: id, offset: 0, row: strides[rank - 2], col: strides[rank - 1], batch }
            }
        };
        Matrix::Strided(match turned {
            true => MatrixView { row: view.col, col: view.row, ..view },
            false => view,
        })
    }

    /// Rows [n, t, heads, d] as strides with a last stride of 1, or `None` where they must be copied first.
    pub fn rows(&self, id: NodeId) -> Option<RowsView> {
        let view = self.strided(id)?;
        let [batch, row, head, element] = view.strides[..] else { return None };
        let adjacent = element == 1 || view.shape[3] == 1;
        adjacent.then_some(RowsView { node: view.base, offset: view.offset, batch, row, head })
    }

    /// The node below a chain of views with windows. The kernel of a product computes the addresses of its elements.
    pub fn mapped(&self, id: NodeId) -> Option<NodeId> {
        let (mut base, mut windows) = (id, false);
        while !self.stored[base.0] && self.nodes[base.0].op.is_view() {
            let node = &self.nodes[base.0];
            if matches!(node.op, Op::Concat(_) | Op::Gather(_)) {
                return None;
            }
            windows |= matches!(node.op, Op::Window(..));
            base = node.inputs[0];
        }
        (windows && self.nodes[base.0].op.has_value()).then_some(base)
    }

    /// The node whose memory holds exactly `id` in order, or `id` itself, which then must be materialized.
    pub fn contiguous(&self, id: NodeId) -> NodeId {
        match self.strided(id) {
            Some(view)
                if view.is_contiguous()
                    && view.shape.elements() == self.nodes[view.base.0].shape.elements() =>
            {
                view.base
            }
            _ => id,
        }
    }
}

/// The strides of the same elements under another shape, where strides can reach them: an axis may be split, and axes that
/// follow each other in memory may be joined. As `computeStride` of torch's views.
fn reshaped(shape: &[usize], strides: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    let mut result = vec![0; to.len()];
    let mut open = to.len();
    let mut base = strides.last().copied().unwrap_or(1);
    let (mut joined, mut given) = (1, 1);
    for axis in (0..shape.len()).rev() {
        joined *= shape[axis];
        let ends = axis == 0 || (shape[axis - 1] != 1 && strides[axis - 1] != joined * base);
        if !ends {
            continue;
        }
        while open > 0 && (given < joined || to[open - 1] == 1) {
            open -= 1;
            result[open] = given * base;
            given *= to[open];
        }
        if given != joined {
            return None;
        }
        if axis > 0 {
            base = strides[axis - 1];
            (joined, given) = (1, 1);
        }
    }
    (0..open).all(|axis| to[axis] == 1).then_some(result)
}

/// One stride for all batch axes, where there is one.
fn collapse(dims: &[usize], strides: &[usize]) -> Option<usize> {
    let mut axes = dims.iter().zip(strides).filter(|(d, _)| **d != 1).rev();
    let Some((&dim, &inner)) = axes.next() else { return Some(0) };
    let mut expected = inner * dim;
    for (&dim, &stride) in axes {
        if stride != expected {
            return None;
        }
        expected *= dim;
    }
    Some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_of_another_shape_keeps_its_elements() {
        // A slice of the columns of [2, 3, 24], its heads apart: [2, 3, 4, 2].
        assert_eq!(reshaped(&[2, 3, 8], &[72, 24, 1], &[2, 3, 4, 2]), Some(vec![72, 24, 2, 1]));
        assert_eq!(reshaped(&[2, 3, 8], &[72, 24, 1], &[6, 8]), Some(vec![24, 1]));
        assert_eq!(
            reshaped(&[2, 3, 8], &[72, 24, 1], &[1, 6, 1, 2, 4]).map(|s| s[1..].to_vec()),
            Some(vec![24, 8, 4, 1])
        );
        assert_eq!(reshaped(&[2, 3, 8], &[72, 24, 1], &[2, 24]), None);
        assert_eq!(reshaped(&[8, 3], &[1, 8], &[2, 4, 3]), Some(vec![4, 1, 8]));
        assert_eq!(reshaped(&[8, 3], &[1, 8], &[24]), None);
        // A broadcast axis has the stride 0, however it is split.
        assert_eq!(reshaped(&[6, 5], &[0, 1], &[2, 3, 5]), Some(vec![0, 0, 1]));
        assert_eq!(reshaped(&[1, 1], &[0, 0], &[1]).map(|s| s.len()), Some(1));
    }
}
