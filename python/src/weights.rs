//! Weights as arrays of NumPy: a list of names with arrays.

use std::path::PathBuf;

use downhill::plan::NamedTensor;
use downhill::run;
use downhill::shape::Shape;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList};

use crate::arrays::array;
use crate::errors::unlocked;

/// Numbers as an array of NumPy of this shape, which owns them.
pub fn to_numpy<'py>(py: Python<'py>, values: &[f32], shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let bytes = PyByteArray::new_with(py, values.len() * 4, |room| {
        for (room, value) in room.chunks_exact_mut(4).zip(values) {
            room.copy_from_slice(&value.to_le_bytes());
        }
        Ok(())
    })?;
    let flat = py.import("numpy")?.call_method1("frombuffer", (bytes, "<f4"))?;
    flat.call_method1("reshape", (shape.to_vec(),))
}

/// Numbers of f64 as an array of NumPy.
pub fn to_numpy_f64<'py>(
    py: Python<'py>,
    values: impl IntoIterator<Item = f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    py.import("numpy")?.call_method1("frombuffer", (PyByteArray::new(py, &bytes), "<f8"))
}

/// Tensors as a list of names with arrays.
pub fn to_python<'py>(py: Python<'py>, tensors: &[NamedTensor]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for tensor in tensors {
        list.append((tensor.name.as_str(), to_numpy(py, &tensor.values, &tensor.shape)?))?;
    }
    Ok(list)
}

/// Tensors of a list of names with arrays of f32.
pub fn from_python(list: &Bound<'_, PyAny>) -> PyResult<Vec<NamedTensor>> {
    let tensor = |item: PyResult<Bound<'_, PyAny>>| {
        let (name, object): (String, Bound<'_, PyAny>) = item?.extract()?;
        let own = array(&name, &object)?;
        let mut bytes = vec![0; own.values.len() * own.values.kind().bytes()];
        own.values.read(0, &mut bytes).map_err(|err| PyTypeError::new_err(err.to_string()))?;
        let size = own.values.kind().bytes();
        let values = bytes.chunks_exact(size).map(|b| own.values.kind().number(b) as f32).collect();
        Ok(NamedTensor { name, shape: Shape::from(own.shape), values })
    };
    list.try_iter()?.map(tensor).collect()
}

/// Reads a safetensors file.
#[pyfunction]
pub fn load(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyList>> {
    let tensors = unlocked(py, || run::load(&path))?;
    to_python(py, &tensors)
}

/// Writes a safetensors file.
#[pyfunction]
pub fn save(py: Python<'_>, path: PathBuf, tensors: &Bound<'_, PyAny>) -> PyResult<()> {
    let tensors = from_python(tensors)?;
    unlocked(py, || run::save(&path, &tensors))
}
