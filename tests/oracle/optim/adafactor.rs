//! Adafactor (Shazeer and Stern 2018) as torch has it.

use serde::Deserialize;

use super::layerwise::norm;
use crate::oracle::Array;

/// α = max(ε₂, RMS(w))·min(η, 1/√t), w before decay; decoupled; β = 1 − t^decay. Two axes or more: R and C,
/// running means of the mean square of g along the last axis and the one before, and v = R·C/max(mean R, ε₁),
/// matrix by matrix; else v a running mean of g². u = g/√max(v, ε₁²); w −= α·u/max(1, RMS(u)/d).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adafactor {
    pub lr: f64,
    pub beta2_decay: f64,
    /// ε₁, which is the distance of 1 to the next f32 where nothing is said, and ε₂.
    pub eps: (Option<f64>, f64),
    pub d: f64,
    pub weight_decay: f64,
}

pub const ADAFACTOR: Adafactor =
    Adafactor { lr: 1e-2, beta2_decay: -0.8, eps: (None, 1e-3), d: 1.0, weight_decay: 0.0 };

/// Of one tensor: the running means of g², or of those of each row and of each column.
#[derive(Clone, Debug, Default)]
pub(super) struct Factors {
    rows: Vec<f64>,
    columns: Vec<f64>,
    elements: Vec<f64>,
}

fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count as f64
}

/// `kept` of the running means, the rest of `news`.
fn blend(running: &mut Vec<f64>, kept: f64, news: impl Iterator<Item = f64>) {
    let news: Vec<f64> = news.collect();
    running.resize(news.len(), 0.0);
    running.iter_mut().zip(news).for_each(|(old, new)| *old = kept * *old + (1.0 - kept) * new);
}

impl Factors {
    /// v of each element.
    fn estimate(&mut self, g: &Array, kept: f64, eps: f64) -> Vec<f64> {
        let square = |i: usize| g.data[i] * g.data[i];
        let [.., height, width] = g.shape[..] else {
            blend(&mut self.elements, kept, (0..g.len()).map(square));
            return self.elements.clone();
        };
        let matrices = g.len() / (height * width);
        let at = |m: usize, i: usize, j: usize| square((m * height + i) * width + j);
        let row = |k: usize| mean((0..width).map(|j| at(k / height, k % height, j)), width);
        let column = |k: usize| mean((0..height).map(|i| at(k / width, i, k % width)), height);
        blend(&mut self.rows, kept, (0..matrices * height).map(row));
        blend(&mut self.columns, kept, (0..matrices * width).map(column));
        let element = |k: usize| {
            let (m, i, j) = (k / (height * width), k / width % height, k % width);
            let rows = &self.rows[m * height..][..height];
            rows[i] * self.columns[m * width + j] / mean(rows.iter().copied(), height).max(eps)
        };
        (0..g.len()).map(element).collect()
    }
}

impl Adafactor {
    pub(super) fn update(&self, w: &mut Array, g: &Array, t: i32, factors: &mut Factors) {
        let Self { lr, beta2_decay, eps: (eps1, eps2), d, weight_decay } = *self;
        let eps1 = eps1.unwrap_or(f64::from(f32::EPSILON));
        let rms = |values: &[f64]| norm(values) / (values.len() as f64).sqrt();
        let alpha = rms(&w.data).max(eps2) * lr.min(1.0 / f64::from(t).sqrt());
        let v = factors.estimate(g, 1.0 - f64::from(t).powf(beta2_decay), eps1);
        let scaled = |(g, v): (&f64, f64)| g / v.max(eps1 * eps1).sqrt();
        let u: Vec<f64> = g.data.iter().zip(v).map(scaled).collect();
        let clip = (rms(&u) / d).max(1.0);
        for (w, u) in w.data.iter_mut().zip(u) {
            *w = *w * (1.0 - lr * weight_decay) - alpha / clip * u;
        }
    }
}
