//! Facts about losses and batches that a graph collects while it is built.

use super::NodeId;

/// The meaning of a loss's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Logits of classes along the last axis; targets of this number are ignored.
    Logits(Option<i32>),
    /// Log-probabilities of classes along the last axis; targets of this number are ignored.
    LogProbabilities(Option<i32>),
    /// Log-probabilities; the target is a distribution.
    Distribution,
    /// Logits of labels that are independent of each other.
    Labels,
    /// Numbers; the targets are numbers too.
    Numbers,
}

/// Facts noted while the graph is built.
#[derive(Debug, Default)]
pub(super) struct LossInfo {
    /// A loss is no mean over samples: it is a sum, or a mean over a number of terms that depends on the data.
    pub uneven: bool,
    /// The samples of a batch depend on each other.
    pub batch_statistics: bool,
    /// The output, target and reading of each loss.
    pub losses: Vec<(NodeId, NodeId, Reading)>,
    /// The outputs of relu.
    pub relu_outputs: Vec<NodeId>,
}
