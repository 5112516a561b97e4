//! What a graph is not free to do with a batch, what its losses are of, and where it is rectified.

use super::{Graph, NodeId, Tensor};

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
pub(super) struct Notes {
    /// A loss is no mean over samples: a sum, or a mean over as many terms as the data say.
    uneven: bool,
    /// Samples of a batch are not apart from each other.
    batch_statistics: bool,
    /// The outputs and targets of losses.
    losses: Vec<(NodeId, NodeId, Reading)>,
    /// The outputs of relu.
    rectified: Vec<NodeId>,
}

impl Graph {
    /// Notes that a loss is a sum, or a mean over as many terms as the data say, so that micro-batches do not weigh by their
    /// samples.
    pub(crate) fn note_uneven_mean(&self) {
        self.inner.borrow_mut().notes.uneven = true;
    }

    /// True where [`Graph::note_uneven_mean`] was called.
    pub(crate) fn has_uneven_mean(&self) -> bool {
        self.inner.borrow().notes.uneven
    }

    /// Notes that a value depends on all samples of a batch, as batch norm's statistics do, and mixup's partners.
    pub(crate) fn note_batch_statistics(&self) {
        self.inner.borrow_mut().notes.batch_statistics = true;
    }

    /// True where [`Graph::note_batch_statistics`] was called.
    pub(crate) fn has_batch_statistics(&self) -> bool {
        self.inner.borrow().notes.batch_statistics
    }

    /// Notes the output and the target of a loss.
    pub(crate) fn note_loss(&self, output: &Tensor, target: &Tensor, reading: Reading) {
        let (noted, mut inner) = ((output.id, target.id, reading), self.inner.borrow_mut());
        if !inner.notes.losses.contains(&noted) {
            inner.notes.losses.push(noted);
        }
    }

    /// Notes an output of relu, with the axes as the model has them: in memory they may lie in another order.
    pub(super) fn note_rectified(&self, y: &Tensor) {
        let mut inner = self.inner.borrow_mut();
        if !inner.notes.rectified.contains(&y.id) {
            inner.notes.rectified.push(y.id);
        }
    }

    /// What [`Graph::note_rectified`] was told, each once.
    pub(crate) fn noted_rectified(&self) -> Vec<Tensor> {
        let rectified = self.inner.borrow().notes.rectified.clone();
        rectified.into_iter().map(|id| self.tensor(id)).collect()
    }

    /// What [`Graph::note_loss`] was told, each once.
    pub(crate) fn noted_losses(&self) -> Vec<(Tensor, Tensor, Reading)> {
        let losses = self.inner.borrow().notes.losses.clone();
        losses
            .into_iter()
            .map(|(output, target, reading)| (self.tensor(output), self.tensor(target), reading))
            .collect()
    }
}
