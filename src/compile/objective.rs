//! A model function's side of a run: the minibatch it gets by field, and the objective it gives back.

use crate::data::{Field, Part};
use crate::error::{Error, Result, suggestion};
use crate::graph::{DType, Graph, Tensor};
use crate::nn::Net;
use crate::shape::Shape;
use std::sync::Arc;

/// A model: from a builder and its input [batch, ..] to its output.
pub type Model<'a> = dyn Fn(&Net, &Tensor) -> Tensor + 'a;
/// A loss: from output and target to a scalar, the mean over the batch.
pub type Loss<'a> = dyn Fn(&Tensor, &Tensor) -> Tensor + 'a;
/// A model of any fields under its loss: from a builder and a minibatch to an [`Objective`], or to a loss alone, a
/// scalar [`Tensor`].
pub type BatchLoss<'a, O> = dyn Fn(&Net, &Batch) -> O + 'a;

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

/// The result of a model function for a minibatch: the loss to train, and named scalars to report.
///
/// ```
/// # use downhill::prelude::*;
/// fn step(net: &Net, batch: &Batch) -> Objective {
///     let h = net.linear("shared", &batch.get("image").flatten(), 32).relu();
///     let digit = loss::cross_entropy(&net.linear("digit", &h, 10), &batch.get("digit"), &CrossEntropy::default());
///     let angle = loss::mse(&net.linear("angle", &h, 1), &batch.get("angle"));
///     Objective::new(&digit + &angle * 0.1).metric("digit", digit).metric("angle", angle)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Objective {
    loss: Tensor,
    metrics: Vec<(String, Tensor)>,
}

impl Objective {
    /// Trains `loss`, a scalar: the mean over the batch.
    pub fn new(loss: Tensor) -> Self {
        Objective { loss, metrics: Vec::new() }
    }

    /// Watches `value` too, a scalar: the mean over the batch, since epochs and evaluations weight it by samples.
    ///
    /// It costs no gradient. Names are unique, and the same in training and evaluation.
    pub fn metric(mut self, name: impl Into<String>, value: Tensor) -> Self {
        self.metrics.push((name.into(), value));
        self
    }

    /// The loss.
    pub fn loss(&self) -> &Tensor {
        &self.loss
    }

    /// The other scalars with their names.
    pub fn metrics(&self) -> &[(String, Tensor)] {
        &self.metrics
    }

    pub(super) fn names(&self) -> Arc<[String]> {
        self.metrics.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Checks that the loss and every metric are f32 scalars, and that names are unique.
    pub(super) fn check(&self) -> Result<()> {
        scalar(&self.loss, "loss: ".into(), "a loss")?;
        for (at, (name, value)) in self.metrics.iter().enumerate() {
            if name.is_empty() || name == "loss" || self.metrics[..at].iter().any(|(n, _)| n == name) {
                return Err(Error::Config(format!(
                    "metric {at} (counted from 0) is named \"{name}\": names are unique, and \"loss\" is taken"
                )));
            }
            scalar(value, format!("metric \"{name}\": "), "a metric")?;
        }
        Ok(())
    }
}

fn scalar(value: &Tensor, context: String, what: &str) -> Result<()> {
    let (shape, dtype) = (value.shape(), value.dtype());
    let message = if shape.iter().product::<usize>() != 1 {
        format!("{what} is a scalar, and this one has shape {shape:?}; take its mean")
    } else if dtype != DType::F32 {
        format!("{what} is f32, and this one is {dtype:?}; take its to_f32()")
    } else {
        return Ok(());
    };
    Err(Error::Shape { context, message })
}

impl From<Tensor> for Objective {
    /// A loss alone.
    fn from(loss: Tensor) -> Self {
        Objective::new(loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_of_scalars_with_names() {
        let graph = Graph::new();
        let [one, pair] = [vec![1], vec![1, 2]].map(|shape| graph.input("x", shape));
        let whole = graph.input_i32("n", []);
        let objective = || Objective::new(one.clone());
        objective().metric("a", one.clone()).metric("b", one.clone()).check().unwrap();
        let refused = |objective: Objective, words: &[&str]| {
            let err = objective.check().unwrap_err();
            assert!(err.is_usage() && words.iter().all(|word| err.to_string().contains(word)), "{err}");
        };
        refused(Objective::new(pair.clone()), &["loss: ", "scalar", "[1, 2]", "mean"]);
        refused(objective().metric("kl", pair), &["metric \"kl\"", "[1, 2]", "mean"]);
        refused(objective().metric("hits", whole), &["metric \"hits\"", "I32", "to_f32()"]);
        for name in ["", "loss", "a"] {
            let named = objective().metric("a", one.clone()).metric(name, one.clone());
            refused(named, &["metric 1", &format!("\"{name}\""), "unique"]);
        }
    }
}
