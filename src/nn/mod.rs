//! Layers, losses, initialisers: a layer is a function from tensor to tensor.

mod activation;
mod attention;
pub mod augment;
mod axes;
mod checkpoint;
mod conv;
mod dropout;
mod embedding;
mod entries;
pub mod init;
mod layer;
mod layer_table;
mod linear;
pub mod loss;
mod norm;
mod or_none;
mod padding;
mod pool;
mod pooling;
mod recurrent;
mod resize;
mod rule;
mod sequences;
mod shaping;
mod table;

pub use activation::{
    Approximate, Elu, Gelu, LeakyRelu, LogSoftmax, Relu, Sigmoid, Silu, Softmax, Softplus, Tanh,
};
pub use attention::MultiHeadAttention;
pub use conv::{Conv, Conv1d, Conv2d, ConvTranspose, ConvTranspose1d, ConvTranspose2d};
pub use embedding::{Embedding, Positional};
pub use entries::{Dropout, Dropout2d};
pub use layer::{Block, Form, Join, Layer, Parallel, Repeat, Residual, Sequential};
pub use linear::Linear;
pub use norm::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};
pub use padding::Padding;
pub use pool::{Pool, Pool1d, Pool2d};
pub use pooling::{
    AdaptiveAvgPool2d, AvgPool, AvgPool1d, AvgPool2d, GlobalAvgPool, GlobalMaxPool, MaxPool, MaxPool1d,
    MaxPool2d,
};
pub use recurrent::Recurrent;
pub use resize::{Upsample, UpsampleMode, UpsampleSize};
pub use sequences::{Gru, Lstm, PositionalEmbedding};
pub use shaping::{Flatten, Permute, Reshape};
pub use table::TableRow;

use crate::graph::{Graph, Init, Tensor};

/// What a model function builds with: the graph, and where its parameters are named.
///
/// The function is called once for training and once for evaluation, and once more for a short last batch; it
/// must make the same parameters each time.
#[derive(Debug, Clone)]
pub struct Net {
    graph: Graph,
    training: bool,
}

impl Net {
    /// A builder over `graph`, for training or for evaluation.
    pub fn new(graph: &Graph, training: bool) -> Self {
        Net { graph: graph.clone(), training }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// False where the model is built for evaluation: no dropout, running statistics.
    pub fn training(&self) -> bool {
        self.training
    }

    /// A trainable tensor.
    pub fn parameter(&self, name: &str, shape: impl Into<crate::shape::Shape>, init: Init) -> Tensor {
        self.graph.parameter(name, shape, init)
    }

    /// A dense layer: x·Wᵀ + b for x [.., in], W `name.weight` [out, in], b `name.bias` \[out\].
    ///
    /// Both start at U(±1/√in). Source: `torch.nn.Linear`.
    pub fn linear(&self, name: &str, x: &Tensor, out_features: usize) -> Tensor {
        self.dense(name, x, out_features, true)
    }

    /// [`Net::linear`] without a bias.
    pub fn linear_no_bias(&self, name: &str, x: &Tensor, out_features: usize) -> Tensor {
        self.dense(name, x, out_features, false)
    }

    fn dense(&self, name: &str, x: &Tensor, out_features: usize, bias: bool) -> Tensor {
        self.graph.scoped(&format!("{name} (linear)"), || {
            let [_, .., in_features] = *x.shape() else {
                return x.fail(format!("linear needs an input [batch, .., features]; got {:?}", x.shape()));
            };
            if out_features == 0 {
                return x.fail("linear needs at least one output feature".into());
            }
            let init = Init::linear(in_features);
            let w = self.parameter(&format!("{name}.weight"), [out_features, in_features], init);
            let y = x.matmul(&w.transpose(0, 1));
            if !bias {
                return y;
            }
            y.add(&self.parameter(&format!("{name}.bias"), [out_features], init))
        })
    }
}
