//! Weights by name: what a file holds, and what a model needs.

use crate::error::{Error, Result};
use crate::shape::Shape;

/// A tensor of the model with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// As in `torch.nn.Sequential`: `1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Row-major.
    pub values: Vec<f32>,
}

/// `tensors` are those of the model, in any order, and each has its values.
///
/// # Errors
/// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
pub(crate) fn check_weights(model: &[(&String, &Shape)], tensors: &[NamedTensor]) -> Result<()> {
    let list = |items: &[(&String, &Shape)]| {
        let lines: Vec<String> = items.iter().map(|(n, s)| format!("\n  {n} {s}")).collect();
        lines.concat()
    };
    let file: Vec<_> = tensors.iter().map(|t| (&t.name, &t.shape)).collect();
    let fits = model.len() == file.len() && model.iter().all(|m| file.contains(m));
    if !fits {
        return Err(Error::Weights(format!(
            "the weights do not fit the model.\nThe model has:{}\nThe weights are:{}",
            list(model),
            list(&file)
        )));
    }
    match tensors.iter().find(|t| t.values.len() != t.shape.elements()) {
        None => Ok(()),
        Some(t) => {
            let values = t.values.len();
            Err(Error::Weights(format!("tensor {} of shape {} has {values} values", t.name, t.shape)))
        }
    }
}
