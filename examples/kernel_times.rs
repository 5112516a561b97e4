//! Time of each kernel of a training step, each repeated alone. `cargo run --release --example kernel_times`
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::kernel::Target;
use downhill::nn::{Activation, Layer, Linear, Sequential, loss};
use downhill::optim::{AdamW, Optimizer};
use downhill::plan::{Memory, Program};
use downhill::train::Blueprint;
use downhill::{Gpu, GpuOptions};
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let widths: Vec<usize> = args[1].split('-').map(|w| w.parse().unwrap()).collect();
    let batch: usize = args[2].parse().unwrap();
    let gpu =
        Gpu::open(&GpuOptions { adapter: "auto".into(), shader_checks: false, ..GpuOptions::default() })
            .unwrap();
    let mut layers = vec![];
    for (i, &out_features) in widths[1..].iter().enumerate() {
        if i > 0 {
            layers.push(Layer::Activation(Activation::Relu));
        }
        layers.push(Layer::Linear(Linear { out_features, bias: true }));
    }
    let net = Sequential { layers };
    let classes = *widths.last().unwrap();
    let data = Dataset::from_arrays(
        "r",
        [widths[0]],
        (0..batch * widths[0]).map(|i| (i % 17) as f32 / 17.0).collect::<Vec<f32>>(),
        [],
        (0..batch).map(|i| (i % classes) as i32).collect::<Vec<i32>>(),
    )
    .unwrap()
    .with_classes(classes)
    .unwrap();
    let b = Blueprint::new(
        &|n, x| net.build(n, x),
        &|y, t| loss::cross_entropy(y, t, &loss::CrossEntropy::default()),
        &Optimizer::AdamW(AdamW::default()),
        &data,
        BatchPlan::new(batch, BatchSize::Rows(batch), false).unwrap(),
        Target::of(&gpu),
    )
    .unwrap();
    let memory = Memory::allocate(&gpu, &b.memory).unwrap();
    let plan = &b.train[0].plan;
    let program = Program::new(&gpu, plan, &memory).unwrap();
    let state = memory.get("state");
    gpu.write(state, 0, bytemuck::cast_slice(&[0u32, 1]));
    let run = |d: &[downhill::gpu::Dispatch], n: usize| {
        let mut ts: Vec<f64> = (0..9)
            .map(|_| {
                let t = Instant::now();
                let mut r = gpu.recorder();
                r.pass(d, n);
                r.submit().unwrap();
                gpu.wait().unwrap();
                t.elapsed().as_secs_f64() / n as f64 * 1e6
            })
            .collect();
        ts.sort_by(f64::total_cmp);
        ts[4]
    };
    let mut sum = 0.0;
    for (i, s) in plan.steps.iter().enumerate() {
        let t = run(&program.dispatches[i..=i], if batch > 256 { 30 } else { 200 });
        sum += t;
        println!(
            "{:>9.1} us {:>7.2} GFLOP/s {:<20} {:<40} {} {:?}",
            t,
            s.kernel.flops as f64 / t / 1e3,
            s.kernel.entry,
            s.title,
            s.shape,
            s.kernel.grid
        );
    }
    println!("sum {sum:.1}");
}
