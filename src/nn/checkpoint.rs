//! Parts of a net whose inner values are not kept for the backward pass.

use super::Net;
use crate::graph::Tensor;

impl Net {
    /// `build` on `x`; the backward pass computes again what it made on the way, from `x`, where memory is dearer than
    /// time. The numbers are the same, dropout's included. Source: Chen et al. 2016, `torch.utils.checkpoint`.
    pub fn checkpoint(&self, x: &Tensor, build: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        self.graph().checkpoint(|| build(x))
    }
}
