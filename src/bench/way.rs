//! The ways to do an update that `bench optim` compares.

/// A way to do an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// All tensors together, in as many dispatches as the optimizer has passes: the engine's.
    Fused,
    /// The engine's passes over each tensor in turn.
    PerTensor,
    /// One dispatch for each op of each tensor, as a tensor library does it.
    Unfused,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::Fused, Way::PerTensor, Way::Unfused];

    /// Its name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Way::Fused => "fused",
            Way::PerTensor => "a dispatch a tensor",
            Way::Unfused => "a dispatch an op",
        }
    }
}
