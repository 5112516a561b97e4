//! A run's plan, executed: everything that lies on the device, and the submissions that change it.
//!
//! `core` owns buffers, programs and loaders; `steps` submits windows of training steps and receives their results;
//! `exchange` does a step that ranks share; `evaluation` runs the evaluation part; `tensors` reads and writes weights and state. The engine receives a
//! window's steps, its samples, its rows of the optimizer's table and the clock. It knows no schedule, no epoch's end
//! and no file.

mod core;
mod evaluation;
mod exchange;
mod loader;
mod pacing;
mod programs;
mod readback;
mod record;
mod statistics;
mod steps;
mod tensors;
mod upload;
mod window;

pub(crate) use self::core::Engine;
pub use evaluation::Evaluation;
pub(crate) use tensors::{BufferContents, WeightLayout};
pub use window::GradientCheck;
pub(crate) use window::{NetWindow, StepResult, Window, WindowClock};
