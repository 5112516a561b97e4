//! LAMB (You et al. 2020) and LARS (You et al. 2017): rates by the norms of a tensor.

use serde::Deserialize;

use crate::oracle::Array;

/// m, v as Adam's, both corrected; u = m̂/(√v̂ + ε) + λw; w −= η·ratio·u with ratio = ‖w‖/‖u‖, 1 where either is 0.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamb {
    pub lr: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
}

/// G = g + λw; d = G·trust·‖w‖/(‖G‖ + ε), d = G where either norm is 0; then torch's SGD on d: b = d at
/// first, then b = μb + (1−τ)d; w −= η(d + μb) with Nesterov, else w −= ηb. Without momentum w −= ηd.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lars {
    pub lr: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    pub dampening: f64,
    pub nesterov: bool,
    pub trust_coefficient: f64,
    pub eps: f64,
}

pub const LAMB: Lamb = Lamb { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-6, weight_decay: 0.01 };
pub const LARS: Lars = Lars {
    lr: 1.0,
    momentum: 0.9,
    weight_decay: 0.0,
    dampening: 0.0,
    nesterov: false,
    trust_coefficient: 1e-3,
    eps: 1e-8,
};

pub fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Of one tensor: LAMB's two moments.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl Moments {
    /// One step of both; m/(1−β₁ᵗ) and √(v/(1−β₂ᵗ)) of each element.
    pub(super) fn corrected(&mut self, g: &[f64], t: i32, [beta1, beta2]: [f64; 2]) -> Vec<(f64, f64)> {
        self.mean.resize(g.len(), 0.0);
        self.square.resize(g.len(), 0.0);
        let element = |((m, v), &g): ((&mut f64, &mut f64), &f64)| {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            (*m / (1.0 - beta1.powi(t)), (*v / (1.0 - beta2.powi(t))).sqrt())
        };
        self.mean.iter_mut().zip(&mut self.square).zip(g).map(element).collect()
    }
}

impl Lamb {
    pub(super) fn update(&self, w: &mut Array, g: &Array, t: i32, moments: &mut Moments) {
        let corrected = moments.corrected(&g.data, t, self.betas);
        let direction = |(&(m, root), w): (&(f64, f64), &f64)| m / (root + self.eps) + self.weight_decay * w;
        let u: Vec<f64> = corrected.iter().zip(&w.data).map(direction).collect();
        let (of_w, of_u) = (norm(&w.data), norm(&u));
        let ratio = if of_w == 0.0 || of_u == 0.0 { 1.0 } else { of_w / of_u };
        w.data.iter_mut().zip(u).for_each(|(w, u)| *w -= self.lr * ratio * u);
    }
}

impl Lars {
    pub(super) fn update(&self, w: &mut Array, g: &Array, t: i32, momentum: &mut Vec<f64>) {
        let Self { lr, momentum: mu, weight_decay, dampening, nesterov, trust_coefficient, eps } = *self;
        momentum.resize(g.len(), 0.0);
        let whole: Vec<f64> = g.data.iter().zip(&w.data).map(|(g, w)| g + weight_decay * w).collect();
        let (of_w, of_g) = (norm(&w.data), norm(&whole));
        let local = if of_w == 0.0 || of_g == 0.0 { 1.0 } else { trust_coefficient * of_w / (of_g + eps) };
        for ((w, g), b) in w.data.iter_mut().zip(whole).zip(momentum) {
            let d = local * g;
            *b = if t == 1 { d } else { mu * *b + (1.0 - dampening) * d };
            *w -= lr
                * if mu == 0.0 {
                    d
                } else if nesterov {
                    d + mu * *b
                } else {
                    *b
                };
        }
    }
}
