//! Weights by name: the tensors of a weights file, and where a plan holds each of them.

use super::memory::Arena;
use crate::error::{Error, Result};
use crate::graph::{Parameter, StateBuffer};
use crate::kernel::feed::BUFFERS;
use crate::kernel::update::PARAMETERS;
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

/// Where the values of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorLocation {
    /// In a buffer of the plan.
    Device {
        /// The buffer's name.
        buffer: &'static str,
        /// The first byte.
        offset: u64,
    },
    /// The host counts the training steps.
    StepCount,
}

/// A tensor of the weights file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightTensor {
    /// Its name, such as `1.weight`.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Where its values are.
    pub location: TensorLocation,
}

/// Every tensor of a weights file in order: the parameters, then the buffers that are saved but not trained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WeightLayout {
    /// The tensors.
    pub tensors: Vec<WeightTensor>,
}

impl WeightLayout {
    /// The layout of a model's tensors in the arenas of its plan.
    pub fn new(parameters: &[Parameter], arena: &Arena, buffers: &[StateBuffer], state: &Arena) -> Self {
        let parameters = parameters.iter().zip(&arena.offsets).map(|(p, &offset)| WeightTensor {
            name: p.name.clone(),
            shape: p.shape.clone(),
            location: TensorLocation::Device { buffer: PARAMETERS, offset },
        });
        let buffers = buffers.iter().zip(&state.offsets).map(|(b, &offset)| WeightTensor {
            name: b.name.clone(),
            shape: b.shape.clone(),
            location: match b.node {
                Some(_) => TensorLocation::Device { buffer: BUFFERS, offset },
                None => TensorLocation::StepCount,
            },
        });
        WeightLayout { tensors: parameters.chain(buffers).collect() }
    }

    /// Each tensor of the model with its values among `given`, which may be in any order.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
    pub fn assign<'a>(
        &'a self,
        given: &'a [NamedTensor],
    ) -> Result<impl Iterator<Item = (&'a WeightTensor, &'a [f32])>> {
        self.check(given)?;
        let values = |tensor: &'a WeightTensor| {
            given.iter().find(|g| g.name == tensor.name).map(|g| (tensor, &g.values[..]))
        };
        Ok(self.tensors.iter().filter_map(values))
    }

    /// Reads the tensors from the bytes of the parameter buffer and of the buffer of running values.
    pub fn read(&self, parameters: &[u8], buffers: &[u8], step_count: u64) -> Vec<NamedTensor> {
        let read = |tensor: &WeightTensor| {
            let values = match tensor.location {
                TensorLocation::Device { buffer, offset } => {
                    let bytes = if buffer == PARAMETERS { parameters } else { buffers };
                    let first = offset as usize;
                    bytemuck::pod_collect_to_vec(&bytes[first..first + tensor.shape.elements() * 4])
                }
                TensorLocation::StepCount => vec![step_count as f32],
            };
            NamedTensor { name: tensor.name.clone(), shape: tensor.shape.clone(), values }
        };
        self.tensors.iter().map(read).collect()
    }

    /// Checks that `given`, in any order, are the model's tensors with all their values.
    ///
    /// # Errors
    /// As [`WeightLayout::assign`].
    pub fn check(&self, given: &[NamedTensor]) -> Result<()> {
        let list = |items: &[(&String, &Shape)]| {
            let lines: Vec<String> = items.iter().map(|(n, s)| format!("\n  {n} {s}")).collect();
            lines.concat()
        };
        let model: Vec<_> = self.tensors.iter().map(|t| (&t.name, &t.shape)).collect();
        let file: Vec<_> = given.iter().map(|t| (&t.name, &t.shape)).collect();
        let fits = model.len() == file.len() && model.iter().all(|m| file.contains(m));
        if !fits {
            return Err(Error::Weights(format!(
                "the weights do not fit the model.\nThe model has:{}\nThe weights are:{}",
                list(&model),
                list(&file)
            )));
        }
        match given.iter().find(|t| t.values.len() != t.shape.elements()) {
            None => Ok(()),
            Some(t) => {
                let values = t.values.len();
                Err(Error::Weights(format!("tensor {} of shape {} has {values} values", t.name, t.shape)))
            }
        }
    }
}
