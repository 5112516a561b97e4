//! Facts about losses and batches that a graph collects while it is built.

use super::NodeId;

/// What a loss takes its output to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Logits of classes, the last axis; targets of this number are left out.
    Logits(Option<i32>),
    /// Log-probabilities of classes, the last axis; targets of this number are left out.
    LogProbabilities(Option<i32>),
    /// Log-probabilities, against a distribution.
    Distribution,
    /// Logits of labels that hold or not, each for itself.
    Labels,
    /// Numbers, against numbers.
    Numbers,
}

/// What was noted while the graph was built.
#[derive(Debug, Default)]
pub(super) struct LossInfo {
    /// A loss is no mean over samples: a sum, or a mean over as many terms as the data say.
    pub uneven: bool,
    /// Samples of a batch are not apart from each other.
    pub batch_statistics: bool,
    /// The outputs and targets of losses.
    pub losses: Vec<(NodeId, NodeId, Reading)>,
    /// The outputs of relu.
    pub relu_outputs: Vec<NodeId>,
}
