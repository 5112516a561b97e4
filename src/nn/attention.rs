//! Multi-head attention.

use serde::{Deserialize, Serialize};

use super::Net;
use super::axes::yes;
use super::embedding::angles;
use crate::graph::{AttentionOptions, Init, Tensor};
use crate::shape::Shape;

/// Options of [`Net::multi_head_attention`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiHeadAttention {
    /// Number of heads, a divisor of the width.
    pub num_heads: usize,
    /// Each position attends to itself and earlier positions only. Default: false.
    #[serde(default)]
    pub causal: bool,
    /// Trains biases of the projections. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Probability of dropping a weight in training. Default: 0.
    #[serde(default)]
    pub dropout: f64,
    /// Rotary positions (Su et al. 2021): elements i and i + d/2 of queries and keys are rotated by the angle
    /// t/10,000^(2i/d), as in GPT-NeoX and Llama. Default: false.
    #[serde(default)]
    pub rotary: bool,
}

impl MultiHeadAttention {
    /// Full attention with biases.
    pub fn new(num_heads: usize) -> Self {
        MultiHeadAttention { num_heads, causal: false, bias: true, dropout: 0.0, rotary: false }
    }
}

impl Net {
    /// Self-attention of x [n, t, e]: each position takes a mean over all positions, weighted by softmax(q·k/√d) in each head.
    ///
    /// Parameters `name.in_proj_weight` [3e, e], queries, keys and values one after the other, and
    /// `name.out_proj.weight` [e, e], with `name.in_proj_bias` \[3e\] and `name.out_proj.bias` \[e\]. The attention weights are
    /// never in memory, so memory does not grow with t². Source: `torch.nn.MultiheadAttention` with `batch_first`.
    pub fn multi_head_attention(&self, name: &str, x: &Tensor, options: &MultiHeadAttention) -> Tensor {
        self.attend(name, x, None, options, None)
    }

    /// Attention of positions of x [n, t, e] to those of `memory` [n, s, e]. `mask`, which broadcasts to [n, heads, t, s], is
    /// added to the scores: −∞ where a position must not attend. Parameters as in [`Net::multi_head_attention`].
    pub fn cross_attention(
        &self,
        name: &str,
        x: &Tensor,
        memory: &Tensor,
        options: &MultiHeadAttention,
        mask: Option<&Tensor>,
    ) -> Tensor {
        self.attend(name, x, Some(memory), options, mask)
    }

    fn attend(
        &self,
        name: &str,
        x: &Tensor,
        memory: Option<&Tensor>,
        options: &MultiHeadAttention,
        mask: Option<&Tensor>,
    ) -> Tensor {
        self.graph().layer(&format!("{name} (multi_head_attention)"), || {
            let source = memory.unwrap_or(x);
            let (&[n, t, e], &[sn, s, se]) = (x.shape(), source.shape()) else {
                return x.fail(format!(
                    "attention needs inputs [n, t, width]; got {:?} and {:?}",
                    x.shape(),
                    source.shape()
                ));
            };
            if (sn, se) != (n, e) {
                return x.fail(format!(
                    "attention of {:?} to {:?}: batch and width differ",
                    x.shape(),
                    source.shape()
                ));
            }
            let heads = options.num_heads;
            if heads == 0 || e % heads != 0 {
                return x.fail(format!("num_heads = {heads} does not divide the width {e}"));
            }
            let d = e / heads;
            if options.rotary && d % 2 == 1 {
                return x.fail(format!("rotary needs heads of even width; {e} in {heads} heads is {d} each"));
            }
            if !(0.0..1.0).contains(&options.dropout) {
                return x.fail(format!("dropout = {}: from 0 to below 1", options.dropout));
            }
            // torch draws the three projections as one matrix.
            let init = Init::xavier_uniform(e, 3 * e, 1.0);
            let w = self.parameter(&format!("{name}.in_proj_weight"), [3 * e, e], init);
            let zero = Init::Constant(0.0);
            let b = options.bias.then(|| self.parameter(&format!("{name}.in_proj_bias"), [3 * e], zero));
            let project = |x: &Tensor, from: usize, to: usize| {
                let y = x.matmul(&w.slice(0, from * e, to * e).transpose(0, 1));
                match &b {
                    Some(b) => y.add(&b.slice(0, from * e, to * e)),
                    None => y,
                }
            };
            let part =
                |y: &Tensor, i: usize, t: usize| y.slice(-1, i * e, (i + 1) * e).reshape([n, t, heads, d]);
            let (q, k, v) = match memory {
                None => {
                    let all = project(x, 0, 3);
                    (part(&all, 0, t), part(&all, 1, t), part(&all, 2, t))
                }
                Some(memory) => {
                    let both = project(memory, 1, 3);
                    (part(&project(x, 0, 1), 0, t), part(&both, 0, s), part(&both, 1, s))
                }
            };
            let (q, k) = if options.rotary { (turned(&q), turned(&k)) } else { (q, k) };
            let keep = (options.dropout > 0.0 && self.training()).then(|| {
                let graph = self.graph();
                let drawn = graph.random_uniform(Shape::from([n, heads, t, s]));
                drawn
                    .ge(&graph.constant(options.dropout as f32))
                    .mul_scalar((1.0 / (1.0 - options.dropout)) as f32)
            });
            let attention =
                AttentionOptions { causal: options.causal, scale: None, mask: mask.cloned(), keep };
            let y = q.attention(&k, &v, &attention).reshape([n, t, e]);
            let out = self.parameter(&format!("{name}.out_proj.weight"), [e, e], Init::linear(e));
            let y = y.matmul(&out.transpose(0, 1));
            match options.bias {
                true => y.add(&self.parameter(&format!("{name}.out_proj.bias"), [e], zero)),
                false => y,
            }
        })
    }
}

/// Rotates each pair (i, i + d/2) of x [n, t, heads, d] by its position.
fn turned(x: &Tensor) -> Tensor {
    let (t, d) = (x.shape()[1], x.shape()[3]);
    let half = d / 2;
    let angle = angles(x, t, half, d, 10_000.0);
    let table = |w: Tensor| w.materialized().reshape([1, t, 1, half]);
    let (cos, sin) = (table(angle.cos()), table(angle.sin()));
    let (a, b) = (x.slice(-1, 0, half), x.slice(-1, half, d));
    let first = a.mul(&cos).sub(&b.mul(&sin));
    let second = b.mul(&cos).add(&a.mul(&sin));
    Tensor::concat(&[&first, &second], -1)
}
