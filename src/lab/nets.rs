//! Nets that an exhibit trains: many at once, with every step and the weights at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compile::{Batch, Objective, Orders, Seeds, TrainOptions, TrainPlan};
use crate::data::{BatchSize, Dataset, Field, Part};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Reads};
use crate::graph::Tensor;
use crate::kernel::Target;
use crate::nn::Net;
use crate::nn::loss::{self, CrossEntropy};
use crate::plan::NamedTensor;
use crate::train::{Fleet, FleetObserver, FleetOptions, FleetPlan, ReplicaEnd, StepRecord, Variant};

/// A net that has trained.
#[derive(Debug, Clone, Default)]
pub(super) struct Trained {
    /// The loss before each step.
    losses: Vec<f32>,
    /// Each metric before each step.
    metrics: BTreeMap<String, Vec<f32>>,
    /// Its weights at the end.
    pub weights: Vec<NamedTensor>,
}

impl Trained {
    /// A metric by step, of the weights before its update; empty for one that the exhibit does not report.
    pub fn metric(&self, name: &str) -> Vec<f64> {
        self.metrics.get(name).into_iter().flatten().map(|v| f64::from(*v)).collect()
    }

    /// The loss before each step.
    pub fn losses(&self) -> Vec<f64> {
        self.losses.iter().map(|v| f64::from(*v)).collect()
    }

    /// All weights, one after the other.
    pub fn flat(&self) -> Vec<f64> {
        flat(&self.weights)
    }
}

/// All values of tensors, one after the other.
pub(super) fn flat(tensors: &[NamedTensor]) -> Vec<f64> {
    tensors.iter().flat_map(|t| &t.values).map(|v| f64::from(*v)).collect()
}

/// Keeps the steps and the last weights of every net.
struct Keeper(Vec<Trained>);

impl FleetObserver for Keeper {
    fn steps(&mut self, _: &Fleet, net: usize, steps: &[StepRecord]) -> Result<()> {
        let net = &mut self.0[net];
        for step in steps {
            net.losses.push(step.loss);
            for (name, value) in step.metrics.iter() {
                match net.metrics.get_mut(name) {
                    Some(values) => values.push(*value),
                    None => drop(net.metrics.insert(name.to_owned(), vec![*value])),
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, fleet: &Fleet, net: usize, end: &ReplicaEnd) -> Result<()> {
        match end {
            // A net whose loss overflowed shows what it was to show.
            ReplicaEnd::Finished | ReplicaEnd::Failed(Error::Diverged { .. }) => {
                self.0[net].weights = fleet.state_dict(net)?;
                Ok(())
            }
            ReplicaEnd::Failed(error) => Err(error.clone()),
            other => Err(Error::Config(format!("net {net} of the exhibit {}", other.word()))),
        }
    }
}

/// A function from a minibatch to the objective.
pub(super) type Step<'a> = dyn Fn(&Net, &Batch) -> Objective + 'a;

/// A net of digits with one hidden layer, and its cross-entropy.
pub(super) fn perceptron(
    hidden: usize,
    activation: fn(&Tensor) -> Tensor,
) -> impl Fn(&Net, &Batch) -> Objective {
    move |net, batch| {
        let h = activation(&net.linear("hidden", &batch.x().flatten(), hidden));
        let logits = net.linear("out", &h, 10);
        Objective::new(loss::cross_entropy(&logits, batch.t(), &CrossEntropy::default()))
    }
}

/// Inputs and labels of a part, as a function takes them.
pub(super) fn inputs_and_labels(part: &Part) -> Result<(Vec<f32>, Vec<i32>)> {
    let (mut x, mut t) = (Vec::new(), Vec::new());
    for sample in 0..part.len() as u32 {
        // The fields are those of all samples, of which the part has some.
        let row = part.source_index(sample) as usize;
        x.extend(part.inputs().sample(row)?.into_iter().map(|v| v as f32));
        t.extend(part.targets().sample(row)?.into_iter().map(|v| v as i32));
    }
    Ok((x, t))
}

/// Trains a net for each variant, all at once, from the same weights where they are given.
pub(super) fn train(
    gpu: &Gpu,
    data: &Dataset,
    step: &Step<'_>,
    variants: &[Variant],
    start: Option<&[NamedTensor]>,
) -> Result<Vec<Trained>> {
    let start = start.map(|weights| Arc::new(weights.to_vec()));
    let starts: Vec<Arc<Vec<NamedTensor>>> = start.into_iter().cycle().take(variants.len()).collect();
    train_from(gpu, data, step, variants, &starts)
}

/// [`train`] from weights of its own for each net; without any, from its initial ones.
pub(super) fn train_from(
    gpu: &Gpu,
    data: &Dataset,
    step: &Step<'_>,
    variants: &[Variant],
    starts: &[Arc<Vec<NamedTensor>>],
) -> Result<Vec<Trained>> {
    let target = Target { reads: Reads::Storage, ..Target::for_gpu(gpu) };
    let mut together: Option<FleetPlan> = None;
    let mut last: Option<(&Variant, TrainPlan)> = None;
    for variant in variants {
        // The plan does not know the seeds: nets that differ in them alone have one.
        let plan = match last.take() {
            Some((other, plan)) if differ_in_seeds(other, variant) => plan,
            _ => {
                let builder = TrainPlan::builder(data, &variant.update).step(step);
                builder.options(&variant.options).target(target).build()?
            }
        };
        match &mut together {
            None => together = Some(FleetPlan::new(variant.clone(), plan.clone(), Orders::default())?),
            Some(together) => together.add(variant.clone(), &plan)?,
        }
        last = Some((variant, plan));
    }
    let together = together.ok_or_else(|| Error::Config("an exhibit trains at least one net".into()))?;
    let options = FleetOptions { forget_ended: true, ..FleetOptions::default() };
    let mut fleet = Fleet::from_plan(gpu, together, data, &options)?;
    for (net, weights) in starts.iter().enumerate() {
        fleet.load_state_dict(net, weights)?;
    }
    let mut keeper = Keeper(vec![Trained::default(); variants.len()]);
    fleet.run(&mut keeper)?;
    Ok(keeper.0)
}

/// True for variants that differ in seeds alone.
fn differ_in_seeds(a: &Variant, b: &Variant) -> bool {
    let seedless = |v: &Variant| TrainOptions { seed: 0, seeds: Seeds::default(), ..v.options.clone() };
    a.update == b.update && seedless(a) == seedless(b)
}

/// The weights of a variant before its first step.
pub(super) fn initial(data: &Dataset, step: &Step<'_>, variant: &Variant) -> Result<Vec<NamedTensor>> {
    let plan = TrainPlan::builder(data, &variant.update).step(step).options(&variant.options).build()?;
    Ok(plan.initial_state(variant.options.init_seed()))
}

/// Checks that batches divide the samples: the samples of a short batch would weigh more than others.
pub(super) fn check_divides(key: &str, batch: usize, samples: usize) -> Result<()> {
    if samples.is_multiple_of(batch) {
        return Ok(());
    }
    let sizes: Vec<String> =
        (1..=16).filter(|size| samples.is_multiple_of(*size)).map(|size: usize| size.to_string()).collect();
    Err(Error::Config(format!(
        "{key} = {batch}: a batch divides the {samples} samples; it is one of {}",
        sizes.join(", ")
    )))
}

/// Options of a run of `steps` steps over batches of `rows` samples.
pub(super) fn options(rows: usize, steps: usize, seed: u64) -> TrainOptions {
    TrainOptions {
        batch_size: BatchSize::Rows(rows),
        epochs: u64::MAX >> 1,
        steps: Some(steps as u64),
        seed,
        ..TrainOptions::default()
    }
}

/// Samples of these rows, each with a number as its target.
pub(super) fn samples(name: &str, rows: &[Vec<f64>], targets: &[f64]) -> Result<Dataset> {
    let values: Vec<f32> = rows.iter().flatten().map(|v| *v as f32).collect();
    let targets: Vec<f32> = targets.iter().map(|v| *v as f32).collect();
    let inputs = Field::new([rows[0].len()], values)?;
    let part = Part::new(inputs, Field::new([1], targets)?)?;
    Dataset::new(name, part, None, None)
}

/// A tensor of weights.
pub(super) fn tensor(name: &str, shape: &[usize], values: &[f64]) -> NamedTensor {
    NamedTensor { name: name.into(), shape: shape.into(), values: values.iter().map(|v| *v as f32).collect() }
}
