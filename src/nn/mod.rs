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

pub use activation::*;
pub use attention::*;
pub use conv::*;
pub use embedding::*;
pub use entries::*;
pub use layer::*;
pub use linear::*;
pub use norm::*;
pub use padding::*;
pub use pool::*;
pub use pooling::*;
pub use recurrent::*;
pub use resize::*;
pub use sequences::*;
pub use shaping::*;
pub use table::TableRow;

use crate::graph::{Graph, Init, Tensor};

/// The builder that a model function receives: the graph, with methods that make layers and their parameters.
///
/// The function is called once for training and once for evaluation, and again for a short last batch. It must make the
/// same parameters each time.
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

    /// True for training. In evaluation there is no dropout, and running statistics are used.
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
        self.graph.layer(&format!("{name} (linear)"), || {
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
