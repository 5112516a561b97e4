//! Numbers in f64 that know how far f32 may be from them.

use std::ops::{Add, Div, Mul, Sub};

/// Half a unit in the last place of an f32, relative; WGSL lets sums and products be either neighbour, twice this.
pub(crate) const UNIT: f64 = f32::EPSILON as f64;
/// What WGSL allows a division, in units.
pub(crate) const DIVISION: f64 = 2.5;
/// What WGSL allows a root, in units: that of 1 / inverseSqrt(x).
pub(crate) const ROOT: f64 = 4.5;
/// Numbers below may be flushed to 0.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

/// A number, and how far an f32 computed in its place may lie.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Near {
    pub value: f64,
    pub off: f64,
}

impl Near {
    /// An f32 as it is.
    pub fn exact(value: f32) -> Near {
        Near { value: f64::from(value), off: 0.0 }
    }

    /// A scalar of the step: computed in f64, rounded once.
    pub fn scalar(value: f64) -> Near {
        Near::rounded(value, 0.0, 1.0)
    }

    /// A value computed to so many units from numbers that put it `off` at most.
    pub fn rounded(value: f64, off: f64, units: f64) -> Near {
        Near { value, off: off + units * UNIT * (value.abs() + off) + SMALLEST }
    }

    pub fn sqrt(self) -> Near {
        let value = self.value.max(0.0).sqrt();
        // Between the root of the least and of the largest it may be.
        let low = (self.value - self.off).max(0.0).sqrt();
        let high = (self.value + self.off).max(0.0).sqrt();
        Near::rounded(value, (value - low).max(high - value), ROOT)
    }

    pub fn abs(self) -> Near {
        Near { value: self.value.abs(), off: self.off }
    }

    pub fn max(self, other: Near) -> Near {
        Near { value: self.value.max(other.value), off: self.off.max(other.off) }
    }

    /// Where it may be on either side of 0, so may its sign.
    pub fn sign(self) -> Near {
        let value = if self.value == 0.0 { 0.0 } else { self.value.signum() };
        Near { value, off: if self.value.abs() > self.off { 0.0 } else { 2.0 } }
    }

    /// The sum of `numbers`, each `times` over, in any order in which none goes through more than `depth` additions.
    pub fn sum(numbers: impl Iterator<Item = (Near, usize)>, depth: usize) -> Near {
        let (mut value, mut off, mut size) = (0.0, 0.0, 0.0);
        for (number, times) in numbers {
            value += number.value * times as f64;
            off += number.off * times as f64;
            size += (number.value.abs() + number.off) * times as f64;
        }
        Near { value, off: off + depth as f64 * UNIT * size + SMALLEST }
    }

    /// a + weight (b - a)
    pub fn lerp(self, other: Near, weight: Near) -> Near {
        self + weight * (other - self)
    }
}

impl Add for Near {
    type Output = Near;
    fn add(self, b: Near) -> Near {
        Near::rounded(self.value + b.value, self.off + b.off, 1.0)
    }
}

impl Sub for Near {
    type Output = Near;
    fn sub(self, b: Near) -> Near {
        Near::rounded(self.value - b.value, self.off + b.off, 1.0)
    }
}

impl Mul for Near {
    type Output = Near;
    fn mul(self, b: Near) -> Near {
        let off = self.off * b.value.abs() + b.off * self.value.abs() + self.off * b.off;
        Near::rounded(self.value * b.value, off, 1.0)
    }
}

impl Div for Near {
    type Output = Near;
    fn div(self, b: Near) -> Near {
        let value = self.value / b.value;
        let least = b.value.abs() - b.off;
        let off = if least > 0.0 { (self.off + value.abs() * b.off) / least } else { f64::INFINITY };
        Near::rounded(value, off, DIVISION)
    }
}

/// Additions that a number goes through at most where the engine adds up `count`: an update's sums go by blocks of 256 and
/// then by 64 lanes, a reduction's by chunks of 2,048 or of the root of `count`, and then over the chunks.
pub(crate) fn depth(count: usize) -> usize {
    count.min(2 * count.isqrt().max(2048) + 64)
}

/// Whether a number lies no further than `bound` from where it should; NaN does not.
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
            let off = (f64::from(in_f32) - near.value).abs();
            assert!(off <= near.off, "{a} {b} {c}: {off} > {}", near.off);
            assert!(near.off < 1e-5, "the bound says something: {}", near.off);
        }
    }

    #[test]
    fn the_bound_of_a_sum_holds_in_any_order() {
        let numbers = super::super::noise(5, 5000, 0.0, 1.0);
        let exact = |times: usize| Near::sum(numbers.iter().map(|x| (Near::exact(*x), times)), depth(5000));
        let (up, down): (f32, f32) = (numbers.iter().sum(), numbers.iter().rev().sum());
        assert!(up != down);
        for got in [up, down] {
            let off = (f64::from(got) - exact(1).value).abs();
            assert!(off > 0.0 && off <= exact(1).off, "{off}");
        }
        assert!((exact(3).value / exact(1).value - 3.0).abs() < 1e-12);
        assert!(exact(1).off < 1e-3 * exact(1).value);
    }

    #[test]
    fn a_sign_that_may_be_either_is() {
        let near = |value, off| Near { value, off }.sign();
        assert_eq!(near(0.5, 0.1), Near { value: 1.0, off: 0.0 });
        assert_eq!(near(-0.5, 0.6), Near { value: -1.0, off: 2.0 });
    }
}
