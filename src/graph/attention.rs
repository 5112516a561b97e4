//! Scaled dot-product attention and sums of rows by number: ops whose kernels are their own.

use super::{AttentionAttrs, DType, Op, Tensor};
use crate::shape::Shape;

/// Options of [`Tensor::attention`].
#[derive(Debug, Clone, Default)]
pub struct AttentionOptions {
    /// A query attends to keys up to its own position only.
    pub causal: bool,
    /// Factor of q·k. Default: 1/√d.
    pub scale: Option<f32>,
    /// Added to the scores, broadcast to [n, heads, queries, keys]; −∞ where a query must not attend. It gets no gradient and
    /// is computed where it is read.
    pub mask: Option<Tensor>,
    /// Factor of the weights, broadcast to [n, heads, queries, keys], for dropout. It gets no gradient either.
    pub keep: Option<Tensor>,
}

impl Tensor {
    /// softmax(scale · q kᵀ + mask) · v for each head: q (`self`) [n, tq, heads, d], k and v [n, tk, heads, d] to
    /// [n, tq, heads, d].
    ///
    /// The weights are never in memory, forward or backward. The largest score of a query and the reciprocal sum of its
    /// exponentials are kept, [2·n, tq, heads]. A query that attends to nothing gives 0. Source: Vaswani et al. 2017; Dao
    /// et al. 2022.
    pub fn attention(&self, k: &Tensor, v: &Tensor, options: &AttentionOptions) -> Tensor {
        let fits = |t: &Tensor| t.shape.len() == 4 && t.dtype == DType::F32;
        let agree = fits(self)
            && fits(k)
            && k.shape == v.shape
            && self.shape[0] == k.shape[0]
            && self.shape[2..] == k.shape[2..];
        if !agree {
            return self.fail(format!(
                "attention needs queries [n, tq, heads, d], keys and values [n, tk, heads, d]; got {}, {} and {}",
                self.shape, k.shape, v.shape
            ));
        }
        let (n, tq, heads, d) = (self.shape[0], self.shape[1], self.shape[2], self.shape[3]);
        // Two tiles of eight rows stay under the 16 KiB of workgroup memory that every GPU has.
        const WIDEST: usize = 240;
        if d > WIDEST {
            return self.fail(format!("attention heads of width {d}: at most {WIDEST}; take more heads"));
        }
        let pairs = Shape::from([n, heads, tq, k.shape[1]]);
        if options.causal && tq != k.shape[1] {
            return self
                .fail(format!("causal attention of {tq} queries needs as many keys; got {}", k.shape[1]));
        }
        let attrs = AttentionAttrs {
            causal: options.causal,
            scale: options.scale.unwrap_or(1.0 / (d as f32).sqrt()).into(),
            masked: options.mask.is_some(),
            kept: options.keep.is_some(),
        };
        let weights: Vec<Tensor> = [&options.mask, &options.keep]
            .into_iter()
            .flatten()
            .map(|t| t.detach().broadcast_to(&pairs))
            .collect();
        let with = |given: &[&Tensor]| -> Vec<Tensor> {
            given.iter().map(|t| (*t).clone()).chain(weights.iter().cloned()).collect()
        };
        let node = |op: Op, inputs: &[Tensor], shape: Shape| {
            self.graph.push(op, &inputs.iter().collect::<Vec<_>>(), shape, DType::F32)
        };
        let inputs = with(&[self, k, v]);
        let out = node(Op::Attention(attrs), &inputs, self.shape.clone());
        let saved: Vec<&Tensor> = [&out].into_iter().chain(&weights).collect();
        self.graph.custom_gradient(&out, &[self, k, v], &saved, move |dout, inputs, saved| {
            let [q, key, value] = inputs else { unreachable!("as many as were given") };
            let push = |op: Op, given: &[&Tensor], shape: Shape| {
                let inputs: Vec<&Tensor> = given.iter().copied().chain(&saved[1..]).collect();
                q.graph.push(op, &inputs, shape, DType::F32)
            };
            let softmax = push(Op::AttentionStats(attrs), &[q, key, value], Shape::from([2 * n, tq, heads]));
            let delta = dout.mul(&saved[0]).sum(&[-1], false);
            let stats = Tensor::concat(&[&softmax, &delta], 0).materialized();
            let given = [q, key, value, dout, &stats];
            let dq = push(Op::AttentionGradQ(attrs), &given, q.shape.clone());
            let pair: Vec<usize> = [2].into_iter().chain(key.shape.iter().copied()).collect();
            let dkv = push(Op::AttentionGradKv(attrs), &given, Shape::from(pair));
            let part = |i: usize| dkv.slice(0, i, i + 1).reshape(&key.shape);
            vec![Some(dq), Some(part(0)), Some(part(1))]
        })
    }

    /// Rows of `self` [rows, width] summed by their numbers, i32 [rows]: [segments, width], in the order of the rows.
    pub(crate) fn segment_sum(&self, numbers: &Tensor, segments: usize) -> Tensor {
        let rows = self.shape[0];
        // Long chains would pass the loop limit of software adapters.
        const MOST: usize = 16_384;
        if rows > MOST {
            let parts = (0..rows).step_by(MOST).map(|start| {
                let end = (start + MOST).min(rows);
                self.slice(0, start, end).segment_sum(&numbers.slice(0, start, end), segments)
            });
            return parts.reduce(|a, b| a.add(&b)).unwrap_or_else(|| self.clone());
        }
        let graph = &self.graph;
        let end = graph.constant(-(rows as f32));
        // The least t of a kind is minus the largest −t.
        let least = |hit: &Tensor, shape: &Shape| {
            let minus = graph.iota(1, shape).to_f32().neg();
            hit.select(&minus, &end).amax(&[1], false).neg().materialized()
        };
        let of_segment = Shape::from([segments, rows]);
        let line = numbers.reshape([1, rows]);
        let head = least(&line.broadcast_to(&of_segment).eq(&graph.iota(0, &of_segment)), &of_segment);
        let pairs = Shape::from([rows, rows]);
        let same = numbers.reshape([rows, 1]).broadcast_to(&pairs).eq(&line.broadcast_to(&pairs));
        let later = graph.iota(1, &pairs).gt(&graph.iota(0, &pairs));
        let next = least(&same.mul(&later), &pairs);
        let shape = Shape::from([segments, self.shape[1]]);
        self.graph.push(Op::SegmentSum, &[self, &head, &next], shape, DType::F32)
    }
}
