//! Whole training steps, AdamW, dataset resident, submissions and readback of the losses included.
//! `cargo bench --bench train_step`; one iteration is one step. With `-- --peer NET` it serves benches/peers/measure.py.

mod common;
#[path = "common/serve.rs"]
mod serve;

use std::time::Instant;

use criterion::{Criterion, Throughput};
use downhill::compile::TrainOptions;
use downhill::data::BatchSize;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;

fn main() {
    if std::env::args().any(|a| a == "--peer") {
        return serve::serve().expect("the net trains");
    }
    let mut criterion = Criterion::default().configure_from_args();
    let gpu = common::gpu();
    println!("adapter: {} ({})", gpu.adapter().name, gpu.adapter().driver);
    for common::Workload { name, batch, model, data } in common::workloads() {
        let options = TrainOptions { batch_size: BatchSize::Rows(batch), ..TrainOptions::default() };
        let mut trainer = Trainer::new(
            &gpu,
            &*model,
            &|y, t| loss::cross_entropy(y, t, &loss::CrossEntropy::default()),
            Optimizer::AdamW(AdamW::default()),
            &data,
            &options,
        )
        .expect("the net fits");
        let mut group = criterion.benchmark_group("adamw step");
        group.throughput(Throughput::Elements(batch as u64)).sample_size(20);
        group.bench_function(name, |b| {
            b.iter_custom(|steps| {
                let start = Instant::now();
                trainer.advance(steps).expect("the loss stays finite");
                start.elapsed()
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
