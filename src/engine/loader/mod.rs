//! The streams of a run: of training, and of evaluation.

use std::thread;

use super::blueprint::Blueprint;
use super::options::TrainOptions;
use super::stage::Stage;
use super::stream::Stream;
use super::trainer::order_of;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::Gpu;

/// Threads that read, at most, unless more are asked for.
const MOST_WORKERS: usize = 8;
/// Threads that may be asked for.
const ALLOWED_WORKERS: usize = 256;

/// Where samples come from that do not lie on the device.
#[derive(Debug)]
pub(super) struct Streams {
    pub train: Stream,
    pub eval: Option<Stream>,
}

impl Streams {
    /// The streams of a blueprint that has stages.
    pub fn open(
        gpu: &Gpu,
        blueprint: &Blueprint,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Option<Streams>> {
        let stage = |name| blueprint.stages.iter().find(|stage| stage.name == name);
        let Some(train) = stage("train") else { return Ok(None) };
        for (part, stage) in [(Some(data.train()), Some(train)), (data.eval(), stage("eval"))] {
            let Some((part, stage)) = part.zip(stage) else { continue };
            let batches =
                if stage.name == "train" { Some(blueprint.batches) } else { blueprint.eval_batches };
            let planned = batches.map_or(0, |batches| batches.samples());
            let same = batches.is_some_and(|b| Stage::of(stage.name, part, &b, stage.steps) == *stage);
            if !same || planned > part.len() {
                return Err(Error::Data(format!(
                    "the plan streams {planned} samples of {} to {} bytes a slot, and the data set has {} others: it was \
                     made for another data set",
                    stage.name,
                    stage.bytes,
                    part.len()
                )));
            }
        }
        let spare = thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1));
        let workers = options.workers.unwrap_or(spare.clamp(1, MOST_WORKERS));
        if !(1..=ALLOWED_WORKERS).contains(&workers) {
            return Err(Error::Config(format!(
                "data.workers = {workers}: from 1 to {ALLOWED_WORKERS} threads can read samples"
            )));
        }
        let (part, batches, of) = (data.train().clone(), blueprint.batches, options.clone());
        let order = Box::new(move |epoch| order_of(&part, &of, epoch));
        let train = Stream::new(gpu, data.train(), batches, train, workers, order)?;
        let eval = match (stage("eval"), data.eval(), blueprint.eval_batches) {
            (Some(stage), Some(part), Some(batches)) => {
                let of = part.clone();
                let order = Box::new(move |_| (0..of.len() as u32).map(|sample| of.place(sample)).collect());
                Some(Stream::new(gpu, part, batches, stage, workers, order)?)
            }
            _ => None,
        };
        Ok(Some(Streams { train, eval }))
    }
}
