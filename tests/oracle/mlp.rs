//! A small multi-layer perceptron with a hand-written backward pass: linear layers, ReLU or tanh
//! between them, softmax cross-entropy averaged over the batch.

use super::{
    Array,
    draw::{Rng, uniform},
    elementwise::{relu, zip},
    loss::cross_entropy,
    matmul::{matmul, matmul_backward, sum_to},
    optim::OptimOracle,
    reduce::softmax,
    view::{one_hot, transpose},
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    Relu,
    Tanh,
}

/// y = x · weightᵀ + bias.
#[derive(Clone, Debug)]
pub struct Linear {
    /// [out, in]
    pub weight: Array,
    /// [out]
    pub bias: Array,
}

#[derive(Clone, Debug)]
pub struct Mlp {
    pub layers: Vec<Linear>,
    pub activation: Activation,
}

impl Linear {
    fn forward(&self, x: &Array) -> Array {
        zip(&matmul(x, &transpose(&self.weight, 0, 1)), &self.bias, |product, b| product + b)
    }
}

impl Mlp {
    /// Layers of the given widths, weights and biases from U(±1/√in) as torch has them.
    pub fn draw(rng: &mut Rng, widths: &[usize], activation: Activation) -> Self {
        let layer = |rng: &mut Rng, fan_in: usize, fan_out: usize| {
            let bound = 1.0 / (fan_in as f64).sqrt();
            Linear {
                weight: uniform(rng, &[fan_out, fan_in], -bound, bound),
                bias: uniform(rng, &[fan_out], -bound, bound),
            }
        };
        Self { layers: widths.windows(2).map(|w| layer(rng, w[0], w[1])).collect(), activation }
    }

    /// weight, bias of each layer in turn, as torch.nn.Sequential orders them.
    pub fn parameters(&self) -> Vec<&Array> {
        self.layers.iter().flat_map(|layer| [&layer.weight, &layer.bias]).collect()
    }

    pub fn parameters_mut(&mut self) -> Vec<&mut Array> {
        self.layers.iter_mut().flat_map(|layer| [&mut layer.weight, &mut layer.bias]).collect()
    }

    /// The input of each layer, and last the logits.
    fn activations(&self, x: &Array) -> Vec<Array> {
        let mut values = vec![x.clone()];
        for (i, layer) in self.layers.iter().enumerate() {
            let y = layer.forward(&values[i]);
            let last = i + 1 == self.layers.len();
            values.push(match self.activation {
                _ if last => y,
                Activation::Relu => y.map(relu),
                Activation::Tanh => y.map(f64::tanh),
            });
        }
        values
    }

    /// x [N, in] to logits [N, classes].
    pub fn logits(&self, x: &Array) -> Array {
        self.activations(x).pop().expect("the logits")
    }

    /// How near the input of any ReLU comes to its kink, were all activations ReLU.
    pub fn margin(&self, x: &Array) -> f64 {
        let mut margin = f64::INFINITY;
        let mut value = x.clone();
        for layer in &self.layers[..self.layers.len() - 1] {
            value = layer.forward(&value);
            margin = value.data.iter().fold(margin, |m, y| m.min(y.abs()));
            value = value.map(relu);
        }
        margin
    }

    pub fn loss(&self, x: &Array, labels: &Array) -> f64 {
        cross_entropy(&self.logits(x), labels, 0.0, None).item()
    }

    /// The loss, and its gradient for each of `parameters()`.
    pub fn loss_and_gradients(&self, x: &Array, labels: &Array) -> (f64, Vec<Array>) {
        let values = self.activations(x);
        let logits = values.last().expect("the logits");
        let [rows, classes] = logits.shape[..] else { panic!("logits of shape {:?}", logits.shape) };
        // d(mean of −log softmax[label]) / d logits = (softmax − one-hot) / N
        let one_hot = one_hot(labels, classes);
        let mut upstream = zip(&softmax(logits, &[-1]), &one_hot, |p, t| (p - t) / rows as f64);
        let mut gradients = Vec::new();
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let weight_t = transpose(&layer.weight, 0, 1);
            let (dx, dweight_t) = matmul_backward(&values[i], &weight_t, &upstream);
            gradients.push(sum_to(&upstream, &layer.bias.shape));
            gradients.push(transpose(&dweight_t, 0, 1));
            // values[i] is the activation's output: relu' = 1 where it is > 0, tanh' = 1 − tanh²
            upstream = zip(&dx, &values[i], |d, y| match self.activation {
                Activation::Relu if y > 0.0 => d,
                Activation::Relu => 0.0,
                Activation::Tanh => d * (1.0 - y * y),
            });
        }
        gradients.reverse();
        (cross_entropy(logits, labels, 0.0, None).item(), gradients)
    }

    /// One step of training, and the loss before it. The optimizer runs over all parameters, laid
    /// end to end in the order of `parameters()`.
    pub fn train_step(&mut self, x: &Array, labels: &Array, optimizer: &mut OptimOracle) -> f64 {
        let (loss, gradients) = self.loss_and_gradients(x, labels);
        let flat = |arrays: Vec<&Array>| arrays.iter().flat_map(|a| a.data.clone()).collect::<Vec<f64>>();
        let mut w = flat(self.parameters());
        optimizer.step(&mut w, &flat(gradients.iter().collect()));
        let mut rest = &w[..];
        for parameter in self.parameters_mut() {
            let (head, tail) = rest.split_at(parameter.len());
            parameter.data.copy_from_slice(head);
            rest = tail;
        }
        loss
    }

    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.len()).sum()
    }
}
