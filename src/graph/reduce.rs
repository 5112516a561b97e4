//! Reductions over any axes, and the stable compositions on top of them.

use super::{DType, Fold, Op, Tensor};

impl Tensor {
    fn fold(&self, fold: Fold, axes: &[isize], keepdim: bool) -> Tensor {
        if self.dtype != DType::F32 {
            return self.fail(format!("{fold:?} of an i32 tensor"));
        }
        if self.shape.elements() == 0 {
            return self.fail(format!("{fold:?} of an empty tensor of shape {}", self.shape));
        }
        let Some(axes) = self.axes(axes) else { return self.clone() };
        let kept = self.shape.reduced(&axes, true);
        let out = self.shape.reduced(&axes, keepdim);
        // A sum over a batch of one stays a sum: with a weight's gradient it costs nothing, as over any batch.
        let batch_of_one = fold == Fold::Sum && axes == [0];
        if kept == self.shape && !batch_of_one {
            return self.reshape(out);
        }
        if let Some((source, perm)) = self.permutation() {
            let inner: Vec<isize> = axes.iter().map(|&a| perm[a] as isize).collect();
            return source.fold(fold, &inner, true).permute(&perm).reshape(out);
        }
        self.graph.push(Op::Reduce(fold, axes), &[self], kept, DType::F32).reshape(out)
    }

    /// Sum over axes; none means all of them.
    pub fn sum(&self, axes: &[isize], keepdim: bool) -> Tensor {
        self.fold(Fold::Sum, axes, keepdim)
    }

    /// Sum of everything, a scalar.
    pub fn sum_all(&self) -> Tensor {
        self.sum(&[], false)
    }

    /// Mean over axes; none means all of them.
    pub fn mean(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let sum = self.sum(axes, keepdim);
        let n = self.shape.elements() as f64 / sum.shape.elements().max(1) as f64;
        sum.mul_scalar((1.0 / n) as f32)
    }

    /// Mean of everything, a scalar.
    pub fn mean_all(&self) -> Tensor {
        self.mean(&[], false)
    }

    /// Maximum over axes; the gradient is shared evenly among equal maxima (`torch.amax`).
    pub fn amax(&self, axes: &[isize], keepdim: bool) -> Tensor {
        self.fold(Fold::Max, axes, keepdim)
    }

    /// log Σ eˣ over axes, without overflow.
    pub fn logsumexp(&self, axes: &[isize], keepdim: bool) -> Tensor {
        let Some(resolved) = self.axes(axes) else { return self.clone() };
        // An infinite maximum is not subtracted: ∞ − ∞ has no value, and the exponentials are right without.
        let max = self.amax(axes, true).detach();
        let finite = max.abs().le(&self.graph.constant(f32::MAX));
        let max = finite.select(&max, &self.graph.constant(0.0));
        let sum = self.sub(&max).exp().sum(axes, true);
        sum.log().add(&max).reshape(self.shape.reduced(&resolved, keepdim))
    }

    /// eˣ / Σ eˣ over axes, without overflow.
    pub fn softmax(&self, axes: &[isize]) -> Tensor {
        let exp = self.sub(&self.amax(axes, true).detach()).exp();
        exp.div(&exp.sum(axes, true))
    }

    /// log softmax over axes, without overflow: (x − max) − log Σ e^(x − max).
    pub fn log_softmax(&self, axes: &[isize]) -> Tensor {
        let shifted = self.sub(&self.amax(axes, true).detach());
        shifted.sub(&shifted.exp().sum(axes, true).log())
    }
}
