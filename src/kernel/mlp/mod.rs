//! A perceptron's whole step in two dispatches, for GPUs: `mlp_rows.wgsl` computes everything that samples do not share, from
//! the gathering to the gradient of each layer's output; the optimizer's kernel then sums the gradient of each weight over
//! the samples where it would else read it from memory.
//!
//! `plan/whole_net.rs` finds the nets that fit. Values lie in one buffer, so that the first kernel may write and read them
//! and the second may read them at any place. Products of a sample are sums in the order of K; the gradient of a weight is
//! four sums over every fourth sample, added at the end. These bits are the path's own, equal from run to run.
//!
//! The end of a larger net is a kernel of the same stages: the loss, the last layer before it where it is narrow, and the
//! gradient of that layer's input. Its values lie in buffers of their own (`plan/tail.rs`).

mod rows;
mod tail;
mod update;

use std::collections::HashMap;

use super::expr::{Coordinates, Printer};
use super::matmul::MatrixView;
use crate::graph::{CrossEntropyAttrs, Node, NodeId};

pub use rows::{Fed, ROWS, rows};
pub use tail::tail;
pub use update::{computed, stored_gradients};

/// The buffer of all values of a step.
pub const VALUES: &str = "activations 0";
/// The buffer of the input that is whole numbers.
pub const TARGETS: &str = "input t";

/// The largest batch: a gradient is summed over it by one invocation.
pub const LARGEST_BATCH: usize = 1024;
/// The most parameters. With more, products that divide the work over the card are faster.
pub const MOST_PARAMETERS: usize = 300_000;
/// The widest layer that is kept a row at a time.
pub const WIDEST: usize = 1024;

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In [`VALUES`], from this number on.
    Values(usize),
    /// In the buffer of targets.
    Targets,
    /// In the arena of parameters, from this number on.
    Parameters(usize),
    /// The words of the step.
    Clock,
    /// In the buffer of this number among those that the kernel reads.
    Given(usize),
    /// In the buffer of this number among those that the kernel makes.
    Made(usize),
}

/// A part of the first kernel; a barrier follows it.
#[derive(Debug, Clone)]
pub enum Stage {
    /// A product of rows and a parameter, with what follows from it element by element.
    Product {
        /// The product.
        node: NodeId,
        /// The last value computed.
        root: NodeId,
        /// A value on the way that is kept too.
        side_output: Option<NodeId>,
        /// Rows: element (row, k) of a value.
        a: MatrixView,
        /// Element (k, column) of a parameter.
        b: MatrixView,
        /// Columns of the result.
        n: usize,
        /// The summed axis.
        k: usize,
    },
    /// A value computed element by element.
    Chain(NodeId),
    /// Loss and gradient of cross-entropy.
    CrossEntropy {
        /// The node of the losses.
        loss: Option<NodeId>,
        /// The node of the gradient.
        grad: Option<NodeId>,
        /// The logits [rows, classes].
        logits: NodeId,
        /// The targets, whole numbers.
        targets: NodeId,
        /// Options.
        attrs: CrossEntropyAttrs,
    },
}

/// The gradient of a parameter.
#[derive(Debug, Clone)]
pub enum Gradient {
    /// Element (m, n) is the sum over samples of a (m, sample) b (sample, n).
    Product {
        /// [m, samples]
        a: MatrixView,
        /// [samples, n]
        b: MatrixView,
        /// Rows.
        m: usize,
        /// Columns.
        n: usize,
    },
    /// The sum over samples of a value [samples, ..].
    Sum {
        /// The value.
        value: NodeId,
        /// Its numbers a sample.
        width: usize,
    },
}

/// A number that goes to the ring of step metrics: a sum over everything, and what follows from it.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The reduction.
    pub node: NodeId,
    /// The last value computed.
    pub root: NodeId,
    /// Its column.
    pub column: usize,
}

/// A net whose step is two dispatches.
#[derive(Debug, Clone)]
pub struct Mlp {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// Samples.
    pub batch: usize,
    /// The stages of the first kernel, in order.
    pub stages: Vec<Stage>,
    /// Where each value in memory lies.
    pub places: HashMap<NodeId, Place>,
    /// Numbers of [`VALUES`].
    pub values: usize,
    /// The gradient of each trained parameter: the first vec4 of the parameter and of what follows it, and the rule.
    pub gradients: Vec<(usize, Gradient)>,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// Columns of the ring.
    pub columns: usize,
    /// Inputs by name.
    pub inputs: Vec<(String, NodeId)>,
}

impl Mlp {
    /// A net without stages.
    pub fn new(nodes: Vec<Node>, batch: usize, columns: usize) -> Mlp {
        Mlp {
            nodes,
            batch,
            stages: Vec::new(),
            places: HashMap::new(),
            values: 0,
            gradients: Vec::new(),
            metrics: Vec::new(),
            columns,
            inputs: Vec::new(),
        }
    }

    /// Bytes of [`TARGETS`].
    pub fn targets_bytes(&self) -> u64 {
        let targets = self.places.iter().filter(|(_, place)| **place == Place::Targets);
        targets.map(|(id, _)| (self.nodes[id.0].shape.elements() as u64 * 4).next_multiple_of(16)).sum()
    }

    /// The text that loads number `index` of a value. `open` is the number of the open step.
    fn load(&self, id: NodeId, index: &str, open: &str) -> String {
        match self.places[&id] {
            Place::Values(first) => format!("values[{first}u + {index}]"),
            Place::Targets => format!("targets_in[{index}]"),
            Place::Parameters(first) => format!("parameters[{first}u + {index}]"),
            Place::Given(number) => format!("given_{number}[{index}]"),
            Place::Made(number) => format!("made_{number}[{index}]"),
            Place::Clock if index == "1" => format!("bitcast<i32>({open})"),
            Place::Clock => format!("bitcast<i32>(state[{index}])"),
        }
    }

    /// Prints `root` at `coordinates`; the value of `acc` is the variable of that name.
    fn print(&self, root: NodeId, acc: Option<NodeId>, at: Coordinates, open: &str) -> super::expr::Printed {
        let stored = |id: NodeId| id != root && self.places.contains_key(&id);
        let load = |id: NodeId, index: &str| self.load(id, index, open);
        Printer::new(&self.nodes, &stored, acc, vec![]).loads(&load).finish(root, at)
    }
}
