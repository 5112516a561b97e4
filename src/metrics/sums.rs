//! The sums over a batch that each metric is made of, in tensor operations.

use super::accuracy;
use super::metric::Metric;
use super::targets::{Classes, Labels, Numbers, Targets};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::shape::Shape;

/// Classes of a confusion matrix, at most.
const CONFUSED: usize = 1000;

/// A sum over the targets of a batch, or one for each class, label or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// Targets that are not ignored.
    Kept,
    /// Targets among the first k predictions.
    Right(usize),
    /// For each class: its right predictions.
    Hit,
    /// For each class: its predictions.
    Said,
    /// For each class: its targets.
    True,
    /// For each class and each prediction: their count.
    Confusion,
    /// |output − target|
    Absolute,
    /// (output − target)²
    Squared,
    /// For each output: an approximate mean of its targets.
    Mean,
    /// For each output: target − that mean.
    Offset,
    /// For each output: (target − that mean)².
    Spread,
    /// For each output: (output − target)².
    Residual,
    /// Cross-entropy.
    Entropy,
}

/// Sums with their tensors.
type Added = Vec<(Sum, Tensor)>;

/// The sums that a metric is made of.
///
/// # Errors
/// [`Error::Config`] with the metric's needs, where outputs and targets are something else.
pub(super) fn sums_of(metric: &Metric, subject: &Targets) -> Result<Added> {
    let refused = |needs: &str| {
        let (key, have) = (metric.key(), subject.describe());
        Err(Error::Config(format!("eval.metrics: {key} needs {needs}, and {have}")))
    };
    match (metric, subject) {
        (Metric::Accuracy, Targets::Classes(of)) => Ok(of.right(1)),
        (Metric::Accuracy, Targets::Labels(of)) => Ok(of.right()),
        (Metric::TopK { k }, Targets::Classes(of)) => Ok(of.right(*k)),
        (Metric::Precision { .. } | Metric::Recall { .. } | Metric::F1 { .. }, Targets::Classes(of)) => {
            Ok(of.by_class())
        }
        (Metric::Precision { .. } | Metric::Recall { .. } | Metric::F1 { .. }, Targets::Labels(of)) => {
            Ok(of.by_label())
        }
        (Metric::ConfusionMatrix, Targets::Classes(of)) => of.confusion(),
        (Metric::Mae, Targets::Numbers(of)) => Ok(vec![(Sum::Absolute, of.off().abs().sum_all())]),
        (Metric::Rmse, Targets::Numbers(of)) => Ok(vec![(Sum::Squared, of.off().square().sum_all())]),
        (Metric::R2, Targets::Numbers(of)) => Ok(of.moments()),
        (
            Metric::Perplexity | Metric::BitsPerCharacter,
            Targets::Classes(of @ Classes { losses: Some(losses), .. }),
        ) => Ok(of.counted((Sum::Entropy, losses.sum_all()))),
        (Metric::Perplexity | Metric::BitsPerCharacter, _) => refused("the loss cross_entropy or nll"),
        (Metric::TopK { .. } | Metric::ConfusionMatrix, _) => refused("targets that are classes"),
        (Metric::Mae | Metric::Rmse | Metric::R2, _) => {
            refused("targets that are numbers, of the output's shape")
        }
        (_, _) => refused("targets that are classes, or labels under bce_with_logits"),
    }
}

impl Classes {
    /// x, 0 where the target is ignored.
    fn masked(&self, x: Tensor, shape: &[usize]) -> Tensor {
        match &self.kept {
            Some(kept) => x.mul(&kept.reshape(shape)),
            None => x,
        }
    }

    /// Adds the count of targets that are not ignored, where it is not known.
    fn counted(&self, sum: (Sum, Tensor)) -> Added {
        let kept = self.kept.iter().map(|kept| (Sum::Kept, kept.sum_all()));
        kept.chain([sum]).collect()
    }

    fn right(&self, among: usize) -> Added {
        let right = self.masked(accuracy::in_top_k(&self.output, &self.target, among), &[self.rows()]);
        self.counted((Sum::Right(among), right.sum_all()))
    }

    /// [rows, classes]: 1 at the first of the largest outputs of a row; nowhere where one is NaN.
    fn said(&self) -> Tensor {
        let (output, classes) = (&self.output, self.classes());
        let class = output.graph().iota(1, &Shape::from(output.shape())).to_f32();
        let past = output.graph().constant(-(classes as f32));
        let first = output.eq(&output.amax(&[1], true)).select(&class.neg(), &past).amax(&[1], true).neg();
        self.masked(class.eq(&first), &[self.rows(), 1])
    }

    /// [rows, classes]: 1 at the target.
    fn truth(&self) -> Tensor {
        self.masked(self.target.one_hot(self.classes()), &[self.rows(), 1])
    }

    fn by_class(&self) -> Added {
        by_column(&self.said(), &self.truth())
    }

    fn confusion(&self) -> Result<Added> {
        let classes = self.classes();
        if classes > CONFUSED {
            return Err(Error::Config(format!(
                "eval.metrics: confusion_matrix of {classes} classes: at most {CONFUSED} are counted against each other; \
                 precision, recall and f1 take any number"
            )));
        }
        Ok(vec![(Sum::Confusion, self.truth().transpose(0, 1).matmul(&self.said()))])
    }
}

impl Labels {
    fn said(&self) -> Tensor {
        self.output.gt(&self.output.graph().constant(0.0))
    }

    fn truth(&self) -> Tensor {
        self.target.gt(&self.target.graph().constant(0.5))
    }

    fn right(&self) -> Added {
        // NaN is on neither side.
        let not_said = self.output.le(&self.output.graph().constant(0.0));
        vec![(Sum::Right(1), self.truth().select(&self.said(), &not_said).sum_all())]
    }

    fn by_label(&self) -> Added {
        by_column(&self.said(), &self.truth())
    }
}

impl Numbers {
    fn off(&self) -> Tensor {
        self.output.sub(&self.target)
    }

    fn moments(&self) -> Added {
        // From the first target on, so that the mean of equal ones is theirs to the bit.
        let first = self.target.slice(0, 0, 1);
        let mean = first.add(&self.target.sub(&first).mean(&[0], true));
        let from_mean = self.target.sub(&mean);
        let residual = self.off().square().sum(&[0], false);
        let (offset, spread) = (from_mean.sum(&[0], false), from_mean.square().sum(&[0], false));
        vec![(Sum::Mean, mean), (Sum::Offset, offset), (Sum::Spread, spread), (Sum::Residual, residual)]
    }
}

/// Sums over rows: the predictions, the targets, and their matches.
fn by_column(said: &Tensor, truth: &Tensor) -> Added {
    let over_rows = |x: &Tensor| x.sum(&[0], false);
    vec![(Sum::Hit, over_rows(&said.mul(truth))), (Sum::Said, over_rows(said)), (Sum::True, over_rows(truth))]
}
