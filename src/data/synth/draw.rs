//! The random numbers of one sample, from ChaCha8's bits by arithmetic alone: the same on every machine, whatever a
//! library's distributions become.

use rand::Rng;
use rand::rngs::ChaCha8Rng;

use crate::data::sampler::stream;

/// The random numbers of one sample, in order, from (seed, index) and a purpose alone.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64, index: u64, purpose: &[u8; 16]) -> Self {
        Draw(stream(seed, index, purpose))
    }

    /// Uniform in [0, 1), a multiple of 2⁻³²: the next u32 / 2³².
    pub fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (1u64 << 32) as f64
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number below `n`: ⌊n·r/2³²⌋ of the next u32 r.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// Nearly N(0, 1): twelve uniform numbers, less 6. Mean 0 and variance 1 are exact, kurtosis is 2.9, nothing is
    /// past ±6.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// The next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        // 100,000 numbers: the mean's deviation is σ/316, the variance's about σ²/224 (less for uniform numbers).
        let n = 100_000;
        let moments = |mut next: Box<dyn FnMut() -> f64>| {
            let values: Vec<f64> = (0..n).map(|_| next()).collect();
            let mean = values.iter().sum::<f64>() / f64::from(n);
            (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n))
        };
        let draw = || Draw::new(1, 2, b"synth:test......");
        let mut random = draw();
        let (mean, variance) = moments(Box::new(move || random.normal()));
        assert!(mean.abs() < 4.0 / 316.0 && (variance - 1.0).abs() < 4.0 / 224.0, "{mean} {variance}");
        let mut random = draw();
        let (mean, variance) = moments(Box::new(move || random.uniform(-1.0, 2.0)));
        assert!((mean - 0.5).abs() < 4.0 * 0.87 / 316.0, "{mean}");
        assert!((variance - 0.75).abs() < 4.0 * 0.75 / 224.0, "{variance}");
        let mut random = draw();
        let mut counts = [0; 5];
        (0..n).for_each(|_| counts[random.below(5) as usize] += 1);
        // 20,000 each, with a deviation of 126.
        assert!(counts.iter().all(|c| (c - 20_000i32).abs() < 5 * 126), "{counts:?}");
    }
}
