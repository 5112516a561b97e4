//! The extension module `downhill._downhill`: the engine behind the Python package in `python/downhill`.
//!
//! A function here takes a config as a dict, reads it by the library's own reader, and trains by its own sessions. What is
//! shown to a user is in Python; what is computed is in Rust, without the GIL.

mod arrays;
#[path = "../../src/cli/mod.rs"]
mod cli;
mod command;
mod device;
mod errors;
mod follow;
mod predict;
mod signals;
mod sweep;
mod tables;
mod train;
mod values;
mod weights;

use pyo3::prelude::*;

#[pymodule]
fn _downhill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::quiet_lost_devices();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<arrays::Arrays>()?;
    module.add_class::<predict::Predictor>()?;
    module.add_function(wrap_pyfunction!(command::run_command, module)?)?;
    module.add_function(wrap_pyfunction!(device::adapters, module)?)?;
    module.add_function(wrap_pyfunction!(predict::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(sweep::sweep, module)?)?;
    module.add_function(wrap_pyfunction!(tables::check, module)?)?;
    module.add_function(wrap_pyfunction!(tables::tables, module)?)?;
    module.add_function(wrap_pyfunction!(values::to_json, module)?)?;
    module.add_function(wrap_pyfunction!(train::fit, module)?)?;
    module.add_function(wrap_pyfunction!(train::resume, module)?)?;
    module.add_function(wrap_pyfunction!(train::open_run, module)?)?;
    module.add_function(wrap_pyfunction!(weights::load, module)?)?;
    module.add_function(wrap_pyfunction!(weights::save, module)?)?;
    Ok(())
}
