//! The outputs and targets that the metrics of an evaluation compare, as the loss reads them.

use super::accuracy::is_classification;
use crate::graph::{CrossEntropyAttrs, DType, Graph, Reading, Tensor};
use crate::shape::Shape;

/// Outputs and targets.
pub(super) enum Targets {
    Classes(Classes),
    Labels(Labels),
    Numbers(Numbers),
    /// The distributions that `kl_div` compares.
    Distributions,
}

/// An output for each class.
pub(super) struct Classes {
    /// [rows, classes]
    pub output: Tensor,
    /// i32 [rows]
    pub target: Tensor,
    /// [rows]: 1, or 0 where the loss ignores the target; none where it ignores nothing.
    pub kept: Option<Tensor>,
    /// The cross-entropy of each row, where the loss is one; 0 where it ignores the target.
    pub losses: Option<Tensor>,
}

impl Classes {
    pub fn rows(&self) -> usize {
        self.output.shape()[0]
    }

    pub fn classes(&self) -> usize {
        self.output.shape()[1]
    }
}

/// Labels that hold or not, [rows, labels] of both.
pub(super) struct Labels {
    pub output: Tensor,
    pub target: Tensor,
}

/// Numbers, [samples, outputs] of both.
pub(super) struct Numbers {
    pub output: Tensor,
    pub target: Tensor,
}

impl Targets {
    /// Finds the output and target of the graph's one loss. `plain` holds the output of a model and its target, where it
    /// has one output.
    ///
    /// # Errors
    /// The reason that they cannot be found.
    pub fn find(graph: &Graph, plain: Option<(&Tensor, &Tensor)>) -> Result<Targets, String> {
        let noted = graph.losses();
        if noted.len() > 1 {
            return Err(format!(
                "the model function computes {} losses, and output and target are looked for at one; an Objective's own \
                 metrics tell of several",
                noted.len()
            ));
        }
        let labelled = plain.filter(|(y, t)| t.dtype() == DType::I32 && is_classification(y, t));
        match (noted.into_iter().next(), labelled, plain) {
            (Some((output, target, reading @ (Reading::Logits(_) | Reading::LogProbabilities(_)))), ..) => {
                Ok(Self::classes(&output, &target, Some(reading)))
            }
            // The loss sees them one-hot.
            (_, Some((output, target)), _) => Ok(Self::classes(output, target, None)),
            (Some((output, target, Reading::Labels)), ..) => {
                let labels = if output.shape().len() > 1 { output.shape().last().copied() } else { None };
                let labels = labels.unwrap_or(1);
                let rows = Shape::from(output.shape()).elements() / labels.max(1);
                let [output, target] = [output, target].map(|x| x.reshape([rows, labels]));
                Ok(Targets::Labels(Labels { output, target }))
            }
            (Some((output, target, Reading::Numbers)), ..) => Ok(Self::numbers(&output, &target)),
            (Some((_, _, Reading::Distribution)), ..) => Ok(Targets::Distributions),
            (None, None, Some((output, target)))
                if target.dtype() == DType::F32 && output.shape() == target.shape() =>
            {
                Ok(Self::numbers(output, target))
            }
            (None, None, Some((output, target))) => Err(format!(
                "the output is {:?} {:?} and the target {:?} {:?}: classes [n, ..] under an output [n, .., classes], or \
                 numbers of the output's shape, are needed",
                output.dtype(),
                output.shape(),
                target.dtype(),
                target.shape()
            )),
            (None, None, None) => {
                Err("the model function computes none of the losses of nn::loss, so that output and \
                                       target are not known; an Objective's own metrics take any tensors"
                    .into())
            }
        }
    }

    fn numbers(output: &Tensor, target: &Tensor) -> Targets {
        let samples = output.shape().first().copied().unwrap_or(1);
        let each = Shape::from(output.shape()).elements() / samples.max(1);
        let [output, target] = [output, target].map(|x| x.reshape([samples, each]));
        Targets::Numbers(Numbers { output, target })
    }

    fn classes(output: &Tensor, target: &Tensor, reading: Option<Reading>) -> Targets {
        let rows = Shape::from(target.shape()).elements();
        let classes = output.shape().last().copied().unwrap_or(1);
        let (output, target) = (output.reshape([rows, classes]), target.reshape([rows]));
        let Some(Reading::Logits(ignored) | Reading::LogProbabilities(ignored)) = reading else {
            return Targets::Classes(Classes { output, target, kept: None, losses: None });
        };
        let kept = ignored.map(|ignored| target.ne_i32(ignored));
        let losses = if let Some(Reading::Logits(_)) = reading {
            // The very rows of the loss, where it smooths no labels.
            let attrs = CrossEntropyAttrs { label_smoothing: 0.0.into(), ignore_index: ignored };
            output.cross_entropy_rows(&target, attrs)
        } else {
            let all = output.gather(1, &target.reshape([rows, 1])).neg().reshape([rows]);
            match &kept {
                Some(kept) => kept.select(&all, &output.graph().constant(0.0)),
                None => all,
            }
        };
        Targets::Classes(Classes { output, target, kept, losses: Some(losses) })
    }

    /// The count of targets: each label or number counts, ignored ones too.
    pub fn count(&self) -> usize {
        let target = match self {
            Targets::Classes(of) => &of.target,
            Targets::Labels(of) => &of.target,
            Targets::Numbers(of) => &of.target,
            Targets::Distributions => return 0,
        };
        Shape::from(target.shape()).elements()
    }

    /// Describes the targets, for an error text after "and".
    pub fn describe(&self) -> &'static str {
        match self {
            Targets::Classes(Classes { losses: Some(_), .. }) => "the targets are classes",
            Targets::Classes(_) => "the targets are classes under another loss",
            Targets::Labels(_) => "the loss is bce_with_logits, of labels that hold or not",
            Targets::Numbers(_) => "the targets are numbers",
            Targets::Distributions => "the loss is kl_div, of distributions",
        }
    }
}
