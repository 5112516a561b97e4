//! How long from the start of a process until its first training step is done and its loss is read back:
//! `cargo bench --bench first_step`. With the driver's cache of compiled kernels (Mesa's), and without it, as on the
//! first run ever.

mod common;

use std::process::Command;
use std::time::Instant;

use downhill::compile::TrainOptions;
use downhill::data::BatchSize;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;

/// Set in a process that makes one step and ends; its value says of which net.
const CHILD: &str = "DOWNHILL_FIRST_STEP";

/// One step of a net.
fn step(net: usize) {
    let common::Workload { model, data, batch, .. } = common::workloads().swap_remove(net);
    let options = TrainOptions { batch_size: BatchSize::Rows(batch), ..TrainOptions::default() };
    let records = Trainer::new(
        &common::gpu(),
        &*model,
        &|y, t| loss::cross_entropy(y, t, &loss::CrossEntropy::default()),
        Optimizer::AdamW(AdamW::default()),
        &data,
        &options,
    )
    .and_then(|mut trainer| trainer.advance(1))
    .expect("one step");
    assert!(records[0].loss.is_finite());
}

/// Milliseconds of a process with one step: the median of seven.
fn median(net: usize, without_cache: bool) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            let status = Command::new(&program)
                .args(std::env::args().skip(1).find(|a| !a.starts_with('-')))
                .env(CHILD, net.to_string())
                .env("MESA_SHADER_CACHE_DISABLE", without_cache.to_string())
                .stderr(std::process::Stdio::null())
                .status()
                .expect("the process starts");
            assert!(status.success());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    if let Ok(net) = std::env::var(CHILD) {
        return step(net.parse().expect("a number"));
    }
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    for (net, workload) in common::workloads().into_iter().enumerate() {
        let (cold, warm) = (median(net, true), median(net, false));
        println!("{}: {cold:.0} ms without the driver's cache, {warm:.0} ms with it", workload.name);
    }
}
