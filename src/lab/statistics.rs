//! Means, variances and slopes.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// The mean.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The unbiased variance.
pub(super) fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The mean of vectors, and the unbiased variance of each element.
pub(super) fn moments(vectors: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = vectors.len() as f64;
    let (mut mean, mut variance) = (vec![0.0; vectors[0].len()], vec![0.0; vectors[0].len()]);
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(m, v)| *m += v / n);
    }
    for vector in vectors {
        let parts = variance.iter_mut().zip(&mean).zip(vector);
        parts.for_each(|((sum, m), v)| *sum += (v - m).powi(2) / (n - 1.0));
    }
    (mean, variance)
}

/// Intercept and slope of the line of least squares through points.
pub(super) fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let xy: f64 = points.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    let xx: f64 = points.iter().map(|(x, _)| (x - mx).powi(2)).sum();
    (my - xy / xx * mx, xy / xx)
}

/// The slope of the logarithm of y against that of x.
pub(super) fn log_slope(points: &[(f64, f64)]) -> f64 {
    line(&points.iter().map(|(x, y)| (x.ln(), y.ln())).collect::<Vec<_>>()).1
}

/// The squared length of the difference of two vectors.
pub(super) fn distance_squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The largest of numbers that are at least 0; NaN where one of them is, so that it agrees with nothing.
pub(super) fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |a: f64, b| if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) })
}

/// The length of a vector.
pub(super) fn length(a: &[f64]) -> f64 {
    a.iter().map(|a| a * a).sum::<f64>().sqrt()
}

/// Random numbers of an exhibit.
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// A whole number below another.
    pub fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    /// `count` different numbers below `of` (Floyd).
    pub fn without_replacement(&mut self, count: usize, of: usize) -> Vec<usize> {
        let mut taken = std::collections::BTreeSet::new();
        let mut out = Vec::with_capacity(count);
        for last in of - count..of {
            let drawn = self.below(last + 1);
            let one = if taken.insert(drawn) { drawn } else { last };
            taken.insert(one);
            out.push(one);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_moments() {
        let points: Vec<(f64, f64)> = (1..9).map(|i| (f64::from(i), 3.0 * f64::from(i).powi(-2))).collect();
        assert!((log_slope(&points) + 2.0).abs() < 1e-12);
        assert_eq!(variance(&[1.0, 2.0, 3.0, 4.0]), 5.0 / 3.0);
        let (mean, variances) = moments(&[vec![0.0, 1.0], vec![2.0, 1.0]]);
        assert_eq!((mean, variances), (vec![1.0, 1.0], vec![2.0, 0.0]));
    }

    #[test]
    fn the_largest_is_nan_where_one_is() {
        assert_eq!(largest([0.5, 2.0, 1.0]), 2.0);
        assert!(largest([0.5, f64::NAN, 1.0]).is_nan() && largest([f64::NAN]).is_nan());
    }

    #[test]
    fn draws_are_even() {
        let mut chance = Chance::new(3);
        let normal: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        assert!(mean(&normal).abs() < 0.03 && (variance(&normal) - 1.0).abs() < 0.04);
        let mut counts = [0; 6];
        for _ in 0..6000 {
            let drawn = chance.without_replacement(3, 6);
            assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
            drawn.iter().for_each(|i| counts[*i] += 1);
        }
        assert!(counts.iter().all(|c| (c - 3000_i32).abs() < 200), "{counts:?}");
    }
}
