//! Layers over [batch, positions, features] as ONNX operators.

use super::at::At;
use super::builder::{Builder, int, ints};
use crate::error::Result;
use crate::nn::{MultiHeadAttention, Recurrent};

/// Adds the first rows of the table.
pub(super) fn learned_positions(b: &mut Builder<'_>, max_len: usize, at: At<'_>) -> Result<String> {
    let positions = at.shape()[1];
    let mut table = b.weight(&at.named("weight"))?;
    if positions < max_len {
        let (from, to) = (b.integers("from", &[0]), b.integers("to", &[positions as i64]));
        table = b.op("Slice", &[&table, &from, &to], Vec::new());
    }
    Ok(b.op("Add", &[at.x, &table], Vec::new()))
}

/// The angle of each position and pair, `[positions, half]`, in the engine's f32 arithmetic: t·e^(-2i·ln(10,000)/d).
fn angles(positions: usize, half: usize, width: usize) -> Vec<f32> {
    let step = (-2.0 * 10_000_f64.ln() / width as f64) as f32;
    let rate = |i: usize| (i as f32 * step).exp();
    (0..positions).flat_map(|t| (0..half).map(move |i| t as f32 * rate(i))).collect()
}

/// Adds the table of sines, at even places, and cosines, at odd ones.
pub(super) fn sinusoidal_positions(b: &mut Builder<'_>, at: At<'_>) -> String {
    let (positions, width) = (at.shape()[1], at.shape()[2]);
    let half = width.div_ceil(2);
    let angles = angles(positions, half, width);
    let wave = |t: usize, i: usize| {
        let angle = angles[t * half + i / 2];
        if i.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    let table: Vec<f32> =
        (0..positions).flat_map(|t| (0..width).map(move |i| (t, i))).map(|(t, i)| wave(t, i)).collect();
    let table = b.floats("positions", &[positions, width], &table);
    b.op("Add", &[at.x, &table], Vec::new())
}

/// Self-attention by its parts: `Attention` is younger than the set of operators.
pub(super) fn attention(b: &mut Builder<'_>, o: &MultiHeadAttention, at: At<'_>) -> Result<String> {
    let (t, width) = (at.shape()[1], at.shape()[2]);
    let (heads, d) = (o.num_heads, width / o.num_heads);
    let bias = |b: &mut Builder<'_>, name: &str| o.bias.then(|| b.weight(&at.named(name))).transpose();
    let (weight, in_bias) = (b.weight(&at.named("in_proj_weight"))?, bias(b, "in_proj_bias")?);
    let all = b.product(at.x, &weight, in_bias.as_deref());
    let parts = b.op_of("Split", &[&all], 3, vec![int("axis", -1), int("num_outputs", 3)]);
    let split = [0, t as i64, heads as i64, d as i64];
    let parts: Vec<String> = parts.iter().map(|part| b.reshape(part, &split)).collect();
    let mut q = b.transpose(&parts[0], &[0, 2, 1, 3]);
    let mut k = b.transpose(&parts[1], &[0, 2, 1, 3]);
    let v = b.transpose(&parts[2], &[0, 2, 1, 3]);
    if o.rotary {
        let angles = angles(t, d / 2, d);
        let table = |of: fn(f32) -> f32| angles.iter().map(|angle| of(*angle)).collect::<Vec<f32>>();
        let cos = b.floats("cos", &[t, d / 2], &table(f32::cos));
        let sin = b.floats("sin", &[t, d / 2], &table(f32::sin));
        (q, k) = (turned(b, &q, &cos, &sin), turned(b, &k, &cos, &sin));
    }
    let k = b.transpose(&k, &[0, 1, 3, 2]);
    let q = b.times(&q, (1.0 / (d as f64).sqrt()) as f32);
    let mut scores = b.op("MatMul", &[&q, &k], Vec::new());
    if o.causal {
        let later = (0..t).flat_map(|i| (0..t).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }));
        let mask = b.floats("causal_mask", &[t, t], &later.collect::<Vec<f32>>());
        scores = b.op("Add", &[&scores, &mask], Vec::new());
    }
    let weights = b.op("Softmax", &[&scores], vec![int("axis", -1)]);
    let y = b.op("MatMul", &[&weights, &v], Vec::new());
    let y = b.transpose(&y, &[0, 2, 1, 3]);
    let y = b.reshape(&y, &[0, t as i64, width as i64]);
    let (weight, out_bias) = (b.weight(&at.named("out_proj.weight"))?, bias(b, "out_proj.bias")?);
    Ok(b.product(&y, &weight, out_bias.as_deref()))
}

/// The pairs (i, i + d/2) of x [batch, heads, positions, d], turned by the angle of their position.
fn turned(b: &mut Builder<'_>, x: &str, cos: &str, sin: &str) -> String {
    let halves = b.op_of("Split", &[x], 2, vec![int("axis", -1), int("num_outputs", 2)]);
    let mut times = |x: &str, table: &str| b.op("Mul", &[x, table], Vec::new());
    let (ac, bs) = (times(&halves[0], cos), times(&halves[1], sin));
    let (bc, as_) = (times(&halves[1], cos), times(&halves[0], sin));
    let first = b.op("Sub", &[&ac, &bs], Vec::new());
    let second = b.op("Add", &[&bc, &as_], Vec::new());
    b.op("Concat", &[&first, &second], vec![int("axis", -1)])
}

/// ONNX has the update gate before the reset gate.
pub(super) fn gru(b: &mut Builder<'_>, o: &Recurrent, at: At<'_>) -> Result<String> {
    recurrent(b, o, at, "GRU", &[1, 0, 2])
}

/// ONNX has the output gate after the input gate.
pub(super) fn lstm(b: &mut Builder<'_>, o: &Recurrent, at: At<'_>) -> Result<String> {
    recurrent(b, o, at, "LSTM", &[0, 3, 1, 2])
}

/// Layers along the positions, with gates in the order `gates` of the run's.
fn recurrent(b: &mut Builder<'_>, o: &Recurrent, at: At<'_>, kind: &str, gates: &[usize]) -> Result<String> {
    let width = o.hidden_size;
    let mut options = vec![int("hidden_size", width as i64)];
    if kind == "GRU" {
        // The reset gate multiplies after the product with the state, as in torch.
        options.push(int("linear_before_reset", 1));
    }
    // ONNX has the positions first.
    let mut x = b.transpose(at.x, &[1, 0, 2]);
    let mut features = at.shape()[2];
    for layer in 0..o.num_layers {
        let mut ordered = Ordered { b, at, layer, gates, width };
        let w = ordered.weight("W", "weight_ih", features)?;
        let r = ordered.weight("R", "weight_hh", width)?;
        let bias = o.bias.then(|| ordered.biases()).transpose()?;
        let inputs: Vec<&str> = [&*x, &w, &r].into_iter().chain(bias.as_deref()).collect();
        // [positions, 1, batch, width] and the last state [1, batch, width].
        let outputs = b.op_of(kind, &inputs, 2, options.clone());
        if layer + 1 == o.num_layers && !o.return_sequences {
            let axis = b.integers("axes", &[0]);
            return Ok(b.op("Squeeze", &[&outputs[1], &axis], Vec::new()));
        }
        let axis = b.integers("axes", &[1]);
        x = b.op("Squeeze", &[&outputs[0], &axis], Vec::new());
        features = width;
    }
    Ok(b.op("Transpose", &[&x], vec![ints("perm", [1, 0, 2])]))
}

/// The weights of a recurrent layer, put in ONNX's order of gates.
struct Ordered<'b, 'w, 'a> {
    b: &'b mut Builder<'w>,
    at: At<'a>,
    layer: usize,
    gates: &'a [usize],
    width: usize,
}

impl Ordered<'_, '_, '_> {
    /// The numbers of `what`, gate by gate, with `each` numbers a row.
    fn values(&self, what: &str, each: usize) -> Result<Vec<f32>> {
        let own = self.b.find(&self.at.named(&format!("{what}_l{}", self.layer)))?;
        let gate = self.width * each;
        Ok(self.gates.iter().flat_map(|i| &own.values[i * gate..(i + 1) * gate]).copied().collect())
    }

    /// `[1, gates·width, each]`, by ONNX's name for it.
    fn weight(&mut self, name: &str, what: &str, each: usize) -> Result<String> {
        let values = self.values(what, each)?;
        let dims = [1, self.gates.len() * self.width, each];
        Ok(self.b.floats(&format!("{name}_l{}", self.layer), &dims, &values))
    }

    /// Biases of the input, then those of the state, `[1, 2·gates·width]`.
    fn biases(&mut self) -> Result<String> {
        let values = [self.values("bias_ih", 1)?, self.values("bias_hh", 1)?].concat();
        Ok(self.b.floats(&format!("B_l{}", self.layer), &[1, values.len()], &values))
    }
}
