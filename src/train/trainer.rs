//! The trainer: a plan, an engine that executes it, and the progress of the run.
//!
//! A call that waits for the device has two forms, one that blocks the thread and one that is awaited: a page has the second
//! alone.

use super::handle::RunHandle;
use super::lr::LearningRate;
use super::monitor::Monitor;
use super::progress::{BestWeights, Progress, Snapshot};
use super::rule::Rule;
use crate::clock::Instant;
#[cfg(not(target_arch = "wasm32"))]
use crate::compile::{BatchLoss, Loss, Model, Objective};
use crate::compile::{TrainOptions, TrainPlan};
use crate::data::Dataset;
use crate::engine::{Engine, Evaluation, WeightLayout};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
#[cfg(not(target_arch = "wasm32"))]
use crate::kernel::Target;
#[cfg(not(target_arch = "wasm32"))]
use crate::optim::Update;
use crate::plan::NamedTensor;
use crate::units::plural;
#[cfg(not(target_arch = "wasm32"))]
use pollster::block_on;
use std::time::Duration;

/// A model on a device, with its data and its optimizer.
#[derive(Debug)]
pub struct Trainer {
    /// Constant.
    pub(super) plan: TrainPlan,
    /// Everything on the device.
    pub(super) engine: Engine,
    /// Everything that a checkpoint holds of the host.
    pub(super) progress: Progress,
    /// The weights of the best epoch, where early stopping keeps them.
    pub(super) best: Option<BestWeights>,
    pub(super) options: TrainOptions,
    pub(super) handle: RunHandle,
    /// All ranks that share the run know that one was asked to stop.
    pub(super) must_stop: bool,
    pub(super) clock: TrainClock,
}

/// Time that this trainer has spent in steps. Evaluation is not counted.
#[derive(Debug, Default)]
pub(super) struct TrainClock {
    before: Duration,
    since: Option<Instant>,
}

impl TrainClock {
    pub fn start(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Stops; gives the time since the start.
    pub fn stop(&mut self) -> Duration {
        let took = self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        self.before += took;
        took
    }

    /// All time up to now.
    pub fn total(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Trainer {
    /// Plans, allocates and compiles a run, and puts data and initial weights on the device.
    ///
    /// `model` goes from its input [batch, ..] to its output, `loss` from output and target to a scalar mean.
    ///
    /// # Errors
    /// Wrong hyperparameters, shapes or labels; too little memory; a kernel that does not compile.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        gpu: &Gpu,
        model: &Model<'_>,
        loss: &Loss<'_>,
        update: impl Into<Update>,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let builder = TrainPlan::builder(data, update).model(model, loss).options(options);
        Self::from_plan(gpu, builder.target(Target::for_gpu(gpu)).build()?, data, options)
    }

    /// [`Trainer::new`] for a model of any inputs, outputs and losses: `step` goes from a minibatch to an [`Objective`],
    /// or to a loss alone, a scalar [`Tensor`](crate::Tensor). Evaluation then knows no classes; a share of right
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
    /// let mut trainer = Trainer::for_step(gpu, &step, &adamw, data, &TrainOptions::default())?;
    /// let outcome = trainer.run(&mut ())?;
    /// println!("{:?}", outcome.last.and_then(|epoch| epoch.eval_metrics.get("accuracy")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::new`]; a field that `data` does not have.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn for_step<O: Into<Objective>>(
        gpu: &Gpu,
        step: &BatchLoss<'_, O>,
        update: impl Into<Update>,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        let builder = TrainPlan::builder(data, update).step(step).options(options);
        Self::from_plan(gpu, builder.target(Target::for_gpu(gpu)).build()?, data, options)
    }

    /// [`Trainer::new`] from a plan that was built before, by [`TrainPlan::builder`] with the same options.
    ///
    /// # Errors
    /// Too little memory; a kernel that does not compile; a plan that was made for other data.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn from_plan(gpu: &Gpu, plan: TrainPlan, data: &Dataset, options: &TrainOptions) -> Result<Trainer> {
        block_on(Self::from_plan_async(gpu, plan, data, options))
    }

    /// [`Trainer::from_plan`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn from_plan_async(
        gpu: &Gpu,
        plan: TrainPlan,
        data: &Dataset,
        options: &TrainOptions,
    ) -> Result<Trainer> {
        if let Some(metric) = options.early_stopping.as_ref().and_then(|rule| rule.metric.as_ref()) {
            plan.check_metric("early_stopping.metric", metric)?;
        }
        let engine = Engine::new(gpu, &plan, data, options).await?;
        let lr = LearningRate::new(&plan.rule, total_steps(&plan, options), plan.batches.steps());
        Ok(Trainer {
            progress: Progress::new(lr, plan.ring.columns),
            engine,
            plan,
            best: None,
            options: options.clone(),
            handle: RunHandle::default(),
            must_stop: false,
            clock: TrainClock::default(),
        })
    }

    /// The plan of this run.
    pub fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.progress.step
    }

    /// Steps of a whole run by its options.
    pub fn total_steps(&self) -> u64 {
        total_steps(&self.plan, &self.options)
    }

    /// True where an epoch is trained and not reported to an observer.
    pub fn has_unreported_epoch(&self) -> bool {
        self.progress.has_unreported_epoch(self.total_steps())
    }

    /// The learning rate of the next step, if no step before it is skipped.
    pub fn lr(&self) -> f64 {
        self.progress.lr.lr_of_run(&self.plan.rule, self.progress.step + 1, self.progress.epoch)
    }

    /// Sets the learning rate of the steps to come, in place of the optimizer's: the schedule starts from it, where there
    /// is one. A group of parameters with a rate of its own keeps its ratio.
    pub fn set_lr(&mut self, lr: f64) {
        self.progress.lr.set(lr);
    }

    /// Time that training has waited for samples, where they are streamed.
    pub fn waited(&self) -> Option<Duration> {
        self.engine.data_wait()
    }

    /// Threads that read samples, where they are streamed.
    pub fn workers(&self) -> Option<usize> {
        self.engine.workers()
    }

    /// The best epoch so far, as its value and its number, where early stopping keeps its weights.
    pub fn best_epoch(&self) -> Option<(f64, u64)> {
        let keeps = self.options.early_stopping.as_ref().is_some_and(|rule| rule.restore_best);
        self.progress.early_stopping.best().filter(|_| keeps)
    }

    /// A handle that reports how far the run is, and stops it, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Replaces the trainer's handle by one that is there already.
    pub fn use_handle(&mut self, handle: &RunHandle) {
        self.handle = handle.clone();
    }

    /// Evaluates the weights, where there is an evaluation part.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn evaluate(&mut self) -> Result<Option<Evaluation>> {
        block_on(self.evaluate_async())
    }

    /// [`Trainer::evaluate`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn evaluate_async(&mut self) -> Result<Option<Evaluation>> {
        self.evaluate_between(&mut || Ok(())).await
    }

    /// [`Trainer::evaluate`], which calls `between` before each window of batches, some tenths of a second after the one
    /// before. Its error ends the evaluation.
    ///
    /// # Errors
    /// Those of `between`; a lost device.
    pub async fn evaluate_between(
        &mut self,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Evaluation>> {
        let clock = self.progress.clock(self.rule());
        let evaluated = self.engine.evaluate(&self.plan, &[clock], between).await?;
        Ok(evaluated.and_then(|nets| nets.into_iter().next()))
    }

    /// The rule of its steps.
    pub(super) fn rule(&self) -> Rule<'_> {
        Rule { update: &self.plan.rule, groups: &self.plan.groups, options: &self.options }
    }

    /// Steps skipped so far because their gradients were not finite. A skipped step makes no update, and bias corrections
    /// and schedule do not count it. 0 where gradients are not checked.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn skipped_steps(&self) -> Result<u64> {
        block_on(self.skipped_steps_async())
    }

    /// [`Trainer::skipped_steps`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn skipped_steps_async(&self) -> Result<u64> {
        if self.plan.checked { self.engine.skipped_steps(&self.plan, 0).await } else { Ok(0) }
    }

    /// Reads the model: parameters in the order they were made, then buffers, as torch's `state_dict`.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn state_dict(&self) -> Result<Vec<NamedTensor>> {
        block_on(self.state_dict_async())
    }

    /// [`Trainer::state_dict`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn state_dict_async(&self) -> Result<Vec<NamedTensor>> {
        self.engine.read_model(&self.plan, 0, self.progress.batches_seen()).await
    }

    /// [`Trainer::state_dict`] with the average of the parameters in their place, where one is kept.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn average_state_dict(&self) -> Result<Option<Vec<NamedTensor>>> {
        block_on(self.average_state_dict_async())
    }

    /// [`Trainer::average_state_dict`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn average_state_dict_async(&self) -> Result<Option<Vec<NamedTensor>>> {
        self.engine.read_average(&self.plan, 0, self.progress.batches_seen()).await
    }

    /// Replaces every tensor of the model. Names and shapes must be the model's.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
    pub fn load_state_dict(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        if let Some(batches) = self.engine.write_model(&self.plan, 0, tensors)? {
            self.progress.set_batches_seen(batches);
        }
        Ok(())
    }

    /// The weights that a run leaves, and their average where that is another file. They are those of the best epoch, where
    /// early stopping has restored them.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn weights(&self) -> Result<(Vec<NamedTensor>, Option<Vec<NamedTensor>>)> {
        block_on(self.weights_async())
    }

    /// [`Trainer::weights`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn weights_async(&self) -> Result<(Vec<NamedTensor>, Option<Vec<NamedTensor>>)> {
        let buffers = self.engine.read_weights(&self.plan, 0, false).await?;
        Ok(self.weight_layout().weights(&buffers))
    }

    /// True where the weights to use are the average, and those that are trained serve the optimizer alone.
    pub fn uses_average(&self) -> bool {
        self.plan.average.is_some()
    }

    fn weight_layout(&self) -> WeightLayout {
        WeightLayout::new(&self.plan, self.progress.batches_seen())
    }

    /// Keeps the weights as those of the best epoch.
    pub(super) async fn keep_best(&mut self) -> Result<()> {
        let buffers = self.engine.read_weights(&self.plan, 0, true).await?;
        self.best = Some(BestWeights { buffers, batches_seen: self.progress.batches_seen() });
        Ok(())
    }

    /// Replaces the weights by those of the best epoch, where they are kept.
    pub(super) fn restore_best(&mut self) {
        let Some(best) = self.best.take() else { return };
        self.engine.write_buffers(&self.plan, 0, &best.buffers);
        self.progress.set_batches_seen(best.batches_seen);
    }

    /// Reads the state of the run.
    ///
    /// # Errors
    /// A lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn snapshot(&self) -> Result<Snapshot> {
        block_on(self.snapshot_async())
    }

    /// [`Trainer::snapshot`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn snapshot_async(&self) -> Result<Snapshot> {
        let buffers = self.engine.read_state(&self.plan, 0).await?;
        Ok(Snapshot { buffers, best: self.best.clone(), progress: self.progress.clone() })
    }

    /// The state of the run, and the layout of its weights files. Averaged weights are brought up to date before.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn checkpoint_state(&self) -> Result<(WeightLayout, Snapshot)> {
        block_on(self.engine.compute_average(&self.plan))?;
        Ok((self.weight_layout(), self.snapshot()?))
    }

    /// Restores a state of a run of the same model, data and options, an earlier or a later one.
    ///
    /// # Errors
    /// [`Error::Weights`] where buffers differ in name or size: another model, optimizer or adapter's layout;
    /// [`Error::Checkpoint`] where the place in the epoch is not in this run.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        block_on(self.restore_async(snapshot))
    }

    /// [`Trainer::restore`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn restore_async(&mut self, snapshot: &Snapshot) -> Result<()> {
        let (at, steps) = (snapshot.progress.step_in_epoch, self.plan.batches.steps());
        if at > steps {
            return Err(Error::Checkpoint(format!(
                "the state was taken after {} of an epoch, and an epoch of this run has {steps}: it is of a run with other \
                 batches or data",
                plural(at, "step")
            )));
        }
        self.engine.check_state(&self.plan, &snapshot.buffers)?;
        self.engine.discard().await?;
        self.engine.write_buffers(&self.plan, 0, &snapshot.buffers);
        self.progress = snapshot.progress.clone();
        self.best.clone_from(&snapshot.best);
        Ok(())
    }

    /// Refuses a state whose schedule has another length.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with the remedy.
    pub(crate) fn check_schedule(&self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.progress.lr.has_schedule_of(&self.progress.lr) {
            return Ok(());
        }
        Err(Error::Checkpoint(
            "the schedule is as long as the run, so with other epochs or steps every learning rate so far would have been \
             another: give the schedule's own length (schedule.t_max, total_iters, total_steps) from the start"
                .into(),
        ))
    }

    /// The number that early stopping monitors.
    pub(super) fn monitor(&self) -> Option<Monitor> {
        let rule = self.options.early_stopping.as_ref()?;
        Some(Monitor::for_early_stopping(rule, self.plan.eval_batches.is_some()))
    }
}

pub(super) fn total_steps(plan: &TrainPlan, options: &TrainOptions) -> u64 {
    options.steps.unwrap_or(options.epochs.saturating_mul(plan.batches.steps() as u64))
}
