//! A trained net with the meaning of its inputs and outputs, and the shapes inside it.

use crate::data::{Encoding, Scale, TableEncoding};
use crate::error::{Error, Result};
use crate::graph::{DType, Graph, Tensor};
use crate::infer::Head;
use crate::nn::{Layer, Net, Sequential};
use crate::plan::{NamedTensor, check_weights};
use crate::shape::Shape;

/// Samples of the batch that shapes are traced with. Two, so that no axis is taken for the batch by chance of being 1.
const BATCH: usize = 2;

/// A trained net to export.
#[derive(Debug, Clone)]
pub struct Exported<'a> {
    /// The name of the run, for comments.
    pub title: String,
    /// The layers.
    pub model: &'a Sequential,
    /// The shape of a sample, as the model takes it.
    pub sample: Shape,
    /// The type of a sample's numbers, as the model takes them.
    pub dtype: DType,
    /// How raw data become the model's inputs; `None` where they are the inputs.
    pub encoding: Option<&'a Encoding>,
    /// Between two cells of a table of text; `None` where each file shows it.
    pub delimiter: Option<u8>,
    /// The function that makes probabilities of the model's outputs.
    pub head: Head,
    /// The names of the classes; empty where there are none.
    pub classes: Vec<String>,
    /// A table's target is (value - mean) / std with this mean and std; `None` where outputs are as they are.
    pub target: Option<(f64, f64)>,
}

/// The shape and the type of a tensor between two layers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Traced {
    /// The batch axis first.
    pub shape: Vec<usize>,
    pub dtype: DType,
}

impl Traced {
    /// A batch of samples.
    pub fn samples(sample: &Shape, dtype: DType) -> Traced {
        Traced { shape: [&[BATCH], &sample[..]].concat(), dtype }
    }

    fn input(&self, graph: &Graph) -> Tensor {
        match self.dtype {
            DType::I32 => graph.input_i32("x", self.shape.clone()),
            DType::F32 => graph.input("x", self.shape.clone()),
        }
    }

    /// The output of a layer.
    ///
    /// # Errors
    /// The layer's shape error.
    pub fn after(&self, layer: &Layer, name: &str) -> Result<Traced> {
        let graph = Graph::new();
        let y = layer.build(&Net::new(&graph, false), name, &self.input(&graph));
        graph.check()?;
        Ok(Traced { shape: y.shape().to_vec(), dtype: y.dtype() })
    }

    /// The number of axes, that of the batch included.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

impl Exported<'_> {
    /// Checks that these are the model's weights.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or a shape does not fit; the model's shape error.
    pub fn check(&self, weights: &[NamedTensor]) -> Result<()> {
        let graph = Graph::new();
        self.model.build(&Net::new(&graph, false), &Traced::samples(&self.sample, self.dtype).input(&graph));
        graph.check()?;
        let (parameters, buffers) = (graph.parameters(), graph.buffers());
        let parameters = parameters.iter().map(|own| (&own.name, &own.shape));
        let own: Vec<_> = parameters.chain(buffers.iter().map(|own| (&own.name, &own.shape))).collect();
        check_weights(&own, weights)
    }

    /// The scale of the numbers of arrays and images, by their first axis.
    pub(super) fn scale(&self) -> Option<Scale> {
        match self.encoding {
            Some(Encoding::Array(encoding)) => Some(encoding.scale()),
            Some(Encoding::Images(encoding)) => Some(encoding.scale.clone()),
            _ => None,
        }
    }
}

/// An error about a layer that a format has no form for.
pub(super) fn refused(format: &str, layer: &Layer, name: &str, why: &str) -> Error {
    Error::Config(format!("layer {name} ({}) has no form in {format}: {why}", layer.name()))
}

/// Numbers that stand for a missing cell of a table.
pub(super) fn listed_numbers(table: &TableEncoding) -> Vec<f64> {
    table.missing.iter().filter_map(|word| word.trim().parse().ok()).filter(|n: &f64| n.is_finite()).collect()
}
