//! From batches to the rows of the order table: the samples that each pass through the model takes.

use std::ops::Range;
use std::sync::Arc;

use crate::data::BatchPlan;

/// The samples of an epoch, in the order they are trained on.
pub(super) type EpochOrder = Arc<dyn Fn(u64) -> Vec<u32> + Send + Sync>;

/// Fills the places of a row that a short batch leaves over.
pub(super) const PADDING: u32 = u32::MAX;

/// The passes of some steps in a row.
#[derive(Debug, Default)]
pub(crate) struct SampleOrder {
    /// Sample numbers, a row of [`BatchPlan::micro`] a pass.
    pub order: Vec<u32>,
    /// Samples of each pass, and the step it belongs to, counted from the first.
    pub passes: Vec<(usize, usize)>,
    /// The rows of [`SHARES`](crate::kernel::gradients::SHARES), one a pass.
    pub shares: Vec<f32>,
}

impl SampleOrder {
    /// Passes through the model.
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// The passes of `count` steps from the epoch's step `at` on, whose samples come in `order`.
    pub fn new(batches: &BatchPlan, order: &[u32], at: usize, count: usize) -> SampleOrder {
        let mut rows = Self::without_samples(batches, order.len(), at, count);
        let mut from = at * batches.rows;
        for &(part, _) in &rows.passes {
            rows.order.extend_from_slice(&order[from..from + part]);
            rows.order.resize(rows.order.len().next_multiple_of(batches.micro), PADDING);
            from += part;
        }
        rows
    }

    /// [`SampleOrder::new`] where the samples lie row by row from place `first` on, in an epoch of `samples`.
    pub fn sequential(
        batches: &BatchPlan,
        samples: usize,
        at: usize,
        count: usize,
        first: u32,
    ) -> SampleOrder {
        let mut rows = Self::without_samples(batches, samples, at, count);
        let places = rows.passes.len() * batches.micro;
        rows.order = (first..first + places as u32).collect();
        rows
    }

    /// The passes with their shares.
    fn without_samples(batches: &BatchPlan, samples: usize, at: usize, count: usize) -> SampleOrder {
        let mut rows = SampleOrder::default();
        for step in 0..count {
            let samples = batches.rows.min(samples - (at + step) * batches.rows);
            rows.shares.extend(shares(batches, samples, 0..samples));
            rows.passes.extend(batches.parts(samples).map(|part| (part, step)));
        }
        rows
    }
}

/// The rows of [`SHARES`](crate::kernel::gradients::SHARES) for the passes of a batch of `samples` that a rank does: those of
/// the samples `own`, which begin at a shard.
///
/// Without shards a row is the share of the pass in the batch, and 0 where it is the batch's first. With shards it is the
/// share, 0 where it is the shard's first, the shard's number among the rank's own, and how many of those have begun.
pub(in crate::engine) fn shares(batches: &BatchPlan, samples: usize, own: Range<usize>) -> Vec<f32> {
    let mut rows = Vec::new();
    for (slot, passes) in batches.shards_of(own.len()).enumerate() {
        for (i, pass) in passes.enumerate() {
            let (share, adds) = (pass as f32 / samples as f32, if i == 0 { 0.0 } else { 1.0 });
            match batches.shards {
                1 => rows.extend([share, adds]),
                _ => rows.extend([share, adds, slot as f32, (slot + 1) as f32]),
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::BatchSize;

    #[test]
    fn ranks_share_a_batch_by_shards() {
        let batches = BatchPlan::new(30, BatchSize::Rows(20), false).unwrap();
        let batches = batches.with_micro(Some(3)).unwrap().with_shards(4).unwrap();
        // Shards of 5 in micro-batches of 3 and 2.
        assert_eq!((batches.micro, batches.shard_rows), (3, 5));
        assert_eq!(batches.parts(12).collect::<Vec<_>>(), [3, 2, 3, 2, 2]);
        let own = |rows, rank| batches.rows_of_rank(rows, rank, 2);
        assert_eq!((own(20, 0), own(20, 1), own(10, 0), own(10, 1)), (0..10, 10..20, 0..10, 10..10));
        assert_eq!(
            shares(&batches, 20, own(18, 1)),
            [[0.15, 0.0, 0.0, 1.0], [0.1, 1.0, 0.0, 1.0], [0.15, 0.0, 1.0, 2.0]].concat()
        );
        let second = batches.of_rank(1, 2);
        assert_eq!((second.rows, second.last, second.steps(), batches.steps()), (10, None, 1, 2));
        assert!(shares(&batches, 10, own(10, 1)).is_empty());
        let too_many = BatchPlan::new(9, BatchSize::Rows(9), false).unwrap().with_shards(4);
        assert!(too_many.unwrap_err().to_string().contains("a batch of 9 samples"));
        assert!(batches.with_shards(3).unwrap_err().to_string().contains("power of 2"));
    }

    #[test]
    fn batches_go_in_rows() {
        let order: Vec<u32> = (10..21).collect();
        let batches = BatchPlan::new(11, BatchSize::Rows(4), false).unwrap();
        let whole = SampleOrder::new(&batches, &order, 1, 2);
        assert_eq!(whole.order, [14, 15, 16, 17, 18, 19, 20, PADDING]);
        assert_eq!(
            (&whole.passes[..], &whole.shares[..]),
            (&[(4, 0), (3, 1)][..], &[1.0, 0.0, 1.0, 0.0][..])
        );
        assert_eq!(SampleOrder::sequential(&batches, 11, 1, 2, 5).order, [5, 6, 7, 8, 9, 10, 11, 12]);
        let parts = SampleOrder::new(&batches.with_micro(Some(3)).unwrap(), &order, 1, 1);
        assert_eq!(parts.order, [14, 15, 16, 17, PADDING, PADDING]);
        assert_eq!(
            (&parts.passes[..], &parts.shares[..]),
            (&[(3, 0), (1, 0)][..], &[0.75, 0.0, 0.25, 1.0][..])
        );
    }
}
