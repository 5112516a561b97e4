//! The plans of a run: one build of the model for each batch size, for training and for evaluation. No GPU.

use std::sync::Arc;

use super::batch::Batch;
use super::draft::{Draft, EvalModel, Forward, Made, names};
use super::feed;
use super::fit::{self, Fit};
use super::metric::Metric;
use super::metrics::{Metrics, Objective};
use super::pace;
use super::stage::{Stage, Stages};
use super::statistics::Statistics;
use super::tally::Tally;
use crate::data::{BatchPlan, Dataset};
use crate::error::{Error, Result};
use crate::graph::{Graph, Parameter, StateBuffer, Tensor};
use crate::kernel::{Family, Precision, Target};
use crate::nn::Net;
use crate::optim::{Clip, Groups, Update};
use crate::plan::{BufferPlan, Memory, Plan, Ring};

/// Steps of which the device holds the tables at once; more than these are never submitted together.
pub const WINDOW: usize = crate::kernel::feed::MAX_WINDOW_STEPS;
/// Activations of evaluation may be as large as this, however small those of training are, where there is room.
pub(super) const EVAL_BYTES: u64 = 4 << 20;
/// The buffers through which step metrics come back, in turn.
pub(super) const READBACK: [&str; 2] = ["metrics readback 0", "metrics readback 1"];
/// The buffer through which the tally of an evaluation comes back.
pub(super) const TALLIED: &str = "eval tally readback";
/// The buffer through which weights and what else is kept come back, part by part.
const SAVING: &str = "weights readback";
const SAVING_BYTES: u64 = 256 << 10;

/// A model: from a builder and its input [batch, ..] to its output.
pub type Model<'a> = dyn Fn(&Net, &Tensor) -> Tensor + 'a;
/// A loss: from output and target to a scalar, the mean over the batch.
pub type Loss<'a> = dyn Fn(&Tensor, &Tensor) -> Tensor + 'a;
/// A model of any fields under its loss: from a builder and a minibatch to an [`Objective`], or to a loss alone, a
/// scalar [`Tensor`].
pub type BatchLoss<'a, O> = dyn Fn(&Net, &Batch) -> O + 'a;

/// A plan for batches of one size.
#[derive(Debug, Clone)]
pub struct Build {
    /// Samples in a batch.
    pub batch: usize,
    /// Its kernels and buffers, the feed and the update included.
    pub plan: Plan,
}

/// Everything a run will execute and allocate, known before it does.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// Trainable tensors.
    pub parameters: Vec<Parameter>,
    /// Tensors that are kept and saved, but not trained.
    pub buffers: Vec<StateBuffer>,
    /// The batches of an epoch.
    pub batches: BatchPlan,
    /// The training step, and that of a short last batch. Where batches go in micro-batches, one for each size of those,
    /// without the update.
    pub train: Vec<Build>,
    /// What ends a step whose batch went in micro-batches.
    pub update: Option<Plan>,
    /// What comes before an evaluation whose weights are not those that are trained.
    pub average: Option<Plan>,
    /// How each parameter is updated.
    pub groups: Groups,
    /// What is made of the gradients.
    pub rule: Update,
    /// A step may be left out: its gradients are looked at before the update.
    pub checked: bool,
    /// Evaluation of a batch, and of the short last one; empty without an evaluation part.
    pub eval: Vec<Build>,
    /// How evaluation goes through its part.
    pub eval_batches: Option<BatchPlan>,
    /// How many predictions a sample has, where evaluation counts the right ones.
    pub predictions: Option<usize>,
    /// What evaluation files for the metrics it was asked for.
    pub(super) tally: Option<Tally>,
    /// What runs after a step whose statistics are taken, where some are.
    pub(super) statistics: Option<Statistics>,
    /// Names of the objective's metrics.
    pub metrics: Arc<[String]>,
    /// Where a step files its numbers: the loss, then the metrics, or how many predictions are right. Where steps are
    /// checked, [`gradients::COLUMNS`] more follow.
    pub ring: Ring,
    /// What activations and weights are in memory.
    pub precision: Precision,
    /// Every buffer with its bytes; their sum is the peak.
    pub memory: Vec<BufferPlan>,
    /// What checkpointed blocks save and cost, if there are any.
    pub checkpointing: Option<Checkpointing>,
    /// What the samples of training pass on their way to the device, and those of evaluation; empty where they lie there.
    pub stages: Vec<Stage>,
    /// What was chosen so that the run fits its budget.
    pub fit: Fit,
}

/// What checkpointed blocks change in a training step of a full batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpointing {
    /// Bytes of activations that are not kept; negative where computing again needs more than keeping.
    pub saved_bytes: i64,
    /// Floating-point operations done twice.
    pub added_flops: u64,
    /// Floating-point operations of the step without.
    pub flops_without: u64,
}

impl Checkpointing {
    fn between(with: &Plan, without: &Plan) -> Self {
        Checkpointing {
            saved_bytes: without.bytes() as i64 - with.bytes() as i64,
            added_flops: with.flops().saturating_sub(without.flops()),
            flops_without: without.flops(),
        }
    }
}

/// What a plan does for the sake of memory.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub stages: Stages,
    /// Parts of the net of which all but the last are computed again; 1 for none.
    pub blocks: usize,
    /// Activations of evaluation may be as large as this in any case.
    pub eval_bytes: u64,
}

impl Blueprint {
    /// Plans a run of `model` under `loss` on `data`.
    ///
    /// # Errors
    /// A shape error with its layer; a loss that is no scalar; labels that the output has no class for.
    pub fn new(
        model: &Model<'_>,
        loss: &Loss<'_>,
        update: impl Into<Update>,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        Self::with_metrics(model, loss, update, data, batches, target, &[])
    }

    /// [`Blueprint::new`] whose evaluation computes these metrics.
    ///
    /// # Errors
    /// As [`Blueprint::new`]; [`Error::Config`] where there is nothing to evaluate on, or a metric needs other targets or
    /// another loss.
    pub fn with_metrics(
        model: &Model<'_>,
        loss: &Loss<'_>,
        update: impl Into<Update>,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
        metrics: &[Metric],
    ) -> Result<Blueprint> {
        let made = Made::Plain(model, loss);
        fit::plan(Forward { made, metrics }, update.into(), data, batches, target)
    }

    /// Plans a run of a model of any fields of `data`, by its loss. Evaluation counts no right predictions.
    ///
    /// # Errors
    /// As [`Blueprint::new`]; a field that `data` does not have; metrics that are no scalars, or others in
    /// evaluation.
    pub fn of_batches<O: Into<Objective>>(
        loss: &BatchLoss<'_, O>,
        update: impl Into<Update>,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        Self::of_batches_with_metrics(loss, update, data, batches, target, &[])
    }

    /// [`Blueprint::of_batches`] whose evaluation computes these metrics, of what the one loss of [`crate::nn::loss`] is of
    /// that the model function computes.
    ///
    /// # Errors
    /// As [`Blueprint::of_batches`] and [`Blueprint::with_metrics`]; [`Error::Config`] where it computes several, or none.
    pub fn of_batches_with_metrics<O: Into<Objective>>(
        loss: &BatchLoss<'_, O>,
        update: impl Into<Update>,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
        metrics: &[Metric],
    ) -> Result<Blueprint> {
        let loss = |net: &Net, batch: &Batch| loss(net, batch).into();
        let made = Made::Batches(&loss);
        fit::plan(Forward { made, metrics }, update.into(), data, batches, target)
    }

    /// Plans a run in these batches, its samples passing the stages.
    pub(super) fn plan(
        forward: Forward<'_>,
        update: Update,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
        Choice { stages, blocks, eval_bytes }: Choice,
    ) -> Result<Blueprint> {
        let most = batches.parts(batches.rows).count();
        if most > WINDOW {
            return Err(Error::Config(format!(
                "train.micro_batch = {}: a batch of {} samples would go in {most} micro-batches, and at most {WINDOW} \
                 fit in a submission; the least is {}",
                batches.micro,
                batches.rows,
                batches.rows.div_ceil(WINDOW)
            )));
        }
        let scaled = target.precision == Precision::F16;
        let by_norm = matches!(update.clip, Some(Clip::Norm(_)));
        let checked = scaled || batches.in_parts() || update.skip_nonfinite.unwrap_or(by_norm) || by_norm;
        let in_parts = batches.in_parts();
        let sources = feed::sources(data, |part| stages.streams(part));
        let draft = Draft { checked, in_parts, sources, stages, blocks, ..Draft::new(forward, data, target) };
        let (mut parameters, mut buffers, mut groups) = (Vec::new(), Vec::new(), None);
        let (mut train, mut checkpointing): (Vec<Build>, _) = (Vec::new(), None);
        let sizes = std::iter::once(batches.rows).chain(batches.last).flat_map(|rows| batches.parts(rows));
        for batch in sizes {
            if train.iter().any(|build| build.batch == batch) {
                continue;
            }
            let (plan, graph, found) = draft.train(batch, batches.micro, &update, true)?;
            if graph.has_checkpoints() && train.is_empty() {
                let (whole, ..) = draft.train(batch, batches.micro, &update, false)?;
                checkpointing = Some(Checkpointing::between(&plan, &whole));
            }
            (parameters, buffers, groups) = (graph.parameters(), graph.buffers(), Some(found));
            train.push(Build { batch, plan });
        }
        let groups = groups.unwrap_or_else(|| Groups { groups: Vec::new(), of: Vec::new() });
        let arena = &train[0].plan.arena;
        let ending = draft.ending(&update, &groups, &parameters);
        let average = ending.average(arena);
        let ending = if batches.in_parts() {
            let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
            ending.add(&mut plan)?;
            Some(plan)
        } else {
            None
        };
        let mut eval = Vec::new();
        let (mut eval_batches, mut predictions, mut eval_stage) = (None, None, None);
        let model = EvalModel {
            trained: names(&parameters, &buffers),
            arena: train[0].plan.arena.clone(),
            average: update.evaluates_average(),
        };
        if let Some(part) = data.eval() {
            let bound = train.iter().map(|b| b.plan.largest_activation()).fold(eval_bytes, u64::max);
            let (plan, first, counted) = draft.first_eval(part.len(), batches.micro, bound, &model)?;
            eval.push(Build { batch: plan.rows, plan: first });
            eval_stage = draft.stages.of_eval(part, plan.rows)?;
            if let Some(batch) = plan.last {
                eval.push(Build { batch, plan: draft.eval(batch, plan.rows, &model)?.0 });
            }
            (eval_batches, predictions) = (Some(plan), counted);
        }
        pace::check(&update, eval_batches.is_some(), predictions.is_some())?;
        if data.eval().is_none()
            && let Some(metric) = forward.metrics.first()
        {
            return Err(Error::Config(format!(
                "eval.metrics: there are no samples to compute {} on; data.eval_fraction holds some out",
                metric.key()
            )));
        }
        let statistics = match target.statistics {
            true => {
                let sizes = train.iter().map(|build| build.batch);
                Some(Statistics::plan(&draft, &model, &parameters, &groups, sizes)?)
            }
            false => None,
        };
        let of_statistics = statistics.iter().flat_map(Statistics::plans);
        let plans = train.iter().chain(&eval).map(|b| &b.plan).chain(&ending).chain(&average);
        let memory = Memory::plan(plans.chain(of_statistics));
        let ring = draft.ring();
        let stages = draft.stages.train.into_iter().chain(eval_stage).collect();
        let (metrics, tally) = (draft.metrics.into_inner().unwrap_or_default(), draft.tally.into_inner());
        Ok(Blueprint {
            parameters,
            buffers,
            batches,
            train,
            update: ending,
            average,
            groups,
            rule: update,
            checked,
            eval,
            eval_batches,
            predictions,
            tally,
            statistics,
            metrics,
            ring,
            precision: target.precision,
            memory,
            checkpointing,
            stages,
            fit: Fit::default(),
        })
    }

    /// The graph of a training step's model and loss on `batch` samples.
    pub(super) fn graph(forward: Forward<'_>, data: &Dataset, batch: usize) -> Result<Graph> {
        let draft = Draft::new(forward, data, Target::new(Family::Tiled));
        Ok(draft.forward(batch, true)?.0)
    }

    /// The objective's metrics in a row of the ring.
    pub(super) fn metrics_of<T: Copy>(&self, row: &[T]) -> Metrics<T> {
        Metrics::new(&self.metrics, row[1..].iter().copied().take(self.metrics.len()))
    }

    /// Dispatches of a step of a full batch.
    pub fn dispatches(&self) -> usize {
        let of = |rows| self.train.iter().find(|b| b.batch == rows).map_or(0, |b| b.plan.steps.len());
        let update = self.update.as_ref().map_or(0, |plan| plan.steps.len());
        self.batches.parts(self.batches.rows).map(of).sum::<usize>() + update
    }

    /// What runs after a step whose statistics are taken, by name: what looks at the tensors, and at the units of each size
    /// of batch. Empty where none are.
    pub fn statistics_plans(&self) -> Vec<(String, &Plan)> {
        let Some(statistics) = &self.statistics else { return Vec::new() };
        let units = statistics.units.iter().map(|b| (format!("dead units, batch {}", b.batch), &b.plan));
        std::iter::once(("statistics, after a step".to_owned(), &statistics.plan)).chain(units).collect()
    }

    /// How many numbers the model's parameters have.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }

    /// Every buffer of the run, those of the host that the device reads and writes included.
    pub fn all_buffers(&self) -> Vec<BufferPlan> {
        let readback = READBACK.map(|name| BufferPlan { name: name.into(), bytes: self.ring.bytes() });
        let slots = self.stages.iter().flat_map(Stage::slots);
        let tally =
            self.tally.iter().map(|tally| BufferPlan { name: TALLIED.into(), bytes: tally.ring.bytes() });
        let statistics = self.statistics.iter().map(Statistics::readback);
        let memory = self.memory.iter().cloned();
        memory.chain(readback).chain(tally).chain(statistics).chain([self.saving()]).chain(slots).collect()
    }

    /// The buffer through which what is kept comes back.
    pub(super) fn saving(&self) -> BufferPlan {
        BufferPlan { name: SAVING.into(), bytes: self.train[0].plan.arena.bytes.min(SAVING_BYTES) }
    }

    /// Bytes of every buffer together: the peak, since all are made before the first step and kept.
    pub fn peak_bytes(&self) -> u64 {
        self.all_buffers().iter().map(|b| b.bytes).sum()
    }
}
