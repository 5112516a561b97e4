//! Nets and data of these tests.

use downhill::Tensor;
use downhill::compile::{TrainOptions, TrainPlan};
use downhill::data::{BatchSize, Dataset};
use downhill::gpu::Family;
use downhill::kernel::{Precision, Target};
use downhill::nn::{BatchNorm, Conv2d, LayerNorm, MultiHeadAttention, Net, Padding, Pool2d, Recurrent, loss};
use downhill::optim::{Optimizer, Update};

/// Samples of the data, of 2x6x6 numbers in 5 classes.
pub const SAMPLES: usize = 24;
/// Samples of a batch.
pub const BATCH: usize = 8;

pub type Model = fn(&Net, &Tensor) -> Tensor;

fn value(i: usize) -> f32 {
    ((i * 7919 + i / 13 * 104_729) % 1000) as f32 / 500.0 - 1.0
}

pub fn inputs(samples: usize) -> Vec<f32> {
    (0..samples * 72).map(value).collect()
}

pub fn labels(samples: usize) -> Vec<i32> {
    (0..samples).map(|i| (i * i % 5) as i32).collect()
}

pub fn data() -> Dataset {
    let data = Dataset::from_arrays("made up", [2, 6, 6], inputs(SAMPLES), [], labels(SAMPLES));
    let data = data.expect("a data set").with_eval(inputs(11), labels(11)).expect("two parts");
    data.with_classes(5).expect("five classes")
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

/// A perceptron; on GPUs a whole net in two dispatches.
pub fn perceptron(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", &x.flatten(), 20).relu();
    let h = net.linear("1", &h, 12).tanh();
    net.linear("2", &h, 5)
}

/// Layers of more than 4,096 weights.
pub fn wide(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", &x.flatten(), 64).relu();
    net.linear("1", &h, 5)
}

/// Convolutions, batch norm, pooling, dropout.
pub fn convolutions(net: &Net, x: &Tensor) -> Tensor {
    let same = |channels| Conv2d { padding: Padding::Same, ..Conv2d::new(channels, [3, 3]) };
    let h = net.conv2d("c", x, &same(6));
    let h = net.batch_norm("b", &h, &BatchNorm::default()).relu();
    let h = net.conv2d("d", &h.max_pool(&Pool2d::new([2, 2])), &same(8)).relu();
    let h = net.dropout(&h, 0.2);
    net.linear("o", &h.flatten(), 5)
}

/// Attention over the rows of the image, with norms.
pub fn attention(net: &Net, x: &Tensor) -> Tensor {
    let n = x.shape()[0];
    let rows = x.permute(&[0, 2, 1, 3]).reshape([n, 6, 12]);
    let h = net.layer_norm("n", &rows, &LayerNorm::default());
    let h = rows.add(&net.multi_head_attention("a", &h, &MultiHeadAttention::new(3)));
    net.linear("o", &h.flatten(), 5)
}

/// A recurrent net over the rows of the image.
pub fn recurrent(net: &Net, x: &Tensor) -> Tensor {
    let n = x.shape()[0];
    let rows = x.permute(&[0, 2, 1, 3]).reshape([n, 6, 12]);
    let last = Recurrent { return_sequences: false, ..Recurrent::new(10) };
    net.linear("o", &net.gru("g", &rows, &last), 5)
}

pub const MODELS: [(&str, Model); 5] = [
    ("perceptron", perceptron),
    ("wide perceptron", wide),
    ("convolutions", convolutions),
    ("attention", attention),
    ("recurrent", recurrent),
];

/// An optimizer by name, with settings as in a config.
pub fn update(name: &str, settings: &str) -> Update {
    Update::new(Optimizer::parse(name, settings).expect("an optimizer"))
}

pub fn options() -> TrainOptions {
    TrainOptions { batch_size: BatchSize::Rows(BATCH), ..TrainOptions::default() }
}

pub fn half() -> TrainOptions {
    TrainOptions { precision: Precision::F16, ..options() }
}

/// The plan of one net, which reads from storage buffers.
pub fn plan(model: Model, update: &Update, options: &TrainOptions, target: Target) -> TrainPlan {
    let plan = TrainPlan::builder(&data(), update.clone())
        .model(&model, &cross_entropy)
        .options(options)
        .target(target)
        .build();
    plan.expect("a plan")
}

/// The targets that a plan is made for: kernels one by one, whole nets, and those of software adapters.
pub fn targets() -> [Target; 3] {
    let tiled = Target::new(Family::Tiled);
    [tiled, tiled.kernel_by_kernel(), Target::new(Family::Subgroup)]
}
