//! A custom loss: any expression of graph ops. Its gradient is derived, and its kernels are fused.
//! `cargo run --release --example custom_loss`
//!
//! A net learns y = sin(3x) with noise, and the size of the noise at each x: its outputs are a mean and a log
//! variance, and the loss is the negative log-likelihood of a Gaussian.

use downhill::prelude::*;

fn model(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("hidden1", x, 32).tanh();
    let h = net.linear("hidden2", &h, 32).tanh();
    net.linear("out", &h, 2)
}

/// mean of ½·(log σ² + (y − μ)²/σ²), for an output [n, 2] of μ and log σ², and targets [n, 1].
fn gaussian_nll(output: &Tensor, target: &Tensor) -> Tensor {
    let mean = output.slice(1, 0, 1);
    let log_variance = output.slice(1, 1, 2).clamp(-10.0, 10.0);
    let error = (target - mean).square() / log_variance.exp();
    (log_variance + error).mean_all() * 0.5
}

fn main() -> Result<(), Error> {
    // x in [-1, 1]; the noise grows with x. The generator is part of the example.
    let (n, mut state) = (2048, 1u32);
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let x: Vec<f32> = (0..n).map(|_| uniform()).collect();
    let y: Vec<f32> = x.iter().map(|x| (3.0 * x).sin() + 0.15 * (1.0 + x) * uniform()).collect();
    let data = Dataset::from_arrays("noisy sine", [1], x, [1], y)?;

    let gpu = Gpu::open(&GpuOptions::default())?;
    let adam = Optimizer::Adam(Adam { lr: 3e-3, ..Adam::default() });
    let options = TrainOptions { batch_size: BatchSize::Rows(64), epochs: 40, ..TrainOptions::default() };
    let mut trainer = Trainer::new(&gpu, &model, &gaussian_nll, &adam, &data, &options)?;
    let first = trainer.advance(1)?[0].loss;
    let last = trainer.run(&mut ())?.last;
    println!(
        "negative log-likelihood: {first:.3} at first, {:.3} at last",
        last.map_or(f64::NAN, |e| e.train_loss)
    );
    Ok(())
}
