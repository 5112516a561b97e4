//! Nets exported to PyTorch, ONNX and pages: every layer of the table has a form there, and its outputs are ours.

mod adapter;
mod chromium;
mod python;

#[path = "export/cases.rs"]
mod cases;
#[path = "export/onnx.rs"]
mod onnx;
#[path = "export/page.rs"]
mod page;
#[path = "export/pytorch.rs"]
mod pytorch;
#[path = "export/random_nets.rs"]
mod random_nets;
