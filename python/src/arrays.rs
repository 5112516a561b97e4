//! Arrays of NumPy as samples, read where they lie.

use downhill::Error;
use downhill::data::{self, Array, Kind, Source, Values};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The numbers of an array, which Python keeps alive and does not move.
#[derive(Debug)]
struct Memory {
    address: usize,
    kind: Kind,
    len: usize,
    _owner: Py<PyAny>,
}

impl Source for Memory {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Error> {
        let from = at * self.kind.bytes();
        assert!(from + into.len() <= self.len * self.kind.bytes(), "numbers past the end of {self:?}");
        // SAFETY: the array has `len` numbers from `address` on, one after the other, and `_owner` keeps it. A program that
        // writes to it meanwhile changes numbers, and nothing else: every bit pattern is a number. Its memory moves only where
        // the program calls `resize(refcheck=False)` on it, which NumPy leaves to the caller and the guide forbids.
        unsafe {
            std::ptr::copy_nonoverlapping(
                (self.address as *const u8).add(from),
                into.as_mut_ptr(),
                into.len(),
            );
        }
        Ok(())
    }
}

/// The kind of numbers by NumPy's name for it.
fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "|u1" => Kind::U8,
        "|i1" => Kind::I8,
        "<u2" => Kind::U16,
        "<i2" => Kind::I16,
        "<i4" => Kind::I32,
        "<f2" => Kind::F16,
        "<f4" => Kind::F32,
        _ => return None,
    })
}

/// An array of NumPy, of one of the kinds and without strides, as the package hands it over.
pub fn array(name: &str, object: &Bound<'_, PyAny>) -> PyResult<Array> {
    let interface = object.getattr("__array_interface__")?;
    let interface = interface.cast::<PyDict>()?;
    let get = |key: &str| {
        interface
            .get_item(key)?
            .ok_or_else(|| PyTypeError::new_err(format!("__array_interface__ has no {key}")))
    };
    let typestr: String = get("typestr")?.extract()?;
    let shape: Vec<usize> = get("shape")?.extract()?;
    let (address, _): (usize, bool) = get("data")?.extract()?;
    let has_strides = interface.get_item("strides")?.is_some_and(|strides| !strides.is_none());
    let (Some(kind), false) = (kind(&typestr), has_strides) else {
        return Err(PyTypeError::new_err(format!("{name}: {typestr} with strides {has_strides}")));
    };
    let memory = Memory { address, kind, len: shape.iter().product(), _owner: object.clone().unbind() };
    Ok(Array { name: name.to_owned(), shape, values: Values::from_source(memory) })
}

/// The samples of a run.
#[pyclass(frozen)]
#[derive(Debug)]
pub struct Arrays(pub data::Arrays);

#[pymethods]
impl Arrays {
    /// Inputs and targets to train on, and those to evaluate on.
    #[new]
    #[pyo3(signature = (x, t=None, eval_x=None, eval_t=None))]
    fn new(
        x: &Bound<'_, PyAny>,
        t: Option<&Bound<'_, PyAny>>,
        eval_x: Option<&Bound<'_, PyAny>>,
        eval_t: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Arrays> {
        let train = (array("x", x)?, t.map(|t| array("t", t)).transpose()?);
        let eval_t = eval_t.map(|t| array("the t of eval", t)).transpose()?;
        let eval = eval_x.map(|x| Ok::<_, PyErr>((array("the x of eval", x)?, eval_t))).transpose()?;
        Ok(Arrays(data::Arrays { name: "arrays".to_owned(), train, eval }))
    }
}
