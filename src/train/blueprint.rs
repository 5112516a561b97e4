//! The plans of a run: one build of the model for each batch size, for training and for evaluation. No GPU.

use std::cell::OnceCell;
use std::sync::Arc;

use super::agree;
use super::batch::Batch;
use super::ending::Ending;
use super::feed::{self, Source};
use super::metrics::{Metrics, Objective};
use super::pace;
use crate::data::{BatchPlan, BatchSize, Dataset, Part};
use crate::error::{Error, Result};
use crate::graph::{Clock, Graph, Parameter, StateBuffer, Tensor};
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE, STATE_BYTES, close, commit};
use crate::kernel::update::{AVERAGE, BLOCK_BYTES, PARAMETERS, blocks};
use crate::kernel::{Precision, Rounding, Target};
use crate::kernel::{eight_bit, gradients};
use crate::nn::Net;
use crate::optim::{Clip, Groups, Passes, Update};
use crate::plan::{Arena, BufferPlan, Layout, METRICS, Memory, Plan, Ring, Sink, alignment};
use crate::shape::Shape;

/// Steps of which the device holds the tables at once; more than these are never submitted together.
pub const WINDOW: usize = 64;
/// Samples evaluated at once, at most.
const EVAL_BATCH: usize = 512;
/// Activations of evaluation may be as large as this, however small those of training are.
const EVAL_BYTES: u64 = 4 << 20;
/// The buffers through which step metrics come back, in turn.
pub(super) const READBACK: [&str; 2] = ["metrics readback 0", "metrics readback 1"];

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
        Self::of(Forward::Plain(model, loss), update.into(), data, batches, target)
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
        let loss = |net: &Net, batch: &Batch| loss(net, batch).into();
        Self::of(Forward::Batches(&loss), update.into(), data, batches, target)
    }

    fn of(
        forward: Forward<'_>,
        update: Update,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        update.validate()?;
        target.check()?;
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
        let draft = Draft {
            forward,
            data,
            sources: feed::sources(data),
            target,
            checked,
            in_parts: batches.in_parts(),
            metrics: OnceCell::new(),
        };
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
        let (mut eval_batches, mut predictions) = (None, None);
        if let Some(part) = data.eval() {
            let trained = names(&parameters, &buffers);
            let bound = train.iter().map(|b| b.plan.largest_activation()).fold(EVAL_BYTES, u64::max);
            let model = EvalModel {
                trained,
                arena: train[0].plan.arena.clone(),
                average: update.evaluates_average(),
            };
            let (plan, first, counted) = draft.first_eval(part.len(), batches.rows, bound, &model)?;
            eval.push(Build { batch: plan.rows, plan: first });
            if let Some(batch) = plan.last {
                eval.push(Build { batch, plan: draft.eval(batch, plan.rows, &model)?.0 });
            }
            (eval_batches, predictions) = (Some(plan), counted);
        }
        pace::check(&update, eval_batches.is_some(), predictions.is_some())?;
        let memory = Memory::plan(train.iter().chain(&eval).map(|b| &b.plan).chain(&ending).chain(&average));
        let ring = draft.ring();
        let metrics = draft.metrics.into_inner().unwrap_or_default();
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
            metrics,
            ring,
            precision: target.precision,
            memory,
            checkpointing,
        })
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

    /// How many numbers the model's parameters have.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }

    /// Every buffer of the run, those through which metrics come back included.
    pub fn all_buffers(&self) -> Vec<BufferPlan> {
        let readback = READBACK.map(|name| BufferPlan { name: name.into(), bytes: self.ring.bytes() });
        self.memory.iter().cloned().chain(readback).collect()
    }

    /// Bytes of every buffer together: the peak, since all are made before the first step and kept.
    pub fn peak_bytes(&self) -> u64 {
        self.all_buffers().iter().map(|b| b.bytes).sum()
    }
}

/// Names and shapes of everything that a weights file holds, in order.
fn names(parameters: &[Parameter], buffers: &[StateBuffer]) -> Vec<(String, Shape)> {
    let parameters = parameters.iter().map(|p| (p.name.clone(), p.shape.clone()));
    parameters.chain(buffers.iter().map(|b| (b.name.clone(), b.shape.clone()))).collect()
}

/// The columns of the ring that an objective files: the loss, then its metrics.
fn filed(objective: &Objective) -> Vec<(Tensor, Sink)> {
    let metrics = objective.metrics().iter().map(|(_, value)| value);
    let all = std::iter::once(objective.loss()).chain(metrics);
    all.enumerate().map(|(column, value)| (value.clone(), Sink::Metric(column))).collect()
}

enum Forward<'a> {
    Plain(&'a Model<'a>, &'a Loss<'a>),
    Batches(&'a BatchLoss<'a, Objective>),
}

struct Draft<'a> {
    forward: Forward<'a>,
    data: &'a Dataset,
    sources: Vec<Source<'a>>,
    target: Target,
    /// Steps may be left out.
    checked: bool,
    /// Batches go in micro-batches.
    in_parts: bool,
    /// Names of the objective's metrics, from the first build on.
    metrics: OnceCell<Arc<[String]>>,
}

/// What evaluation takes over from training.
struct EvalModel {
    /// Names and shapes of everything that a weights file holds.
    trained: Vec<(String, Shape)>,
    arena: Arena,
    /// The weights are the average's.
    average: bool,
}

impl Draft<'_> {
    /// The graph, the model's output where it has one, the minibatch, and the objective.
    fn forward(&self, batch: usize, training: bool) -> Result<(Graph, Option<Tensor>, Batch, Objective)> {
        let graph = Graph::new();
        let fields = Batch::new(&graph, self.data.train(), batch);
        let net = Net::new(&graph, training);
        let (y, objective) = match self.forward {
            Forward::Batches(loss) => (None, loss(&net, &fields)),
            Forward::Plain(model, loss) => {
                let y = model(&net, fields.x());
                graph.check()?;
                agree::check_classes(self.data, &y, fields.t())?;
                let loss = graph.scoped("loss", || loss(&y, fields.t()));
                (Some(y), loss.into())
            }
        };
        graph.check()?;
        objective.check()?;
        let names = objective.names();
        let known = self.metrics.get_or_init(|| Arc::clone(&names));
        if *known != names {
            return Err(Error::Config(format!(
                "the model function names the metrics {names:?} for {}, and {known:?} for training: both need the same",
                if training { "a short last batch" } else { "evaluation" }
            )));
        }
        Ok((graph, y, fields, objective))
    }

    fn ring(&self) -> Ring {
        let metrics = self.metrics.get().map_or(0, |names| names.len());
        Ring { columns: 1 + metrics.max(1) + if self.checked { gradients::COLUMNS } else { 0 }, rows: WINDOW }
    }

    /// True where the loss is scaled, lest small gradients vanish in f16.
    fn scaled(&self) -> bool {
        self.target.precision == Precision::F16
    }

    fn ending<'e>(&self, update: &'e Update, groups: &'e Groups, parameters: &'e [Parameter]) -> Ending<'e> {
        Ending {
            update,
            groups,
            count: groups.trained().map(|i| parameters[i].shape.elements()).sum(),
            parameters,
            family: self.target.family,
            scaled: self.scaled(),
            checked: self.checked,
            in_parts: self.in_parts,
            ring: self.ring(),
        }
    }

    /// `checkpoints` says whether the model's checkpointed blocks are.
    fn train(
        &self,
        batch: usize,
        stride: usize,
        update: &Update,
        checkpoints: bool,
    ) -> Result<(Plan, Graph, Groups)> {
        let (graph, _, _, objective) = self.forward(batch, true)?;
        if !checkpoints {
            graph.forget_checkpoints();
        }
        agree::check_tables(self.data, &graph)?;
        if self.in_parts && graph.has_uneven_mean() {
            return Err(Error::Config(
                "train.micro_batch: the loss ignores some targets (ignore_index), so its mean is over fewer of them in \
                 one micro-batch than in another, and micro-batches cannot be added to the mean over the batch; leave \
                 micro_batch out, or train on samples whose targets all count"
                    .into(),
            ));
        }
        let parameters = graph.parameters();
        if parameters.is_empty() {
            return Err(Error::Config("the model has no parameters, so there is nothing to train".into()));
        }
        let groups = update.resolve(&parameters)?;
        let shapes: Vec<&Shape> = parameters.iter().map(|p| &p.shape).collect();
        let kernel = update.optimizer.kernel();
        let aligned = if kernel.passes.by_tensor() { BLOCK_BYTES } else { alignment(self.target) };
        let blocks = u64::from(blocks(&kernel, self.target.family));
        let least = (kernel.passes == Passes::EightBit).then_some(eight_bit::LEAST);
        let layout = Layout { alignment: aligned, block: blocks * BLOCK_BYTES, least };
        let arena = Arena::grouped(&shapes, &groups.of, layout);
        let mut outputs = filed(&objective);
        let mut loss = objective.loss().clone();
        if self.scaled() {
            loss = loss.mul(&graph.clock_word(Clock::Scale));
        }
        let trained: Vec<usize> = groups.trained().collect();
        let tensors: Vec<Tensor> = trained.iter().map(|&i| graph.parameter_tensor(i)).collect();
        let grads = graph.grad(&loss, &tensors.iter().collect::<Vec<_>>());
        outputs.extend(trained.into_iter().zip(grads).map(|(i, g)| (g, Sink::Gradient(i))));
        // All buffers go over at once; what this graph does not change, as it is.
        let buffers = graph.buffers();
        if buffers.iter().any(|b| b.next.is_some()) {
            let next = |b: &StateBuffer| b.next.or(b.node).map(|id| graph.tensor(id));
            let moved = (0..).zip(&buffers).filter_map(|(i, b)| next(b).map(|t| (t, Sink::Next(i))));
            outputs.extend(moved);
        }
        let mut plan = Plan::with_arena(&graph, &outputs, self.ring(), self.target, arena)?;
        let kept = plan.state.bytes;
        if kept > 0 {
            plan.buffer(BUFFERS, kept);
        }
        if buffers.iter().any(|b| b.next.is_some()) {
            let bytes = [(BUFFERS, kept), (NEXT_BUFFERS, kept)];
            plan.surround(commit(kept), "buffers", Shape::from([kept as usize / 4]), &bytes, false);
        }
        let ending = self.ending(update, &groups, &parameters);
        if self.in_parts {
            ending.accumulate(&mut plan);
        } else {
            ending.add(&mut plan)?;
        }
        self.feed(&mut plan, self.data.train(), batch, stride);
        Ok((plan, graph, groups))
    }

    /// The batches of `len` samples to evaluate on, the plan of the first, and how many predictions a sample has where
    /// they are counted.
    ///
    /// A batch is the training batch, or as many times it, up to 512 samples, as keep the largest activation within
    /// `bound`. Activations are taken to grow with the batch; where they grow faster, the batch is halved.
    fn first_eval(
        &self,
        len: usize,
        train_rows: usize,
        bound: u64,
        model: &EvalModel,
    ) -> Result<(BatchPlan, Plan, Option<usize>)> {
        let least = train_rows.min(EVAL_BATCH).min(len);
        let probe = self.eval(least, least, model)?;
        let times = (bound / probe.0.largest_activation().max(1)).clamp(1, EVAL_BATCH as u64) as usize;
        let mut rows = (least * times).min(EVAL_BATCH).min(len);
        while rows > least {
            let (plan, counted) = self.eval(rows, rows, model)?;
            if plan.largest_activation() <= bound {
                return Ok((BatchPlan::new(len, BatchSize::Rows(rows), false)?, plan, counted));
            }
            rows = (rows / 2).max(least);
        }
        Ok((BatchPlan::new(len, BatchSize::Rows(least), false)?, probe.0, probe.1))
    }

    fn eval(&self, batch: usize, stride: usize, model: &EvalModel) -> Result<(Plan, Option<usize>)> {
        let part = self.data.eval().unwrap_or(self.data.train());
        let (graph, y, fields, objective) = self.forward(batch, false)?;
        if names(&graph.parameters(), &graph.buffers()) != model.trained {
            return Err(Error::Config(
                "the model function makes other parameters for evaluation than for training".into(),
            ));
        }
        let mut outputs = filed(&objective);
        let t = fields.t();
        let counted = y.filter(|y| self.data.classes().is_some() && agree::predicts(y, t));
        let each = t.shape()[1..].iter().product::<usize>();
        if let Some(y) = &counted {
            outputs.push((agree::hits(y, t), Sink::Metric(1)));
        }
        let target = self.target.with_rounding(Rounding::Nearest);
        let mut plan = Plan::with_arena(&graph, &outputs, self.ring(), target, model.arena.clone())?;
        if let Some(weights) = plan.buffers.iter_mut().find(|b| model.average && b.name == PARAMETERS) {
            weights.name = AVERAGE.into();
        }
        plan.surround(close(), "close the step", Shape::default(), &[(STATE, STATE_BYTES)], false);
        self.feed(&mut plan, part, batch, stride);
        Ok((plan, counted.map(|_| each)))
    }

    /// What opens a step, before the graph's own kernels.
    fn feed(&self, plan: &mut Plan, part: &Part, batch: usize, stride: usize) {
        feed::surround(plan, &self.sources, part, batch, stride);
        plan.buffer(METRICS, self.ring().bytes());
    }
}
