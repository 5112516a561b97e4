//! Trained nets as programs for other libraries, and for web pages.
//!
//! To add a format: a file beside `pytorch`, and its row in the command's `--format`.

#[cfg(feature = "onnx")]
mod onnx;
mod page;
mod pytorch;
mod trace;

pub use trace::Exported;
