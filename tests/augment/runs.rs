//! Runs by a config: what is drawn when, and what is not.

use downhill::compile::{Batch, TrainOptions};
use downhill::config::Config;
use downhill::data::{BatchSize, Dataset};
use downhill::nn::Net;
use downhill::nn::augment::gaussian_noise;
use downhill::optim::{Optimizer, Sgd};
use downhill::train::Trainer;
use downhill::{Init, Tensor};

use crate::{adapter, assert_mean};

const ALL: &str = "[{ horizontal_flip = 0.5 }, { vertical_flip = 0.1 }, { crop = 1 }, { shift = 1 }, { rotation = 10 }, \
                   { erasing = 0.25 }, { noise = 0.1 }, { mixup = 0.2 }]";

fn config(augment: &str, more: &str) -> Config {
    let text = format!(
        "[data]\nsource = \"digits\"\naugment = {augment}\n[model]\nlayers = [{{ conv2d = {{ out_channels = 4, \
         kernel_size = 3 }} }}, \"relu\", \"flatten\", {{ linear = 10 }}]\nloss = \"cross_entropy\"\n[optimizer]\n\
         name = \"sgd\"\n"
    );
    let settings: Vec<String> = more.split_whitespace().map(str::to_owned).collect();
    Config::parse(&text, &settings).expect("a config")
}

/// The bits of the losses of so many steps, of the weights after them, and of an evaluation before them.
fn run(config: &Config, steps: u64) -> (Vec<u32>, Vec<u32>, u64) {
    let data = config.dataset().expect("digits");
    let gpu = adapter::open(adapter::families()[0]);
    let mut trainer = config.trainer(&gpu, &data).expect("a trainer");
    let before = trainer.evaluate().expect("an evaluation").expect("a part to evaluate on").loss.to_bits();
    let losses = trainer.advance(steps).expect("steps").iter().map(|step| step.loss.to_bits()).collect();
    let weights = trainer.state_dict().expect("weights");
    (losses, weights.iter().flat_map(|w| w.values.iter().map(|x| x.to_bits())).collect(), before)
}

#[test]
fn a_seed_gives_the_same_bits_and_another_others() {
    let [first, again, other] = [3, 3, 4].map(|seed| run(&config(ALL, &format!("seed={seed}")), 20));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}

/// Weights that do not change see a full batch anew each step, by whatever entry; without any they see it as it was.
/// Evaluation is that of the plain run, to the bit.
#[test]
fn each_step_draws_anew_and_evaluation_nothing() {
    let still = "optimizer.lr=0 data.batch_size=full data.shuffle=false";
    let (plain, weights, evaluated) = run(&config("[]", still), 3);
    assert!(plain.windows(2).all(|pair| pair[0] == pair[1]));
    for entry in ALL.trim_matches(['[', ']']).split_inclusive(" }") {
        let entry = entry.trim_start_matches(", ");
        let (losses, same, before) = run(&config(&format!("[{entry}]"), still), 3);
        assert!(
            losses[0] != losses[1] && losses[1] != losses[2] && losses[0] != losses[2],
            "{entry}: {losses:?}"
        );
        assert!(!losses.contains(&plain[0]), "{entry}");
        assert_eq!((same, before), (weights.clone(), evaluated), "{entry}");
    }
}

/// Two samples alike, a micro-batch each: the squares of their noise are two draws, and their mean has half the variance
/// of one.
#[test]
fn each_micro_batch_draws_anew() {
    let data = Dataset::from_arrays("zeros", [1], vec![0.0; 2], [], vec![0.0; 2]).expect("data");
    let loss = |net: &Net, batch: &Batch| -> Tensor {
        let w = net.parameter("w", [1], Init::Constant(1.0));
        gaussian_noise(net, batch.x(), 1.0).mul(&w).square().mean_all()
    };
    let sgd = Optimizer::Sgd(Sgd { lr: 0.0, ..Sgd::default() });
    let options = TrainOptions {
        batch_size: BatchSize::Rows(2),
        micro_batch: downhill::compile::MicroBatch::Rows(1),
        ..TrainOptions::default()
    };
    let gpu = adapter::open(adapter::families()[0]);
    let mut trainer = Trainer::for_step(&gpu, &loss, &sgd, &data, &options).expect("a trainer");
    let mut losses = Vec::new();
    while losses.len() < 2048 {
        losses.extend(trainer.advance(32).expect("steps").iter().map(|step| f64::from(step.loss)));
    }
    assert_mean(&losses, 1.0, 1.0);
    // Of s = (z² + w²)/2, an exponential variable of mean 1, (s − 1)² has mean 1 and variance 8; of z² mean 2.
    assert_mean(&losses.iter().map(|s| (s - 1.0).powi(2)).collect::<Vec<f64>>(), 1.0, 8f64.sqrt());
}

/// An autoencoder's target is the input before the noise.
#[test]
fn targets_that_are_inputs_stay_as_they_were() {
    let text = "[data]\nsource = \"digits\"\ntarget = \"inputs\"\naugment = [{ noise = 0.5 }]\nbatch_size = \"full\"\n\
                [model]\nlayers = [{ dropout = 1.0 }, { conv2d = { out_channels = 1, kernel_size = 1, bias = false } }]\n\
                loss = \"mse\"\n[optimizer]\nname = \"sgd\"\n";
    let run = |set: &str| run(&Config::parse(text, &[set.to_owned()]).expect("a config"), 1).0;
    // Nothing comes through the net, so the loss is the mean square of the target.
    assert_eq!(run("seed=1"), run("data.augment=[]"));
}

/// In f16 places are still whole: flips and shifts of digits train as well.
#[test]
fn all_of_them_train_in_f16() {
    let gpu = adapter::open(adapter::families()[0]);
    if gpu.check_precision(true).is_err() {
        return;
    }
    let (exact, ..) = run(&config(ALL, "train.precision=f32"), 3);
    let (half, ..) = run(&config(ALL, "train.precision=f16"), 3);
    for (a, b) in exact.iter().zip(&half) {
        let (a, b) = (f32::from_bits(*a), f32::from_bits(*b));
        // Activations round at 2⁻¹¹; another draw would differ by tenths.
        assert!((a - b).abs() <= 0.01 * a, "{a} and {b}");
    }
}
