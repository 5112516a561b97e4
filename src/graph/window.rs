//! Views through windows along an axis, which convolutions and pools read and write.
//!
//! There is one view in three directions: `unfold`, `fold_windows` and `fold_transpose`. Each is the transpose of another,
//! so the gradients of convolutions and pools are such views again. No column matrix is ever in memory, and nothing is
//! added by atomics.

use super::{Bits, Op, Tensor, Window, Windowed};
use crate::shape::Shape;

impl Tensor {
    /// `torch.Tensor.unfold` with dilation and padding: [.., length, ..] to [.., positions, .., size].
    ///
    /// out[.., o, .., j] = self[.., o·stride + j·dilation − padding, ..], and `fill` outside.
    pub(crate) fn unfold(&self, window: Window, positions: usize, size: usize, fill: f32) -> Tensor {
        let mut shape = self.shape.to_vec();
        shape[window.axis] = positions;
        shape.push(size);
        let op = Op::Window(window, Windowed::Unfold(Bits::from(fill)));
        self.graph.push(op, &[self], shape.into(), self.dtype)
    }

    /// `torch.nn.functional.fold` without its sum: out[.., h, .., j] = self[.., o, .., j] where h = o·stride + j·dilation −
    /// padding for a whole o, else 0. Summed over j it is the transpose of `unfold`.
    pub(crate) fn fold_windows(&self, window: Window, length: usize) -> Tensor {
        self.windowed(window, Windowed::Fold, length)
    }

    /// out[.., o, .., j] = self[.., o·stride + j·dilation − padding, .., j], 0 outside: the transpose of `fold_windows`.
    pub(crate) fn fold_transpose(&self, window: Window, positions: usize) -> Tensor {
        self.windowed(window, Windowed::FoldTranspose, positions)
    }

    fn windowed(&self, window: Window, seen: Windowed, extent: usize) -> Tensor {
        let mut shape = self.shape.to_vec();
        shape[window.axis] = extent;
        self.graph.push(Op::Window(window, seen), &[self], Shape::from(shape), self.dtype)
    }
}
