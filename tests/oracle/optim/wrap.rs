//! What goes around an update: clipping before it, averages of the weights after it.

use super::layerwise::norm;
use crate::oracle::Array;

/// Every gradient times min(1, max/(‖g‖ + 1e-6)), the norm over all tensors together.
pub fn clip_norm(gradients: &mut [Array], max_norm: f64) {
    let norms: Vec<f64> = gradients.iter().map(|g| norm(&g.data)).collect();
    let factor = (max_norm / (norm(&norms) + 1e-6)).min(1.0);
    gradients.iter_mut().for_each(|g| *g = g.map(|g| g * factor));
}

/// Every element into [−bound, bound].
pub fn clip_value(gradients: &mut [Array], bound: f64) {
    gradients.iter_mut().for_each(|g| *g = g.map(|g| g.clamp(-bound, bound)));
}

#[derive(Clone, Copy, Debug)]
pub enum Averaging {
    /// avg = d·avg + (1−d)·w, d being this.
    Ema(f64),
    /// The mean of all w so far.
    Swa,
}

/// The average of the weights; the first ones are copied.
#[derive(Clone, Debug)]
pub struct Average {
    how: Averaging,
    count: usize,
    weights: Vec<Array>,
}

impl Average {
    pub fn new(how: Averaging) -> Self {
        Self { how, count: 0, weights: Vec::new() }
    }

    /// Takes in the weights after an update.
    pub fn update(&mut self, w: &[Array]) {
        self.count += 1;
        if self.count == 1 {
            self.weights = w.to_vec();
            return;
        }
        let kept = match self.how {
            Averaging::Ema(decay) => decay,
            Averaging::Swa => 1.0 - 1.0 / self.count as f64,
        };
        for (average, w) in self.weights.iter_mut().zip(w) {
            *average = Array::from_fn(&w.shape, |at| kept * average.at(at) + (1.0 - kept) * w.at(at));
        }
    }

    pub fn weights(&self) -> &[Array] {
        &self.weights
    }
}
