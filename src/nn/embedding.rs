//! Embeddings: rows of a table by index, and positions in a sequence.

use serde::{Deserialize, Serialize};

use super::Net;
use crate::graph::{DType, Init, Tensor};
use crate::shape::Shape;

/// Options of [`Net::embedding`]; torch's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Number of rows; indices are from 0 to one less.
    pub num_embeddings: usize,
    /// Width of a row.
    pub embedding_dim: usize,
    /// The index of a row that starts at 0 and gets no gradient. Default: none.
    #[serde(default)]
    pub padding_idx: Option<usize>,
}

impl Embedding {
    /// A table of `num_embeddings` rows of width `embedding_dim`, without a row for padding.
    ///
    /// ```
    /// use downhill::prelude::*;
    /// fn model(net: &Net, tokens: &Tensor) -> Tensor {
    ///     net.linear("out", &net.embedding("table", tokens, &Embedding::new(256, 64)), 256)
    /// }
    /// assert_eq!(Embedding::new(256, 64).padding_idx, None);
    /// ```
    pub fn new(num_embeddings: usize, embedding_dim: usize) -> Self {
        Embedding { num_embeddings, embedding_dim, padding_idx: None }
    }
}

/// The kind of a [`Net::positional_embedding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positional {
    /// A trained row for each position.
    Learned {
        /// The longest sequence.
        max_len: usize,
    },
    /// Sine and cosine of the position, with wavelengths from 2π to 10,000·2π.
    Sinusoidal,
}

impl Net {
    /// Rows of a trained table: indices i32 [..] to [.., embedding_dim].
    ///
    /// Parameter `name.weight` [num_embeddings, embedding_dim] from N(0, 1). The gradient of a row sums over its uses in
    /// their order. An index out of range takes the nearest row; data of a config is checked beforehand. Source:
    /// `torch.nn.Embedding`.
    pub fn embedding(&self, name: &str, indices: &Tensor, options: &Embedding) -> Tensor {
        self.graph().layer(&format!("{name} (embedding)"), || {
            let Embedding { num_embeddings, embedding_dim, padding_idx } = *options;
            if indices.dtype() != DType::I32 {
                return indices.fail("an embedding needs integers; these are f32".into());
            }
            if num_embeddings == 0 || embedding_dim == 0 {
                return indices.fail(format!(
                    "num_embeddings = {num_embeddings}, embedding_dim = {embedding_dim}: at least 1 each is needed"
                ));
            }
            if padding_idx.is_some_and(|p| p >= num_embeddings) {
                return indices.fail(format!(
                    "padding_idx = {} is past the last of the {num_embeddings} embeddings",
                    padding_idx.unwrap_or(0)
                ));
            }
            let init = match padding_idx {
                None => Init::Normal { mean: 0.0, std: 1.0 },
                Some(row) => Init::NormalButRow { std: 1.0, width: embedding_dim, row },
            };
            let weight = self.parameter(&format!("{name}.weight"), [num_embeddings, embedding_dim], init);
            let count = indices.shape().iter().product::<usize>();
            let numbers = indices.reshape([count]);
            let rows = weight.index_select(0, &numbers);
            let rows = rows.graph().custom_gradient(&rows, &[&weight], &[&numbers], move |dy, _, saved| {
                let sums = dy.segment_sum(&saved[0], num_embeddings);
                vec![Some(match padding_idx {
                    None => sums,
                    Some(row) => {
                        let at = sums.graph().iota(0, &Shape::from([num_embeddings, 1])).to_f32();
                        sums.mul(&at.ne(&sums.graph().constant(row as f32)))
                    }
                })]
            });
            rows.reshape([indices.shape(), &[embedding_dim]].concat())
        })
    }

    /// Adds a row for each position t to x [n, t, d].
    ///
    /// Learned: parameter `name.weight` [max_len, d] from N(0, 1). Sinusoidal: sin(t/10,000^(2i/d)) at 2i, cos of the
    /// same at 2i + 1. Source: Vaswani et al. 2017.
    pub fn positional_embedding(&self, name: &str, x: &Tensor, kind: Positional) -> Tensor {
        self.graph().layer(&format!("{name} (positional_embedding)"), || {
            let &[_, t, d] = x.shape() else {
                return x.fail(format!("positional_embedding needs an input [n, t, d]; got {:?}", x.shape()));
            };
            match kind {
                Positional::Learned { max_len } if t > max_len => x.fail(format!(
                    "a sequence of {t} is longer than the context of {max_len}; make max_len larger or the \
                     sequence shorter"
                )),
                Positional::Learned { max_len } => {
                    let init = Init::Normal { mean: 0.0, std: 1.0 };
                    let weight = self.parameter(&format!("{name}.weight"), [max_len, d], init);
                    x.add(&weight.slice(0, 0, t))
                }
                Positional::Sinusoidal => {
                    let half = d.div_ceil(2);
                    let angle = angles(x, t, half, d, 10_000.0);
                    let pair = [&angle.sin(), &angle.cos()].map(|w| w.reshape([t, half, 1]));
                    let wave = Tensor::concat(&[&pair[0], &pair[1]], 2).reshape([t, 2 * half]);
                    x.add(&wave.slice(1, 0, d).materialized())
                }
            }
        })
    }
}

/// t/base^(2i/d), [t, half].
pub(super) fn angles(x: &Tensor, t: usize, half: usize, d: usize, base: f64) -> Tensor {
    let graph = x.graph();
    let shape = Shape::from([t, half]);
    let rate = graph.iota(1, &shape).to_f32().mul_scalar((-2.0 * base.ln() / d as f64) as f32).exp();
    graph.iota(0, &shape).to_f32().mul(&rate)
}
