//! A net of a fleet, as it is asked for.

use crate::compile::TrainOptions;
use crate::optim::Update;

/// A net of a [`Fleet`](super::Fleet): what it has for itself. Options that the plan depends on, such as batches and
/// precision, must be those of the other variants; seeds, lengths and early stopping need not.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name in messages.
    pub name: String,
    /// Its optimizer with its numbers, schedule, clipping and average.
    pub update: Update,
    /// Its options.
    pub options: TrainOptions,
}

impl Variant {
    /// A variant by its name, its optimizer and its options.
    pub fn new(name: impl Into<String>, update: impl Into<Update>, options: &TrainOptions) -> Variant {
        Variant { name: name.into(), update: update.into(), options: options.clone() }
    }

    /// The same with another seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Variant {
        self.options.seed = seed;
        self
    }
}
