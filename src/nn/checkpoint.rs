//! Parts of a net whose inner values need not be kept for the backward pass.

use super::Net;
use crate::graph::Tensor;

impl Net {
    /// `build` on `x`.
    pub fn checkpoint(&self, x: &Tensor, build: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        build(x)
    }
}
