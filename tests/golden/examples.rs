//! The example models, each from the weights and batches that PyTorch had: fifty steps, each loss on its f64 curve.
//!
//! `examples.py` says what is changed in the configs, and why.

use std::path::{Path, PathBuf};
use std::process::Command;

use downhill::data::{Dataset, Field, Part, digits};
use downhill::plan::NamedTensor;
use downhill::prelude::*;
use downhill::run;
use serde::Deserialize;

use crate::adapter;
use crate::store::{self, within};

/// As for whole runs: torch's own f32 stays within 2e-5.
const BAR: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    text: String,
    noise_seed: u32,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    losses: Vec<f64>,
    weights: Vec<Tensor1>,
}

/// A tensor as offset + scale · hash.
#[derive(Deserialize)]
struct Tensor1 {
    name: String,
    shape: Vec<usize>,
    seed: u32,
    scale: f32,
    offset: f32,
}

/// The i-th of the numbers in [-1, 1) that `examples.py` draws from a seed.
fn uniform(seed: u32, i: u32) -> f32 {
    let x = i.wrapping_add(seed).wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let x = ((x >> ((x >> 28) + 4)) ^ x).wrapping_mul(277_803_737);
    let x = (x >> 22) ^ x;
    (x >> 8) as f32 / (1 << 23) as f32 - 1.0
}

fn weights(run: &Run) -> Vec<NamedTensor> {
    let tensor = |t: &Tensor1| {
        let n: usize = t.shape.iter().product();
        let values = (0..n as u32).map(|i| t.offset + t.scale * uniform(t.seed, i)).collect();
        NamedTensor { name: t.name.clone(), shape: t.shape.as_slice().into(), values }
    };
    run.weights.iter().map(tensor).collect()
}

fn golden() -> Golden {
    store::json("examples.json")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each of the first `steps` losses is PyTorch's.
fn check(golden: &Golden, run: &Run, losses: &[f64], steps: usize) {
    assert_eq!((losses.len(), run.losses.len()), (steps, golden.steps), "{}", run.name);
    let mut worst = 0.0_f64;
    for (step, (got, want)) in (1..).zip(losses.iter().zip(&run.losses)) {
        let error = (got - want).abs() / want;
        worst = worst.max(error);
        assert!(within(error, BAR), "{} step {step}: loss {got}, want {want}, off by {error:.1e}", run.name);
    }
    println!("{:14} worst relative error of a step's loss {worst:.1e}", run.name);
}

/// The example's config with what `examples.py` changes, and paths that hold in another folder.
fn edited(name: &str, text: &Path) -> String {
    let config = std::fs::read_to_string(root().join(format!("examples/{name}.toml"))).expect("the example");
    config
        .replace("{ dropout = 0.5 }", "{ dropout = 0.0 }")
        .replace("source = \"sources\"", &format!("source = {{ text = {text:?} }}"))
        .replace("../data/tables", root().join("data/tables").to_str().expect("UTF-8"))
}

/// Through the binary, as anyone would.
fn run_config(name: &str) {
    run_steps(name, golden().steps);
}

fn run_steps(name: &str, steps: usize) {
    let golden = golden();
    let run = golden.runs.iter().find(|run| run.name == name).expect("a run");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |file: &str| folder.path().join(file);
    let config = edited(name, &root().join(&golden.text));
    std::fs::write(at("net.toml"), &config).expect("a config");
    run::save(&at("start.safetensors"), &weights(run)).expect("weights");
    let mut command = Command::new(env!("CARGO_BIN_EXE_downhill"));
    command.current_dir(folder.path()).env("DOWNHILL_PIPELINE_CACHE", "off").args([
        "train",
        "net.toml",
        "--init",
        "start.safetensors",
        "--out",
        "run",
    ]);
    command.args(["--adapter", &adapter::wanted(), "--steps", &steps.to_string()]);
    command.args(["--set", "data.shuffle=false"]);
    if !config.contains("source = \"digits\"") {
        command.args(["--set", "data.eval_fraction=0"]);
    }
    let output = command.output().expect("the binary");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let metrics = std::fs::read_to_string(at("run/metrics.jsonl")).expect("metrics");
    let lines = metrics.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON"));
    let losses: Vec<f64> =
        lines.filter(|l| l["event"] == "step").filter_map(|l| l["loss"].as_f64()).collect();
    check(&golden, run, &losses, steps);
}

#[test]
fn example_digits_cnn() {
    run_config("digits_cnn");
}

#[test]
fn example_digits_resnet() {
    run_config("digits_resnet");
}

#[test]
fn example_autoencoder() {
    run_config("autoencoder");
}

#[test]
fn example_tables() {
    run_config("regression");
    run_config("tabular");
}

/// Its first steps; a step takes two seconds on two cores.
#[test]
fn example_tiny_gpt() {
    run_steps("tiny_gpt", 8);
}

#[test]
#[ignore = "takes two minutes on a software adapter"]
fn example_tiny_gpt_for_all_of_its_steps() {
    run_config("tiny_gpt");
}

/// `examples/vae.rs`, but for the noise, which is a field.
fn vae(net: &Net, batch: &Batch) -> Tensor {
    let image = batch.get("image");
    let conv = Conv2d { stride: [2, 2], padding: Padding::Explicit([1, 1]), ..Conv2d::new(16, [3, 3]) };
    let h = net.conv2d("encoder.conv", &image, &conv).relu();
    let h = net.linear("encoder.linear", &h.flatten(), 64).relu();
    let (mean, log_variance) = (net.linear("encoder.mean", &h, 8), net.linear("encoder.log_variance", &h, 8));
    let z = &mean + batch.get("noise") * (&log_variance * 0.5).exp();
    let up = ConvTranspose2d { stride: [2, 2], padding: [1, 1], ..ConvTranspose2d::new(1, [4, 4]) };
    let h = net.linear("decoder.linear1", &z, 64).relu();
    let h = net.linear("decoder.linear2", &h, 256).relu().reshape([image.shape()[0], 16, 4, 4]);
    let logits = net.conv_transpose2d("decoder.conv", &h, &up);
    let divergence = mean.square() + log_variance.exp() - log_variance - 1.0;
    loss::bce_with_logits(&logits, &image) * 64.0 + (divergence.sum(&[1], false) * 0.5).mean_all()
}

#[test]
fn example_vae() {
    let golden = golden();
    let run = golden.runs.iter().find(|run| run.name == "vae").expect("a run");
    let part = digits().expect("digits").train().clone();
    let count = part.len();
    let Values::F32(images) = part.inputs().values() else { panic!("pixels are f32") };
    let noise: Vec<f32> = (0..8 * count as u32).map(|i| 1.5 * uniform(golden.noise_seed, i)).collect();
    let field = |shape: &[usize], values: Vec<f32>| Field::new(shape, values).expect("a field");
    let part = Part::builder()
        .input("image", field(&[1, 8, 8], images.clone()))
        .input("noise", field(&[8], noise))
        .build()
        .expect("a part");
    let data = Dataset::new("digits and noise", part, None, None).expect("a data set");
    let adam = Optimizer::Adam(Adam { lr: 3e-3, ..Adam::default() });
    let options = TrainOptions { sampling: Sampling::File, ..TrainOptions::default() };
    for &family in adapter::families() {
        let gpu = adapter::open(family);
        let mut trainer = Trainer::for_step(&gpu, &vae, &adam, &data, &options).expect("a trainer");
        trainer.load_state_dict(&weights(run)).expect("the model's tensors");
        let steps = trainer.advance(golden.steps as u64).expect("steps");
        check(&golden, run, &steps.iter().map(|s| f64::from(s.loss)).collect::<Vec<_>>(), golden.steps);
    }
}

#[test]
fn every_example_config_is_checked() {
    let names: Vec<String> = golden().runs.into_iter().map(|run| run.name).collect();
    for entry in std::fs::read_dir(root().join("examples")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|s| s.to_str()).expect("UTF-8").to_owned();
        // Nets like those among the runs; the data of the last two are no part of the repository.
        let left_out = ["digits", "fashion_mlp", "fashion_cnn"].contains(&stem.as_str());
        if path.extension().is_some_and(|e| e == "toml") && !left_out {
            assert!(names.contains(&stem), "{stem} has no golden run");
        }
    }
}
