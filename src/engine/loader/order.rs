//! From batches to the rows of the order table: the samples that each pass through the model takes.

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
    /// The share of each pass in its batch, and 0 where it is the batch's first.
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
            for (i, part) in batches.parts(samples).enumerate() {
                rows.shares.extend([part as f32 / samples as f32, if i == 0 { 0.0 } else { 1.0 }]);
                rows.passes.push((part, step));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::BatchSize;

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
