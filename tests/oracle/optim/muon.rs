//! Muon (Jordan et al. 2024) as torch has it, in f64 all through: torch computes Newton-Schulz in bfloat16.

use serde::Deserialize;

use super::layerwise::{Moments, norm};
use crate::oracle::Array;

/// Matrices: b = μb + (1−μ)g, and the same blend of b and g once more for Nesterov; X from it by
/// [`newton_schulz`]; w ← w(1 − ηλ), then w −= η·scale·X. Other tensors: AdamW at its own η times ηₜ/η₀.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Muon {
    pub lr: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub ns_coefficients: [f64; 3],
    pub eps: f64,
    pub ns_steps: usize,
    pub adjust_lr_fn: Adjust,
    pub adamw: Inner,
}

/// The scale of a matrix's step.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjust {
    /// √max(1, rows/columns).
    Original,
    /// 0.2·√max(rows, columns).
    MatchRmsAdamw,
}

/// AdamW's numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inner {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
}

pub const MUON: Muon = Muon {
    lr: 1e-3,
    weight_decay: 0.1,
    momentum: 0.95,
    nesterov: true,
    ns_coefficients: [3.4445, -4.775, 2.0315],
    eps: 1e-7,
    ns_steps: 5,
    adjust_lr_fn: Adjust::Original,
    adamw: Inner { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01 },
};

/// Of one tensor: b, or what AdamW has.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    momentum: Vec<f64>,
    moments: Moments,
}

fn transposed(a: &Array) -> Array {
    Array::from_fn(&[a.shape[1], a.shape[0]], |at| a.at(&[at[1], at[0]]))
}

fn product(a: &Array, b: &Array) -> Array {
    let inner = a.shape[1];
    Array::from_fn(&[a.shape[0], b.shape[1]], |at| {
        (0..inner).map(|k| a.at(&[at[0], k]) * b.at(&[k, at[1]])).sum()
    })
}

/// X = x/max(‖x‖, ε), then X ← aX + (bA + cA²)X with A = XXᵀ, `steps` times, on whichever of x and xᵀ is not
/// taller than wide. The singular values go where f(s) = as + bs³ + cs⁵ takes them, the vectors stay.
pub fn newton_schulz(x: &Array, [a, b, c]: [f64; 3], eps: f64, steps: usize) -> Array {
    let tall = x.shape[0] > x.shape[1];
    let size = norm(&x.data).max(eps);
    let mut x = if tall { transposed(x) } else { x.clone() }.map(|x| x / size);
    for _ in 0..steps {
        let gram = product(&x, &transposed(&x));
        let square = product(&gram, &gram);
        let blend = Array::from_fn(&gram.shape, |at| b * gram.at(at) + c * square.at(at));
        let moved = product(&blend, &x);
        x = Array::from_fn(&x.shape, |at| a * x.at(at) + moved.at(at));
    }
    if tall { transposed(&x) } else { x }
}

impl Adjust {
    fn scale(self, rows: f64, columns: f64) -> f64 {
        match self {
            Adjust::Original => (rows / columns).max(1.0).sqrt(),
            Adjust::MatchRmsAdamw => 0.2 * rows.max(columns).sqrt(),
        }
    }
}

impl Muon {
    /// `initial` is η₀, the rate before any schedule.
    pub(super) fn update(&self, w: &mut Array, g: &Array, t: i32, initial: f64, state: &mut State) {
        let [rows, columns] = w.shape[..] else {
            return self.adamw.update(w, g, t, self.lr / initial, &mut state.moments);
        };
        let mu = self.momentum;
        state.momentum.resize(g.len(), 0.0);
        let blend = |b: &mut f64, g: &f64| {
            *b = mu * *b + (1.0 - mu) * g;
            if self.nesterov { mu * *b + (1.0 - mu) * g } else { *b }
        };
        let direction = state.momentum.iter_mut().zip(&g.data).map(|(b, g)| blend(b, g)).collect();
        let direction = Array::new(&g.shape, direction);
        let step = newton_schulz(&direction, self.ns_coefficients, self.eps, self.ns_steps);
        let rate = self.lr * self.adjust_lr_fn.scale(rows as f64, columns as f64);
        for (w, step) in w.data.iter_mut().zip(step.data) {
            *w = *w * (1.0 - self.lr * self.weight_decay) - rate * step;
        }
    }
}

impl Inner {
    fn update(&self, w: &mut Array, g: &Array, t: i32, factor: f64, moments: &mut Moments) {
        let lr = self.lr * factor;
        for (w, (m, root)) in w.data.iter_mut().zip(moments.corrected(&g.data, t, self.betas)) {
            *w = *w * (1.0 - lr * self.weight_decay) - lr * m / (root + self.eps);
        }
    }
}
