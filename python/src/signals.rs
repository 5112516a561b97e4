//! Ctrl-C while the engine works without the GIL.

use std::time::{Duration, Instant};

use downhill::Error;
use pyo3::prelude::*;

/// The least time between two looks: each waits for the GIL, which other threads may hold.
const APART: Duration = Duration::from_millis(20);

/// Looks for Ctrl-C, and keeps its exception.
#[derive(Debug, Default)]
pub struct Signals {
    looked: Option<Instant>,
    raised: Option<PyErr>,
}

impl Signals {
    /// [`Error::Cancelled`] once a signal has raised an exception.
    pub fn look(&mut self) -> Result<(), Error> {
        if self.raised.is_none() && self.looked.is_none_or(|looked| looked.elapsed() >= APART) {
            self.raised = Python::attach(|py| py.check_signals()).err();
            self.looked = Some(Instant::now());
        }
        if self.raised.is_some() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// The exception of a signal, or else the result of the work.
    pub fn or<T>(self, done: PyResult<T>) -> PyResult<T> {
        self.raised.map_or(done, Err)
    }
}
