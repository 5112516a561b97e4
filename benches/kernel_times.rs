//! The time of each kernel of a training step, each repeated alone: where a step's time goes.
//! `cargo bench --bench kernel_times`. The kernels' bodies run as in a step; only their order does not.

mod common;

use std::time::Instant;

use downhill::compile::TrainPlan;
use downhill::data::{BatchPlan, BatchSize};
use downhill::gpu::{Dispatch, Gpu};
use downhill::kernel::Target;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::plan::{Memory, Program};

/// Microseconds of one dispatch: the median over nine submissions of `n`.
fn time(gpu: &Gpu, dispatch: &[Dispatch], n: usize) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            let mut recorder = gpu.recorder();
            recorder.pass(dispatch, n);
            recorder.submit().expect("submits");
            gpu.wait().expect("waits");
            start.elapsed().as_secs_f64() / n as f64 * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let gpu = common::gpu();
    println!("adapter: {} ({})", gpu.adapter().name, gpu.adapter().driver);
    for common::Workload { name, batch, model, data } in common::workloads() {
        let train_plan = TrainPlan::builder(&data, Optimizer::AdamW(AdamW::default()))
            .model(&*model, &|y, t| loss::cross_entropy(y, t, &loss::CrossEntropy::default()))
            .batches(BatchPlan::new(data.train().len(), BatchSize::Rows(batch), false).expect("batches"))
            .target(Target::for_gpu(&gpu))
            .build()
            .expect("the net fits");
        let memory = Memory::allocate(&gpu, &train_plan.memory).expect("memory");
        let plan = &train_plan.train[0].plan;
        let program = Program::new(&gpu, plan, &memory).expect("kernels");
        // A step is open, so that every kernel finds its row.
        gpu.write(memory.get("state"), 0, bytemuck::cast_slice(&[0u32, 1]));
        println!("\n{name}");
        let mut sum = 0.0;
        for (i, step) in plan.steps.iter().enumerate() {
            let n = if step.kernel.flops > 10_000_000 { 10 } else { 200 };
            let us = time(&gpu, &program.dispatches[i..=i], n);
            sum += us;
            let rate = step.kernel.flops as f64 / us / 1e3;
            println!(
                "{us:>10.1} µs {rate:>7.2} GFLOP/s  {:<18} {} {}",
                step.kernel.entry, step.title, step.shape
            );
        }
        println!("{sum:>10.1} µs in all");
    }
}
