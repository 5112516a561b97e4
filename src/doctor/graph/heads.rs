//! Attention, cross-entropy and sums of chains in f64. Each has kernels of its own.

use super::functions::{exp, log};
use crate::check::{Near, depth};
use crate::graph::{AttentionAttrs, CrossEntropyAttrs};

/// Keys that a kernel looks at together.
const TOGETHER: usize = 8;

/// Σ a·b over two rows.
fn dot(a: &[Near], b: &[Near]) -> Near {
    Near::sum(a.iter().zip(b).map(|(a, b)| (*a * *b, 1)), a.len())
}

/// Rows of queries, keys and values [n, t, heads, d], with what changes their weights.
pub(super) struct Attention<'a> {
    pub attrs: AttentionAttrs,
    /// n, queries, keys, heads, d.
    pub sizes: [usize; 5],
    pub rows: [&'a [Near]; 3],
    pub mask: Option<&'a [Near]>,
    pub keep: Option<&'a [Near]>,
}

impl<'a> Attention<'a> {
    fn row(&self, of: &'a [Near], length: usize, [n, h, t]: [usize; 3]) -> &'a [Near] {
        let [.., heads, d] = self.sizes;
        let first = ((n * length + t) * heads + h) * d;
        &of[first..first + d]
    }

    fn pair(&self, [n, h, row, col]: [usize; 4]) -> usize {
        let [_, tq, tk, heads, _] = self.sizes;
        ((n * heads + h) * tq + row) * tk + col
    }

    fn keep(&self, at: [usize; 4]) -> Near {
        self.keep.map_or(Near::exact(1.0), |keep| keep[self.pair(at)])
    }

    /// scale q·k + mask; none where the query may not look.
    fn score(&self, at @ [n, h, row, col]: [usize; 4]) -> Option<Near> {
        if self.attrs.causal && col > row {
            return None;
        }
        let [_, tq, tk, ..] = self.sizes;
        let (q, k) = (self.row(self.rows[0], tq, [n, h, row]), self.row(self.rows[1], tk, [n, h, col]));
        let scale = Near::exact(self.attrs.scale.get());
        let scaled: Vec<Near> = q.iter().map(|q| *q * scale).collect();
        let s = dot(&scaled, k);
        Some(self.mask.map_or(s, |mask| s + mask[self.pair(at)]))
    }

    /// The exponentials of a query's scores less the largest score, and the largest score.
    fn weights(&self, [n, h, row]: [usize; 3]) -> (Vec<Option<Near>>, Near) {
        let tk = self.sizes[2];
        let scores: Vec<Option<Near>> = (0..tk).map(|col| self.score([n, h, row, col])).collect();
        let known = || scores.iter().flatten();
        let most = known().copied().reduce(Near::max).unwrap_or_default();
        let least = known().map(|s| s.value).fold(most.value, f64::min);
        // Each larger score scales all before it by an exponential and a product. The arguments of these exponentials
        // add up to the range of the scores.
        let again = 8.0 * tk.div_ceil(TOGETHER) as f64 + (most.value - least);
        let weight = |s: Near| {
            let e = exp(s - most);
            Near::rounded(e.value, e.bound, again)
        };
        (scores.into_iter().map(|s| s.map(weight)).collect(), most)
    }

    fn total(weights: &[Option<Near>]) -> Near {
        Near::sum(weights.iter().flatten().map(|e| (*e, 1)), weights.len())
    }

    /// For every query, in the order of the output.
    fn queries(&self, mut f: impl FnMut([usize; 3])) {
        let [n, tq, _, heads, _] = self.sizes;
        for i in 0..n * tq * heads {
            f([i / (tq * heads), i % heads, i / heads % tq]);
        }
    }

    /// softmax(scale q kᵀ + mask) keep v.
    pub fn forward(&self) -> Vec<Near> {
        let [_, _, tk, _, d] = self.sizes;
        let mut out = Vec::new();
        self.queries(|at @ [n, h, row]| {
            let (weights, _) = self.weights(at);
            let by = Near::exact(1.0) / Self::total(&weights);
            for c in 0..d {
                let term = |(col, e): (usize, &Option<Near>)| {
                    let v = self.row(self.rows[2], tk, [n, h, col])[c];
                    e.map(|e| (e * self.keep([n, h, row, col]) * v, 1))
                };
                out.push(Near::sum(weights.iter().enumerate().filter_map(term), tk) * by);
            }
        });
        out
    }

    /// The largest score of each query, then the reciprocal sum of each query's exponentials.
    pub fn stats(&self) -> Vec<Near> {
        let (mut largest, mut reciprocal) = (Vec::new(), Vec::new());
        self.queries(|at| {
            let (weights, most) = self.weights(at);
            largest.push(most);
            reciprocal.push(Near::exact(1.0) / Self::total(&weights));
        });
        largest.append(&mut reciprocal);
        largest
    }

    /// p = e^(s − largest)/sum and ds = p (dout·v keep − delta) of a pair.
    fn slope(
        &self,
        dout: &'a [Near],
        stats: &[Near],
        at @ [n, h, row, col]: [usize; 4],
    ) -> Option<[Near; 2]> {
        let [batch, tq, tk, heads, _] = self.sizes;
        let stat = |part: usize| stats[((part * batch + n) * tq + row) * heads + h];
        let p = exp(self.score(at)? - stat(0)) * stat(1);
        let dp = dot(self.row(dout, tq, [n, h, row]), self.row(self.rows[2], tk, [n, h, col]));
        Some([p, p * (dp * self.keep(at) - stat(2))])
    }

    /// dq = scale Σ ds k.
    pub fn grad_q(&self, dout: &'a [Near], stats: &[Near]) -> Vec<Near> {
        let [_, _, tk, _, d] = self.sizes;
        let mut out = Vec::new();
        self.queries(|[n, h, row]| {
            let slopes: Vec<_> = (0..tk).map(|col| self.slope(dout, stats, [n, h, row, col])).collect();
            for c in 0..d {
                let term = |(col, slope): (usize, &Option<[Near; 2]>)| {
                    slope.map(|[_, ds]| (ds * self.row(self.rows[1], tk, [n, h, col])[c], 1))
                };
                let sum = Near::sum(slopes.iter().enumerate().filter_map(term), tk);
                out.push(sum * Near::exact(self.attrs.scale.get()));
            }
        });
        out
    }

    /// dk = scale Σ ds q, then dv = Σ p keep dout.
    pub fn grad_kv(&self, dout: &'a [Near], stats: &[Near]) -> Vec<Near> {
        let [batch, tq, tk, heads, d] = self.sizes;
        let (mut dk, mut dv) = (Vec::new(), Vec::new());
        for i in 0..batch * tk * heads {
            let (n, h, col) = (i / (tk * heads), i % heads, i / heads % tk);
            let slopes: Vec<_> = (0..tq).map(|row| self.slope(dout, stats, [n, h, row, col])).collect();
            let sum = |term: &dyn Fn(usize, [Near; 2]) -> Near| {
                let terms = slopes.iter().enumerate().filter_map(|(row, s)| s.map(|s| (term(row, s), 1)));
                Near::sum(terms, tq)
            };
            for c in 0..d {
                let q = |row| self.row(self.rows[0], tq, [n, h, row])[c];
                let grad = |row| self.row(dout, tq, [n, h, row])[c];
                dk.push(sum(&|row, [_, ds]| ds * q(row)) * Near::exact(self.attrs.scale.get()));
                dv.push(sum(&|row, [p, _]| p * self.keep([n, h, row, col]) * grad(row)));
            }
        }
        dk.append(&mut dv);
        dk
    }
}

/// Rows of logits with their targets.
pub(super) struct CrossEntropy<'a> {
    pub attrs: CrossEntropyAttrs,
    pub classes: usize,
    pub logits: &'a [Near],
    pub targets: &'a [Near],
}

impl CrossEntropy<'_> {
    fn is_kept(&self, row: usize) -> bool {
        self.attrs.ignore_index.is_none_or(|ignored| self.targets[row].value != f64::from(ignored))
    }

    /// The logits less the largest, and the sum of their exponentials.
    fn shifted(&self, x: &[Near]) -> (Vec<Near>, Near) {
        let most = x.iter().copied().reduce(Near::max).unwrap_or_default();
        let shifted: Vec<Near> = x.iter().map(|x| *x - most).collect();
        let sum = Near::sum(shifted.iter().map(|y| (exp(*y), 1)), x.len());
        (shifted, sum)
    }

    /// (1 − s)(log Z − y_t) + s (log Z − mean y) of each row, y = x − max x, Z = Σ e^y.
    pub fn loss(&self) -> Vec<Near> {
        let s = self.attrs.label_smoothing.get();
        let of = |(row, x): (usize, &[Near])| {
            if !self.is_kept(row) {
                return Near::exact(0.0);
            }
            let (y, sum) = self.shifted(x);
            let log_sum = log(sum);
            let hit = log_sum - y[self.targets[row].value as usize];
            if s == 0.0 {
                return hit;
            }
            let mean = Near::sum(y.iter().map(|y| (*y, 1)), y.len()) / Near::exact(y.len() as f32);
            (Near::exact(1.0) - Near::exact(s)) * hit + Near::exact(s) * (log_sum - mean)
        };
        self.logits.chunks_exact(self.classes).enumerate().map(of).collect()
    }

    /// upstream (p − s/classes), p = e^y/Z; of the target upstream (s − s/classes − Σ of the other p).
    pub fn gradient(&self, upstream: &[Near]) -> Vec<Near> {
        let s = Near::exact(self.attrs.label_smoothing.get());
        let each = s / Near::exact(self.classes as f32);
        let mut out = Vec::new();
        for (row, x) in self.logits.chunks_exact(self.classes).enumerate() {
            let (y, sum) = self.shifted(x);
            let by = Near::exact(1.0) / sum;
            let others = |target: usize| {
                let others = y.iter().enumerate().filter(|(class, _)| *class != target);
                Near::sum(others.map(|(_, y)| (exp(*y), 1)), y.len())
            };
            for (class, y) in y.iter().enumerate() {
                let is_target = class as f64 == self.targets[row].value;
                let d = if is_target { s - each - others(class) * by } else { exp(*y) * by - each };
                out.push(if self.is_kept(row) { upstream[row] * d } else { Near::exact(0.0) });
            }
        }
        out
    }
}

/// Sums of chains of rows [rows, width]: the first of each by `head`, the one after by `next`.
pub(super) fn segment_sum(x: &[Near], width: usize, head: &[Near], next: &[Near]) -> Vec<Near> {
    let mut out = Vec::new();
    for first in head {
        let (mut chain, mut t) = (Vec::new(), first.value as usize);
        while t < next.len() {
            chain.push(t);
            t = next[t].value as usize;
        }
        out.extend(
            (0..width).map(|c| Near::sum(chain.iter().map(|t| (x[t * width + c], 1)), depth(chain.len()))),
        );
    }
    out
}
