//! A run as Python sees it while it trains: its observer, Ctrl-C, and the records that it gets at the end.

use downhill::Error;
use downhill::train::{EpochRecord, Observer, RunStart, StepRecord};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::weights::to_numpy_f64;

/// Gathers the records of a run, and hands them to an observer of Python. An exception of it, or of Ctrl-C, stops the run as a
/// stop does: the run is saved, and the exception raised after that.
#[derive(Debug, Default)]
pub struct Follow {
    observer: Option<Py<PyAny>>,
    begun: Option<Begun>,
    steps: Vec<StepRecord>,
    epochs: Vec<EpochRecord>,
    raised: Option<PyErr>,
}

/// A run that has begun.
#[derive(Debug)]
struct Begun {
    /// The whole config as TOML.
    config: String,
    adapter: String,
}

impl Follow {
    /// For an observer with the methods `start`, `steps` and `epoch`.
    pub fn new(observer: Option<Py<PyAny>>) -> Follow {
        Follow { observer, ..Follow::default() }
    }

    /// Keeps the whole config of the run, and its adapter.
    pub fn begin(&mut self, config: String, adapter: String) {
        self.begun = Some(Begun { config, adapter });
    }

    /// The exception that stopped the run.
    pub fn take_raised(&mut self) -> Option<PyErr> {
        self.raised.take()
    }

    /// Calls the observer with the GIL, and looks for Ctrl-C.
    fn call(
        &mut self,
        work: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<()>,
    ) -> Result<(), Error> {
        // An exception that stops the run is the last call.
        if self.raised.is_some() {
            return Ok(());
        }
        let called = Python::attach(|py| {
            py.check_signals()?;
            self.observer.as_ref().map_or(Ok(()), |observer| work(py, observer.bind(py)))
        });
        match called {
            Ok(()) => Ok(()),
            Err(err) => {
                self.raised = Some(err);
                Err(Error::Cancelled)
            }
        }
    }

    /// The records as arrays: those of steps, those of epochs, and the last confusion matrix; the config and the adapter.
    pub fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (all, steps, epochs) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
        steps.set_item("step", to_numpy_f64(py, self.steps.iter().map(|own| own.step as f64))?)?;
        steps.set_item("epoch", to_numpy_f64(py, self.steps.iter().map(|own| own.epoch as f64))?)?;
        steps.set_item("loss", to_numpy_f64(py, self.steps.iter().map(|own| f64::from(own.loss)))?)?;
        steps.set_item("lr", to_numpy_f64(py, self.steps.iter().map(|own| own.lr))?)?;
        epochs.set_item("epoch", to_numpy_f64(py, self.epochs.iter().map(|own| own.epoch as f64))?)?;
        let names = self.epochs.iter().flat_map(EpochRecord::values).map(|(name, _)| name);
        let mut columns: Vec<String> = Vec::new();
        names.for_each(|name| {
            if !columns.contains(&name) {
                columns.push(name);
            }
        });
        for name in &columns {
            let values = self.epochs.iter().map(|own| {
                let found = own.values().into_iter().find(|(other, _)| other == name);
                found.map_or(f64::NAN, |(_, value)| value)
            });
            epochs.set_item(name, to_numpy_f64(py, values)?)?;
        }
        let last = self.epochs.iter().rev().find_map(|own| own.eval_confusion.clone());
        all.set_item("steps", steps)?;
        all.set_item("epochs", epochs)?;
        all.set_item("confusion", last)?;
        all.set_item("config", self.begun.as_ref().map(|begun| &begun.config))?;
        all.set_item("adapter", self.begun.as_ref().map(|begun| &begun.adapter))?;
        Ok(all)
    }
}

/// An epoch as a dict of its numbers.
fn epoch_dict<'py>(py: Python<'py>, record: &EpochRecord) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("epoch", record.epoch)?;
    for (name, value) in record.values() {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}

impl Observer for Follow {
    fn start(&mut self, start: &RunStart) -> Result<(), Error> {
        let RunStart { step, total_steps, steps_per_epoch, batch_size, parameters, .. } = *start;
        // A run that goes on after its device was lost repeats some.
        self.steps.retain(|own| own.step <= step);
        let started = self.call(|py, observer| {
            let dict = PyDict::new(py);
            dict.set_item("step", step)?;
            dict.set_item("total_steps", total_steps)?;
            dict.set_item("steps_per_epoch", steps_per_epoch)?;
            dict.set_item("batch_size", batch_size)?;
            dict.set_item("parameters", parameters)?;
            observer.call_method1("start", (dict,)).map(drop)
        });
        // A run is stopped by its first steps: a start cannot stop it.
        started.or(Ok(()))
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        if self.raised.is_some() {
            self.steps.extend_from_slice(steps);
            return Err(Error::Cancelled);
        }
        self.steps.extend_from_slice(steps);
        let Some(StepRecord { step, epoch, loss, lr, .. }) = steps.last() else { return Ok(()) };
        self.call(|_, observer| observer.call_method1("steps", (*step, *epoch, *loss, *lr)).map(drop))
    }

    fn evaluating(&mut self) -> Result<(), Error> {
        if self.raised.is_some() { Err(Error::Cancelled) } else { self.call(|_, _| Ok(())) }
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<(), Error> {
        self.epochs.push(record.clone());
        self.call(|py, observer| observer.call_method1("epoch", (epoch_dict(py, record)?,)).map(drop))
    }
}
