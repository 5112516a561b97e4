//! Mean and standard deviation in one pass: [`Moments`] of a part's numbers, read block by block; [`Welford`] of a
//! table's column, one number at a time. Their last bits differ, and encodings of runs depend on them.

use super::blocks::Blocks;
use super::{Field, Part, Scale};
use crate::error::Result;

/// Count, range, mean and standard deviation of numbers. Numbers that are not finite are only counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Finite numbers.
    pub count: u64,
    /// Numbers that are NaN or infinite.
    pub not_finite: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Sums are of what is above the first number, so that large means cost no digits.
    first: f64,
    sum: f64,
    squares: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments {
            count: 0,
            not_finite: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            first: 0.0,
            sum: 0.0,
            squares: 0.0,
        }
    }
}

impl Moments {
    /// Adds a number.
    pub fn add(&mut self, number: f64) {
        if !number.is_finite() {
            self.not_finite += 1;
            return;
        }
        if self.count == 0 {
            self.first = number;
        }
        let above = number - self.first;
        self.count += 1;
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.sum += above;
        self.squares += above * above;
    }

    /// The mean; NaN without numbers.
    pub fn mean(&self) -> f64 {
        self.first + self.sum / self.count as f64
    }

    /// The standard deviation, 1/n; NaN without numbers.
    pub fn std(&self) -> f64 {
        // Rounding may leave a small negative number.
        let n = self.count as f64;
        let square = (self.squares - self.sum * self.sum / n) / n;
        if square < 0.0 { 0.0 } else { square.sqrt() }
    }

    /// The moments of number · factor + offset.
    pub fn scaled(self, factor: f64, offset: f64) -> Moments {
        let [a, b] = [self.min, self.max].map(|v| v * factor + offset);
        let (min, max) = if self.count == 0 { (self.min, self.max) } else { (a.min(b), a.max(b)) };
        Moments {
            min,
            max,
            first: self.first * factor + offset,
            sum: self.sum * factor,
            squares: self.squares * factor * factor,
            ..self
        }
    }

    /// The moments of a field's numbers as they are stored, for each of `channels` equal parts of a sample, over every
    /// `stride`-th sample of the part.
    ///
    /// # Errors
    /// An error of the source.
    pub fn from_part(part: &Part, field: &Field, channels: usize, stride: usize) -> Result<Vec<Moments>> {
        let kind = field.values().kind();
        let mut all = vec![Moments::default(); channels];
        let each = field.sample_bytes() / channels;
        let mut blocks = Blocks::new(part, field, stride);
        while let Some(bytes) = blocks.next()? {
            for (i, channel) in bytes.chunks_exact(each).enumerate() {
                let moments = &mut all[i % channels];
                channel.chunks_exact(kind.bytes()).for_each(|number| moments.add(kind.number(number)));
            }
        }
        Ok(all)
    }

    /// The moments after the device has scaled channel `channel`.
    pub fn through(self, scale: Option<&Scale>, channel: usize) -> Moments {
        let Some(Scale { factor, offset }) = scale else { return self };
        let at = if factor.len() == 1 { 0 } else { channel };
        self.scaled(factor[at].into(), offset[at].into())
    }
}

/// Count, mean and squared deviations of the numbers so far, by Welford's recurrence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Welford {
    count: f64,
    mean: f64,
    /// Σ (x − mean)²
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Welford {
    fn default() -> Self {
        Welford { count: 0.0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Welford {
    /// Adds a number.
    pub fn add(&mut self, x: f64) {
        self.add_times(x, 1);
    }

    /// Adds a number `times` times: the recurrence for two sets, one without deviation.
    pub fn add_times(&mut self, x: f64, times: usize) {
        if times == 0 {
            return;
        }
        let (times, delta) = (times as f64, x - self.mean);
        let count = self.count + times;
        self.mean += delta * times / count;
        self.squares += delta * delta * self.count * times / count;
        self.count = count;
        (self.min, self.max) = (self.min.min(x), self.max.max(x));
    }

    /// The count.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The mean; 0 of none.
    pub fn mean(&self) -> f64 {
        if self.is_constant() { self.min } else { self.mean }
    }

    /// The standard deviation, 1/n.
    pub fn std(&self) -> f64 {
        if self.count == 0.0 || self.is_constant() { 0.0 } else { (self.squares / self.count).sqrt() }
    }

    /// The smallest and the largest, where there is one.
    pub fn range(&self) -> Option<(f64, f64)> {
        (self.count > 0.0).then_some((self.min, self.max))
    }

    fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// The median: the mean of the two in the middle where their number is even; `None` of none.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    // Halves first: the sum of two large numbers may be none.
    Some(lower.map_or(upper, |lower| lower / 2.0 + upper / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_are_those_of_the_numbers() {
        // A deviation of 1 on a mean of 1e8, and what is not finite beside.
        let x = vec![1e8, f32::NAN, 1e8 + 16.0, f32::INFINITY];
        let part = Part::builder().input("x", Field::new([2], x).unwrap()).build().unwrap();
        let [a, b] = Moments::from_part(&part, part.inputs(), 2, 1).unwrap()[..] else {
            panic!("two channels")
        };
        assert_eq!((a.count, a.not_finite, a.min, a.max), (2, 0, 1e8, 1e8 + 16.0));
        assert_eq!((a.mean(), a.std()), (1e8 + 8.0, 8.0));
        assert_eq!((b.count, b.not_finite), (0, 2));
        assert!(b.mean().is_nan() && b.std().is_nan());
        let scaled = a.scaled(-0.5, 1.0);
        assert_eq!((scaled.min, scaled.max), (1.0 - 5e7 - 8.0, 1.0 - 5e7));
        assert_eq!((scaled.mean(), scaled.std()), (1.0 - 5e7 - 4.0, 4.0));
    }

    #[test]
    fn every_other_sample_of_the_part_is_looked_at() {
        let part = Part::builder().input("x", Field::new([], (0..10).collect::<Vec<i32>>()).unwrap());
        let part = part.build().unwrap().select(&[9, 1, 5, 3]).unwrap();
        let of = |stride| Moments::from_part(&part, part.inputs(), 1, stride).unwrap()[0];
        assert_eq!((of(1).mean(), of(2).mean(), of(3).mean()), (4.5, 7.0, 6.0));
    }

    #[test]
    fn small_cases_by_hand() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        let mut moments = Welford::default();
        assert_eq!((moments.count(), moments.mean(), moments.std(), moments.range()), (0, 0.0, 0.0, None));
        [10.0, 20.0, 30.0, 20.0].into_iter().for_each(|x| moments.add(x));
        assert_eq!(
            (moments.mean(), moments.std(), moments.range()),
            (20.0, 50f64.sqrt(), Some((10.0, 30.0)))
        );
        // A number that f64 cannot halve and double is its own mean all the same, and deviates by nothing.
        let mut constant = Welford::default();
        (0..7).for_each(|_| constant.add(0.1));
        assert_eq!((constant.mean(), constant.std()), (0.1, 0.0));
    }

    proptest! {
        /// As two passes have it. Each of n additions rounds mean and squares by a few 2⁻⁵³ of their size: 4n·2⁻⁵³
        /// is 1e-13 at n = 200, of the largest value's size.
        #[test]
        fn one_pass_is_two(values in prop::collection::vec(-1e3f64..1e3, 1..100), fill in -1e3f64..1e3, more in 0usize..100) {
            let mut moments = Welford::default();
            values.iter().for_each(|x| moments.add(*x));
            moments.add_times(fill, more);
            let all = [&values[..], &vec![fill; more]].concat();
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            prop_assert!((moments.mean() - mean).abs() <= 1e-13 * 1e3);
            prop_assert!((moments.std().powi(2) - variance).abs() <= 1e-13 * 1e6);
        }
    }
}
