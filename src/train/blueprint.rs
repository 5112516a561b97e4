//! The plans of a run: one build of the model for each batch size, for training and for evaluation. No GPU.

use std::cell::OnceCell;
use std::sync::Arc;

use super::agree;
use super::batch::Batch;
use super::feed::{self, Source};
use super::metrics::{Metrics, Objective};
use crate::data::{BatchPlan, BatchSize, Dataset, Part};
use crate::error::{Error, Result};
use crate::graph::{Clock, Graph, Parameter, StateBuffer, Tensor};
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE, STATE_BYTES, close, commit};
use crate::kernel::update::{self, GRADIENTS, PARAMETERS, TABLE};
use crate::kernel::{Precision, Target, scaling};
use crate::nn::Net;
use crate::optim::Optimizer;
use crate::plan::{BufferPlan, METRICS, Memory, Plan, Ring, Sink};
use crate::shape::Shape;

/// Steps of which the device holds the tables at once; more than these are never submitted together.
pub const WINDOW: usize = 64;
/// Samples evaluated at once, at most.
const EVAL_BATCH: usize = 512;
/// Activations of evaluation may be as large as this, however small those of training are.
const EVAL_BYTES: u64 = 4 << 20;
/// The buffers through which step metrics come back, in turn.
pub(super) const READBACK: [&str; 2] = ["metrics readback 0", "metrics readback 1"];
/// Numbers in a row of the optimizer's table.
pub(super) const ROW: usize = 8;

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
    /// The training step, and that of a short last batch.
    pub train: Vec<Build>,
    /// Evaluation of a batch, and of the short last one; empty without an evaluation part.
    pub eval: Vec<Build>,
    /// How evaluation goes through its part.
    pub eval_batches: Option<BatchPlan>,
    /// How many predictions a sample has, where evaluation counts the right ones.
    pub predictions: Option<usize>,
    /// Names of the objective's metrics.
    pub metrics: Arc<[String]>,
    /// Where a step files its numbers: the loss, then the metrics, or how many predictions are right. In f16 the last two
    /// are the loss scale and the steps skipped before.
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
        optimizer: &Optimizer,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        Self::of(Forward::Plain(model, loss), optimizer, data, batches, target)
    }

    /// Plans a run of a model of any fields of `data`, by its loss. Evaluation counts no right predictions.
    ///
    /// # Errors
    /// As [`Blueprint::new`]; a field that `data` does not have; metrics that are no scalars, or others in
    /// evaluation.
    pub fn of_batches<O: Into<Objective>>(
        loss: &BatchLoss<'_, O>,
        optimizer: &Optimizer,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        let loss = |net: &Net, batch: &Batch| loss(net, batch).into();
        Self::of(Forward::Batches(&loss), optimizer, data, batches, target)
    }

    fn of(
        forward: Forward<'_>,
        optimizer: &Optimizer,
        data: &Dataset,
        batches: BatchPlan,
        target: Target,
    ) -> Result<Blueprint> {
        optimizer.validate()?;
        let draft = Draft { forward, data, sources: feed::sources(data), target, metrics: OnceCell::new() };
        let (mut parameters, mut buffers) = (Vec::new(), Vec::new());
        let (mut train, mut checkpointing) = (Vec::new(), None);
        for batch in std::iter::once(batches.rows).chain(batches.last) {
            let (plan, graph) = draft.train(batch, batches.rows, optimizer, true)?;
            if graph.has_checkpoints() && train.is_empty() {
                let (whole, _) = draft.train(batch, batches.rows, optimizer, false)?;
                checkpointing = Some(Checkpointing::between(&plan, &whole));
            }
            (parameters, buffers) = (graph.parameters(), graph.buffers());
            train.push(Build { batch, plan });
        }
        let mut eval = Vec::new();
        let (mut eval_batches, mut predictions) = (None, None);
        if let Some(part) = data.eval() {
            let trained = names(&parameters, &buffers);
            let bound = train.iter().map(|b| b.plan.largest_activation()).fold(EVAL_BYTES, u64::max);
            let (plan, first, counted) = draft.first_eval(part.len(), batches.rows, bound, &trained)?;
            eval.push(Build { batch: plan.rows, plan: first });
            if let Some(batch) = plan.last {
                eval.push(Build { batch, plan: draft.eval(batch, plan.rows, &trained)?.0 });
            }
            (eval_batches, predictions) = (Some(plan), counted);
        }
        let memory = Memory::plan(train.iter().chain(&eval).map(|b| &b.plan));
        let ring = draft.ring();
        let metrics = draft.metrics.into_inner().unwrap_or_default();
        Ok(Blueprint {
            parameters,
            buffers,
            batches,
            train,
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

    /// How many numbers are trained.
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
    /// Names of the objective's metrics, from the first build on.
    metrics: OnceCell<Arc<[String]>>,
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
        Ring { columns: 1 + metrics.max(1) + if self.scaled() { 2 } else { 0 }, rows: WINDOW }
    }

    /// True where the loss is scaled, lest small gradients vanish in f16.
    fn scaled(&self) -> bool {
        self.target.precision == Precision::F16
    }

    /// Rows of the optimizer's table: for a window, and where steps may be skipped, for those before it of which the host
    /// does not know yet.
    fn table_rows(&self) -> usize {
        if self.scaled() { 2 * WINDOW + 1 } else { WINDOW }
    }

    /// `checkpoints` says whether the model's checkpointed blocks are.
    fn train(
        &self,
        batch: usize,
        stride: usize,
        optimizer: &Optimizer,
        checkpoints: bool,
    ) -> Result<(Plan, Graph)> {
        let (graph, _, _, objective) = self.forward(batch, true)?;
        if !checkpoints {
            graph.forget_checkpoints();
        }
        agree::check_tables(self.data, &graph)?;
        let parameters = graph.parameters();
        if parameters.is_empty() {
            return Err(Error::Config("the model has no parameters, so there is nothing to train".into()));
        }
        let tensors: Vec<Tensor> = (0..parameters.len()).map(|i| graph.parameter_tensor(i)).collect();
        let mut outputs = filed(&objective);
        let mut loss = objective.loss().clone();
        if self.scaled() {
            let columns = self.ring().columns;
            let [scale, skipped] = [Clock::Scale, Clock::Skipped].map(|word| graph.clock_word(word));
            loss = loss.mul(&scale);
            outputs.extend([(scale, Sink::Metric(columns - 2)), (skipped, Sink::Metric(columns - 1))]);
        }
        let grads = graph.grad(&loss, &tensors.iter().collect::<Vec<_>>());
        outputs.extend(grads.into_iter().enumerate().map(|(i, g)| (g, Sink::Gradient(i))));
        // All buffers go over at once; what this graph does not change, as it is.
        let buffers = graph.buffers();
        if buffers.iter().any(|b| b.next.is_some()) {
            let next = |b: &StateBuffer| b.next.or(b.node).map(|id| graph.tensor(id));
            let moved = (0..).zip(&buffers).filter_map(|(i, b)| next(b).map(|t| (t, Sink::Next(i))));
            outputs.extend(moved);
        }
        let mut plan = Plan::new(&graph, &outputs, self.ring(), self.target)?;
        let kept = plan.state.bytes;
        if kept > 0 {
            plan.buffer(BUFFERS, kept);
        }
        if buffers.iter().any(|b| b.next.is_some()) {
            let bytes = [(BUFFERS, kept), (NEXT_BUFFERS, kept)];
            plan.surround(commit(kept), "buffers", Shape::from([kept as usize / 4]), &bytes, false);
        }

        let mut kernel = optimizer.kernel();
        let arena = plan.arena.bytes;
        let count: usize = parameters.iter().map(|p| p.shape.elements()).sum();
        let mut bytes = vec![
            (GRADIENTS, arena),
            (PARAMETERS, arena),
            (TABLE, (self.table_rows() * ROW * 4) as u64),
            (STATE, STATE_BYTES),
        ];
        bytes.extend(kernel.slots.iter().map(|&slot| (slot, arena)));
        if self.scaled() {
            kernel.constants.push(("SCALED", 1));
            plan.surround(scaling::check(arena), "gradients", Shape::from([count]), &bytes, false);
        }
        let update = update::kernel(&kernel, (arena / 4) as usize, count);
        plan.surround(update, "optimizer", Shape::from([count]), &bytes, false);
        if self.scaled() {
            plan.surround(scaling::adjust(), "loss scale", Shape::default(), &bytes, false);
        }
        self.feed(&mut plan, self.data.train(), batch, stride);
        Ok((plan, graph))
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
        trained: &[(String, Shape)],
    ) -> Result<(BatchPlan, Plan, Option<usize>)> {
        let least = train_rows.min(EVAL_BATCH).min(len);
        let probe = self.eval(least, least, trained)?;
        let times = (bound / probe.0.largest_activation().max(1)).clamp(1, EVAL_BATCH as u64) as usize;
        let mut rows = (least * times).min(EVAL_BATCH).min(len);
        while rows > least {
            let (plan, counted) = self.eval(rows, rows, trained)?;
            if plan.largest_activation() <= bound {
                return Ok((BatchPlan::new(len, BatchSize::Rows(rows), false)?, plan, counted));
            }
            rows = (rows / 2).max(least);
        }
        Ok((BatchPlan::new(len, BatchSize::Rows(least), false)?, probe.0, probe.1))
    }

    fn eval(
        &self,
        batch: usize,
        stride: usize,
        trained: &[(String, Shape)],
    ) -> Result<(Plan, Option<usize>)> {
        let part = self.data.eval().unwrap_or(self.data.train());
        let (graph, y, fields, objective) = self.forward(batch, false)?;
        if names(&graph.parameters(), &graph.buffers()) != trained {
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
        let mut plan = Plan::new(&graph, &outputs, self.ring(), self.target)?;
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
