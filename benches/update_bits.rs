//! The update of AdamW with its moments in 32 bits and in 8, over one large tensor: `cargo bench --bench update_bits`.
//! The two take turns; each time is of a dispatch, the median of nine submissions of eight.

#[expect(dead_code, reason = "the nets are of no use here")]
mod common;

use std::time::Instant;

use downhill::compile::TrainPlan;
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::{Dispatch, Gpu};
use downhill::kernel::Target;
use downhill::nn::Net;
use downhill::optim::{AdamW, Optimizer};
use downhill::plan::{Memory, Program};
use downhill::{Init, Tensor};

const TURNS: usize = 9;
const TIMES: usize = 8;

/// The update of `n` parameters, its memory, and the bytes it keeps.
fn update(gpu: &Gpu, n: usize, state_bits: u32) -> (Dispatch, Memory, u64) {
    let data = Dataset::from_arrays("one", [1], vec![1.0], [], vec![0.0]).expect("a sample");
    let model =
        |net: &Net, x: &Tensor| net.parameter("w", [n], Init::Constant(1.0)).sum_all().mul(&x.sum_all());
    let batches = BatchPlan::new(1, BatchSize::Full, false).expect("batches");
    let optimizer = Optimizer::AdamW(AdamW { state_bits, ..AdamW::default() });
    let train_plan = TrainPlan::builder(&data, optimizer)
        .model(&model, &|y, _| y.clone())
        .batches(batches)
        .target(Target::for_gpu(gpu))
        .build()
        .expect("a plan");
    let plan = &train_plan.train[0].plan;
    let memory = Memory::allocate(gpu, &train_plan.memory).expect("memory");
    let numbers: Vec<f32> = (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0).collect();
    gpu.write(memory.get("gradients"), 0, bytemuck::cast_slice(&numbers));
    // A step is open, and its row is one of ordinary numbers.
    gpu.write(memory.get("state"), 0, bytemuck::cast_slice(&[0u32, 1]));
    let row = [1e-3f32, 0.1, 0.999, 0.001, 1.0, 1e-8, 0.0, 1e-5];
    gpu.write(memory.get("optimizer table"), 0, bytemuck::cast_slice(&row));
    let mut program = Program::new(gpu, plan, &memory).expect("kernels");
    let slots = ["exp_avg", "exp_avg_sq", "absmax"];
    let kept = slots.iter().filter_map(|name| memory.find(name)).map(|buffer| buffer.bytes()).sum();
    (program.dispatches.pop().expect("the update"), memory, kept)
}

fn time(gpu: &Gpu, dispatch: &Dispatch) -> f64 {
    let start = Instant::now();
    let mut recorder = gpu.recorder();
    recorder.pass(std::slice::from_ref(dispatch), TIMES);
    recorder.submit().expect("submits");
    gpu.wait().expect("waits");
    start.elapsed().as_secs_f64() / TIMES as f64
}

fn main() {
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let gpu = common::gpu();
    println!("adapter: {} ({})", gpu.adapter().name, gpu.adapter().driver);
    for n in [1 << 20, 1 << 24] {
        let ways = [32, 8].map(|bits| (bits, update(&gpu, n, bits)));
        let mut times = [Vec::new(), Vec::new()];
        // The first turn compiles.
        for turn in 0..=TURNS {
            for (times, (_, (dispatch, ..))) in times.iter_mut().zip(&ways) {
                let seconds = time(&gpu, dispatch);
                times.extend((turn > 0).then_some(seconds));
            }
        }
        for ((bits, (.., kept)), mut times) in ways.iter().zip(times) {
            times.sort_by(f64::total_cmp);
            let (median, each) = (times[TURNS / 2], *kept as f64 / n as f64);
            let moved = (12.0 + 2.0 * each) * n as f64 / median / 1e9;
            println!(
                "{n:>9} parameters, {bits:>2} bits: {:>8.2} ms ({:.2} to {:.2}), {moved:.2} GB/s, {each:.3} B of state each",
                median * 1e3,
                times[TURNS / 4] * 1e3,
                times[TURNS * 3 / 4] * 1e3
            );
        }
    }
}
