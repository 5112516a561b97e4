//! The configs under `examples/`: each is planned, allocated to the byte and takes steps; and a model evaluated in
//! batches of any size gives the same numbers.

mod adapter;
mod example_configs;

use adapter::{families, open};
use downhill::compile::TrainOptions;
use downhill::config::Config;
use downhill::data::{BatchSize, Dataset};
use downhill::kernel::Target;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;
use downhill::{Gpu, Tensor};
use example_configs::StandIn;

#[test]
fn every_example_allocates_what_its_plan_says_and_trains() {
    let family = families()[0];
    let stand_in = StandIn::new();
    for path in example_configs::all() {
        let gpu = open(family);
        let name = path.file_name().expect("a name").display().to_string();
        let config = Config::load(&path, &stand_in.settings(&path)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let data = config.dataset().unwrap_or_else(|e| panic!("{name}: {e}"));
        let planned = config.plan(&data, Target::new(family));
        let train_plan = planned.unwrap_or_else(|e| panic!("{name}: {e}"));
        let peak = train_plan.peak_bytes();
        let mut trainer = Trainer::from_plan(&gpu, train_plan, &data, &config.options)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let losses: Vec<f32> =
            trainer.advance(2).unwrap_or_else(|e| panic!("{name}: {e}")).iter().map(|r| r.loss).collect();
        assert!(losses.iter().all(|l| l.is_finite()), "{name}: {losses:?}");
        assert_eq!(gpu.ledger().total(), peak, "{name}: bytes of the ledger and of the plan");
    }
}

/// A convolutional net with batch norm, dropout and pools, then attention over what is left.
fn model(net: &downhill::nn::Net, x: &Tensor) -> Tensor {
    use downhill::nn::{BatchNorm, Conv2d, LayerNorm, MultiHeadAttention, Padding, Pool2d};
    let same = Conv2d { padding: Padding::Same, ..Conv2d::new(6, [3, 3]) };
    let h = net.conv2d("c", x, &same);
    let h = net.batch_norm("b", &h, &BatchNorm::default()).relu().max_pool(&Pool2d::new([2, 2]));
    let h = net.dropout(&h, 0.25);
    let h = h.reshape([x.shape()[0], 6, 16]).permute(&[0, 2, 1]);
    let a = net.layer_norm("n", &h, &LayerNorm::default());
    let h = &h + net.multi_head_attention("a", &a, &MultiHeadAttention::new(2));
    net.linear("out", &h.flatten(), 10)
}

#[test]
fn evaluation_does_not_depend_on_the_batch() {
    let digits = downhill::data::digits().expect("digits");
    let train = digits.train();
    let (pixels, labels) = (train.inputs().values(), train.targets().values());
    let (downhill::data::Values::F32(pixels), downhill::data::Values::I32(labels)) = (pixels, labels) else {
        panic!("f32 pixels and i32 labels")
    };
    let part = |from: usize, to: usize| (pixels[from * 64..to * 64].to_vec(), labels[from..to].to_vec());
    let (x, t) = part(0, 96);
    let options = TrainOptions { batch_size: BatchSize::Rows(32), seed: 2, ..TrainOptions::default() };
    let adamw = Optimizer::AdamW(AdamW { lr: 1e-2, ..AdamW::default() });
    let cross_entropy = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &loss::CrossEntropy::default());
    let trainer = |gpu: &Gpu, from: usize, to: usize| {
        let (ex, et) = part(from, to);
        let data = Dataset::from_arrays("digits", [1, 8, 8], x.clone(), [], t.clone())
            .and_then(|d| d.with_eval(ex, et))
            .and_then(|d| d.with_classes(10))
            .expect("a data set");
        Trainer::new(gpu, &model, &cross_entropy, &adamw, &data, &options).expect("a trainer")
    };
    for &family in families() {
        let gpu = open(family);
        let mut first = trainer(&gpu, 100, 164);
        first.advance(9).expect("steps");
        let weights = first.state_dict().expect("weights");
        let whole = first.evaluate().expect("evaluates").expect("a part");
        // 64 samples at once; 7 at a time and one alone.
        let (mut sum, mut right) = (0.0, 0.0);
        for from in (100..164).step_by(7) {
            let to = (from + 7).min(164);
            let mut other = trainer(&gpu, from, to);
            other.load_state_dict(&weights).expect("the model's own");
            let e = other.evaluate().expect("evaluates").expect("a part");
            sum += e.loss * (to - from) as f64;
            right += e.accuracy.expect("classes") * (to - from) as f64;
        }
        assert!(
            (sum / 64.0 - whole.loss).abs() <= 1e-5 * whole.loss,
            "{family:?}: {} {}",
            sum / 64.0,
            whole.loss
        );
        assert!((right / 64.0 - whole.accuracy.expect("classes")).abs() < 1e-9, "{family:?}");
        // What it has become by training is not what it began as.
        assert!(
            weights.iter().any(|w| w.name == "b.running_mean" && w.values.iter().any(|v| v.abs() > 1e-3))
        );
    }
}
