//! The program `downhill` as a function.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::cli;

/// Runs the program with these arguments, the first its own name, and gives back its exit code.
#[pyfunction]
pub fn run_command(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| cli::run(args))
}
