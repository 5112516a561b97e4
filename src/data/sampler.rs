//! The order of samples in an epoch, and its batches.

use std::ops::Range;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::{Raw, wanted};
use crate::error::{Error, Result};
use crate::units::plural;

/// The choice of the samples of each epoch, and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sampling {
    /// Every sample once, in a new order for each epoch.
    #[default]
    Epoch,
    /// Every sample once, in the order of the first epoch.
    Once,
    /// Every sample once, in the order of the file.
    File,
    /// Each place of an epoch draws from all samples, so an epoch has some samples twice and others not at all.
    Replacement,
}

impl Sampling {
    /// The sampling with the short form `shuffle`.
    pub fn from_shuffle(shuffle: bool) -> Sampling {
        if shuffle { Sampling::Epoch } else { Sampling::File }
    }

    /// The short form `shuffle`, where there is one.
    pub fn as_shuffle(self) -> Option<bool> {
        match self {
            Sampling::Epoch => Some(true),
            Sampling::File => Some(false),
            Sampling::Once | Sampling::Replacement => None,
        }
    }
}

/// The samples of `epoch` in their order, `len` numbers below `len`, from (`seed`, `epoch`, `sampling`) alone.
///
/// The random numbers are ChaCha8's. Its key is `seed` and `epoch`, 8 little-endian bytes each, and 16 bytes that name
/// the purpose, so that no two epochs of any seeds share a stream. With r the next u64 of the stream:
///
/// - [`Sampling::Epoch`], `downhill:shuffle`: from the last place i down to 1, place i trades with place ⌊(i + 1)·r/2⁶⁴⌋
///   (Fisher and Yates).
/// - [`Sampling::Once`]: epoch 0 of [`Sampling::Epoch`], whatever `epoch` is.
/// - [`Sampling::File`]: 0, 1, 2, ..
/// - [`Sampling::Replacement`], `downhill:replace`: from the first place on, each place takes sample ⌊`len`·r/2⁶⁴⌋.
///
/// None of this may change: an old seed must give its old order.
///
/// # Panics
/// If `len` is over `u32::MAX`, which no [`Part`](super::Part) is.
pub fn epoch_order(len: usize, seed: u64, epoch: u64, sampling: Sampling) -> Vec<u32> {
    match sampling {
        Sampling::Epoch => shuffled(len, seed, epoch, SHUFFLE),
        Sampling::Once => shuffled(len, seed, 0, SHUFFLE),
        Sampling::File => (0..checked(len)).collect(),
        Sampling::Replacement => {
            let len = checked(len) as usize;
            let mut random = stream(seed, epoch, REPLACE);
            (0..len).map(|_| below(len, &mut random) as u32).collect()
        }
    }
}

/// The purpose of a stream that shuffles an epoch.
const SHUFFLE: &[u8; 16] = b"downhill:shuffle";
/// The purpose of a stream that draws with replacement.
const REPLACE: &[u8; 16] = b"downhill:replace";

/// The number of samples, which a `u32` holds.
fn checked(len: usize) -> u32 {
    u32::try_from(len).expect("a part has at most u32::MAX samples")
}

/// ⌊`bound`·r/2⁶⁴⌋, r the next u64: a number below `bound`.
fn below(bound: usize, random: &mut ChaCha8Rng) -> usize {
    ((u128::from(random.next_u64()) * bound as u128) >> 64) as usize
}

/// A permutation of `0..len`, drawn as [`epoch_order`] says from `seed` and `epoch` for a purpose.
pub(super) fn shuffled(len: usize, seed: u64, epoch: u64, purpose: &[u8; 16]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..checked(len)).collect();
    let mut random = stream(seed, epoch, purpose);
    for i in (1..order.len()).rev() {
        order.swap(i, below(i + 1, &mut random));
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
    /// Shards of a batch, a power of 2; 1 for a batch that is not shared. Each is the same micro-batches whatever the number
    /// of ranks.
    pub shards: usize,
    /// Samples of a shard. The last ones of a batch may have fewer, or none.
    pub shard_rows: usize,
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
        Ok(BatchPlan { rows, full_batches: len / rows, last, micro: rows, shards: 1, shard_rows: rows })
    }

    /// The same batches in `shards` shards, a power of 2, whose gradients are added in a fixed tree. Each is one micro-batch or
    /// several.
    ///
    /// # Errors
    /// [`Error::Config`] where the number is no power of 2, or leaves a shard without samples.
    pub fn with_shards(self, shards: usize) -> Result<BatchPlan> {
        if !shards.is_power_of_two() {
            return Err(Error::Config(format!(
                "train.shards = {shards}: the gradients of shards are added in pairs, so it is a power of 2: 1, 2, 4, 8 .."
            )));
        }
        let shard_rows = self.rows.div_ceil(shards);
        if (shards - 1) * shard_rows >= self.rows {
            return Err(Error::Config(format!(
                "train.shards = {shards}: a batch of {} has too few to share, {shard_rows} for each shard and none for the last; \
                 take fewer shards, or a data.batch_size that {shards} divides",
                plural(self.rows, "sample")
            )));
        }
        Ok(BatchPlan { shards, shard_rows, micro: self.micro.min(shard_rows), ..self })
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
            Some(micro) => Ok(BatchPlan { micro: micro.min(self.shard_rows), ..self }),
            None => Ok(self),
        }
    }

    /// The samples of a batch of `rows` that a rank trains on, counted from the batch's first. A short last batch may leave
    /// the last ranks without.
    pub fn rows_of_rank(&self, rows: usize, rank: usize, ranks: usize) -> Range<usize> {
        let each = self.shards / ranks * self.shard_rows;
        (rank * each).min(rows)..((rank + 1) * each).min(rows)
    }

    /// The batches that a rank trains on, whose samples are its own of each batch.
    pub fn of_rank(&self, rank: usize, ranks: usize) -> BatchPlan {
        let own = |rows| self.rows_of_rank(rows, rank, ranks).len();
        let last = self.last.map(own).filter(|rows| *rows > 0);
        BatchPlan { rows: own(self.rows), last, shards: self.shards / ranks, ..*self }
    }

    /// Samples of an epoch's batch, by its number.
    pub fn rows_of_step(&self, step: usize) -> usize {
        if step < self.full_batches { self.rows } else { self.last.unwrap_or(0) }
    }

    /// True where batches go through the model in parts.
    pub fn in_parts(&self) -> bool {
        self.micro < self.rows || self.shards > 1
    }

    /// The samples of each micro-batch of a batch of `rows`, shard by shard.
    pub fn parts(&self, rows: usize) -> impl Iterator<Item = usize> {
        self.shards_of(rows).flatten()
    }

    /// The samples of each micro-batch of each shard of a batch of `rows`. Shards without samples are left out.
    pub fn shards_of(&self, rows: usize) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let BatchPlan { micro, shard_rows, .. } = *self;
        (0..rows).step_by(shard_rows).map(move |first| {
            let end = rows.min(first + shard_rows);
            (first..end).step_by(micro).map(move |start| micro.min(end - start))
        })
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
    use std::collections::HashSet;

    /// Worked out apart, by a ChaCha8 in Python and the words of [`epoch_order`]'s comment.
    #[test]
    fn orders_are_pinned() {
        const SEED: u64 = 0x0123_4567_89ab_cdef;
        assert_eq!(epoch_order(10, 0, 1, Sampling::Epoch), [9, 0, 3, 5, 6, 1, 8, 4, 2, 7]);
        assert_eq!(epoch_order(10, SEED, 300, Sampling::Epoch), [1, 9, 8, 3, 6, 5, 7, 0, 4, 2]);
        assert_eq!(epoch_order(10, 0, 300, Sampling::Once), [9, 8, 0, 2, 7, 5, 6, 4, 3, 1]);
        assert_eq!(epoch_order(10, 0, 1, Sampling::Replacement), [9, 2, 1, 1, 0, 1, 2, 9, 9, 3]);
        assert_eq!(epoch_order(10, SEED, 300, Sampling::Replacement), [1, 3, 3, 7, 2, 8, 1, 2, 9, 6]);
        let twenty = [6, 0, 13, 5, 17, 17, 17, 2, 4, 17, 0, 19, 11, 19, 18, 17, 3, 2, 12, 11];
        assert_eq!(epoch_order(20, 7, 2, Sampling::Replacement), twenty);
    }

    #[test]
    fn every_place_is_as_likely() {
        // 10,000 orders of 5: how often sample s stands at place p is 2,000, with a deviation of 40.
        for sampling in [Sampling::Epoch, Sampling::Replacement] {
            let mut counts = [[0i32; 5]; 5];
            for epoch in 0..10_000 {
                for (place, sample) in epoch_order(5, 7, epoch, sampling).into_iter().enumerate() {
                    counts[place][sample as usize] += 1;
                }
            }
            assert!(counts.iter().flatten().all(|c| (c - 2000).abs() < 200), "{sampling:?}: {counts:?}");
        }
    }

    #[test]
    fn places_draw_apart_with_replacement() {
        // Samples a and b at the first two places: 400 times of 10,000, with a deviation of 20.
        let mut pairs = [[0i32; 5]; 5];
        // Samples that an epoch of 1,000 leaves out: 1/e of them, 367.7, with a deviation of 10 an epoch.
        let mut left_out = 0;
        for epoch in 0..10_000 {
            let order = epoch_order(5, 7, epoch, Sampling::Replacement);
            pairs[order[0] as usize][order[1] as usize] += 1;
        }
        for epoch in 0..100 {
            let drawn: HashSet<u32> =
                epoch_order(1000, 7, epoch, Sampling::Replacement).into_iter().collect();
            left_out += 1000 - drawn.len();
        }
        assert!(pairs.iter().flatten().all(|c| (c - 400).abs() < 100), "{pairs:?}");
        assert!(left_out.abs_diff(36_770) < 500, "{left_out}");
    }

    #[test]
    fn shuffle_is_a_short_form() {
        for shuffle in [false, true] {
            assert_eq!(Sampling::from_shuffle(shuffle).as_shuffle(), Some(shuffle));
        }
        assert_eq!([Sampling::Once, Sampling::Replacement].map(Sampling::as_shuffle), [None, None]);
        assert_eq!(Sampling::from_shuffle(true), Sampling::default());
    }

    proptest! {
        #[test]
        fn an_order_is_a_permutation_of_seed_and_epoch_alone(len in 0usize..300, seed: u64, epoch: u64) {
            let order = epoch_order(len, seed, epoch, Sampling::Epoch);
            prop_assert_eq!(&order, &epoch_order(len, seed, epoch, Sampling::Epoch));
            let mut sorted = order;
            sorted.sort_unstable();
            prop_assert_eq!(sorted, epoch_order(len, seed, epoch, Sampling::File));
            let once = epoch_order(len, seed, epoch, Sampling::Once);
            prop_assert_eq!(once, epoch_order(len, seed, 0, Sampling::Epoch));
        }

        #[test]
        fn replacement_draws_samples_that_are_there(len in 0usize..300, seed: u64, epoch: u64) {
            let order = epoch_order(len, seed, epoch, Sampling::Replacement);
            prop_assert_eq!(&order, &epoch_order(len, seed, epoch, Sampling::Replacement));
            prop_assert_eq!(order.len(), len);
            prop_assert!(order.iter().all(|sample| (*sample as usize) < len), "{:?}", order);
        }

        #[test]
        fn orders_differ_between_epochs_and_seeds(len in 30usize..300, seed: u64, epoch in 0u64..1000) {
            for sampling in [Sampling::Epoch, Sampling::Replacement] {
                let order = epoch_order(len, seed, epoch, sampling);
                prop_assert_ne!(&order, &epoch_order(len, seed, epoch + 1, sampling));
                prop_assert_ne!(&order, &epoch_order(len, seed.wrapping_add(1), epoch, sampling));
                prop_assert_ne!(&order, &epoch_order(len, seed, epoch, Sampling::File));
                // Seed and epoch are not interchangeable, nor is their sum what counts.
                prop_assert_ne!(&order, &epoch_order(len, seed.wrapping_sub(1), epoch + 1, sampling));
            }
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
        let batches = |rows, full_batches, last| BatchPlan {
            rows,
            full_batches,
            last,
            micro: rows,
            shards: 1,
            shard_rows: rows,
        };
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
