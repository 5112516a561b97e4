//! Parts of a net whose inner values the backward pass recomputes.

use super::Net;
use crate::graph::Tensor;

impl Net {
    /// Runs `build` on `x`. The backward pass recomputes the inner values from `x`, which trades time for memory. The numbers
    /// are the same, dropout's included. Source: Chen et al. 2016, `torch.utils.checkpoint`.
    pub fn checkpoint(&self, x: &Tensor, build: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        self.graph().checkpoint(|| build(x))
    }
}
