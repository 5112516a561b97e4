//! The equation, source and test settings of an optimizer.

/// An optimizer's equation, source and trials.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The update, in the symbols that head the page of optimizers.
    pub equation: &'static str,
    /// Who published it, with the year.
    pub source: &'static str,
    /// The class of `torch.optim` with the same rule, names and defaults.
    pub torch: Option<&'static str>,
    /// Settings that change the equation or the slots.
    pub forms: &'static [Form],
    /// Settings of the tests.
    pub trials: Trials,
}

/// An optimizer under settings that are not its defaults.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// The settings as in a config: `momentum = 0.9, nesterov = true`.
    pub keys: &'static str,
    /// The changed equation.
    pub equation: &'static str,
    /// Who published it, with the year; else `an addition`.
    pub source: &'static str,
}

impl Form {
    pub(super) const fn new(keys: &'static str, equation: &'static str, source: &'static str) -> Self {
        Form { keys, equation, source }
    }
}

/// Settings under which tests run an optimizer, as in a config: `lr = 0.1, betas = [0.5, 0.9]`.
#[derive(Debug, Clone, Copy)]
pub struct Trials {
    /// Settings under which `downhill doctor` and the tests compare the kernel with the rule in f64: every kernel, form and
    /// switch of an elementwise optimizer.
    pub kernel: &'static [&'static str],
    /// Settings that find the bottom of a parabola.
    pub parabola: &'static str,
    /// Settings that get through Rosenbrock's valley.
    pub valley: &'static str,
}
