//! Numbers in f64 with a bound of the f32 rounding error.

use std::ops::{Add, Div, Mul, Sub};

/// The relative distance of two neighbouring f32s. WGSL lets a sum or product be either neighbour of the exact one.
pub(crate) const UNIT: f64 = f32::EPSILON as f64;
/// The error of a division that WGSL allows, in units.
pub(crate) const DIVISION: f64 = 2.5;
/// The error of a root that WGSL allows, in units: that of 1 / inverseSqrt(x).
pub(crate) const ROOT: f64 = 4.5;
/// Numbers below may be flushed to 0.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

/// A number, and a bound of the distance to it of an f32 computed in its place.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Near {
    pub value: f64,
    pub bound: f64,
}

impl Near {
    /// An f32 as it is.
    pub fn exact(value: f32) -> Near {
        Near { value: f64::from(value), bound: 0.0 }
    }

    /// A scalar of the step: computed in f64, rounded once.
    pub fn scalar(value: f64) -> Near {
        Near::rounded(value, 0.0, 1.0)
    }

    /// A value that is computed to `units` units from numbers whose own errors move it by `bound` at most.
    pub fn rounded(value: f64, bound: f64, units: f64) -> Near {
        Near { value, bound: bound + units * UNIT * (value.abs() + bound) + SMALLEST }
    }

    pub fn sqrt(self) -> Near {
        let value = self.value.max(0.0).sqrt();
        // Between the roots of its ends.
        let low = (self.value - self.bound).max(0.0).sqrt();
        let high = (self.value + self.bound).max(0.0).sqrt();
        Near::rounded(value, (value - low).max(high - value), ROOT)
    }

    pub fn abs(self) -> Near {
        Near { value: self.value.abs(), bound: self.bound }
    }

    /// Where it is sure which is larger, the other's bound does not count.
    pub fn max(self, other: Near) -> Near {
        let (large, small) = if self.value >= other.value { (self, other) } else { (other, self) };
        let sure = large.value - large.bound > small.value + small.bound;
        Near { value: large.value, bound: if sure { large.bound } else { large.bound.max(small.bound) } }
    }

    /// Its sign is open where its bound reaches past 0.
    pub fn sign(self) -> Near {
        let value = if self.value == 0.0 { 0.0 } else { self.value.signum() };
        Near { value, bound: if self.value.abs() > self.bound { 0.0 } else { 2.0 } }
    }

    /// The sum of `numbers`, each taken `times` times, in any order in which none passes more than `depth` additions.
    pub fn sum(numbers: impl Iterator<Item = (Near, usize)>, depth: usize) -> Near {
        let (mut value, mut bound, mut size) = (0.0, 0.0, 0.0);
        for (number, times) in numbers {
            value += number.value * times as f64;
            bound += number.bound * times as f64;
            size += (number.value.abs() + number.bound) * times as f64;
        }
        Near { value, bound: bound + depth as f64 * UNIT * size + SMALLEST }
    }

    /// a + weight (b - a)
    pub fn lerp(self, other: Near, weight: Near) -> Near {
        self + weight * (other - self)
    }
}

impl Add for Near {
    type Output = Near;
    fn add(self, b: Near) -> Near {
        Near::rounded(self.value + b.value, self.bound + b.bound, 1.0)
    }
}

impl Sub for Near {
    type Output = Near;
    fn sub(self, b: Near) -> Near {
        Near::rounded(self.value - b.value, self.bound + b.bound, 1.0)
    }
}

impl Mul for Near {
    type Output = Near;
    /// A product with 1 is exact.
    fn mul(self, b: Near) -> Near {
        let one = Near::exact(1.0);
        if self == one || b == one {
            return if b == one { self } else { b };
        }
        let bound = self.bound * b.value.abs() + b.bound * self.value.abs() + self.bound * b.bound;
        Near::rounded(self.value * b.value, bound, 1.0)
    }
}

impl Div for Near {
    type Output = Near;
    fn div(self, b: Near) -> Near {
        let value = self.value / b.value;
        let least = b.value.abs() - b.bound;
        let bound = if least > 0.0 { (self.bound + value.abs() * b.bound) / least } else { f64::INFINITY };
        Near::rounded(value, bound, DIVISION)
    }
}

/// The most additions that a number passes where the engine adds up `count`. An update's sums go by blocks of 256 and then
/// by 64 lanes, a reduction's by chunks of 2,048 or of the root of `count`, and then over the chunks.
pub(crate) fn depth(count: usize) -> usize {
    count.min(2 * count.isqrt().max(2048) + 64)
}

/// True where `got` is within `bound` of `want`; false for NaN.
pub(crate) fn within(got: f32, want: f64, bound: f64) -> bool {
    (f64::from(got) - want).abs() <= bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_bound_what_f32_does() {
        let numbers = super::super::noise(7, 3000, 0.01, 2.0);
        for three in numbers.chunks_exact(3) {
            let [a, b, c] = [three[0], three[1] - 1.0, three[2]];
            let in_f32 = (a.sqrt() * b - c) / (a + c) + b * c;
            let [x, y, z] = [a, b, c].map(Near::exact);
            let near = (x.sqrt() * y - z) / (x + z) + y * z;
            let error = (f64::from(in_f32) - near.value).abs();
            assert!(error <= near.bound, "{a} {b} {c}: {error} > {}", near.bound);
            assert!(near.bound < 1e-5, "the bound says something: {}", near.bound);
        }
    }

    #[test]
    fn the_bound_of_a_sum_holds_in_any_order() {
        let numbers = super::super::noise(5, 5000, 0.0, 1.0);
        let exact = |times: usize| Near::sum(numbers.iter().map(|x| (Near::exact(*x), times)), depth(5000));
        let (up, down): (f32, f32) = (numbers.iter().sum(), numbers.iter().rev().sum());
        assert!(up != down);
        for got in [up, down] {
            let error = (f64::from(got) - exact(1).value).abs();
            assert!(error > 0.0 && error <= exact(1).bound, "{error}");
        }
        assert!((exact(3).value / exact(1).value - 3.0).abs() < 1e-12);
        assert!(exact(1).bound < 1e-3 * exact(1).value);
    }

    #[test]
    fn a_sign_that_may_be_either_is() {
        let near = |value, bound| Near { value, bound }.sign();
        assert_eq!(near(0.5, 0.1), Near { value: 1.0, bound: 0.0 });
        assert_eq!(near(-0.5, 0.6), Near { value: -1.0, bound: 2.0 });
    }
}
