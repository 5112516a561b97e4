//! A training step served block by block to benches/peers/measure.py, whose README says what the lines are.

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use downhill::Tensor;
use downhill::compile::{TrainOptions, TrainPlan};
use downhill::data::{BatchSize, Sampling};
use downhill::gpu::{Family, threads};
use downhill::kernel::Target;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;
use serde_json::json;

use super::common;

/// Steps after which the loss is told, to be compared with the other engines'.
const CHECKED: u64 = 8;

/// The starting weights all engines share: base + 0.1 sin(0.37 · product of the indices, counted from 1).
fn weights(shape: &[usize], base: f64) -> Vec<f32> {
    let mut products = vec![1.0];
    for &size in shape {
        products = products.iter().flat_map(|p| (1..=size).map(move |i| p * i as f64)).collect::<Vec<f64>>();
    }
    products.iter().map(|p| (base + 0.1 * (0.37 * p).sin()) as f32).collect()
}

/// Answers the lines of standard input until it ends, for the first workload of the arguments' name.
pub fn serve() -> Result<(), Box<dyn Error>> {
    let Some(workload) = common::workloads().into_iter().next() else {
        println!("{}", json!({ "engine": "downhill", "unsupported": true }));
        return Ok(());
    };
    let options = TrainOptions {
        batch_size: BatchSize::Rows(workload.batch),
        sampling: Sampling::File,
        ..TrainOptions::default()
    };
    let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &loss::CrossEntropy::default());
    let adamw = Optimizer::AdamW(AdamW { lr: 1e-3, ..AdamW::default() });
    // As the program `downhill` does for its one net.
    let plan = TrainPlan::builder(&workload.data, &adamw).model(&*workload.model, &loss).options(&options);
    if plan.target(Target::new(Family::Subgroup)).build()?.suits_one_thread() {
        // SAFETY: no other thread runs yet.
        unsafe { threads::without_threads() };
    }
    let gpu = common::gpu();
    let mut trainer = Trainer::new(&gpu, &*workload.model, &loss, &adamw, &workload.data, &options)?;
    let mut parameters = trainer.state_dict()?;
    for p in &mut parameters {
        let norm = p.shape.len() == 1 && p.name.ends_with("weight");
        p.values = weights(&p.shape, if norm { 1.0 } else { 0.0 });
    }
    trainer.load_state_dict(&parameters)?;
    let mut steps = |count: u64| -> Result<f32, Box<dyn Error>> {
        Ok(trainer.advance(count)?.last().ok_or("a block has at least one step")?.loss)
    };
    let loss = steps(1)?;
    println!(
        "{}",
        json!({
            "engine": "downhill",
            "version": env!("CARGO_PKG_VERSION"),
            "device": gpu.adapter().name,
            "parameters": parameters.iter().map(|p| p.values.len()).sum::<usize>(),
            "loss": loss,
        })
    );
    println!("{}", json!({ "checked": CHECKED, "loss": steps(CHECKED - 1)? }));
    for line in std::io::stdin().lock().lines() {
        let count = line?.trim().parse()?;
        let start = Instant::now();
        let loss = steps(count)?;
        println!("{}", json!({ "steps": count, "seconds": start.elapsed().as_secs_f64(), "loss": loss }));
    }
    Ok(())
}
