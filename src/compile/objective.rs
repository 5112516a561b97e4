//! The minibatch as a model function sees it: the fields of a sample, by name.

use crate::data::{Field, Part};
use crate::error::suggestion;
use crate::graph::{Graph, Tensor};
use crate::shape::Shape;

/// The fields of a data set as tensors, a minibatch [batch, ..] of each.
#[derive(Debug, Clone)]
pub struct Batch {
    graph: Graph,
    fields: Vec<(String, Tensor)>,
    target: usize,
}

/// The shape of `batch` samples of a field.
pub(super) fn batched(batch: usize, field: &Field) -> Shape {
    [&[batch], &field.shape()[..]].concat().into()
}

impl Batch {
    /// The fields of `part` as inputs of `graph`, by their names.
    pub(super) fn new(graph: &Graph, part: &Part, batch: usize) -> Batch {
        let input = |(name, field): (&str, &Field)| {
            let shape = batched(batch, field);
            let tensor =
                if field.is_float() { graph.input(name, shape) } else { graph.input_i32(name, shape) };
            (name.to_owned(), tensor)
        };
        Batch {
            graph: graph.clone(),
            fields: part.fields().map(input).collect(),
            target: part.target_index(),
        }
    }

    /// The field of a name. An unknown one is an error of the graph, as a shape that does not fit.
    pub fn get(&self, name: &str) -> Tensor {
        self.find(name).cloned().unwrap_or_else(|| {
            let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
            let others = suggestion(name, &names);
            self.graph.fail(format!("the data set has no field \"{name}\"; {others}"));
            self.x().clone()
        })
    }

    /// The field of a name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// Every field with its name, inputs before targets.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.fields.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The first input.
    pub fn x(&self) -> &Tensor {
        &self.fields[0].1
    }

    /// The first target, or the first input where there is no target.
    pub fn t(&self) -> &Tensor {
        &self.fields[self.target].1
    }
}
