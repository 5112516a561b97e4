//! Random numbers, drawn anew each step.

use std::f32::consts::TAU;

use super::{DType, Graph, Op, Tensor};
use crate::shape::Shape;

impl Graph {
    /// Numbers uniform in [0, 1), new ones each step: from the run's seed, the step, how many calls came before this
    /// one, and the element's index alone. Nothing is stored, and a resumed run draws the same.
    pub fn random_uniform(&self, shape: impl Into<Shape>) -> Tensor {
        let stream = self.inner.borrow().streams;
        self.inner.borrow_mut().streams += 1;
        self.push(Op::Random(stream), &[&self.clock()], shape.into(), DType::F32)
    }

    /// Numbers N(0, 1), drawn as [`Graph::random_uniform`] draws its own, two calls of which it is worth: √(−2 ln u)
    /// · cos 2πv, which lies within ±5.8. Source: Box and Muller, "A Note on the Generation of Random Normal
    /// Deviates", 1958.
    pub fn random_normal(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let [u, v] = [0, 1].map(|_| self.random_uniform(shape.clone()));
        // 1 − u is never 0.
        let radius = u.neg().add_scalar(1.0).log().mul_scalar(-2.0).sqrt();
        radius.mul(&v.mul_scalar(TAU).cos())
    }
}
