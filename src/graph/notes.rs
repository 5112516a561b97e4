//! What a graph is not free to do with a batch.

use super::Graph;

/// What was noted while the graph was built.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// A loss is no mean over samples: a sum, or a mean over as many terms as the data say.
    uneven: bool,
    /// Samples of a batch are not apart from each other.
    batch_statistics: bool,
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
}
