//! A layer's input, and the beginning of its weights' names.

use crate::export::trace::Traced;

/// A layer's input, and the beginning of its weights' names.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// The layer's name: `3.layers.0`.
    pub name: &'a str,
    /// The value.
    pub x: &'a str,
    /// Its shape and type.
    pub traced: &'a Traced,
}

impl At<'_> {
    /// The name of a weight.
    pub fn named(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    /// The extents, that of the batch as it was traced.
    pub fn shape(&self) -> &[usize] {
        &self.traced.shape
    }

    /// The number of axes, that of the batch included.
    pub fn rank(&self) -> usize {
        self.traced.rank()
    }
}
