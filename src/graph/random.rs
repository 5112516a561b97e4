//! Random numbers, drawn anew each step.
//!
//! [`Op::Random`] prints a hash of (seed, step, stream, element) into any kernel that reads it. The step comes from the
//! words of the step state ([`Clock`](super::Clock)). Forward and backward pass draw the same numbers, and so does a
//! resumed run; nothing is stored.

use std::f32::consts::TAU;

use super::{DType, Graph, Op, Tensor};
use crate::shape::Shape;

impl Graph {
    /// Numbers uniform in [0, 1), new ones each step. They depend on the run's seed, the step, the number of calls before
    /// this one and the element's index alone. Nothing is stored, and a resumed run draws the same.
    pub fn random_uniform(&self, shape: impl Into<Shape>) -> Tensor {
        let stream = self.inner.borrow().streams;
        self.inner.borrow_mut().streams += 1;
        self.push(Op::Random(stream), &[&self.clock()], shape.into(), DType::F32)
    }

    /// Numbers from N(0, 1), made of two calls of [`Graph::random_uniform`], u and v: √(−2 ln u) · cos 2πv, which is
    /// within ±5.8. Source: Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
    pub fn random_normal(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        let [u, v] = [0, 1].map(|_| self.random_uniform(shape.clone()));
        // 1 − u is never 0.
        let radius = u.neg().add_scalar(1.0).log().mul_scalar(-2.0).sqrt();
        radius.mul(&v.mul_scalar(TAU).cos())
    }

    /// Numbers from Beta(alpha, alpha), alpha above 0, made of two calls of [`Graph::random_uniform`], u and v.
    ///
    /// (1 + c·√((1 − q)/((1 − q)c² + q)))/2 with q = u^(1/alpha) and c = cos 2πv: t/√(ν + t²) brought to [0, 1] of a
    /// Student t in polar form with ν = 2·alpha degrees of freedom. Sources: Bailey, "Polar Generation of Random Variates
    /// with the t-Distribution", 1994; Devroye, "Random Variate Generation in One Line of Code", 1996.
    pub fn random_beta(&self, alpha: f64, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if !(alpha > 0.0 && alpha.is_finite()) {
            self.fail(format!("Beta({alpha}, {alpha}): a number above 0 is needed"));
        }
        let [u, v] = [0, 1].map(|_| self.random_uniform(shape.clone()));
        // 1 − u is never 0. q may become so, and c² is 1e-15 or more: the lower bound keeps 0/0 out should a cosine be 0.
        // A power or a root may round past 1.
        let q = u.neg().add_scalar(1.0).pow_scalar((1.0 / alpha) as f32).clamp(1e-30, 1.0);
        let (c, rest) = (v.mul_scalar(TAU).cos(), 1.0 - &q);
        let spread = rest.div(&rest.mul(&c.square()).add(&q)).sqrt();
        c.mul(&spread).mul_scalar(0.5).add_scalar(0.5).clamp(0.0, 1.0)
    }
}
