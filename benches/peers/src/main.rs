//! Burn's training step, served to `measure.py` block by block: see README.md, "The protocol".
//!
//! `burn-step NET`, where NET is `64-64-64-10`, `lenet` or `gpt`.

mod data;
mod nets;

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::{Value, json};

use nets::{FixedWeights, Gpt, LeNet, Mlp, Net};

/// Batches that lie on the device and are taken in turn.
const BATCHES: usize = 4;
/// Steps after which the loss is told, to be compared with the other engines'.
const CHECKED: usize = 8;

struct Run<N: Net> {
    device: Device,
    loss: CrossEntropyLoss,
    optimizer: ModuleOptimizer,
    batches: Vec<(N::Input, Tensor<1, Int>)>,
    done: usize,
}

impl<N: Net> Run<N> {
    fn new(device: Device) -> Self {
        let (sample, labels) = (N::BATCH * N::SAMPLE, N::BATCH * N::LABELS);
        let numbers = data::uniform(BATCHES * (sample + labels));
        let (inputs, targets) = numbers.split_at(BATCHES * sample);
        // Data needs no gradients.
        let plain = device.clone().without_autodiff();
        let batches = inputs
            .chunks(sample)
            .zip(targets.chunks(labels))
            .map(|(x, t)| {
                let t = TensorData::new(data::integers(t, N::CLASSES), [labels]);
                (N::input(x, &plain), Tensor::from_data(t, &plain))
            })
            .collect();
        Run {
            loss: CrossEntropyLossConfig::new().init(&device),
            // PyTorch's defaults; Burn's own are an epsilon of 1e-5 and a decay of 1e-4.
            optimizer: AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init(),
            batches,
            done: 0,
            device,
        }
    }

    /// So many steps, waited for: the net and the loss of the last. The net is moved, as Burn's examples do: a copy
    /// would keep it from updating in place.
    fn steps(&mut self, mut net: N, count: usize) -> Result<(N, f32), Box<dyn Error>> {
        let mut last = None;
        for _ in 0..count {
            let (x, t) = self.batches[self.done % BATCHES].clone();
            let loss = self.loss.forward(net.forward(x), t);
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = self.optimizer.step(1e-3, net, gradients);
            self.done += 1;
            last = Some(loss);
        }
        let loss = last.ok_or("a block has at least one step")?.try_into_scalar::<f32>()?;
        // The loss alone would leave the last update undone.
        self.device.sync()?;
        Ok((net, loss))
    }
}

fn say(line: &Value) {
    println!("{line}");
}

fn serve<N: Net>(device: Device, adapter: &str) -> Result<(), Box<dyn Error>> {
    let net = N::new(&device).map(&mut FixedWeights::default());
    let mut run = Run::<N>::new(device);
    let (net, loss) = run.steps(net, 1)?;
    let fusion = if cfg!(feature = "fusion") { "fusion" } else { "no fusion" };
    let compiler = if cfg!(feature = "spirv") { "SPIR-V" } else { "WGSL" };
    say(&json!({
        "engine": format!("Burn, {fusion}, {compiler}"),
        "version": version(),
        "device": adapter,
        "parameters": net.num_params(),
        "loss": loss,
    }));
    let (mut net, mut loss) = run.steps(net, CHECKED - 1)?;
    say(&json!({ "checked": CHECKED, "loss": loss }));
    for line in std::io::stdin().lock().lines() {
        let steps = line?.trim().parse()?;
        let start = Instant::now();
        (net, loss) = run.steps(net, steps)?;
        say(&json!({ "steps": steps, "seconds": start.elapsed().as_secs_f64(), "loss": loss }));
    }
    Ok(())
}

/// Burn's, as locked.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let of_burn = lock.split_once("name = \"burn\"\nversion = \"").map_or("", |(_, rest)| rest);
    of_burn.split('"').next().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn Error>> {
    let net = std::env::args().nth(1).ok_or("burn-step: which net? 64-64-64-10, lenet or gpt")?;
    let (device, setup) = Device::wgpu_options().graphics_api(WgpuBackend::Vulkan).init_with_setup()?;
    let adapter = setup.adapter.get_info().name;
    let device = device.autodiff();
    match net.as_str() {
        "64-64-64-10" => serve::<Mlp>(device, &adapter),
        "lenet" => serve::<LeNet>(device, &adapter),
        "gpt" => serve::<Gpt>(device, &adapter),
        "784-256-256-10" | "784-512-512-10" => {
            say(&json!({ "engine": "Burn", "unsupported": true }));
            Ok(())
        }
        other => Err(format!("burn-step: no net {other}; there are 64-64-64-10, lenet and gpt").into()),
    }
}
