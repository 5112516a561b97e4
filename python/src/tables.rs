//! The library's tables of names, from which the package makes its functions and classes.

use downhill::config::reference;
use downhill::report;
use pyo3::prelude::*;

use crate::errors::exception;
use crate::values::value;

/// Every table as JSON.
#[pyfunction]
pub fn tables() -> String {
    report::reference_tables().to_string()
}

/// Refuses a layer, loss, metric, augmentation, optimizer or schedule that a config could not have.
#[pyfunction]
pub fn check(py: Python<'_>, kind: &str, entry: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(entry) = value(kind, entry, 0)? else { return Ok(()) };
    reference::check(kind, entry).map_err(|err| exception(py, &err))
}
