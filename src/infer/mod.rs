//! Inference: answers for inputs, and continued text.

mod ensemble;
mod predictor;
mod text;

pub use ensemble::{Ensemble, mean};
pub use predictor::{Head, Predictor};
pub use text::{Sampling, TextModel, Writing};
