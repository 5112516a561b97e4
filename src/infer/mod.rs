//! Inference: answers for inputs, and continued text.

#[cfg(not(target_arch = "wasm32"))]
mod ensemble;
mod predictor;
mod text;

#[cfg(not(target_arch = "wasm32"))]
pub use ensemble::{Ensemble, mean};
pub use predictor::{Head, Predictor};
pub use text::{Sampling, TextModel, Writing};
