//! What is said of an optimizer beside its code; `docs/optimizers.md` is made of it.

/// An optimizer's equation and where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The update, in the symbols that head `docs/optimizers.md`.
    pub equation: &'static str,
    /// Who published it, with the year.
    pub source: &'static str,
    /// The class of `torch.optim` whose rule, names and defaults these are.
    pub torch: Option<&'static str>,
    /// Settings under which something else is computed or kept.
    pub forms: &'static [Form],
}

/// An optimizer under settings that are not its defaults.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The settings as in a config: `momentum = 0.9, nesterov = true`.
    pub keys: &'static str,
    /// What becomes of the equation.
    pub equation: &'static str,
    /// Who published it, with the year; else `an addition`.
    pub source: &'static str,
}

impl Form {
    pub(super) const fn new(keys: &'static str, equation: &'static str, source: &'static str) -> Self {
        Form { keys, equation, source }
    }
}
