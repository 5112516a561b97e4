//! Recurrent layers, unrolled in the graph.

use serde::{Deserialize, Serialize};

use super::Net;
use super::axes::{one, yes};
use crate::graph::{Init, Tensor};

/// Options of [`Net::gru`] and [`Net::lstm`]; torch's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    /// Width of the state.
    pub hidden_size: usize,
    /// Number of layers, each on the sequence of the one before. Default: 1.
    #[serde(default = "one")]
    pub num_layers: usize,
    /// Trains biases. Default: true.
    #[serde(default = "yes")]
    pub bias: bool,
    /// Returns the last layer's state at every position, [n, t, hidden_size], else at the last position only,
    /// [n, hidden_size]. Default: true.
    #[serde(default = "yes")]
    pub return_sequences: bool,
}

impl Recurrent {
    /// One layer with biases that gives the whole sequence.
    pub fn new(hidden_size: usize) -> Self {
        Recurrent { hidden_size, num_layers: 1, bias: true, return_sequences: true }
    }
}

/// One layer's weights.
struct Cell {
    hidden: Tensor,
    hidden_bias: Option<Tensor>,
    width: usize,
}

impl Cell {
    /// h·W_hhᵀ + b_hh, [n, gates].
    fn of_state(&self, h: &Tensor) -> Tensor {
        let y = h.matmul(&self.hidden.transpose(0, 1));
        self.hidden_bias.as_ref().map_or(y.clone(), |b| y.add(b))
    }

    /// Gate i of [n, gates].
    fn gate(&self, all: &Tensor, i: usize) -> Tensor {
        all.slice(-1, i * self.width, (i + 1) * self.width)
    }
}

impl Net {
    /// Gated recurrent units along x [n, t, d], from a state of 0.
    ///
    /// r = σ(W_ir x + b_ir + W_hr h + b_hr), z likewise, ñ = tanh(W_in x + b_in + r(W_hn h + b_hn)),
    /// h' = (1 − z)ñ + z h. Parameters `name.weight_ih_l0` [3h, d], `name.weight_hh_l0` [3h, h], `name.bias_ih_l0`,
    /// `name.bias_hh_l0` \[3h\], gates in the order r, z, n, all from U(±1/√h); `_l1` and so on for further layers.
    /// Source: `torch.nn.GRU` with `batch_first`.
    pub fn gru(&self, name: &str, x: &Tensor, options: &Recurrent) -> Tensor {
        self.recurrent(name, "gru", x, options, 3, |cell, input, state| {
            let h = &state[0];
            let of_h = cell.of_state(h);
            let sum = |i: usize| cell.gate(input, i).add(&cell.gate(&of_h, i));
            let (r, z) = (sum(0).sigmoid(), sum(1).sigmoid());
            let n = cell.gate(input, 2).add(&r.mul(&cell.gate(&of_h, 2))).tanh();
            vec![n.add(&z.mul(&h.sub(&n)))]
        })
    }

    /// Long short-term memory along x [n, t, d], from states of 0.
    ///
    /// i, f, o = σ(W x + b + W_h h + b_h), g = tanh(likewise), c' = f c + i g, h' = o tanh c'. Parameters as in
    /// [`Net::gru`] with four gates in the order i, f, g, o. Source: `torch.nn.LSTM` with `batch_first`.
    pub fn lstm(&self, name: &str, x: &Tensor, options: &Recurrent) -> Tensor {
        self.recurrent(name, "lstm", x, options, 4, |cell, input, state| {
            let all = input.add(&cell.of_state(&state[0]));
            let gate = |i: usize| cell.gate(&all, i);
            let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
            let c = f.mul(&state[1]).add(&i.mul(&g));
            vec![o.mul(&c.tanh()), c]
        })
    }

    fn recurrent(
        &self,
        name: &str,
        kind: &str,
        x: &Tensor,
        options: &Recurrent,
        gates: usize,
        step: impl Fn(&Cell, &Tensor, &[Tensor]) -> Vec<Tensor>,
    ) -> Tensor {
        self.graph().layer(&format!("{name} ({kind})"), || {
            let &[n, t, _] = x.shape() else {
                return x.fail(format!("{kind} needs an input [n, t, features]; got {:?}", x.shape()));
            };
            let width = options.hidden_size;
            if width == 0 || options.num_layers == 0 {
                return x.fail(format!(
                    "hidden_size = {width}, num_layers = {}: at least 1 each is needed",
                    options.num_layers
                ));
            }
            let init = Init::linear(width);
            let mut sequence = x.clone();
            let mut last = x.clone();
            for layer in 0..options.num_layers {
                let features = sequence.shape()[2];
                let named = |what: &str| format!("{name}.{what}_l{layer}");
                let of_input = self.parameter(&named("weight_ih"), [gates * width, features], init);
                let hidden = self.parameter(&named("weight_hh"), [gates * width, width], init);
                let bias = |what| options.bias.then(|| self.parameter(&named(what), [gates * width], init));
                let (input_bias, hidden_bias) = (bias("bias_ih"), bias("bias_hh"));
                let cell = Cell { hidden, hidden_bias, width };
                // The input products of all positions at once.
                let inputs = sequence.matmul(&of_input.transpose(0, 1));
                let inputs = input_bias.map_or(inputs.clone(), |b| inputs.add(&b));
                let zero = self.graph().constant(0.0).broadcast_to([n, width]);
                let mut state = vec![zero.clone(), zero];
                let mut places = Vec::with_capacity(t);
                for at in 0..t {
                    let input = inputs.slice(1, at, at + 1).reshape([n, gates * width]);
                    state = step(&cell, &input, &state);
                    places.push(state[0].reshape([n, 1, width]));
                }
                last = state.swap_remove(0);
                if layer + 1 < options.num_layers || options.return_sequences {
                    sequence = Tensor::concat(&places.iter().collect::<Vec<_>>(), 1);
                }
            }
            if options.return_sequences { sequence } else { last }
        })
    }
}
