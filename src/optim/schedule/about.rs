//! The equation, source and least config of a schedule.

/// A schedule's equation and source.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The learning rate after k steps, `base` being the optimizer's.
    pub equation: &'static str,
    /// Who published it, with the year, where that is known.
    pub source: Option<&'static str>,
    /// The class of `torch.optim.lr_scheduler` with the same rule, names and defaults.
    pub torch: Option<&'static str>,
    /// The keys that a config must have, with values: `step_size = 30`.
    pub example: &'static str,
}
