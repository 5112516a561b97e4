//! Gradients that are known: the loss Σ gᵢwᵢ has the gradient g, whatever the weights. Each sample is a g, batches have one.

use super::nets::{self, Trained};
use crate::compile::{Batch, Objective, TrainOptions};
use crate::data::Sampling;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::graph::Init;
use crate::nn::Net;
use crate::optim::{Optimizer, Update};
use crate::train::Variant;

/// Steps of an optimizer along known gradients.
pub(super) struct Course {
    /// The gradient of each step, begun again where it ends.
    pub gradients: Vec<Vec<f64>>,
    /// The value of all weights before the first step.
    pub start: f64,
}

impl Course {
    /// The weights before each step and after the last, for each optimizer: `weights[optimizer][step][weight]`.
    pub fn weights(&self, gpu: &Gpu, updates: &[Update], steps: usize) -> Result<Vec<Vec<Vec<f64>>>> {
        let count = self.gradients[0].len();
        let data = nets::samples("gradients", &self.gradients, &vec![0.0; self.gradients.len()])?;
        let start = self.start as f32;
        let step = move |net: &Net, batch: &Batch| {
            let w = net.parameter("w", [count], Init::Constant(start));
            let loss = batch.x().mul(&w).sum_all();
            (0..count).fold(Objective::new(loss), |objective, i| {
                objective.metric(format!("w{i}"), w.slice(0, i, i + 1).sum_all())
            })
        };
        // A step reports the weights before it, so one more is made.
        let options = TrainOptions { sampling: Sampling::File, ..nets::options(1, steps + 1, 0) };
        let variants: Vec<Variant> = updates.iter().map(|u| Variant::new("", u.clone(), &options)).collect();
        // Optimizers with other state have other plans: a fleet of each kind would be one of one.
        let mut out = Vec::new();
        for variant in &variants {
            let trained = &nets::train(gpu, &data, &step, std::slice::from_ref(variant), None)?[0];
            out.push(traces(trained, count));
        }
        Ok(out)
    }

    /// [`Course::weights`] of optimizers without groups or schedules.
    pub fn weights_of(
        &self,
        gpu: &Gpu,
        optimizers: &[Optimizer],
        steps: usize,
    ) -> Result<Vec<Vec<Vec<f64>>>> {
        let updates: Vec<Update> = optimizers.iter().cloned().map(Update::new).collect();
        self.weights(gpu, &updates, steps)
    }
}

fn traces(trained: &Trained, count: usize) -> Vec<Vec<f64>> {
    let columns: Vec<Vec<f64>> = (0..count).map(|i| trained.metric(&format!("w{i}"))).collect();
    (0..trained.losses().len()).map(|t| columns.iter().map(|c| c[t]).collect()).collect()
}

/// The change of a weight in each step.
pub(super) fn changes(weights: &[Vec<f64>], weight: usize) -> Vec<f64> {
    weights.windows(2).map(|pair| pair[1][weight] - pair[0][weight]).collect()
}

/// Points (step, value), the first step being 1.
pub(super) fn by_step(values: &[f64]) -> Vec<(f64, f64)> {
    values.iter().enumerate().map(|(i, v)| (i as f64 + 1.0, *v)).collect()
}
