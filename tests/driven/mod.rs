//! Training with given gradients, to test an update alone.

use downhill::compile::{TrainOptions, TrainPlan};
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::gpu::{Family, Reads};
use downhill::kernel::Target;
use downhill::nn::Net;
use downhill::optim::Update;
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{GpuOptions, Init, Tensor};

use crate::adapter;

/// A parameter tensor: where it starts, and its gradient at every step.
pub struct Param {
    pub name: String,
    pub shape: Vec<usize>,
    pub init: Vec<f32>,
    pub grads: Vec<Vec<f32>>,
}

/// Parameters after each step, `[step][parameter][element]`: the weights, and the averages where evaluation uses those.
pub struct Driven {
    pub weights: Vec<Vec<Vec<f32>>>,
    pub averages: Vec<Vec<Vec<f32>>>,
}

/// Trains `params` with the gradients given.
///
/// The loss is Σ sum(p · g), whose gradient for p is g exactly. A sample is the gradients of one step, in file
/// order and a batch of one, so that step t, from 0, sees `grads[t]`, at the rate `lrs[t]`.
#[allow(dead_code, reason = "one of the test binaries drives plans of a family only")]
pub fn drive(update: impl Into<Update>, lrs: &[f64], params: &[Param]) -> Result<Driven, downhill::Error> {
    drive_with(GpuOptions::default(), update, lrs, params, |_| ())
}

/// [`drive`] with plans that `change` has changed, by the kernels of a family. They read storage buffers, so that their texts
/// are those of the files.
#[allow(dead_code, reason = "one of the test binaries drives unchanged plans only")]
pub fn drive_changed(
    family: Family,
    update: impl Into<Update>,
    lrs: &[f64],
    params: &[Param],
    change: impl FnOnce(&mut TrainPlan),
) -> Result<Driven, downhill::Error> {
    let device = GpuOptions { family: Some(family), reads: Some(Reads::Storage), ..GpuOptions::default() };
    drive_with(device, update, lrs, params, change)
}

fn drive_with(
    device: GpuOptions,
    update: impl Into<Update>,
    lrs: &[f64],
    params: &[Param],
    change: impl FnOnce(&mut TrainPlan),
) -> Result<Driven, downhill::Error> {
    let width: usize = params.iter().map(|p| p.init.len()).sum();
    let samples: Vec<f32> =
        (0..lrs.len()).flat_map(|t| params.iter().flat_map(move |p| p.grads[t].clone())).collect();
    let data = Dataset::from_arrays("gradients", [width], samples, [], vec![0.0; lrs.len()])?;
    let model = |net: &Net, x: &Tensor| {
        let mut start = 0;
        let term = |p: &Param| {
            let g = x.slice(1, start, start + p.init.len()).reshape(&p.shape[..]);
            start += p.init.len();
            net.parameter(&p.name, &p.shape[..], Init::Constant(0.0)).mul(&g).sum_all()
        };
        params.iter().map(term).reduce(|a, b| a.add(&b)).expect("a parameter")
    };
    let options =
        TrainOptions { batch_size: BatchSize::Rows(1), sampling: Sampling::File, ..TrainOptions::default() };
    let gpu = adapter::open_with(device);
    let loss = |loss: &Tensor, _: &Tensor| loss.clone();
    let batches = options.batches(&data)?;
    let mut train_plan = TrainPlan::builder(&data, update)
        .model(&model, &loss)
        .batches(batches)
        .target(Target::for_gpu(&gpu))
        .build()?;
    change(&mut train_plan);
    let mut trainer = Trainer::from_plan(&gpu, train_plan, &data, &options)?;
    let start = |p: &Param| NamedTensor {
        name: p.name.clone(),
        shape: (&p.shape[..]).into(),
        values: p.init.clone(),
    };
    trainer.load_state_dict(&params.iter().map(start).collect::<Vec<_>>())?;
    let values = |tensors: Vec<NamedTensor>| tensors.into_iter().map(|tensor| tensor.values).collect();
    let mut driven = Driven { weights: Vec::new(), averages: Vec::new() };
    for &lr in lrs {
        trainer.set_lr(lr);
        trainer.advance(1)?;
        driven.weights.push(values(trainer.state_dict()?));
        driven.averages.extend(trainer.average_state_dict()?.map(values));
    }
    Ok(driven)
}
