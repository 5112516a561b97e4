//! Values of Python as values of a config, and JSON of records.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

use crate::errors::config_error;

/// Tables within tables, at most.
const DEEPEST: usize = 100;

/// A dict as a table of a config. A key whose value is None is left out.
pub fn table(dict: &Bound<'_, PyAny>) -> PyResult<Table> {
    match value("", dict, 0)? {
        Some(Value::Table(table)) => Ok(table),
        _ => Err(PyTypeError::new_err("a dict is needed")),
    }
}

/// A value as one of a config, which lies at `path`. None of Python is no value.
pub fn value(path: &str, object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Option<Value>> {
    if depth > DEEPEST {
        return Err(config_error(
            object.py(),
            format!("{path}: more than {DEEPEST} tables within each other"),
        ));
    }
    if object.is_none() {
        return Ok(None);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Some(Value::Boolean(flag.is_true())));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        let whole = number.extract::<i64>().map_err(|_| {
            config_error(object.py(), format!("{path} = {number}: a whole number of 64 bits is needed"))
        })?;
        return Ok(Some(Value::Integer(whole)));
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Some(Value::Float(number.extract()?)));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(Value::String(text.extract()?)));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let mut table = Table::new();
        for (key, inner) in dict.iter() {
            let key: String = key.extract().map_err(|_| {
                config_error(object.py(), format!("{path}: {key} is no name; keys of a config are"))
            })?;
            if let Some(inner) = value(&dotted(path, &key), &inner, depth + 1)? {
                table.insert(key, inner);
            }
        }
        return Ok(Some(Value::Table(table)));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let mut list = Vec::new();
        for (i, inner) in object.try_iter()?.enumerate() {
            let place = format!("{path}[{i}]");
            let inner = value(&place, &inner?, depth + 1)?;
            list.push(inner.ok_or_else(|| config_error(object.py(), format!("{place} is None")))?);
        }
        return Ok(Some(Value::Array(list)));
    }
    // Objects that know their own form: layers, optimizers; numbers and arrays of NumPy; paths.
    for method in ["__downhill__", "tolist", "__fspath__"] {
        if let Ok(plain) = object.getattr(method).and_then(|method| method.call0())
            && !plain.is(object)
        {
            return value(path, &plain, depth + 1);
        }
    }
    let kind = object.get_type().name()?;
    Err(config_error(
        object.py(),
        format!("{path}: a {kind} is no value of a config; numbers, texts, lists and dicts are"),
    ))
}

fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A config of TOML as JSON.
#[pyfunction]
pub fn to_json(py: Python<'_>, text: &str) -> PyResult<String> {
    let table = text.parse::<Table>().map_err(|err| config_error(py, err.to_string()))?;
    serde_json::to_string(&table).map_err(|err| config_error(py, err.to_string()))
}
