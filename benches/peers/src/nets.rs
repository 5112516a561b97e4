//! The three nets, of Burn's own layers.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Gelu, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d, Relu,
};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::data;

/// A net from its inputs to logits [rows, classes], and the sizes of its data.
pub trait Net: Module {
    /// A batch.
    type Input: Clone;
    /// Samples in a batch.
    const BATCH: usize;
    /// Numbers in a sample.
    const SAMPLE: usize;
    /// Labels of a sample.
    const LABELS: usize;
    /// Classes of a label.
    const CLASSES: usize;

    fn new(device: &Device) -> Self;

    /// A batch from numbers in [0, 1).
    fn input(uniform: &[f32], device: &Device) -> Self::Input;

    fn forward(&self, x: Self::Input) -> Tensor<2>;
}

/// Replaces every parameter by [`data::weights`].
#[derive(Default)]
pub struct FixedWeights {
    names: Vec<String>,
}

impl ModuleMapper for FixedWeights {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let base = if self.names.last().is_some_and(|n| n == "gamma") { 1.0 } else { 0.0 };
        param.map(|tensor| {
            let shape = tensor.dims();
            let values = TensorData::new(data::weights(&shape, base), shape);
            Tensor::from_data(values, &tensor.device()).require_grad()
        })
    }
}

/// 64-64-64-10.
#[derive(Module, Debug)]
pub struct Mlp {
    first: Linear,
    second: Linear,
    third: Linear,
}

impl Net for Mlp {
    type Input = Tensor<2>;
    const BATCH: usize = 128;
    const SAMPLE: usize = 64;
    const LABELS: usize = 1;
    const CLASSES: usize = 10;

    fn new(device: &Device) -> Self {
        Mlp {
            first: LinearConfig::new(64, 64).init(device),
            second: LinearConfig::new(64, 64).init(device),
            third: LinearConfig::new(64, 10).init(device),
        }
    }

    fn input(uniform: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(uniform.to_vec(), [Self::BATCH, Self::SAMPLE]), device)
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = Relu.forward(self.first.forward(x));
        let x = Relu.forward(self.second.forward(x));
        self.third.forward(x)
    }
}

/// LeNet-5 in its common modern form: ReLU and maxima.
#[derive(Module, Debug)]
pub struct LeNet {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    third: Linear,
    fourth: Linear,
    fifth: Linear,
}

impl Net for LeNet {
    type Input = Tensor<4>;
    const BATCH: usize = 64;
    const SAMPLE: usize = 28 * 28;
    const LABELS: usize = 1;
    const CLASSES: usize = 10;

    fn new(device: &Device) -> Self {
        LeNet {
            first: Conv2dConfig::new([1, 6], [5, 5])
                .with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2))
                .init(device),
            second: Conv2dConfig::new([6, 16], [5, 5]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            third: LinearConfig::new(400, 120).init(device),
            fourth: LinearConfig::new(120, 84).init(device),
            fifth: LinearConfig::new(84, 10).init(device),
        }
    }

    fn input(uniform: &[f32], device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(uniform.to_vec(), [Self::BATCH, 1, 28, 28]), device)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.pool.forward(Relu.forward(self.first.forward(x)));
        let x = self.pool.forward(Relu.forward(self.second.forward(x)));
        let x = Relu.forward(self.third.forward(x.flatten(1, 3)));
        let x = Relu.forward(self.fourth.forward(x));
        self.fifth.forward(x)
    }
}

const VOCABULARY: usize = 96;
const CONTEXT: usize = 64;
const WIDTH: usize = 128;
const HEADS: usize = 4;
const LAYERS: usize = 4;

/// A block of nanoGPT, with biases.
#[derive(Module, Debug)]
struct Block {
    ln_1: LayerNorm,
    qkv: Linear,
    out: Linear,
    ln_2: LayerNorm,
    fc: Linear,
    proj: Linear,
}

impl Block {
    fn new(device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Block {
            ln_1: LayerNormConfig::new(WIDTH).init(device),
            qkv: linear(WIDTH, 3 * WIDTH),
            out: linear(WIDTH, WIDTH),
            ln_2: LayerNormConfig::new(WIDTH).init(device),
            fc: linear(WIDTH, 4 * WIDTH),
            proj: linear(4 * WIDTH, WIDTH),
        }
    }

    fn attention(&self, x: Tensor<3>, future: &Tensor<4, Bool>) -> Tensor<3> {
        let [n, t, d] = x.dims();
        let qkv = self.qkv.forward(x);
        let part =
            |i: usize| qkv.clone().narrow(2, i * d, d).reshape([n, t, HEADS, d / HEADS]).swap_dims(1, 2);
        let scores = part(0).matmul(part(1).transpose()).div_scalar((d as f32 / HEADS as f32).sqrt());
        let weights = softmax(scores.mask_fill(future.clone(), f32::NEG_INFINITY), 3);
        self.out.forward(weights.matmul(part(2)).swap_dims(1, 2).reshape([n, t, d]))
    }

    fn forward(&self, x: Tensor<3>, future: &Tensor<4, Bool>) -> Tensor<3> {
        let x = x.clone() + self.attention(self.ln_1.forward(x), future);
        x.clone() + self.proj.forward(Gelu::new().forward(self.fc.forward(self.ln_2.forward(x))))
    }
}

/// nanoGPT at the size of its example for a processor: learned positions, norms before, no dropout, a head of its own.
#[derive(Module, Debug)]
pub struct Gpt {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    ln: LayerNorm,
    head: Linear,
    at: Tensor<2, Int>,
    future: Tensor<4, Bool>,
}

impl Net for Gpt {
    type Input = Tensor<2, Int>;
    const BATCH: usize = 12;
    const SAMPLE: usize = CONTEXT;
    const LABELS: usize = CONTEXT;
    const CLASSES: usize = VOCABULARY;

    fn new(device: &Device) -> Self {
        Gpt {
            tokens: EmbeddingConfig::new(VOCABULARY, WIDTH).init(device),
            positions: EmbeddingConfig::new(CONTEXT, WIDTH).init(device),
            blocks: (0..LAYERS).map(|_| Block::new(device)).collect(),
            ln: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, VOCABULARY).with_bias(false).init(device),
            at: Tensor::<1, Int>::arange(0..CONTEXT as i64, device).reshape([1, CONTEXT]),
            // True above the diagonal: the mask is of what is to be hidden.
            future: Tensor::<2, Bool>::tril_mask([CONTEXT, CONTEXT], 0, device)
                .reshape([1, 1, CONTEXT, CONTEXT]),
        }
    }

    fn input(uniform: &[f32], device: &Device) -> Tensor<2, Int> {
        let tokens = data::integers(uniform, VOCABULARY);
        Tensor::from_data(TensorData::new(tokens, [Self::BATCH, CONTEXT]), device)
    }

    fn forward(&self, x: Tensor<2, Int>) -> Tensor<2> {
        let x = self.tokens.forward(x) + self.positions.forward(self.at.clone());
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x, &self.future));
        self.head.forward(self.ln.forward(x)).flatten(0, 1)
    }
}
