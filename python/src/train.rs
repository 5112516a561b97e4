//! Training: a session in its folder, or a trainer in memory alone.

use std::path::{Path, PathBuf};

use downhill::Error;
use downhill::config::Config;
use downhill::data::{self, Encoding};
use downhill::plan::NamedTensor;
use downhill::run::{self, Outcome, RunDir, Session};
use downhill::train::RunEnd;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::Arrays;
use crate::device;
use crate::errors::unlocked;
use crate::follow::Follow;
use crate::values::table;
use crate::weights::{from_python, to_python};

/// A run that has come to its end, or was stopped.
struct Trained {
    encoding: Option<String>,
    outcome: Outcome,
    weights: Vec<NamedTensor>,
    average: Option<Vec<NamedTensor>>,
    notes: Vec<String>,
}

/// Trains a net by a config, in `out` where that is given. Gives back a dict of what there is at the end; an exception that
/// stopped the run is in it.
#[pyfunction]
#[pyo3(signature = (config, arrays, adapter, out=None, init=None, observer=None))]
pub fn fit<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    arrays: &Bound<'py, Arrays>,
    adapter: &str,
    out: Option<PathBuf>,
    init: Option<&Bound<'py, PyAny>>,
    observer: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let table = table(config)?;
    let init = init.map(from_python).transpose()?;
    let (arrays, mut follow) = (&arrays.get().0, Follow::new(observer));
    let trained = unlocked(py, || {
        let config = Config::from_table(&table, &[])?;
        match &out {
            None => in_memory(config, arrays, adapter, init.as_deref(), &mut follow),
            Some(path) => {
                device::check_process()?;
                let options = device::options(adapter);
                in_session(
                    Session::start_on(config, arrays, path, &options, init.as_deref(), &|_| Ok(()))?,
                    &mut follow,
                )
            }
        }
        .inspect_err(device::forget)
    });
    finished(py, trained, &mut follow)
}

/// Resumes the run in a folder on the arrays that it was begun on. `settings` are as those of `downhill resume --set`.
#[pyfunction]
#[pyo3(signature = (path, arrays, adapter, settings, observer=None))]
pub fn resume<'py>(
    py: Python<'py>,
    path: PathBuf,
    arrays: &Bound<'py, Arrays>,
    adapter: &str,
    settings: Vec<String>,
    observer: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let (arrays, mut follow) = (&arrays.get().0, Follow::new(observer));
    let trained = unlocked(py, || {
        device::check_process()?;
        let options = device::options(adapter);
        in_session(Session::resume_on(&path, arrays, &options, &settings, &|_| Ok(()))?, &mut follow)
    });
    finished(py, trained, &mut follow)
}

fn in_memory(
    mut config: Config,
    arrays: &data::Arrays,
    adapter: &str,
    init: Option<&[NamedTensor]>,
    follow: &mut Follow,
) -> Result<Trained, Error> {
    let data = config.dataset_of(Some(arrays))?;
    config.data.describe(&data);
    let gpu = device::open(adapter, &config)?;
    let mut trainer = config.trainer(&gpu, &data)?;
    match init {
        Some(weights) => trainer.load_state_dict(weights)?,
        None => drop(run::initialise(&mut trainer, &config.init)?),
    }
    follow.begin(config.to_toml(), gpu.adapter().name.clone());
    let outcome = trainer.run(follow)?;
    let (weights, average) = trainer.weights()?;
    let encoding = config.encoding(data.encoding().cloned());
    Ok(Trained { encoding: to_json(encoding.as_ref()), outcome, weights, average, notes: Vec::new() })
}

fn in_session(mut session: Session, follow: &mut Follow) -> Result<Trained, Error> {
    follow.begin(session.config().to_toml(), session.gpu().adapter().name.clone());
    let outcome = session.run(follow)?;
    let (weights, average) = session.trainer().weights()?;
    let encoding = session.config().encoding(session.data().encoding().cloned());
    Ok(Trained {
        encoding: to_json(encoding.as_ref()),
        outcome,
        weights,
        average,
        notes: session.notes().to_vec(),
    })
}

fn to_json(encoding: Option<&Encoding>) -> Option<String> {
    encoding.and_then(|encoding| serde_json::to_string(encoding).ok())
}

fn finished<'py>(
    py: Python<'py>,
    trained: PyResult<Trained>,
    follow: &mut Follow,
) -> PyResult<Bound<'py, PyDict>> {
    let raised = follow.take_raised();
    let trained = match (trained, raised) {
        (Ok(trained), raised) => {
            let dict = follow.records(py)?;
            dict.set_item("raised", raised)?;
            dict.set_item("encoding", &trained.encoding)?;
            dict.set_item("outcome", trained.outcome.end.name())?;
            dict.set_item("is_stopped", trained.outcome.end == RunEnd::Stopped)?;
            dict.set_item("step", trained.outcome.step)?;
            dict.set_item("weights", to_python(py, &trained.weights)?)?;
            let average = trained.average.as_ref().map(|average| to_python(py, average)).transpose()?;
            dict.set_item("average", average)?;
            dict.set_item("notes", &trained.notes)?;
            dict
        }
        // The exception that stopped the run goes before what followed from it.
        (Err(_), Some(raised)) => return Err(raised),
        (Err(err), None) => {
            // The package makes a run of them, where the run had begun.
            err.value(py).setattr("records", follow.records(py)?)?;
            return Err(err);
        }
    };
    Ok(trained)
}

/// The config, the encoding and the weights of a run in its folder.
#[pyfunction]
pub fn open_run(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let (config, encoding, weights) = unlocked(py, || {
        let config = Config::load(&path.join("config.toml"), &[])?;
        let encoding = config.encoding(RunDir::encoding(&path)?);
        Ok((config, encoding, weights_of(&path)?))
    })?;
    let dict = PyDict::new(py);
    dict.set_item("config", config.to_toml())?;
    dict.set_item("encoding", to_json(encoding.as_ref()))?;
    dict.set_item("weights", to_python(py, &weights)?)?;
    Ok(dict)
}

fn weights_of(run: &Path) -> Result<Vec<NamedTensor>, Error> {
    let path = run.join("model.safetensors");
    if !path.exists() {
        return Err(Error::Weights(format!(
            "{}: no such file; a run writes its weights at its end, so train it to the end",
            path.display()
        )));
    }
    run::load(&path)
}
