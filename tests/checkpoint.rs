//! Checkpointed blocks: the same numbers in less memory, for more work.

mod adapter;

use adapter::{families, open};
use downhill::Tensor;
use downhill::compile::{TrainOptions, TrainPlan};
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::kernel::Target;
use downhill::nn::{BatchNorm, Conv2d, LayerNorm, MultiHeadAttention, Net, Padding};
use downhill::optim::{Optimizer, Sgd};
use downhill::train::Trainer;

const BATCH: usize = 16;

fn images() -> Dataset {
    let pixels: Vec<f32> = (0..BATCH * 3 * 64).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let labels: Vec<i32> = (0..BATCH as i32).map(|i| i % 3).collect();
    Dataset::from_arrays("images", [3, 8, 8], pixels, [], labels)
        .and_then(|d| d.with_classes(3))
        .expect("a data set")
}

/// Convolutions with batch norm and dropout, then attention over the pixels.
fn model(net: &Net, x: &Tensor, checkpointed: bool) -> Tensor {
    let same = Conv2d { padding: Padding::Same, ..Conv2d::new(8, [3, 3]) };
    let block = |x: &Tensor, i: usize| {
        let h = net.conv2d(&format!("{i}.a"), x, &same);
        let h = net.batch_norm(&format!("{i}.b"), &h, &BatchNorm::default()).relu();
        let h = net.dropout(&net.conv2d(&format!("{i}.c"), &h, &same), 0.2);
        net.batch_norm(&format!("{i}.d"), &h, &BatchNorm::default()).gelu()
    };
    let attend = |x: &Tensor| {
        let h = net.layer_norm("norm", x, &LayerNorm::default());
        let h = net.multi_head_attention("attention", &h, &MultiHeadAttention::new(2));
        x + net.linear("down", &net.linear("up", &h, 64).silu(), 8)
    };
    let mut x = x.clone();
    for i in 0..2 {
        x = if checkpointed { net.checkpoint(&x, |x| block(x, i)) } else { block(&x, i) };
    }
    let x = x.reshape([x.shape()[0], 8, 64]).permute(&[0, 2, 1]);
    let x = if checkpointed { net.checkpoint(&x, attend) } else { attend(&x) };
    net.linear("out", &x.mean(&[1], false), 3)
}

fn loss(y: &Tensor, t: &Tensor) -> Tensor {
    downhill::nn::loss::cross_entropy(y, t, &downhill::nn::loss::CrossEntropy::default())
}

#[test]
fn a_checkpointed_net_trains_to_the_same_numbers() {
    for &family in families() {
        let gpu = open(family);
        let run = |checkpointed: bool| {
            let options =
                TrainOptions { batch_size: BatchSize::Rows(BATCH), seed: 5, ..TrainOptions::default() };
            let sgd = Optimizer::Sgd(Sgd { lr: 0.05, ..Sgd::default() });
            let model = move |net: &Net, x: &Tensor| model(net, x, checkpointed);
            let mut trainer =
                Trainer::new(&gpu, &model, &loss, &sgd, &images(), &options).expect("a trainer");
            let losses: Vec<f32> = trainer.advance(6).expect("steps").iter().map(|r| r.loss).collect();
            (losses, trainer.state_dict().expect("weights"))
        };
        let ((plain, weights), (again, others)) = (run(false), run(true));
        for (i, (a, b)) in plain.iter().zip(&again).enumerate() {
            assert!((a - b).abs() <= 1e-5 * a.abs(), "{family:?}, step {i}: {a} and {b}");
        }
        for (a, b) in weights.iter().zip(&others) {
            assert_eq!(a.name, b.name);
            let scale = a.values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            for (x, y) in a.values.iter().zip(&b.values) {
                assert!((x - y).abs() <= 1e-4 * scale, "{family:?}, {}: {x} and {y}", a.name);
            }
        }
    }
}

#[test]
fn it_takes_less_memory_and_more_work() {
    for &family in families() {
        let plan = |checkpointed: bool| {
            let batches = BatchPlan::new(BATCH, BatchSize::Rows(BATCH), false).expect("batches");
            let sgd = Optimizer::Sgd(Sgd::default());
            let model = move |net: &Net, x: &Tensor| model(net, x, checkpointed);
            TrainPlan::builder(&images(), &sgd)
                .model(&model, &loss)
                .batches(batches)
                .target(Target::new(family))
                .build()
                .expect("a plan")
        };
        let (plain, again) = (plan(false), plan(true));
        assert!(again.peak_bytes() < plain.peak_bytes(), "{} for {}", again.peak_bytes(), plain.peak_bytes());
        let flops = |b: &TrainPlan| b.train[0].plan.flops();
        let c = again.recomputation.expect("there are blocks");
        assert!(plain.recomputation.is_none());
        assert_eq!(c.saved_bytes, plain.train[0].plan.bytes() as i64 - again.train[0].plan.bytes() as i64);
        assert_eq!(c.added_flops, flops(&again) - flops(&plain));
        assert!(flops(&again) > flops(&plain) && flops(&again) < 2 * flops(&plain));
    }
}
