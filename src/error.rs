//! The typed errors of the library. Each names the fault, its place, the numbers and the remedy.

use std::path::{Path, PathBuf};

/// The errors of the library. `Display` is written for the user.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A config file or a setting in it is wrong: unknown key, wrong type, value out of range.
    #[error("{0}")]
    Config(String),
    /// Shapes or types that do not fit, met while a model function builds its graph.
    #[error("{context}{message}")]
    Shape {
        /// The layer in whose scope it happened, as `layer 3 (linear): `, or nothing.
        context: String,
        /// The fault, with both shapes.
        message: String,
    },
    /// A data set that cannot be used: empty, malformed, labels out of range.
    #[error("{0}")]
    Data(String),
    /// A weights file that is missing, corrupt, or does not fit the model.
    #[error("{0}")]
    Weights(String),
    /// No adapter answers, or none matches what was asked for.
    #[error("{0}")]
    NoAdapter(String),
    /// The driver refused something.
    #[error("{0}")]
    Gpu(String),
    /// The device was lost or no longer answers: a driver's reset, a kernel that hangs, a card that was unplugged.
    #[error("{0}")]
    DeviceLost(String),
    /// A run directory or checkpoint that cannot be resumed: damaged, in use, or of another run.
    #[error("{0}")]
    Checkpoint(String),
    /// The memory ledger would exceed its budget; the text lists the buffers.
    #[error("{0}")]
    Budget(String),
    /// The loss is no longer a finite number.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, learning rate {lr:?}); \
         the metrics so far are kept. Try a smaller lr (a tenth), another seed or initialisation, \
         or look for infinite or missing values in the data"
    )]
    Diverged {
        /// First step whose loss is not finite, counted from 1.
        step: u64,
        /// Epoch of that step, counted from 1.
        epoch: u64,
        /// Learning rate of that step.
        lr: f64,
        /// The loss: NaN or an infinity.
        loss: f32,
    },
    /// A file or directory could not be read or written.
    #[error("{action} {}: {message}", path.display())]
    Io {
        /// The attempt, such as `cannot write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's message.
        message: String,
    },
    /// A program that was started failed: a Python of `downhill bench --python`.
    #[error("{0}")]
    Program(String),
    /// Another rank failed, or no longer answers.
    #[error("{0}")]
    Rank(String),
    /// An assertion about a run does not hold.
    #[error("{0}")]
    Assertion(String),
    /// Work was asked to stop: the answer of an observer that stops its run, and the end of [`Trainer::advance`] and of a
    /// range test that are stopped. A run that is stopped ends as [`RunEnd::Stopped`], without an error.
    ///
    /// [`Trainer::advance`]: crate::train::Trainer::advance
    /// [`RunEnd::Stopped`]: crate::train::RunEnd::Stopped
    #[error("the run was cancelled")]
    Cancelled,
}

impl Error {
    /// An I/O error with the path it concerns.
    pub fn io(action: &'static str, path: impl AsRef<Path>, err: &std::io::Error) -> Self {
        Error::Io { action, path: path.as_ref().to_owned(), message: err.to_string() }
    }

    /// The same error for a deeper key: the first `from` becomes `to`.
    pub(crate) fn renamed(self, from: &str, to: &str) -> Self {
        match self {
            Error::Config(text) => Error::Config(text.replacen(from, to, 1)),
            other => other,
        }
    }

    /// True where the command line or the config is at fault, rather than the run.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Config(_) | Error::Shape { .. })
    }
}

/// `Result` with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The name most similar to `word`, if one is close enough.
pub(crate) fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let score = |name: &str| strsim::damerau_levenshtein(word, name);
    let best = names.iter().copied().min_by_key(|name| score(name))?;
    (score(best) <= 2.max(word.len() / 3)).then_some(best)
}

/// ` did you mean "x"?`, or the list of all names.
pub(crate) fn suggestion(word: &str, names: &[&str]) -> String {
    match nearest(word, names) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if names.is_empty() => "there are none".into(),
        None => format!("there are: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest() {
        assert_eq!(nearest("lerning_rate", &["learning_rate", "lr"]), Some("learning_rate"));
        assert_eq!(nearest("epoch", &["epochs", "steps"]), Some("epochs"));
        assert_eq!(nearest("zzzzzz", &["lr", "eps"]), None);
    }
}
