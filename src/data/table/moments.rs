//! Mean, deviation and median of a column, one number at a time.

/// Count, mean and squared deviations of the numbers so far, by Welford's recurrence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    /// Σ (x − mean)²
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Moments { count: 0.0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Moments {
    /// With one more number.
    pub fn add(&mut self, x: f64) {
        self.add_times(x, 1);
    }

    /// With one number so many times more: the recurrence for two sets, of which one does not deviate.
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

    /// How many.
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
    fn small_cases_by_hand() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        let mut moments = Moments::default();
        assert_eq!((moments.count(), moments.mean(), moments.std(), moments.range()), (0, 0.0, 0.0, None));
        [10.0, 20.0, 30.0, 20.0].into_iter().for_each(|x| moments.add(x));
        assert_eq!(
            (moments.mean(), moments.std(), moments.range()),
            (20.0, 50f64.sqrt(), Some((10.0, 30.0)))
        );
        // A number that f64 cannot halve and double is its own mean all the same, and deviates by nothing.
        let mut constant = Moments::default();
        (0..7).for_each(|_| constant.add(0.1));
        assert_eq!((constant.mean(), constant.std()), (0.1, 0.0));
    }

    proptest! {
        /// As two passes have it. Each of n additions rounds mean and squares by a few 2⁻⁵³ of their size: 4n·2⁻⁵³
        /// is 1e-13 at n = 200, of the largest value's size.
        #[test]
        fn one_pass_is_two(values in prop::collection::vec(-1e3f64..1e3, 1..100), fill in -1e3f64..1e3, more in 0usize..100) {
            let mut moments = Moments::default();
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
