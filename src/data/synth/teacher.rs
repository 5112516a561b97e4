//! `teacher`: regression onto the output of another net, so that the best loss is known.

use super::draw::Draw;

/// Numbers of an input.
pub const INPUTS: usize = 16;
/// Hidden units of the teacher.
const HIDDEN: usize = 32;
/// Deviation of the noise on y.
const NOISE: f64 = 0.05;

/// y = v · tanh(W x + b) + noise, with x of 16 numbers N(0, 1) and noise N(0, 0.05²).
///
/// W is `[32, 16]` from N(0, 1/16), b `[32]` from N(0, 1/4), v `[32]` from N(0, 1/32), each drawn from the seed in this
/// order, row by row. A student that has found the teacher is left with a mean squared error of the noise's,
/// 0.0025. `tanh` is the machine's own: see [`spirals_point`](super::spirals_point).
///
/// ```
/// let teacher = downhill::data::synth::Teacher::new(3);
/// let (x, y) = teacher.sample(0);
/// assert!(x.len() == 16 && y.is_finite());
/// ```
pub struct Teacher {
    weight: [[f64; INPUTS]; HIDDEN],
    bias: [f64; HIDDEN],
    out: [f64; HIDDEN],
    seed: u64,
}

impl Teacher {
    /// The teacher of a seed, which draws the samples too.
    pub fn new(seed: u64) -> Teacher {
        let mut draw = Draw::new(seed, 0, b"synth:teacher:w.");
        let mut normal = |variance: f64| variance.sqrt() * draw.normal();
        Teacher {
            weight: std::array::from_fn(|_| std::array::from_fn(|_| normal(1.0 / INPUTS as f64))),
            bias: std::array::from_fn(|_| normal(0.25)),
            out: std::array::from_fn(|_| normal(1.0 / HIDDEN as f64)),
            seed,
        }
    }

    /// x and y of sample `index`.
    pub fn sample(&self, index: u64) -> ([f64; INPUTS], f64) {
        let mut draw = Draw::new(self.seed, index, b"synth:teacher:x.");
        let x = std::array::from_fn(|_| draw.normal());
        let noise = NOISE * draw.normal();
        (x, self.answer(&x) + noise)
    }

    /// The teacher's output for x, without noise.
    pub fn answer(&self, x: &[f64; INPUTS]) -> f64 {
        let dot = |row: &[f64; INPUTS]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let hidden = self.weight.iter().zip(&self.bias).map(|(row, bias)| (dot(row) + bias).tanh());
        hidden.zip(&self.out).map(|(h, v)| h * v).sum()
    }
}
