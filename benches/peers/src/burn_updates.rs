//! Burn's optimizers on wgpu, their updates alone: `burn-updates JOB`, started by `optimizers.py`.

mod updates;

use burn::module::Param;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, GradientsParams, LionConfig, ModuleOptimizer, RmsPropConfig,
    SgdConfig,
};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};

use updates::{Job, Library, PARAMETERS, Result, noise, serve, unsupported};

struct Burn<'j> {
    job: &'j Job,
    lr: f64,
    optimizer: ModuleOptimizer,
    device: Device,
    adapter: String,
}

struct Set {
    parameters: Vec<Param<Tensor<1>>>,
    optimizer: ModuleOptimizer,
}

/// The optimizer with the job's settings, if Burn has it. Its own defaults differ: an epsilon of 1e-5, a decay of 1e-4,
/// and a momentum with dampening.
fn optimizer(job: &Job) -> Result<Option<ModuleOptimizer>> {
    let number = |key| job.number(key).map(|n| n as f32);
    let decay = || number("weight_decay").map(|penalty| Some(WeightDecayConfig { penalty }));
    Ok(Some(match job.optimizer.as_str() {
        "sgd" => SgdConfig::new().with_weight_decay(decay()?).init(),
        "momentum" => {
            let momentum =
                MomentumConfig { momentum: job.number("momentum")?, dampening: 0.0, nesterov: false };
            SgdConfig::new().with_weight_decay(decay()?).with_momentum(Some(momentum)).init()
        }
        "rmsprop" => RmsPropConfig::new()
            .with_alpha(number("alpha")?)
            .with_epsilon(number("eps")?)
            .with_momentum(0.0)
            .with_weight_decay(decay()?)
            .init(),
        "adagrad" => AdaGradConfig::new().with_epsilon(number("eps")?).with_weight_decay(decay()?).init(),
        "adam" => {
            let [beta_1, beta_2] = job.betas()?.map(|b| b as f32);
            let config = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
            config.with_epsilon(number("eps")?).with_weight_decay(decay()?).init()
        }
        "adamw" => {
            let [beta_1, beta_2] = job.betas()?.map(|b| b as f32);
            let config = AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
            config.with_epsilon(number("eps")?).with_weight_decay(number("weight_decay")?).init()
        }
        "lion" => {
            let [beta_1, beta_2] = job.betas()?.map(|b| b as f32);
            let config = LionConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
            config.with_weight_decay(number("weight_decay")?).init()
        }
        _ => return Ok(None),
    }))
}

impl Burn<'_> {
    fn tensors(&self, stream: u64, device: &Device) -> Vec<Tensor<1>> {
        let numbers = noise(stream, self.job.each * self.job.tensors);
        let tensor =
            |part: &[f32]| Tensor::from_data(TensorData::new(part.to_vec(), [self.job.each]), device);
        numbers.chunks(self.job.each).map(tensor).collect()
    }
}

impl Library for Burn<'_> {
    type Set = Set;
    type Gradients = Vec<Tensor<1>>;

    fn facts(&self) -> Value {
        json!({ "engine": engine(), "version": version(), "device": self.adapter, "scalars": "f32" })
    }

    fn set(&self) -> Result<Set> {
        let tensors = self.tensors(PARAMETERS, &self.device);
        let parameters = tensors.into_iter().map(Param::from_tensor).collect();
        Ok(Set { parameters, optimizer: self.optimizer.clone() })
    }

    fn gradients(&self, _set: &Set, stream: u64) -> Result<Vec<Tensor<1>>> {
        // As after a backward pass: gradients need none.
        Ok(self.tensors(stream, &self.device.clone().without_autodiff()))
    }

    fn step(&self, set: &mut Set, gradients: &Vec<Tensor<1>>) -> Result<()> {
        let mut given = GradientsParams::new();
        for (parameter, gradient) in set.parameters.iter().zip(gradients) {
            given.register(parameter.id, gradient.clone());
        }
        // By value, for a copy would keep it from updating in place.
        let parameters = std::mem::take(&mut set.parameters);
        set.parameters = set.optimizer.step(self.lr, parameters, given);
        // Else operations of one step would be fused with those of the next, which no training can do.
        self.device.flush()?;
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        Ok(self.device.sync()?)
    }

    fn parameters(&self, set: &Set) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.job.each * self.job.tensors);
        for parameter in &set.parameters {
            all.extend(parameter.val().into_data().try_to_vec::<f32>().map_err(|err| format!("{err:?}"))?);
        }
        Ok(all)
    }
}

fn engine() -> &'static str {
    if cfg!(feature = "fusion") { "Burn, fusion" } else { "Burn, no fusion" }
}

/// Burn's, as locked.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let of_burn = lock.split_once("name = \"burn\"\nversion = \"").map_or("", |(_, rest)| rest);
    of_burn.split('"').next().unwrap_or_default()
}

fn main() -> Result<()> {
    let job = Job::read()?;
    let Some(optimizer) = optimizer(&job)? else {
        unsupported(engine(), &job);
        return Ok(());
    };
    let (device, setup) = Device::wgpu_options().graphics_api(WgpuBackend::Vulkan).init_with_setup()?;
    let adapter = setup.adapter.get_info().name;
    let burn = Burn { job: &job, lr: job.number("lr")?, optimizer, device: device.autodiff(), adapter };
    serve(&burn, &job)
}
