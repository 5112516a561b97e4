//! Dropout: zeros at random, so that no feature depends on another.

use super::Net;
use crate::graph::Tensor;

impl Net {
    /// In training each element is 0 with probability p, else x/(1 − p); in evaluation x itself.
    ///
    /// The mask is drawn from (seed, step, number of the call, element). It is computed where it is read, forward and backward,
    /// and never stored. Source: Srivastava et al. 2014, `torch.nn.Dropout`; the random numbers differ from torch's.
    pub fn dropout(&self, x: &Tensor, p: f64) -> Tensor {
        self.drop(x, p, x.shape().to_vec())
    }

    /// [`Net::dropout`] of whole channels of x [n, c, ..]. Source: `torch.nn.Dropout2d`.
    pub fn dropout2d(&self, x: &Tensor, p: f64) -> Tensor {
        let mut shape = x.shape().to_vec();
        if shape.len() < 3 {
            return x.fail(format!("dropout2d needs an input [batch, channels, ..]; got {shape:?}"));
        }
        shape[2..].fill(1);
        self.drop(x, p, shape)
    }

    fn drop(&self, x: &Tensor, p: f64, mask: Vec<usize>) -> Tensor {
        if !(0.0..=1.0).contains(&p) {
            return x.fail(format!("dropout p = {p}: from 0 to 1"));
        }
        if !self.training() || p == 0.0 {
            return x.clone();
        }
        if p == 1.0 {
            return x.mul_scalar(0.0);
        }
        let graph = self.graph();
        let keep = graph.random_uniform(mask).ge(&graph.constant(p as f32));
        keep.select(&x.mul_scalar((1.0 / (1.0 - p)) as f32), &graph.constant(0.0))
    }
}
