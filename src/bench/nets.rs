//! The nets that are measured, with random data.

use crate::compile::Model;
use crate::data::Dataset;
use crate::graph::Tensor;
use crate::nn::{Conv2d, Embedding, LayerNorm, MultiHeadAttention, Net, Padding, Pool2d, Positional};

use crate::check::noise;

/// A net with its data; the loss is cross-entropy.
pub struct Workload {
    /// The name in `benches/RESULTS.md`.
    pub name: String,
    /// Samples in a batch.
    pub batch: usize,
    /// The net.
    pub model: Box<Model<'static>>,
    /// Four batches.
    pub data: Dataset,
}

impl std::fmt::Debug for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workload")
            .field("name", &self.name)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// Seed of the data. benches/peers draws the same data.
const SEED: u64 = 1;

/// All of them: three perceptrons, LeNet, a small GPT.
pub fn workloads() -> Vec<Workload> {
    let mlps: [(&'static [usize], usize); 3] =
        [(&[64, 64, 64, 10], 128), (&[784, 256, 256, 10], 128), (&[784, 512, 512, 10], 512)];
    let mut all: Vec<Workload> = mlps.map(|(widths, batch)| mlp(widths, batch)).into();
    all.push(lenet());
    all.push(gpt());
    all
}

/// Dense layers with ReLU between them.
fn mlp(widths: &'static [usize], batch: usize) -> Workload {
    let model = |net: &Net, x: &Tensor| {
        let mut x = x.clone();
        for (i, &width) in widths[1..].iter().enumerate() {
            x = if i > 0 { x.relu() } else { x };
            x = net.linear(&i.to_string(), &x, width);
        }
        x
    };
    let name = widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
    let data = random(&widths[..1], widths[widths.len() - 1], batch);
    Workload { name: format!("{name} batch {batch}"), batch, model: Box::new(model), data }
}

/// Two convolutions with pools and three dense layers, after LeNet-5 (LeCun et al. 1998).
fn lenet() -> Workload {
    let model = |net: &Net, x: &Tensor| {
        let same = Conv2d { padding: Padding::Explicit([2, 2]), ..Conv2d::new(6, [5, 5]) };
        let x = net.conv2d("c1", x, &same).relu().max_pool(&Pool2d::new([2, 2]));
        let x = net.conv2d("c2", &x, &Conv2d::new(16, [5, 5])).relu().max_pool(&Pool2d::new([2, 2]));
        let x = net.linear("f1", &x.flatten(), 120).relu();
        let x = net.linear("f2", &x, 84).relu();
        net.linear("f3", &x, 10)
    };
    Workload {
        name: "lenet 1x28x28 batch 64".into(),
        batch: 64,
        model: Box::new(model),
        data: random(&[1, 28, 28], 10, 64),
    }
}

/// A character-level transformer of nanoGPT's CPU example: 4 layers, 4 heads, 128 wide, context 64, pre-norm.
fn gpt() -> Workload {
    const VOCABULARY: usize = 96;
    let model = |net: &Net, x: &Tensor| {
        let table = Embedding { num_embeddings: VOCABULARY, embedding_dim: 128, padding_idx: None };
        let mut x = net.embedding("tokens", x, &table);
        x = net.positional_embedding("places", &x, Positional::Learned { max_len: 64 });
        let attention = MultiHeadAttention { causal: true, ..MultiHeadAttention::new(4) };
        for i in 0..4 {
            let h = net.layer_norm(&format!("{i}.norm1"), &x, &LayerNorm::default());
            x = &x + net.multi_head_attention(&format!("{i}.attention"), &h, &attention);
            let h = net.layer_norm(&format!("{i}.norm2"), &x, &LayerNorm::default());
            let h = net.linear(&format!("{i}.up"), &h, 512).gelu();
            x = &x + net.linear(&format!("{i}.down"), &h, 128);
        }
        let x = net.layer_norm("norm", &x, &LayerNorm::default());
        net.linear_no_bias("head", &x, VOCABULARY)
    };
    let (batch, n) = (12, 48 * 64);
    let numbers = noise(SEED, 2 * n, 0.0, 1.0);
    let (inputs, targets) = (below(VOCABULARY, &numbers[..n]), below(VOCABULARY, &numbers[n..]));
    let data = Dataset::from_arrays("random", [64], inputs, [64], targets).expect("the arrays fit");
    Workload { name: "gpt 4x4x128x64 batch 12".into(), batch, model: Box::new(model), data }
}

/// Inputs in [0, 1) and labels for four batches.
fn random(shape: &[usize], classes: usize, batch: usize) -> Dataset {
    let n = 4 * batch;
    let elements = n * shape.iter().product::<usize>();
    let mut inputs = noise(SEED, elements + n, 0.0, 1.0);
    let labels = below(classes, &inputs.split_off(elements));
    Dataset::from_arrays("random", shape, inputs, [], labels)
        .and_then(|d| d.with_classes(classes))
        .expect("the arrays fit")
}

/// Whole numbers below `classes` from numbers in [0, 1).
fn below(classes: usize, numbers: &[f32]) -> Vec<i32> {
    numbers.iter().map(|x| (x * classes as f32) as i32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_are_those_that_benches_peers_draws() {
        // The high 24 bits of s <- 6364136223846793005 s + 1442695040888963407 mod 2^64 from 0x9e3779b97f4a7c15.
        let want = [2943726, 11174005, 11781264].map(|bits: u32| bits as f32 / 16_777_216.0);
        assert_eq!(noise(SEED, 3, 0.0, 1.0), want);
        // Labels continue the sequence of the inputs.
        let data = random(&[1], 1000, 1);
        let drawn = noise(SEED, 8, 0.0, 1.0);
        let fields: Vec<_> =
            data.train().fields().map(|(_, field)| field.shared().as_ref().clone()).collect();
        assert_eq!(
            fields,
            [
                crate::data::Values::F32(drawn[..4].to_vec()),
                crate::data::Values::I32(below(1000, &drawn[4..]))
            ]
        );
    }
}
