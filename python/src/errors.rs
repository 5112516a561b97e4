//! Errors of the library as exceptions of `downhill._errors`, with the same text.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use downhill::Error;
use pyo3::prelude::*;

/// The name of the exception for an error.
fn class(err: &Error) -> &'static str {
    match err {
        Error::Config(_) => "ConfigError",
        Error::Shape { .. } => "ShapeError",
        Error::Data(_) => "DataError",
        Error::Weights(_) => "WeightsError",
        Error::NoAdapter(_) => "NoAdapterError",
        Error::Gpu(_) => "GpuError",
        Error::DeviceLost(_) => "DeviceLostError",
        Error::Checkpoint(_) => "CheckpointError",
        Error::Budget(_) => "BudgetError",
        Error::Diverged { .. } => "DivergedError",
        Error::Io { .. } => "FileError",
        _ => "Error",
    }
}

/// The exception of an error.
pub fn exception(py: Python<'_>, err: &Error) -> PyErr {
    let raised = raised(py, class(err), &err.to_string());
    if let Error::Diverged { step, epoch, lr, loss } = err {
        let value = raised.value(py);
        // Without the numbers the text still has them.
        let _ = value.setattr("step", step);
        let _ = value.setattr("epoch", epoch);
        let _ = value.setattr("lr", lr);
        let _ = value.setattr("loss", loss);
    }
    raised
}

/// The exception of a config that is wrong.
pub fn config_error(py: Python<'_>, text: String) -> PyErr {
    exception(py, &Error::Config(text))
}

fn raised(py: Python<'_>, class: &str, text: &str) -> PyErr {
    let made = py.import("downhill._errors").and_then(|module| module.getattr(class)?.call1((text,)));
    made.map_or_else(|err| err, PyErr::from_value)
}

/// Runs `work` without the GIL. A fault of the program in it becomes an exception too.
pub fn unlocked<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    // The work's own values are dropped or left to the caller's error.
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    match done {
        Ok(result) => result.map_err(|err| exception(py, &err)),
        Err(panic) => Err(raised(
            py,
            "InternalError",
            &format!("{}: a fault of downhill, which is worth a report", message(&*panic)),
        )),
    }
}

/// Keeps quiet the panic of a library that loses its device while it waits, which the library catches.
pub fn quiet_lost_devices() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !downhill::gpu::watched() {
            default_hook(info);
        }
    }));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
