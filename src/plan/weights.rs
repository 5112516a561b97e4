//! Weights by name: the tensors of a file, and their places in a plan's buffers.

use super::Plan;
use crate::error::{Error, Result};
use crate::graph::{Parameter, StateBuffer};
use crate::kernel::feed::BUFFERS;
use crate::kernel::update::PARAMETERS;
use crate::shape::Shape;
use crate::units::plural;

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

/// The place of a tensor of the weights.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TensorLocation {
    /// In a buffer of the device, from this byte.
    Device(&'static str, u64),
    /// Counted by the host: training steps.
    StepCount,
}

/// The tensors of a model's weights file, in order, with their places.
#[derive(Debug)]
pub(crate) struct WeightLayout(Vec<(String, Shape, TensorLocation)>);

impl WeightLayout {
    /// Parameters, then buffers, as `plan` lays them out.
    pub fn new(parameters: &[Parameter], buffers: &[StateBuffer], plan: &Plan) -> WeightLayout {
        let parameters = parameters.iter().zip(&plan.arena.offsets);
        let parameters = parameters.map(|(parameter, &offset)| {
            let location = TensorLocation::Device(PARAMETERS, offset);
            (parameter.name.clone(), parameter.shape.clone(), location)
        });
        let buffers = buffers.iter().zip(&plan.state.offsets).map(|(buffer, &offset)| {
            let on_device = TensorLocation::Device(BUFFERS, offset);
            let location = if buffer.node.is_some() { on_device } else { TensorLocation::StepCount };
            (buffer.name.clone(), buffer.shape.clone(), location)
        });
        WeightLayout(parameters.chain(buffers).collect())
    }

    /// Every tensor with its place.
    pub fn iter(&self) -> impl Iterator<Item = &(String, Shape, TensorLocation)> {
        self.0.iter()
    }

    /// The model, from the contents of the parameters' buffer and of the buffers'.
    pub fn read(&self, parameters: &[u8], buffers: &[u8], steps: u64) -> Vec<NamedTensor> {
        let tensor = |(name, shape, location): &(String, Shape, TensorLocation)| {
            let values = match *location {
                TensorLocation::Device(buffer, offset) => {
                    let bytes = if buffer == PARAMETERS { parameters } else { buffers };
                    let first = offset as usize;
                    bytemuck::pod_collect_to_vec(&bytes[first..first + shape.elements() * 4])
                }
                TensorLocation::StepCount => vec![steps as f32],
            };
            NamedTensor { name: name.clone(), shape: shape.clone(), values }
        };
        self.0.iter().map(tensor).collect()
    }
}

/// Checks that `tensors` are those of the model, in any order, each with its values.
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
            let values = plural(values, "value");
            Err(Error::Weights(format!("tensor {} of shape {} has {values}", t.name, t.shape)))
        }
    }
}
