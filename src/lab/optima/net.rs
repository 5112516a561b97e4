//! Nets of one hidden layer for digits: their losses, and the products of Hessians with vectors.

use super::super::nets::inputs_and_labels;
use super::super::statistics::Chance;
use crate::compile::{Batch, Objective};
use crate::data::{self, Dataset, Part};
use crate::error::Result;
use crate::gpu::Gpu;
use crate::graph::{Graph, Tensor};
use crate::nn::Net;
use crate::plan::{Function, NamedTensor, Value};

/// Classes of digits.
const CLASSES: usize = 10;

/// The loss of a batch: net, inputs, targets.
pub(super) type Loss<'a> = dyn Fn(&Net, &Tensor, &Tensor) -> Tensor + 'a;

/// The mean of −log p of the right class, written out: the engine's own cross-entropy has no second derivative.
fn cross_entropy(logits: &Tensor, t: &Tensor) -> Tensor {
    logits.log_softmax(&[-1]).mul(&t.one_hot(CLASSES)).sum(&[-1], false).mean_all().neg()
}

/// A net of one hidden layer of ReLU, with cross-entropy.
pub(super) fn relu_net(width: usize) -> impl Fn(&Net, &Tensor, &Tensor) -> Tensor {
    move |net, x, t| {
        let h = net.linear("hidden", &x.flatten(), width).relu();
        cross_entropy(&net.linear("out", &h, CLASSES), t)
    }
}

/// A net of one hidden layer of tanh, with cross-entropy.
pub(super) fn tanh_net(width: usize) -> impl Fn(&Net, &Tensor, &Tensor) -> Tensor {
    move |net, x, t| {
        let h = net.linear("hidden", &x.flatten(), width).tanh();
        cross_entropy(&net.linear("out", &h, CLASSES), t)
    }
}

/// A net of one hidden layer of tanh, with half the squared distance from 1 at the right class and 0 at the others.
pub(super) fn squared_net(width: usize) -> impl Fn(&Net, &Tensor, &Tensor) -> Tensor {
    move |net, x, t| {
        let h = net.linear("hidden", &x.flatten(), width).tanh();
        let distance = net.linear("out", &h, CLASSES).sub(&t.one_hot(CLASSES));
        distance.square().sum(&[-1], false).mean_all().mul_scalar(0.5)
    }
}

/// The loss as a step that trains.
pub(super) fn step<'a>(loss: &'a Loss<'a>) -> impl Fn(&Net, &Batch) -> Objective + 'a {
    move |net, batch| Objective::new(loss(net, batch.x(), batch.t()))
}

/// Some of the digits, drawn at random.
pub(super) fn digits(samples: usize, seed: u64) -> Result<Dataset> {
    let train = data::digits()?.train().clone();
    let rows = Chance::new(seed).without_replacement(samples, train.len());
    let rows: Vec<u32> = rows.into_iter().map(|row| row as u32).collect();
    Dataset::new("digits", train.select(&rows)?, None, Some(CLASSES))
}

/// The samples of a part as a function takes them.
struct Samples {
    x: Vec<f32>,
    t: Vec<i32>,
}

impl Samples {
    fn new(part: &Part) -> Result<Samples> {
        let (x, t) = inputs_and_labels(part)?;
        Ok(Samples { x, t })
    }

    /// The inputs of a graph for all samples of a part, with the loss.
    fn graph(part: &Part, loss: &Loss<'_>) -> (Graph, Tensor) {
        let graph = Graph::new();
        let shape = [&[part.len()], &part.inputs().shape()[..]].concat();
        let (x, t) = (graph.input("x", shape), graph.input_i32("t", [part.len()]));
        let loss = loss(&Net::new(&graph, true), &x, &t);
        (graph, loss)
    }

    fn values(&self) -> [(&str, Value<'_>); 2] {
        [("x", Value::F32(&self.x)), ("t", Value::I32(&self.t))]
    }
}

/// The loss over all samples by the weights.
pub(super) struct WholeLoss {
    function: Function,
    samples: Samples,
}

impl WholeLoss {
    pub fn new(gpu: &Gpu, loss: &Loss<'_>, part: &Part) -> Result<WholeLoss> {
        let (graph, loss) = Samples::graph(part, loss);
        Ok(WholeLoss { function: Function::new(gpu, &graph, &[&loss])?, samples: Samples::new(part)? })
    }

    /// The loss at these weights.
    pub fn at(&mut self, weights: &[NamedTensor]) -> Result<f64> {
        self.function.load_state_dict(weights)?;
        Ok(f64::from(self.function.call(&self.samples.values())?[0][0]))
    }
}

/// The Hessian of the loss over all samples.
pub(super) struct Hessian {
    function: Function,
    samples: Samples,
    /// Rows and columns.
    pub size: usize,
}

impl Hessian {
    pub fn new(gpu: &Gpu, loss: &Loss<'_>, part: &Part) -> Result<Hessian> {
        let (graph, loss) = Samples::graph(part, loss);
        let parameters: Vec<Tensor> =
            graph.parameters().iter().map(|p| graph.parameter_of(&p.name)).collect();
        let parameters: Vec<&Tensor> = parameters.iter().collect();
        let count = |t: &Tensor| t.shape().iter().product::<usize>();
        let size = parameters.iter().map(|p| count(p)).sum();
        let vector = graph.input("vector", [size]);
        // The gradient of the slope along the vector.
        let (mut slope, mut from) = (graph.constant(0.0), 0);
        for (parameter, gradient) in parameters.iter().zip(graph.grad(&loss, &parameters)) {
            let part = vector.slice(0, from, from + count(parameter)).reshape(parameter.shape());
            slope = slope.add(&gradient.mul(&part).sum_all());
            from += count(parameter);
        }
        let columns: Vec<Tensor> =
            graph.grad(&slope, &parameters).iter().map(|t| t.reshape([count(t)])).collect();
        let product = Tensor::concat(&columns.iter().collect::<Vec<_>>(), 0);
        Ok(Hessian { function: Function::new(gpu, &graph, &[&product])?, samples: Samples::new(part)?, size })
    }

    /// Moves to these weights.
    pub fn move_to(&mut self, weights: &[NamedTensor]) -> Result<()> {
        self.function.load_state_dict(weights)
    }

    /// The product with a vector, computed in f32.
    pub fn times(&mut self, vector: &[f64]) -> Result<Vec<f64>> {
        let vector: Vec<f32> = vector.iter().map(|v| *v as f32).collect();
        let [x, t] = self.samples.values();
        let product = self.function.call(&[x, t, ("vector", Value::F32(&vector))])?;
        Ok(product[0].iter().map(|v| f64::from(*v)).collect())
    }
}

/// A net between two: `a` at 0, `b` at 1.
pub(super) fn between(a: &[NamedTensor], b: &[NamedTensor], part: f64) -> Vec<NamedTensor> {
    let mix = |(a, b): (&f32, &f32)| (f64::from(*a) * (1.0 - part) + f64::from(*b) * part) as f32;
    a.iter()
        .zip(b)
        .map(|(a, b)| NamedTensor { values: a.values.iter().zip(&b.values).map(mix).collect(), ..a.clone() })
        .collect()
}
