//! The shape of a sample, and how an image comes to it.

use serde::{Deserialize, Serialize};

/// Scales an image of another size to the wanted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The largest part in its middle that has the right aspect is scaled.
    #[default]
    Crop,
    /// All of it is scaled, and its aspect changes.
    Stretch,
}

/// The shape of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImageShape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl ImageShape {
    pub fn elements(self) -> usize {
        self.channels * self.height * self.width
    }
}
