//! Gradients of many minibatches of a small net of digits, at the same weights: each minibatch has a copy of the weights, so
//! its gradient is that of its copy.

use super::nets::{inputs_and_labels, tensor};
use super::statistics::Chance;
use crate::data::Part;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::graph::{Graph, Init, Tensor};
use crate::plan::{Function, NamedTensor, Value};

/// Units of the hidden layer, and classes.
const HIDDEN: usize = 16;
const CLASSES: usize = 10;
/// Added to variances by batch norm, as torch does.
const EPS: f32 = 1e-5;

/// The gradients of minibatches of one size.
pub(super) struct Gradients {
    function: Function,
    copies: usize,
    rows: usize,
    inputs: Vec<f32>,
    targets: Vec<i32>,
}

impl Gradients {
    /// For `copies` minibatches of `rows` samples at once; with batch norm before the hidden units where `normed` says so.
    /// The weights follow from the seed.
    pub fn new(
        gpu: &Gpu,
        part: &Part,
        (copies, rows): (usize, usize),
        normed: bool,
        seed: u64,
    ) -> Result<Gradients> {
        let wide = part.inputs().shape().elements();
        let graph = Graph::new();
        let x = graph.input("x", [copies, rows, wide]);
        let t = graph.input_i32("t", [copies, rows]);
        let parameter = |name: &str, shape: [usize; 3]| graph.parameter(name, shape, Init::Constant(0.0));
        let shapes = [
            ("w1", [copies, wide, HIDDEN], wide),
            ("b1", [copies, 1, HIDDEN], wide),
            ("w2", [copies, HIDDEN, CLASSES], HIDDEN),
            ("b2", [copies, 1, CLASSES], HIDDEN),
        ];
        let [w1, b1, w2, b2] = shapes.map(|(name, shape, _)| parameter(name, shape));
        let mut h = x.matmul(&w1).add(&b1);
        if normed {
            let centred = h.sub(&h.mean(&[1], true));
            let deviation = centred.square().mean(&[1], true).add_scalar(EPS).sqrt();
            h = centred.div(&deviation);
        }
        let logits = h.tanh().matmul(&w2).add(&b2);
        let right = logits.log_softmax(&[-1]).mul(&t.one_hot(CLASSES)).sum_all();
        // The sum over copies of the mean over their rows.
        let loss = right.mul_scalar(-1.0 / rows as f32);
        let gradients = graph.grad(&loss, &[&w1, &b1, &w2, &b2]);
        let outputs: Vec<&Tensor> = gradients.iter().collect();
        let mut function = Function::new(gpu, &graph, &outputs)?;
        let mut chance = Chance::new(seed);
        let weights: Vec<NamedTensor> = shapes
            .iter()
            .map(|(name, shape, fan_in)| {
                let bound = (*fan_in as f64).sqrt().recip();
                let one: Vec<f64> =
                    (0..shape[1] * shape[2]).map(|_| bound * (2.0 * chance.uniform() - 1.0)).collect();
                tensor(name, shape, &one.repeat(copies))
            })
            .collect();
        function.load_state_dict(&weights)?;
        let (inputs, targets) = inputs_and_labels(part)?;
        Ok(Gradients { function, copies, rows, inputs, targets })
    }

    /// The gradient of each of these minibatches, all weights one after the other.
    pub fn of(&mut self, batches: &[Vec<usize>]) -> Result<Vec<Vec<f64>>> {
        let wide = self.inputs.len() / self.targets.len();
        let mut out = Vec::with_capacity(batches.len());
        for some in batches.chunks(self.copies) {
            // Copies without a minibatch repeat the last.
            let last = &some[some.len() - 1];
            let all = some.iter().chain(std::iter::repeat(last)).take(self.copies).flatten();
            let (mut x, mut t) = (Vec::with_capacity(self.copies * self.rows * wide), Vec::new());
            for &i in all {
                x.extend_from_slice(&self.inputs[i * wide..(i + 1) * wide]);
                t.push(self.targets[i]);
            }
            let gradients = self.function.call(&[("x", Value::F32(&x)), ("t", Value::I32(&t))])?;
            for copy in 0..some.len() {
                let own = |g: &Vec<f32>| {
                    let each = g.len() / self.copies;
                    g[copy * each..(copy + 1) * each].iter().map(|v| f64::from(*v)).collect::<Vec<_>>()
                };
                out.push(gradients.iter().flat_map(own).collect());
            }
        }
        Ok(out)
    }
}
