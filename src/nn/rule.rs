//! The trait that the options of every layer implement.

use super::Net;
use crate::graph::Tensor;

/// What the options of every layer answer; [`Layer`] passes its questions on.
pub(super) trait Rule {
    /// Refuses what can never work, as `out_features = 0: at least 1 is needed`.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The layer on `x`, its parameters below `name`.
    fn build(&self, net: &Net, name: &str, x: &Tensor) -> Tensor;

    /// A name of its own, in place of its position among its neighbours.
    fn label(&self) -> Option<&str> {
        None
    }

    /// How many layers it makes of those within.
    fn within(&self) -> usize {
        0
    }
}
