//! Samples mixed in pairs.

use crate::graph::{DType, Graph, Tensor};
use crate::nn::Net;
use crate::shape::Shape;

/// A minibatch of samples mixed in pairs, which also mixes its loss.
#[derive(Debug, Clone)]
pub struct Mixup {
    x: Tensor,
    mix: Option<Mix>,
}

#[derive(Debug, Clone)]
struct Mix {
    /// A scalar.
    lambda: Tensor,
    /// The number of each sample's partner, i32 \[n\].
    partner: Tensor,
}

/// Each sample times λ plus another sample of the batch times 1 − λ. λ is drawn from Beta(alpha, alpha) once a batch.
/// Samples have any shape.
///
/// The partner of sample i is i + k of n samples, from the front again past the end, k uniform in 1 to n − 1: batches
/// are shuffled, so pairs are random, and none is its own partner. A micro-batch is a batch of its own here. A batch of
/// one sample stays as it is.
///
/// Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"; they pair at random without the rotation.
///
/// ```
/// use downhill::nn::augment::mixup;
/// use downhill::prelude::*;
///
/// fn step(net: &Net, batch: &Batch) -> Tensor {
///     let mixed = mixup(net, batch.x(), 0.2);
///     let y = net.linear("out", &mixed.x().flatten(), 10);
///     mixed.loss(batch.t(), |t| loss::cross_entropy(&y, t, &CrossEntropy::default()))
/// }
/// ```
pub fn mixup(net: &Net, x: &Tensor, alpha: f64) -> Mixup {
    let plain = |x: Tensor| Mixup { x, mix: None };
    if let Some(fault) = super::faults::alpha(alpha) {
        return plain(x.fail(format!("mixup {fault}")));
    }
    let (Some(&n), DType::F32) = (x.shape().first(), x.dtype()) else {
        return plain(x.fail(format!(
            "mixup needs a batch of f32 samples; got {:?} {:?}",
            x.dtype(),
            x.shape()
        )));
    };
    if !net.training() || n < 2 {
        return plain(x.clone());
    }
    let graph = net.graph();
    graph.note_batch_statistics();
    let lambda = graph.random_beta(alpha, []).materialized();
    let mix = Mix { partner: partner(graph, n), lambda };
    // Every sample is read twice.
    let x = x.clone().materialized_below();
    let other = x.index_select(0, &mix.partner);
    Mixup { x: other.add(&mix.lambda.mul(&x.sub(&other))), mix: Some(mix) }
}

/// i + k modulo n, i32 \[n\], k of 1 to n − 1.
fn partner(graph: &Graph, n: usize) -> Tensor {
    let count = |n: usize| graph.constant(n as f32);
    let by = super::whole(&graph.random_uniform([1]), &count(n - 1)).add_scalar(1.0);
    let at = graph.iota(0, &Shape::from([n])).to_f32().add(&by);
    at.sub(&at.ge(&count(n)).mul(&count(n))).to_i32()
}

impl Mixup {
    /// The mixed samples.
    pub fn x(&self) -> &Tensor {
        &self.x
    }

    /// λ·loss(t) + (1 − λ)·loss(the partners' t), of the targets `t` of the samples as they were; in evaluation loss(t).
    pub fn loss(&self, t: &Tensor, loss: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let own = loss(t);
        let Some(Mix { lambda, partner }) = &self.mix else { return own };
        let other = loss(&t.index_select(0, partner));
        other.add(&lambda.mul(&own.sub(&other)))
    }
}
