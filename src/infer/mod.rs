//! Inference: answers for inputs, and continued text.

mod predictor;
mod text;

pub use predictor::{Head, Predictor};
pub use text::{Sampling, TextModel, Writing};
