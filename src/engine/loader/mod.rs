//! The samples of training and of evaluation on their way to the device: resident there, or streamed.

mod order;
mod prefetch;
mod sample_loader;

use std::sync::Arc;
use std::thread;

use order::EpochOrder;
pub(super) use order::{SampleOrder, shares};
use prefetch::Prefetcher;
pub(super) use sample_loader::SampleLoader;

use crate::compile::{StagingLayout, TrainOptions, TrainPlan};
use crate::data::{Dataset, Part, epoch_order};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernel::feed::ORDER;
use crate::plan::Replicas;

/// The default limit of threads that read samples.
const MOST_WORKERS: usize = 8;
/// The most threads that the options may ask for.
const ALLOWED_WORKERS: usize = 256;

/// The loaders of a run.
#[derive(Debug)]
pub(super) struct Loaders {
    /// One for each net that has an order of its own, or one for all.
    pub train: Vec<SampleLoader>,
    pub eval: Option<SampleLoader>,
}

impl Loaders {
    /// Opens the loaders of a plan, with their threads where samples are streamed.
    ///
    /// # Errors
    /// [`Error::Data`] where the plan was made for another data set; [`Error::Config`] for a number of threads that
    /// cannot be; too little memory.
    pub fn new(gpu: &Gpu, plan: &TrainPlan, data: &Dataset, options: &TrainOptions) -> Result<Loaders> {
        let staging = |name| plan.staging.iter().find(|staging| staging.name == name);
        check_staging(plan, data)?;
        #[cfg(target_arch = "wasm32")]
        if !plan.staging.is_empty() {
            return Err(Error::Config(
                "samples that are streamed are read by threads, and a page has none: a smaller data set, or \
                 data.residence = \"resident\", keeps them on the device"
                    .into(),
            ));
        }
        let workers = if plan.staging.is_empty() { 1 } else { workers(options)? };
        let rank = gpu.ranks().rank();
        let order = || own_order(training_order(data.train().clone(), options), plan, rank);
        let batches = if plan.ranks > 1 { plan.batches.of_rank(rank, plan.ranks) } else { plan.batches };
        let train = match staging("train") {
            Some(staging) => {
                let prefetcher = Prefetcher::new(gpu, data.train(), batches, staging, workers, order())?;
                vec![SampleLoader::streamed(prefetcher)]
            }
            None => {
                let own = plan.replicas.as_ref().filter(|replicas| replicas.stride(ORDER) > 0);
                let orders = own.map_or(1, Replicas::count);
                (0..orders).map(|_| SampleLoader::resident(batches, order())).collect()
            }
        };
        let eval = match (data.eval(), plan.eval_batches) {
            (Some(part), Some(batches)) => {
                let order = in_order(part.clone());
                Some(match staging("eval") {
                    Some(staging) => {
                        SampleLoader::streamed(Prefetcher::new(gpu, part, batches, staging, workers, order)?)
                    }
                    None => SampleLoader::resident(batches, order),
                })
            }
            _ => None,
        };
        Ok(Loaders { train, eval })
    }

    /// Has the net of a slot go through its samples by these options, where it has an order of its own.
    pub fn set_order(&mut self, slot: usize, plan: &TrainPlan, data: &Dataset, options: &TrainOptions) {
        if self.train.len() > 1 || !plan.is_streamed("train") {
            let order = training_order(data.train().clone(), options);
            self.train.get_mut(slot).into_iter().for_each(|own| {
                *own = SampleLoader::resident(plan.batches, order.clone());
            });
        }
    }
}

/// The order of each epoch, drawn by the options' seed and sampling.
fn training_order(part: Part, options: &TrainOptions) -> EpochOrder {
    let (seed, sampling) = (options.order_seed(), options.sampling);
    Arc::new(move |epoch| {
        let mut order = epoch_order(part.len(), seed, epoch, sampling);
        order.iter_mut().for_each(|sample| *sample = part.source_index(*sample));
        order
    })
}

/// The samples of an order that a rank trains on: its own of each batch.
fn own_order(order: EpochOrder, plan: &TrainPlan, rank: usize) -> EpochOrder {
    let (batches, count) = (plan.batches, plan.ranks);
    if count == 1 {
        return order;
    }
    Arc::new(move |epoch| {
        let all = order(epoch);
        let own = |step: usize| {
            let (first, own) =
                (step * batches.rows, batches.rows_of_rank(batches.rows_of_step(step), rank, count));
            &all[first + own.start..first + own.end]
        };
        (0..batches.steps()).flat_map(own).copied().collect()
    })
}

/// Every epoch of evaluation has all samples in their order.
fn in_order(part: Part) -> EpochOrder {
    Arc::new(move |_| (0..part.len() as u32).map(|sample| part.source_index(sample)).collect())
}

/// Checks that the plan's slots are those of this data set.
fn check_staging(plan: &TrainPlan, data: &Dataset) -> Result<()> {
    for staging in &plan.staging {
        let (part, batches) = match staging.name {
            "train" => (Some(data.train()), Some(plan.batches)),
            _ => (data.eval(), plan.eval_batches),
        };
        let Some(part) = part else { continue };
        let planned = batches.map_or(0, |batches| batches.samples());
        let same = batches.is_some_and(|batches| {
            StagingLayout::new(staging.name, part, &batches, staging.steps) == *staging
        });
        if !same || planned > part.len() {
            return Err(Error::Data(format!(
                "the plan streams {planned} samples of {} to {} bytes a slot, and the data set has {} others: it was \
                 made for another data set",
                staging.name,
                staging.bytes,
                part.len()
            )));
        }
    }
    Ok(())
}

/// The number of threads that read samples.
fn workers(options: &TrainOptions) -> Result<usize> {
    let spare = thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1));
    let workers = options.workers.unwrap_or(spare.clamp(1, MOST_WORKERS));
    if !(1..=ALLOWED_WORKERS).contains(&workers) {
        return Err(Error::Config(format!(
            "data.workers = {workers}: from 1 to {ALLOWED_WORKERS} threads can read samples"
        )));
    }
    Ok(workers)
}
