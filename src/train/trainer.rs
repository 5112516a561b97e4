//! The loop: windows of steps submitted ahead of their losses, epochs, evaluation.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::blueprint::{BatchLoss, Blueprint, Build, Loss, Model, READBACK, ROW, WINDOW};
use super::feed;
use super::metrics::{Metrics, Objective};
use super::observer::{EpochRecord, Observer, StepRecord};
use super::scaling::{Known, LossScale};
use crate::data::{BatchPlan, BatchSize, Dataset, Values, epoch_order};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu, Pending};
use crate::kernel::feed::ORDER;
use crate::kernel::update::TABLE;
use crate::kernel::{Precision, Target};
use crate::optim::Optimizer;
use crate::plan::{METRICS, Memory, Program};

/// A submission is made this long, so that progress shows and no driver's watchdog wakes.
const SUBMISSION: Duration = Duration::from_millis(100);

/// How a run goes through its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainOptions {
    /// Samples in a batch. 32 unless said otherwise.
    pub batch_size: BatchSize,
    /// Draw a new order for each epoch. True unless said otherwise.
    pub shuffle: bool,
    /// Leave out a short last batch. False unless said otherwise.
    pub drop_last: bool,
    /// Passes over the training part. 10 unless said otherwise.
    pub epochs: u64,
    /// Stops after so many steps, whatever `epochs` says.
    pub steps: Option<u64>,
    /// Decides initial weights and orders.
    pub seed: u64,
    /// What activations and weights are in memory. f32 unless said otherwise.
    pub precision: Precision,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            batch_size: BatchSize::Rows(32),
            shuffle: true,
            drop_last: false,
            epochs: 10,
            steps: None,
            seed: 0,
            precision: Precision::F32,
        }
    }
}

#[derive(Debug)]
struct Flight {
    pending: Pending,
    steps: Vec<StepRecord>,
    samples: Vec<usize>,
}

/// A model on a device, with its data and its optimizer.
#[derive(Debug)]
pub struct Trainer {
    pub(super) gpu: Gpu,
    pub(super) blueprint: Blueprint,
    pub(super) options: TrainOptions,
    optimizer: Optimizer,
    lr: f64,
    pub(super) memory: Memory,
    /// The blueprint's programs, as far as they have been needed.
    pub(super) train: Vec<Program>,
    pub(super) eval: Vec<Program>,
    pub(super) readback: VecDeque<Buffer>,
    flights: VecDeque<Flight>,
    train_len: usize,
    /// Steps submitted, of the whole run and of the current epoch.
    pub(super) step: u64,
    at: usize,
    epoch: u64,
    /// Training steps that the weights had seen before this run.
    pub(super) tracked: u64,
    order: Vec<u32>,
    per_submission: usize,
    submitted: Instant,
    /// Of the current epoch: samples trained, and the loss and the metrics summed over them.
    samples: usize,
    sums: Vec<f64>,
    /// Steps skipped under loss scaling.
    pub(super) known: Known,
}

fn target(gpu: &Gpu, options: &TrainOptions) -> Target {
    Target::of(gpu).with_precision(options.precision)
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

fn words(values: &Values) -> &[u8] {
    match values {
        Values::F32(v) => bytemuck::cast_slice(v),
        Values::I32(v) => bytemuck::cast_slice(v),
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
        optimizer: &Optimizer,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let batches = BatchPlan::new(data.train().len(), options.batch_size, options.drop_last)?;
        let blueprint = Blueprint::new(model, loss, optimizer, data, batches, target(gpu, options))?;
        Self::from_blueprint(gpu, blueprint, optimizer, data, options)
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
        optimizer: &Optimizer,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let batches = BatchPlan::new(data.train().len(), options.batch_size, options.drop_last)?;
        let blueprint = Blueprint::of_batches(step, optimizer, data, batches, target(gpu, options))?;
        Self::from_blueprint(gpu, blueprint, optimizer, data, options)
    }

    /// [`Trainer::new`] from plans made before.
    ///
    /// # Errors
    /// Too little memory; a kernel that does not compile; plans that were made for other data.
    pub fn from_blueprint(
        gpu: &Gpu,
        blueprint: Blueprint,
        optimizer: &Optimizer,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        gpu.check_precision(blueprint.precision == Precision::F16)?;
        let sources = feed::sources(data);
        feed::check(&sources, &blueprint.memory)?;
        let memory = Memory::allocate(gpu, &blueprint.memory)?;
        let mut train = Vec::new();
        bind(gpu, &blueprint.train, &memory, &mut train, 1)?;
        for source in sources {
            gpu.write(memory.get(&source.name), 0, words(source.values));
        }
        let readback =
            READBACK.iter().map(|name| gpu.readback(name, blueprint.ring.bytes())).collect::<Result<_>>()?;
        let trainer = Trainer {
            gpu: gpu.clone(),
            options: options.clone(),
            optimizer: optimizer.clone(),
            lr: optimizer.lr(),
            memory,
            train,
            eval: Vec::new(),
            readback,
            flights: VecDeque::new(),
            train_len: data.train().len(),
            step: 0,
            at: 0,
            epoch: 0,
            tracked: 0,
            order: Vec::new(),
            per_submission: 1,
            submitted: Instant::now(),
            samples: 0,
            sums: vec![0.0; blueprint.ring.columns],
            known: Known::default(),
            blueprint,
        };
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

    /// Sets the learning rate of the steps to come.
    pub fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn scaled(&self) -> bool {
        self.blueprint.precision == Precision::F16
    }

    /// Records the next `count` steps of the current epoch, submits them, and reads what is ready.
    fn submit(&mut self, count: usize) -> Result<()> {
        let batches = self.blueprint.batches;
        let stride = batches.rows;
        let mut order = vec![0u32; count * stride];
        let (unknown, updates) = if self.scaled() { self.known.table(self.step) } else { (0, self.step) };
        let mut table = Vec::with_capacity((unknown + count) * ROW);
        for t in updates + 1..=updates + (unknown + count) as u64 {
            table.extend(self.optimizer.scalars(t, self.lr));
        }
        let mut steps = Vec::with_capacity(count);
        let mut samples = Vec::with_capacity(count);
        for i in 0..count {
            let start = (self.at + i) * batches.rows;
            let rows = batches.rows.min(self.order.len() - start);
            order[i * stride..i * stride + rows].copy_from_slice(&self.order[start..start + rows]);
            let step = self.step + 1 + i as u64;
            let (loss, metrics, scaling) = (f32::NAN, Metrics::default(), None);
            steps.push(StepRecord { step, epoch: self.epoch + 1, loss, lr: self.lr, metrics, scaling });
            samples.push(rows);
        }
        self.gpu.write(self.memory.get(ORDER), 0, bytemuck::cast_slice(&order));
        self.gpu.write(self.memory.get(TABLE), 0, bytemuck::cast_slice(&table));
        self.open_window();

        let full = batches.full_batches.saturating_sub(self.at).min(count);
        let kinds = if full < count { 2 } else { 1 };
        bind(&self.gpu, &self.blueprint.train, &self.memory, &mut self.train, kinds)?;
        let readback = self.free_readback()?;
        let bytes = (count * self.blueprint.ring.columns * 4) as u64;
        let mut recorder = self.gpu.recorder();
        recorder.pass(&self.train[0].dispatches, full);
        if full < count {
            recorder.pass(&self.train[1].dispatches, 1);
        }
        recorder.copy(self.memory.get(METRICS), 0, &readback, 0, bytes);
        let after = recorder.submit()?;
        let pending = self.gpu.map(&readback, bytes, after);
        self.readback.push_back(readback);
        self.flights.push_back(Flight { pending, steps, samples });
        self.at += count;
        self.step += count as u64;
        Ok(())
    }

    /// The readback buffer that is free next. Two are in turn, and at most one submission is ahead.
    pub(super) fn free_readback(&mut self) -> Result<Buffer> {
        self.readback.pop_front().ok_or_else(|| Error::Gpu("no readback buffer is free".into()))
    }

    /// Waits for the oldest submission and gives its steps to `sink`.
    async fn land(&mut self, sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>) -> Result<()> {
        let Some(mut flight) = self.flights.pop_front() else { return Ok(()) };
        let bytes = self.gpu.finish(flight.pending).await?;
        let ring: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        let columns = self.blueprint.ring.columns;
        let scaled = self.scaled();
        for (step, row) in flight.steps.iter_mut().zip(ring.chunks_exact(columns)) {
            step.loss = row[0];
            step.metrics = self.blueprint.metrics_of(row);
            step.scaling = LossScale::of_row(row).filter(|_| scaled);
        }
        let good = flight.steps.iter().position(|s| !s.loss.is_finite()).unwrap_or(flight.steps.len());
        for (row, &samples) in ring.chunks_exact(columns).zip(&flight.samples[..good]) {
            add(&mut self.sums, row, samples);
            self.samples += samples;
        }
        sink(&flight.steps[..good])?;
        for step in &flight.steps {
            step.scaling.map_or(Ok(()), |row| self.known.learn(step.step, row))?;
        }
        if let Some(bad) = flight.steps.get(good) {
            return Err(Error::Diverged { step: bad.step, epoch: bad.epoch, lr: bad.lr, loss: bad.loss });
        }
        // The last submission's time decides how many steps the next one takes.
        let each = self.submitted.elapsed().as_secs_f64() / flight.steps.len() as f64;
        self.submitted = Instant::now();
        let fitting = (SUBMISSION.as_secs_f64() / each.max(1e-9)) as usize;
        self.per_submission = fitting.clamp(1, 2 * self.per_submission).min(WINDOW);
        Ok(())
    }

    /// Runs up to `limit` steps, to the end of the current epoch at most; the last may still be in flight.
    async fn part_of_epoch(
        &mut self,
        limit: u64,
        sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>,
    ) -> Result<()> {
        let steps = self.blueprint.batches.steps();
        if self.at == 0 {
            self.order = epoch_order(self.train_len, self.options.seed, self.epoch, self.options.shuffle);
        }
        let end = (self.at as u64 + limit).min(steps as u64) as usize;
        if self.flights.is_empty() {
            self.submitted = Instant::now();
        }
        while self.at < end {
            self.submit(self.per_submission.min(end - self.at))?;
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

    /// Waits for everything in flight.
    async fn land_all(&mut self, sink: &mut dyn FnMut(&[StepRecord]) -> Result<()>) -> Result<()> {
        while !self.flights.is_empty() {
            self.land(sink).await?;
        }
        Ok(())
    }

    /// Runs `count` steps, over the ends of epochs, without evaluation.
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first loss that is not finite; a lost device.
    pub fn advance(&mut self, count: u64) -> Result<Vec<StepRecord>> {
        let mut records = Vec::new();
        let mut sink = |steps: &[StepRecord]| {
            records.extend_from_slice(steps);
            Ok(())
        };
        let target = self.step + count;
        pollster::block_on(async {
            while self.step < target {
                self.part_of_epoch(target - self.step, &mut sink).await?;
            }
            self.land_all(&mut sink).await
        })?;
        Ok(records)
    }

    /// The mean loss and the mean metrics of `samples` samples.
    pub(super) fn means(&self, sums: &[f64], samples: usize) -> (f64, Metrics<f64>) {
        let means: Vec<f64> = sums.iter().map(|sum| sum / samples.max(1) as f64).collect();
        (means[0], self.blueprint.metrics_of(&means))
    }

    /// Trains by the options: epochs with an evaluation after each, observed.
    ///
    /// # Errors
    /// [`Error::Diverged`] where a step's or an evaluation's loss is not finite; a lost device; the observer's own.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Option<EpochRecord>> {
        pollster::block_on(self.run_async(observer))
    }

    /// [`Trainer::run`] without blocking the thread.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub async fn run_async(&mut self, observer: &mut dyn Observer) -> Result<Option<EpochRecord>> {
        let total = self.total_steps();
        let mut last = None;
        while self.step < total {
            let epoch = self.epoch + 1;
            self.samples = 0;
            self.sums.fill(0.0);
            let start = Instant::now();
            let left = total - self.step;
            let mut sink = |steps: &[StepRecord]| observer.steps(steps);
            self.part_of_epoch(left, &mut sink).await?;
            self.land_all(&mut sink).await?;
            let seconds = start.elapsed().as_secs_f64();
            let evaluated = self.evaluate_async().await?;
            if let Some(bad) = evaluated.as_ref().filter(|e| !e.loss.is_finite()) {
                return Err(Error::Diverged { step: self.step, epoch, lr: self.lr, loss: bad.loss as f32 });
            }
            let (train_loss, train_metrics) = self.means(&self.sums, self.samples);
            let record = EpochRecord {
                epoch,
                step: self.step,
                train_loss,
                eval_loss: evaluated.as_ref().map(|e| e.loss),
                eval_accuracy: evaluated.as_ref().and_then(|e| e.accuracy),
                train_metrics,
                eval_metrics: evaluated.map(|e| e.metrics).unwrap_or_default(),
                samples_per_second: self.samples as f64 / seconds,
            };
            observer.epoch(&record)?;
            last = Some(record);
        }
        Ok(last)
    }
}
