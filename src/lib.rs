//! wip
pub mod config;
pub mod data;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod kernel;
pub mod nn;
pub mod optim;
pub mod plan;
pub mod report;
pub mod shape;
pub mod train;
pub mod units;
pub use error::Error;
pub use gpu::{Gpu, GpuOptions};
pub use graph::{Graph, Init, Tensor};
pub use plan::{Function, Value};
