//! The order of samples in an epoch, and its batches.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::{Raw, wanted};
use crate::error::{Error, Result};
use crate::units::plural;

/// The order of the samples in `epoch`: a permutation of `0..len` drawn from (`seed`, `epoch`) alone, or file
/// order without `shuffle`.
///
/// The random numbers are ChaCha8's. Its key is `seed` and `epoch`, 8 little-endian bytes each, and 16 bytes
/// that say what for, so that no two epochs of any seeds share a stream. From the last place i down to 1, place
/// i trades with place ⌊(i + 1)·r/2⁶⁴⌋, r being the next u64 (Fisher and Yates). None of this may change: an
/// old seed must give its old order.
///
/// # Panics
/// If `len` is over `u32::MAX`, which no [`Part`](super::Part) is.
pub fn epoch_order(len: usize, seed: u64, epoch: u64, shuffle: bool) -> Vec<u32> {
    if shuffle {
        return shuffled(len, seed, epoch, b"downhill:shuffle");
    }
    let len = u32::try_from(len).expect("a part has at most u32::MAX samples");
    (0..len).collect()
}

/// A permutation of `0..len`, drawn as [`epoch_order`] says from `seed` and `epoch` for a purpose.
pub(super) fn shuffled(len: usize, seed: u64, epoch: u64, purpose: &[u8; 16]) -> Vec<u32> {
    let len = u32::try_from(len).expect("a part has at most u32::MAX samples");
    let mut order: Vec<u32> = (0..len).collect();
    let mut random = stream(seed, epoch, purpose);
    for i in (1..order.len()).rev() {
        let j = (u128::from(random.next_u64()) * (i as u128 + 1)) >> 64;
        order.swap(i, j as usize);
    }
    order
}

/// ChaCha8's random numbers under the key of `seed`, `number` (8 little-endian bytes each) and a purpose.
pub(super) fn stream(seed: u64, number: u64, purpose: &[u8; 16]) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&number.to_le_bytes());
    key[16..].copy_from_slice(purpose);
    ChaCha8Rng::from_seed(key)
}

/// Samples in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// All there are.
    Full,
    /// This many.
    Rows(usize),
}

/// A number above 0, or `"full"`.
impl<'de> Deserialize<'de> for BatchSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BatchSize, D::Error> {
        wanted(deserializer, "a whole number above 0, or \"full\",", |raw| match raw {
            Raw::Text(word) if word == "full" => Some(BatchSize::Full),
            other => other.size().filter(|rows| *rows > 0).map(BatchSize::Rows),
        })
    }
}

impl Serialize for BatchSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            BatchSize::Full => "full".serialize(serializer),
            BatchSize::Rows(rows) => rows.serialize(serializer),
        }
    }
}

/// An epoch in batches: `full_batches` of `rows` samples, then perhaps a short one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Samples of a full batch; never more than there are.
    pub rows: usize,
    /// Full batches of an epoch, at least 1.
    pub full_batches: usize,
    /// Samples of the short last batch, where there is one.
    pub last: Option<usize>,
    /// Samples that go through the model at once, at most: those of a batch, or of a micro-batch.
    pub micro: usize,
}

impl BatchPlan {
    /// The batches of `len` samples. A size past `len` is one batch of all; `drop_last` leaves a short last
    /// batch out.
    ///
    /// # Errors
    /// [`Error::Data`] without samples; [`Error::Config`] where the size is 0, or where it is past `len` and
    /// `drop_last` leaves no batch.
    pub fn new(len: usize, size: BatchSize, drop_last: bool) -> Result<BatchPlan> {
        if len == 0 {
            return Err(Error::Data("there is no sample to make a batch of".into()));
        }
        let rows = match size {
            BatchSize::Full => len,
            BatchSize::Rows(0) => {
                let text = "data.batch_size = 0: a batch has at least 1 sample; all of them are \"full\"";
                return Err(Error::Config(text.into()));
            }
            BatchSize::Rows(rows) if rows > len && drop_last => {
                return Err(Error::Config(format!(
                    "data.batch_size = {rows}: the data have {}, and drop_last leaves no batch; use at most {len}, \
                     \"full\", or drop_last = false",
                    plural(len, "sample")
                )));
            }
            BatchSize::Rows(rows) => rows.min(len),
        };
        let rest = len % rows;
        let last = (rest > 0 && !drop_last).then_some(rest);
        Ok(BatchPlan { rows, full_batches: len / rows, last, micro: rows })
    }

    /// The same batches in micro-batches of `micro` samples, whose gradients are added; the last one of a batch may be
    /// short. `None`, and a size past that of a batch, leave batches whole.
    ///
    /// # Errors
    /// [`Error::Config`] where the size is 0.
    pub fn with_micro(self, micro: Option<usize>) -> Result<BatchPlan> {
        match micro {
            Some(0) => {
                Err(Error::Config("train.micro_batch = 0: a micro-batch has at least 1 sample".into()))
            }
            Some(micro) => Ok(BatchPlan { micro: micro.min(self.rows), ..self }),
            None => Ok(self),
        }
    }

    /// True where batches go through the model in parts.
    pub fn in_parts(&self) -> bool {
        self.micro < self.rows
    }

    /// The samples of each micro-batch of a batch of `rows`.
    pub fn parts(&self, rows: usize) -> impl Iterator<Item = usize> {
        let micro = self.micro;
        (0..rows).step_by(micro).map(move |start| micro.min(rows - start))
    }

    /// Batches of an epoch, the short one included.
    pub fn steps(&self) -> usize {
        self.full_batches + usize::from(self.last.is_some())
    }

    /// Samples of an epoch, those of the short batch included.
    pub fn samples(&self) -> usize {
        self.full_batches * self.rows + self.last.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Worked out apart, by a ChaCha8 in Python and the words of [`epoch_order`]'s comment.
    #[test]
    fn orders_are_pinned() {
        assert_eq!(epoch_order(10, 0, 1, true), [9, 0, 3, 5, 6, 1, 8, 4, 2, 7]);
        assert_eq!(epoch_order(10, 0x0123_4567_89ab_cdef, 300, true), [1, 9, 8, 3, 6, 5, 7, 0, 4, 2]);
    }

    #[test]
    fn every_place_is_as_likely() {
        // 10,000 orders of 5: how often sample s stands at place p is 2,000, with a deviation of 40.
        let mut counts = [[0i32; 5]; 5];
        for epoch in 0..10_000 {
            for (place, sample) in epoch_order(5, 7, epoch, true).into_iter().enumerate() {
                counts[place][sample as usize] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|c| (c - 2000).abs() < 200), "{counts:?}");
    }

    proptest! {
        #[test]
        fn an_order_is_a_permutation_of_seed_and_epoch_alone(len in 0usize..300, seed: u64, epoch: u64) {
            let order = epoch_order(len, seed, epoch, true);
            prop_assert_eq!(&order, &epoch_order(len, seed, epoch, true));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, epoch_order(len, seed, epoch, false));
        }

        #[test]
        fn orders_differ_between_epochs_and_seeds(len in 30usize..300, seed: u64, epoch in 0u64..1000) {
            let order = epoch_order(len, seed, epoch, true);
            prop_assert_ne!(&order, &epoch_order(len, seed, epoch + 1, true));
            prop_assert_ne!(&order, &epoch_order(len, seed.wrapping_add(1), epoch, true));
            prop_assert_ne!(&order, &epoch_order(len, seed, epoch, false));
            // Seed and epoch are not interchangeable, nor is their sum what counts.
            prop_assert_ne!(&order, &epoch_order(len, seed.wrapping_sub(1), epoch + 1, true));
        }

        #[test]
        fn batches_cover_the_samples(len in 1usize..500, rows in 1usize..600, drop_last: bool) {
            match BatchPlan::new(len, BatchSize::Rows(rows), drop_last) {
                Err(err) => prop_assert!(drop_last && rows > len && err.is_usage(), "{}", err),
                Ok(plan) => {
                    let covered = if drop_last { len - len % rows } else { len };
                    prop_assert_eq!(plan.samples(), covered);
                    prop_assert_eq!(plan.steps(), covered.div_ceil(rows));
                    prop_assert!(plan.full_batches >= 1 && plan.rows == rows.min(len));
                    prop_assert!(plan.last.is_none_or(|last| 0 < last && last < plan.rows));
                }
            }
        }
    }

    #[test]
    fn the_digits_in_batches() {
        let plan = |size, drop_last| BatchPlan::new(1437, size, drop_last);
        let rows = BatchSize::Rows;
        let batches = |rows, full_batches, last| BatchPlan { rows, full_batches, last, micro: rows };
        assert_eq!(plan(rows(32), false).unwrap(), batches(32, 44, Some(29)));
        assert_eq!(plan(rows(32), true).unwrap(), batches(32, 44, None));
        assert_eq!(plan(BatchSize::Full, true).unwrap(), batches(1437, 1, None));
        assert_eq!(plan(rows(4096), false).unwrap(), batches(1437, 1, None));
        let err = plan(rows(4096), true).unwrap_err().to_string();
        assert!(err.contains("4096") && err.contains("at most 1437"), "{err}");
        assert!(plan(rows(0), false).unwrap_err().to_string().contains("at least 1"));
        assert!(matches!(BatchPlan::new(0, BatchSize::Full, false), Err(Error::Data(_))));
    }
}
