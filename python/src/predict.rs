//! Predictions and evaluations of trained nets.

use std::sync::{Mutex, PoisonError};

use downhill::config::Config;
use downhill::data::{self, ArrayEncoding, Dataset, Encoding, Field, Kind};
use downhill::graph::DType;
use downhill::infer::{self, Head};
use downhill::kernel::Target;
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, Value};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{Arrays, array};
use crate::device;
use crate::errors::unlocked;
use crate::signals::Signals;
use crate::values::table;
use crate::weights::{from_python, to_numpy};

/// Samples that a predictor answers at once.
const BATCH: usize = 256;

/// The scaling of a run's arrays.
fn array_encoding(encoding: Option<&str>) -> Result<Option<ArrayEncoding>, Error> {
    let Some(text) = encoding else { return Ok(None) };
    match serde_json::from_str(text) {
        Ok(Encoding::Array(encoding)) => Ok(Some(encoding)),
        Ok(_) => Err(Error::Config(
            "the run was trained on a table, a text or a folder of images, and arrays are no such data; downhill predict and \
             downhill sample take them"
                .into(),
        )),
        Err(err) => Err(Error::Data(format!("the encoding of the run: {err}"))),
    }
}

/// A net on its device, planned for samples of one shape.
#[pyclass(frozen)]
pub struct Predictor {
    config: Config,
    encoding: Option<ArrayEncoding>,
    weights: Vec<NamedTensor>,
    adapter: String,
    head: bool,
    planned: Mutex<Option<Planned>>,
}

struct Planned {
    shape: Vec<usize>,
    is_float: bool,
    batch: usize,
    predictor: infer::Predictor,
}

#[pymethods]
impl Predictor {
    /// A net with its weights. `head`: outputs become probabilities where the loss is one of classes.
    #[new]
    fn new(
        py: Python<'_>,
        config: &Bound<'_, PyAny>,
        encoding: Option<&str>,
        weights: &Bound<'_, PyAny>,
        adapter: String,
        head: bool,
    ) -> PyResult<Predictor> {
        let (table, weights) = (table(config)?, from_python(weights)?);
        let (config, encoding) =
            unlocked(py, || Ok((Config::from_table(&table, &[])?, array_encoding(encoding)?)))?;
        Ok(Predictor { config, encoding, weights, adapter, head, planned: Mutex::new(None) })
    }

    /// The answers to every sample of an array.
    fn predict<'py>(&self, py: Python<'py>, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let x = array("x", x)?;
        let mut signals = Signals::default();
        let done = unlocked(py, || {
            device::check_process()?;
            let field = data::encoded_inputs(&x, self.encoding.as_ref())?;
            self.answers(&field, &mut signals).inspect_err(device::forget)
        });
        let (values, shape) = signals.or(done)?;
        to_numpy(py, &values, &shape)
    }
}

impl Predictor {
    fn answers(&self, field: &Field, signals: &mut Signals) -> Result<(Vec<f32>, Vec<usize>), Error> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = field.len().clamp(1, BATCH);
        let fits = |own: &Planned| {
            own.shape[..] == field.shape()[..]
                && own.is_float == field.is_float()
                && (own.batch == BATCH || own.batch >= batch)
        };
        if !planned.as_ref().is_some_and(fits) {
            *planned = Some(self.plan(field, batch)?);
        }
        let Some(Planned { predictor, .. }) = planned.as_mut() else { return Ok((Vec::new(), Vec::new())) };
        let mut answers = Vec::with_capacity(field.len() * predictor.output().elements());
        let result = (0..field.len()).step_by(predictor.batch()).try_for_each(|first| {
            signals.look()?;
            let count = predictor.batch().min(field.len() - first);
            answers.extend(answer(predictor, field, first, count)?);
            Ok(())
        });
        let shape = [&[field.len()], &predictor.output()[..]].concat();
        if !matches!(result, Ok(()) | Err(Error::Cancelled | Error::Data(_))) {
            // A device that was lost has to be opened again.
            *planned = None;
        }
        result.map(|()| (answers, shape))
    }

    fn plan(&self, field: &Field, batch: usize) -> Result<Planned, Error> {
        let gpu = device::open(&self.adapter, &self.config)?;
        let dtype = if field.is_float() { DType::F32 } else { DType::I32 };
        let (shape, weights) = (field.shape().clone(), &self.weights);
        let predictor = if self.head {
            self.config.predictor(&gpu, &shape, dtype, batch, weights)?
        } else {
            let model = |net: &_, x: &_| self.config.model.build(net, x);
            infer::Predictor::new(&gpu, &model, Head::Numbers, shape.clone(), dtype, batch, weights)?
        };
        Ok(Planned { shape: shape.to_vec(), is_float: field.is_float(), batch, predictor })
    }
}

/// The answers to `count` samples from `first` on.
fn answer(
    predictor: &mut infer::Predictor,
    field: &Field,
    first: usize,
    count: usize,
) -> Result<Vec<f32>, Error> {
    // Numbers that need no change are read as they are.
    if field.scale().is_none() && field.values().kind() == Kind::F32 {
        let mut bytes = vec![0; count * field.sample_bytes()];
        field.read(first, &mut bytes)?;
        let floats: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        return predictor.predict(Value::F32(&floats));
    }
    let numbers = field.samples(first, count)?;
    match field.is_float() {
        true => predictor.predict(Value::F32(&numbers.iter().map(|&x| x as f32).collect::<Vec<_>>())),
        false => predictor.predict(Value::I32(&numbers.iter().map(|&x| x as i32).collect::<Vec<_>>())),
    }
}

/// The loss and the metrics of a net on arrays, as an evaluation in training computes them.
#[pyfunction]
pub fn evaluate<'py>(
    py: Python<'py>,
    config: &Bound<'py, PyAny>,
    encoding: Option<&str>,
    weights: &Bound<'py, PyAny>,
    arrays: &Bound<'py, Arrays>,
    adapter: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let (table, weights, arrays) = (table(config)?, from_python(weights)?, &arrays.get().0);
    let mut signals = Signals::default();
    let found = unlocked(py, || {
        let config = Config::from_table(&table, &[])?;
        let encoding = array_encoding(encoding)?;
        let (x, t) = &arrays.train;
        let (part, classes) = data::encoded_part(x, t.as_ref(), encoding.as_ref())?;
        let data = Dataset::new(&*arrays.name, part.clone(), Some(part), classes)?;
        let data = match encoding {
            Some(encoding) => data.with_encoding(Encoding::Array(encoding)),
            None => data,
        };
        let data = if config.learns_inputs() { data.without_targets() } else { data };
        let gpu = device::open(adapter, &config)?;
        let mut evaluate = || {
            let plan = config.plan(&data, Target::for_gpu(&gpu))?;
            let mut trainer = Trainer::from_plan(&gpu, plan, &data, &config.options)?;
            trainer.load_state_dict(&weights)?;
            signals.look()?;
            pollster::block_on(trainer.evaluate_between(&mut || signals.look()))
        };
        let found = evaluate().inspect_err(device::forget)?;
        found.ok_or_else(|| Error::Data("there is nothing to evaluate on".into()))
    });
    let found = signals.or(found)?;
    let dict = PyDict::new(py);
    dict.set_item("loss", found.loss)?;
    found.accuracy.map_or(Ok(()), |accuracy| dict.set_item("accuracy", accuracy))?;
    found.metrics.iter().try_for_each(|(name, value)| dict.set_item(name, *value))?;
    found.confusion.map_or(Ok(()), |matrix| dict.set_item("confusion_matrix", matrix))?;
    Ok(dict)
}
