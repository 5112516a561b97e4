//! Sweeps: many runs of one config at once.

use std::path::PathBuf;

use downhill::Error;
use downhill::config;
use downhill::run::{Row, Sweep, SweepBase, SweepObserver, SweepSource, SweepStart, ranked};
use downhill::train::{EpochRecord, Fleet, StepRecord};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use toml::Value;

use crate::arrays::Arrays;
use crate::device;
use crate::errors::unlocked;
use crate::values::{table, value};

/// Looks for Ctrl-C, and hands what happens to an observer of Python.
struct Follow {
    observer: Option<Py<PyAny>>,
    raised: Option<PyErr>,
}

impl Follow {
    fn call(&mut self, method: &str, number: usize, values: Vec<(String, f64)>) -> Result<(), Error> {
        if self.raised.is_some() {
            return Err(Error::Cancelled);
        }
        let called = Python::attach(|py| {
            py.check_signals()?;
            let Some(observer) = &self.observer else { return Ok(()) };
            let dict = PyDict::new(py);
            values.into_iter().try_for_each(|(name, value)| dict.set_item(name, value))?;
            observer.call_method1(py, method, (number, dict)).map(drop)
        });
        called.map_err(|err| {
            self.raised = Some(err);
            Error::Cancelled
        })
    }
}

impl SweepObserver for Follow {
    fn start(&mut self, start: &SweepStart) -> Result<(), Error> {
        self.call("start", start.runs, Vec::new()).or(Ok(()))
    }

    fn steps(&mut self, _: &Fleet, run: usize, steps: &[StepRecord]) -> Result<(), Error> {
        let Some(last) = steps.last() else { return Ok(()) };
        self.call("steps", run, vec![("step".into(), last.step as f64), ("loss".into(), last.loss.into())])
    }

    fn evaluating(&mut self) -> Result<(), Error> {
        if self.raised.is_some() {
            return Err(Error::Cancelled);
        }
        Python::attach(|py| py.check_signals()).map_err(|err| {
            self.raised = Some(err);
            Error::Cancelled
        })
    }

    fn epoch(&mut self, run: usize, epoch: &EpochRecord) -> Result<(), Error> {
        let mut values = vec![("epoch".to_owned(), epoch.epoch as f64)];
        values.extend(epoch.values());
        self.call("epoch", run, values)
    }

    fn end(&mut self, row: &Row) -> Result<(), Error> {
        let values = row.last().map(EpochRecord::values).unwrap_or_default();
        self.call("end", row.replica, values).or(Ok(()))
    }
}

/// Trains the runs of a sweep in a folder, with the section `keys`. Where `resume` is true the folder has to hold that sweep,
/// which goes on.
#[pyfunction]
#[pyo3(signature = (config, keys, resume, arrays, adapter, out, observer=None))]
#[expect(clippy::too_many_arguments, reason = "a function of Python, which names them")]
pub fn sweep<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    keys: &Bound<'py, PyAny>,
    resume: bool,
    arrays: &Bound<'py, Arrays>,
    adapter: &str,
    out: PathBuf,
    observer: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (config, arrays) = (table(config)?, &arrays.get().0);
    let keys = value("sweep", keys, 0)?.unwrap_or_else(|| Value::Table(toml::Table::new()));
    let mut follow = Follow { observer, raised: None };
    let done = unlocked(py, || {
        device::check_process()?;
        let options = device::options(adapter);
        let base = SweepBase::Arrays { config: &config, arrays };
        let source = SweepSource { base, settings: &[], keys: config::Sweep::read(keys)? };
        let mut sweep = if resume {
            Sweep::check_same(&source, &out)?;
            Sweep::resume_on(&out, arrays, &options)?
        } else {
            Sweep::start(&source, &out, &options)?
        };
        sweep.run(&mut follow)?;
        Ok((sweep.rows(), sweep.swept().to_vec(), sweep.monitor().clone()))
    });
    let (rows, swept, monitor) = match (done, follow.raised.take()) {
        (_, Some(raised)) => return Err(raised),
        (done, None) => done?,
    };
    let list = PyList::empty(py);
    for row in &rows {
        let dict = PyDict::new(py);
        dict.set_item("run", row.replica)?;
        dict.set_item("folder", &row.folder)?;
        for (key, text) in swept.iter().zip(&row.values) {
            set_parsed(&dict, key, text)?;
        }
        for (name, value) in row.last().map(EpochRecord::values).unwrap_or_default() {
            dict.set_item(name, value)?;
        }
        // An epoch that is read from a file does not know its steps.
        if let Some(ended) = &row.ended {
            dict.set_item("end", &ended.end)?;
            dict.set_item("steps", ended.steps)?;
            dict.set_item("error", &ended.error)?;
        }
        list.append(dict)?;
    }
    let order: Vec<usize> = ranked(&rows, &monitor).into_iter().map(|(row, _)| row.replica).collect();
    let result = PyDict::new(py);
    result.set_item("rows", list)?;
    result.set_item("swept", swept)?;
    result.set_item("ranked", order)?;
    result.set_item("metric", &monitor.metric)?;
    Ok(result)
}

/// Sets a value that is written as a setting is.
fn set_parsed(dict: &Bound<'_, PyDict>, key: &str, text: &str) -> PyResult<()> {
    let parsed = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    match parsed {
        Some(Value::Integer(number)) => dict.set_item(key, number),
        Some(Value::Float(number)) => dict.set_item(key, number),
        Some(Value::Boolean(flag)) => dict.set_item(key, flag),
        Some(Value::String(word)) => dict.set_item(key, word),
        _ => dict.set_item(key, text),
    }
}
