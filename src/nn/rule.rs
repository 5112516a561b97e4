//! The trait that the options of every layer implement.

use super::Net;
use crate::graph::Tensor;

/// The trait of every layer's options. [`Layer`](super::Layer) dispatches to it.
pub(super) trait Rule {
    /// Refuses options that never work, such as `out_features = 0: at least 1 is needed`.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Builds the layer on `x`, with its parameters below `name`.
    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor;

    /// Its own name, which replaces its position among its neighbours.
    fn label(&self) -> Option<&str> {
        None
    }

    /// The number of layers within it, copies counted.
    fn within(&self) -> usize {
        0
    }
}
