//! The loop: windows of steps, epochs, evaluation.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::blueprint::{BatchLoss, Blueprint, Build, Loss, Model, READBACK, TALLIED};
use super::early_stopping::Patience;
use super::feed;
use super::handle::RunHandle;
use super::metrics::{Metrics, Objective};
use super::observer::StepRecord;
use super::options::TrainOptions;
use super::pace::Pace;
use super::scaling::Known;
use super::snapshot::Best;
use super::statistics::{Statistics, Taken};
use super::streams::Streams;
use super::window::Flight;
use crate::data::{Dataset, Part, epoch_order};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::kernel::{Precision, Target};
use crate::optim::Update;
use crate::plan::{Memory, Program};

/// A model on a device, with its data and its optimizer.
#[derive(Debug)]
pub struct Trainer {
    pub(super) gpu: Gpu,
    pub(super) blueprint: Blueprint,
    pub(super) options: TrainOptions,
    pub(super) pace: Pace,
    pub(super) memory: Memory,
    /// The blueprint's programs, as far as they have been needed.
    pub(super) train: Vec<Program>,
    pub(super) update: Option<Program>,
    pub(super) average: OnceCell<Program>,
    pub(super) eval: Vec<Program>,
    pub(super) readback: VecDeque<Buffer>,
    /// The buffer through which the tally of an evaluation comes back, where there is one.
    pub(super) tallied: Option<Buffer>,
    pub(super) statistics: Option<Taken>,
    /// The buffer through which what is kept comes back.
    pub(super) saving: Buffer,
    /// Samples on their way, where they do not lie on the device: those of training and of evaluation.
    pub(super) streams: Option<Streams>,
    pub(super) flights: VecDeque<Flight>,
    pub(super) data: Dataset,
    /// Steps submitted, of the whole run and of the current epoch.
    pub(super) step: u64,
    pub(super) at: usize,
    /// Batches and micro-batches submitted.
    pub(super) passes: u64,
    pub(super) epoch: u64,
    /// Epochs told to observers.
    pub(super) told: u64,
    /// Evaluations begun in this process.
    pub(super) evaluations: u64,
    /// Batches that the weights had seen in training before this run.
    pub(super) tracked: u64,
    pub(super) order: Vec<u32>,
    pub(super) per_submission: usize,
    pub(super) submitted: Instant,
    /// Of the epoch of the last step that landed, counted from 1: samples trained, and the loss and the metrics summed over
    /// them.
    pub(super) summed: u64,
    pub(super) samples: usize,
    pub(super) sums: Vec<f64>,
    /// Seconds that the epoch to be told next was trained, and of those the device waited for samples.
    pub(super) seconds: f64,
    pub(super) data_waited: f64,
    /// Time that this trainer's runs spent in steps, and how long the host waited for the device.
    pub(super) trained: Duration,
    pub(super) device_waited: Duration,
    /// Steps skipped, their gradients not being finite.
    pub(super) known: Known,
    pub(super) patience: Patience,
    pub(super) best: Option<Best>,
    pub(super) handle: RunHandle,
    /// Steps are submitted up to then.
    pub(super) deadline: Option<Instant>,
}

fn target(gpu: &Gpu, options: &TrainOptions) -> Target {
    options.target(Target::for_gpu(gpu))
}

/// The samples of an epoch, in the order they are trained on.
pub(super) fn order_of(part: &Part, options: &TrainOptions, epoch: u64) -> Vec<u32> {
    let mut order = epoch_order(part.len(), options.seed, epoch, options.shuffle);
    order.iter_mut().for_each(|sample| *sample = part.place(*sample));
    order
}

/// Makes programs until there are `count`: those of short batches and of evaluation wait for their first use, so
/// that the first step does not wait for them.
pub(super) fn bind(
    gpu: &Gpu,
    builds: &[Build],
    memory: &Memory,
    programs: &mut Vec<Program>,
    count: usize,
) -> Result<()> {
    while programs.len() < count {
        programs.push(Program::new(gpu, &builds[programs.len()].plan, memory)?);
    }
    Ok(())
}

/// Adds a row of the ring, means over `samples` samples, to sums over samples.
pub(super) fn add(sums: &mut [f64], row: &[f32], samples: usize) {
    for (sum, mean) in sums.iter_mut().zip(row) {
        *sum += f64::from(*mean) * samples as f64;
    }
}

impl Trainer {
    /// Plans, allocates and compiles a run, and puts data and initial weights on the device.
    ///
    /// `model` goes from its input [batch, ..] to its output, `loss` from output and target to a scalar mean.
    ///
    /// # Errors
    /// Wrong hyperparameters, shapes or labels; too little memory; a kernel that does not compile.
    pub fn new(
        gpu: &Gpu,
        model: &Model<'_>,
        loss: &Loss<'_>,
        update: impl Into<Update>,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let batches = options.batches(data)?;
        let target = target(gpu, options);
        let blueprint =
            Blueprint::with_metrics(model, loss, update, data, batches, target, &options.metrics)?;
        Self::from_blueprint(gpu, blueprint, data, options)
    }

    /// [`Trainer::new`] for a model of any inputs, outputs and losses: `step` goes from a minibatch to an [`Objective`],
    /// or to a loss alone, a scalar [`Tensor`](crate::Tensor). Evaluation knows no classes; a share of right
    /// predictions is a metric.
    ///
    /// ```no_run
    /// # use downhill::prelude::*;
    /// # fn run(gpu: &Gpu, data: &Dataset) -> Result<(), Error> {
    /// let step = |net: &Net, batch: &Batch| {
    ///     let y = net.linear("out", &batch.get("image").flatten(), 10);
    ///     let right = y.gather(1, &batch.t().reshape([y.shape()[0], 1])).ge(&y.amax(&[1], true));
    ///     let loss = loss::cross_entropy(&y, batch.t(), &CrossEntropy::default());
    ///     Objective::new(loss).metric("accuracy", right.mean_all())
    /// };
    /// let adamw = Optimizer::AdamW(AdamW::default());
    /// let mut trainer = Trainer::of_batches(gpu, &step, &adamw, data, &TrainOptions::default())?;
    /// let last = trainer.run(&mut ())?;
    /// println!("{:?}", last.and_then(|epoch| epoch.eval_metrics.get("accuracy")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::new`]; a field that `data` does not have.
    pub fn of_batches<O: Into<Objective>>(
        gpu: &Gpu,
        step: &BatchLoss<'_, O>,
        update: impl Into<Update>,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let batches = options.batches(data)?;
        let target = target(gpu, options);
        let blueprint =
            Blueprint::of_batches_with_metrics(step, update, data, batches, target, &options.metrics)?;
        Self::from_blueprint(gpu, blueprint, data, options)
    }

    /// [`Trainer::new`] from plans made before.
    ///
    /// # Errors
    /// Too little memory; a kernel that does not compile; plans that were made for other data.
    pub fn from_blueprint(
        gpu: &Gpu,
        blueprint: Blueprint,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        gpu.check_precision(blueprint.precision == Precision::F16)?;
        if let Some(metric) = options.early_stopping.as_ref().and_then(|rule| rule.metric.as_ref()) {
            blueprint.check_metric("early_stopping.metric", metric)?;
        }
        let sources = feed::sources(data, |part| blueprint.stages.iter().any(|stage| stage.name == part));
        feed::check(&sources, &blueprint.memory)?;
        let memory = Memory::allocate(gpu, &blueprint.memory)?;
        let mut train = Vec::new();
        bind(gpu, &blueprint.train, &memory, &mut train, 1)?;
        for source in sources {
            feed::upload(gpu, memory.get(&source.name), source.values)?;
        }
        let plans = blueprint.train.iter().map(|build| &build.plan).chain(&blueprint.update);
        let plans = plans.chain(blueprint.statistics.iter().flat_map(Statistics::plans));
        for (name, words) in plans.flat_map(|plan| &plan.constants) {
            gpu.write(memory.get(name), 0, bytemuck::cast_slice(words));
        }
        let readback =
            READBACK.iter().map(|name| gpu.readback(name, blueprint.ring.bytes())).collect::<Result<_>>()?;
        let tally = blueprint.tally.as_ref();
        let tallied = tally.map(|tally| gpu.readback(TALLIED, tally.ring.bytes())).transpose()?;
        let saving = blueprint.saving();
        let saving = gpu.readback(&saving.name, saving.bytes)?;
        let statistics = Taken::new(gpu, &blueprint, options.statistics)?;
        let streams = Streams::open(gpu, &blueprint, data, options)?;
        let mut trainer = Trainer {
            tallied,
            statistics,
            saving,
            streams,
            gpu: gpu.clone(),
            options: options.clone(),
            pace: Pace::default(),
            memory,
            train,
            update: None,
            average: OnceCell::new(),
            eval: Vec::new(),
            readback,
            flights: VecDeque::new(),
            data: data.clone(),
            step: 0,
            at: 0,
            passes: 0,
            epoch: 0,
            told: 0,
            evaluations: 0,
            tracked: 0,
            order: Vec::new(),
            per_submission: 1,
            submitted: Instant::now(),
            summed: 0,
            samples: 0,
            sums: vec![0.0; blueprint.ring.columns],
            seconds: 0.0,
            data_waited: 0.0,
            trained: Duration::ZERO,
            device_waited: Duration::ZERO,
            known: Known::default(),
            patience: Patience::default(),
            best: None,
            handle: RunHandle::default(),
            deadline: None,
            blueprint,
        };
        trainer.pace =
            Pace::new(&trainer.blueprint.rule, trainer.total_steps(), trainer.blueprint.batches.steps());
        trainer.write_first();
        Ok(trainer)
    }

    /// The plans of this run.
    pub fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Steps a whole run takes by its options.
    pub fn total_steps(&self) -> u64 {
        let steps = self.blueprint.batches.steps() as u64;
        self.options.steps.unwrap_or(self.options.epochs.saturating_mul(steps))
    }

    /// The samples of the current epoch, in the order they are trained on; none where a stream knows it.
    pub(super) fn current_order(&self) -> Vec<u32> {
        match self.streams {
            Some(_) => Vec::new(),
            None => order_of(self.data.train(), &self.options, self.epoch),
        }
    }

    /// How long training has waited for samples, where they are streamed.
    pub fn waited(&self) -> Option<Duration> {
        self.streams.as_ref().map(|streams| streams.train.waited())
    }

    /// Threads that read samples, where they are streamed.
    pub fn workers(&self) -> Option<usize> {
        self.streams.as_ref().map(|streams| streams.train.workers())
    }

    /// Batches that the weights have seen in training, those before this run included.
    pub(super) fn batches_seen(&self) -> u64 {
        // Weights of an epoch before the last have seen fewer than this run has passed.
        self.tracked.wrapping_add(self.passes)
    }

    /// The best epoch so far and its value, where early stopping keeps its weights.
    pub fn best_epoch(&self) -> Option<(f64, u64)> {
        let keeps = self.options.early_stopping.as_ref().is_some_and(|rule| rule.restore_best);
        self.patience.best.filter(|_| keeps)
    }

    /// Tells how far the run is, and stops it, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Takes a handle that is there, in place of the trainer's own.
    pub fn use_handle(&mut self, handle: &RunHandle) {
        self.handle = handle.clone();
    }

    /// Whether something is to be done before the next step.
    fn is_due(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Runs up to `limit` steps, to the end of the current epoch at most; the last may still be in flight.
    pub(super) async fn part_of_epoch(
        &mut self,
        limit: u64,
        sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>,
    ) -> Result<()> {
        let steps = self.blueprint.batches.steps();
        if self.at == 0 {
            self.order = self.current_order();
        }
        let end = (self.at as u64 + limit).min(steps as u64) as usize;
        if self.flights.is_empty() {
            self.submitted = Instant::now();
        }
        let begun = self.at;
        while self.at < end && !self.handle.is_stopped() && (self.at == begun || !self.is_due()) {
            if self.streams.as_ref().is_some_and(|streams| !streams.train.is_ready(self.epoch, self.at)) {
                // The device must not wait for what the host would read while the device works.
                self.land_all(sink).await?;
            }
            if let Err(err) = self.submit(self.per_submission.min(end - self.at)) {
                // The steps before it are done.
                self.land_all(sink).await?;
                return Err(err);
            }
            if self.flights.len() > 1 {
                self.land(sink).await?;
            }
        }
        if self.at == steps {
            self.at = 0;
            self.epoch += 1;
        }
        Ok(())
    }

    /// Waits for everything in flight, and forgets what it says.
    pub(super) async fn drop_flights(&mut self) -> Result<()> {
        while let Some(flight) = self.flights.pop_front() {
            self.gpu.finish(flight.pending).await?;
            if let Some(pending) = flight.statistics {
                self.gpu.finish(pending).await?;
            }
        }
        Ok(())
    }

    /// Waits for everything in flight.
    pub(super) async fn land_all(&mut self, sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>) -> Result<()> {
        while !self.flights.is_empty() {
            self.land(sink).await?;
        }
        Ok(())
    }

    /// Runs `count` steps, over the ends of epochs, without evaluation.
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first loss that is not finite; [`Error::Cancelled`] where the handle stops it; a lost
    /// device.
    pub fn advance(&mut self, count: u64) -> Result<Vec<StepRecord>> {
        let mut records = Vec::new();
        self.advance_into(count, &mut |steps| {
            records.extend_from_slice(steps);
            Ok(())
        })?;
        Ok(records)
    }

    /// [`Trainer::advance`] that gives its steps to `sink` as they land.
    pub(super) fn advance_into(
        &mut self,
        count: u64,
        sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>,
    ) -> Result<()> {
        let target = self.step + count;
        self.deadline = None;
        pollster::block_on(async {
            while self.step < target {
                self.part_of_epoch(target - self.step, sink).await?;
                if self.handle.is_stopped() {
                    self.land_all(sink).await?;
                    self.handle.clear();
                    return Err(Error::Cancelled);
                }
            }
            // Nobody asks for the epochs that ended.
            self.told = self.epoch;
            self.land_all(sink).await
        })
    }

    /// The mean loss and the mean metrics of `samples` samples.
    pub(super) fn means(&self, sums: &[f64], samples: usize) -> (f64, Metrics<f64>) {
        let means: Vec<f64> = sums.iter().map(|sum| sum / samples.max(1) as f64).collect();
        (means[0], self.blueprint.metrics_of(&means))
    }
}
