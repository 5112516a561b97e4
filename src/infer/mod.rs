//! Trained models at work: answers for inputs, and text that goes on.

mod predictor;
mod text;

pub use predictor::{Head, Predictor};
pub use text::{Sampling, TextModel, Writing};
