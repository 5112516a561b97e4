//! candle's optimizers, their updates alone: `candle-updates JOB`, started by `optimizers.py`.

#[path = "../../src/updates.rs"]
mod updates;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, SGD};
use serde_json::{Value, json};

use updates::{Job, Library, PARAMETERS, Result, noise, serve, unsupported};

const ENGINE: &str = "candle";

struct Candle<'j> {
    job: &'j Job,
    device: Device,
}

/// The two that candle has. Its SGD knows neither momentum nor decay.
enum Rule {
    AdamW(AdamW),
    Sgd(SGD),
}

struct Set {
    parameters: Vec<Var>,
    rule: Rule,
}

impl Candle<'_> {
    fn tensors(&self, stream: u64) -> Result<Vec<Tensor>> {
        let numbers = noise(stream, self.job.each * self.job.tensors);
        let tensor = |part: &[f32]| Ok(Tensor::from_slice(part, self.job.each, &self.device)?);
        numbers.chunks(self.job.each).map(tensor).collect()
    }

    fn rule(&self, parameters: Vec<Var>) -> Result<Rule> {
        let job = self.job;
        if job.optimizer == "sgd" {
            return Ok(Rule::Sgd(SGD::new(parameters, job.number("lr")?)?));
        }
        let [beta1, beta2] = job.betas()?;
        let settings = ParamsAdamW {
            lr: job.number("lr")?,
            beta1,
            beta2,
            eps: job.number("eps")?,
            weight_decay: job.number("weight_decay")?,
        };
        Ok(Rule::AdamW(AdamW::new(parameters, settings)?))
    }
}

impl Library for Candle<'_> {
    type Set = Set;
    type Gradients = GradStore;

    fn facts(&self) -> Value {
        let device = if self.device.is_cuda() { "CUDA device 0" } else { "processor" };
        let decay = self.job.optimizer != "sgd";
        let engine = if decay { ENGINE } else { "candle, no decay" };
        json!({ "engine": engine, "version": version(), "device": device, "decay": decay })
    }

    fn set(&self) -> Result<Set> {
        let tensors = self.tensors(PARAMETERS)?;
        let parameters = tensors.iter().map(|t| Ok(Var::from_tensor(t)?)).collect::<Result<Vec<_>>>()?;
        Ok(Set { rule: self.rule(parameters.clone())?, parameters })
    }

    fn gradients(&self, set: &Set, stream: u64) -> Result<GradStore> {
        let mut store = GradStore::default();
        for (parameter, gradient) in set.parameters.iter().zip(self.tensors(stream)?) {
            store.insert(parameter, gradient);
        }
        Ok(store)
    }

    fn step(&self, set: &mut Set, gradients: &GradStore) -> Result<()> {
        match &mut set.rule {
            Rule::AdamW(rule) => rule.step(gradients)?,
            Rule::Sgd(rule) => rule.step(gradients)?,
        }
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        Ok(self.device.synchronize()?)
    }

    fn parameters(&self, set: &Set) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.job.each * self.job.tensors);
        for parameter in &set.parameters {
            all.extend(parameter.to_vec1::<f32>()?);
        }
        Ok(all)
    }
}

/// candle's, as locked.
fn version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let of_candle = lock.split_once("name = \"candle-nn\"\nversion = \"").map_or("", |(_, rest)| rest);
    of_candle.split('"').next().unwrap_or_default()
}

fn main() -> Result<()> {
    let job = Job::read()?;
    if !["adamw", "sgd"].contains(&job.optimizer.as_str()) {
        unsupported(ENGINE, &job);
        return Ok(());
    }
    // The processor where the feature `cuda` is off.
    let device = Device::cuda_if_available(0)?;
    serve(&Candle { job: &job, device }, &job)
}
