//! The time of each kernel of a training step, each repeated alone, and its share of the measured peak: where a step's time
//! goes. `cargo bench --bench kernel_times`, with `-- NET` for one net. The kernels' bodies run as in a step; only their
//! order does not. Where the adapter reads operands from images, the same kernel that reads storage buffers runs beside it.

mod common;

use std::time::Instant;

use downhill::bench::{Options, roof};
use downhill::compile::TrainPlan;
use downhill::config::Config;
use downhill::data::{BatchPlan, BatchSize};
use downhill::gpu::{Dispatch, Gpu, Reads};
use downhill::kernel::Target;
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};
use downhill::plan::{Memory, Plan, Program};

/// Submissions of each kernel; the median counts.
const ROUNDS: usize = 9;

/// Microseconds of one dispatch in a submission of `n`.
fn time(gpu: &Gpu, dispatch: &[Dispatch], n: usize) -> f64 {
    let start = Instant::now();
    let mut recorder = gpu.recorder();
    recorder.pass(dispatch, n);
    recorder.submit().expect("submits");
    gpu.wait().expect("waits");
    start.elapsed().as_secs_f64() / n as f64 * 1e6
}

/// The kernels of a plan on the device, a step open so that each finds its row.
fn program(gpu: &Gpu, train_plan: &TrainPlan) -> Program {
    let memory = Memory::allocate(gpu, &train_plan.memory).expect("memory");
    gpu.write(memory.get("state"), 0, bytemuck::cast_slice(&[0u32, 1]));
    Program::new(gpu, &train_plan.train[0].plan, &memory).expect("kernels")
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A line for each kernel: its time, and from storage buffers where there is another way.
fn table(gpu: &Gpu, plan: &Plan, ways: &[Program], peak: f64) {
    let mut sums = vec![0.0; ways.len()];
    let mut firsts = Vec::new();
    for i in 0..plan.steps.len() {
        // The driver compiles a kernel at its first dispatch, unless its cache has it.
        firsts.push(time(gpu, &ways[0].dispatches[i..=i], 1) / 1e3);
    }
    for way in ways {
        time(gpu, &way.dispatches, 1);
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let work = step.kernel.flops;
        let n = if work > 100_000_000 {
            3
        } else if work > 10_000_000 {
            10
        } else {
            100
        };
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for (way, times) in ways.iter().zip(&mut times) {
                times.push(time(gpu, &way.dispatches[i..=i], n));
            }
        }
        let times: Vec<f64> = times.into_iter().map(median).collect();
        sums.iter_mut().zip(&times).for_each(|(sum, time)| *sum += time);
        let rate = work as f64 / times[0] / 1e3;
        let before = times
            .get(1)
            .map_or(String::new(), |before| format!("{before:>10.1} {:>5.1}x", before / times[0]));
        println!(
            "{:>8.1} {:>10.1} {before} {rate:>7.2} {:>5.1}%  {:<18} {} {}",
            firsts[i],
            times[0],
            rate * 1e11 / peak,
            step.kernel.entry,
            step.title,
            step.shape
        );
    }
    let before =
        sums.get(1).map_or(String::new(), |before| format!("{before:>10.1} {:>5.1}x", before / sums[0]));
    println!("{:>19.1} {before} in all", sums[0]);
}

/// A net by name, and its plan under a target.
type Net = (String, Box<dyn Fn(Target) -> TrainPlan>);

/// The nets of `downhill bench train`, and the residual net of the examples.
fn nets() -> Vec<Net> {
    let usual = common::workloads().into_iter().map(|workload| {
        let name = workload.name.clone();
        let plan = move |target| {
            TrainPlan::builder(&workload.data, Optimizer::AdamW(AdamW::default()))
                .model(&*workload.model, &|y, t| loss::cross_entropy(y, t, &loss::CrossEntropy::default()))
                .batches(
                    BatchPlan::new(workload.data.train().len(), BatchSize::Rows(workload.batch), false)
                        .expect("batches"),
                )
                .target(target)
                .build()
                .expect("the net fits")
        };
        (name, Box::new(plan) as Box<dyn Fn(Target) -> TrainPlan>)
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits_resnet.toml");
    let config = Config::load(file.as_ref(), &[]).expect("the example");
    let data = config.dataset().expect("the digits");
    let residual = move |target| config.plan(&data, target).expect("the net fits");
    let mut all: Vec<Net> = usual.collect();
    if common::is_wanted("digits_resnet") {
        all.push(("digits_resnet".into(), Box::new(residual)));
    }
    all
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let gpu = common::gpu();
    let roof = roof(&gpu, &Options::new(false)).expect("the limits");
    println!("adapter: {} ({})", gpu.adapter().name, gpu.adapter().driver);
    println!("operands are read as {}", gpu.reads());
    println!(
        "peak {:.1} GFLOP/s, copy {:.2} GB/s, triad {:.2} GB/s",
        roof.flops / 1e9,
        roof.copy / 1e9,
        roof.triad / 1e9
    );
    for (name, plan) in nets() {
        let now = plan(Target::for_gpu(&gpu));
        let mut ways = vec![program(&gpu, &now)];
        if gpu.reads() != Reads::Storage {
            ways.push(program(&gpu, &plan(Target::for_gpu(&gpu).with_reads(Reads::Storage))));
        }
        let before = if ways.len() > 1 { "   storage      " } else { "" };
        println!("\n{name}\nfirst ms         us {before}  GFLOP/s  peak");
        table(&gpu, &now.train[0].plan, &ways, roof.flops);
    }
}
