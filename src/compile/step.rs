//! The plans of one batch: the model's graph, its gradients, the feed before it and the update after it.

use super::checks;
use super::inputs::{self, Feed, Source};
use super::objective::{Batch, BatchLoss, Loss, Model, Objective};
use super::staging::{StagingLayout, Streaming};
use super::update::{Sharing, UpdateBuilder};
use crate::data::{BatchPlan, BatchSize, Dataset, Part};
use crate::error::{Error, Result};
use crate::graph::{Clock, Graph, Parameter, StateBuffer, Tensor};
use crate::kernel::MAX_BUFFERS;
use crate::kernel::feed::{
    AT_ONCE, BUFFERS, MAX_WINDOW_STEPS, NEXT_BUFFERS, STATE, STATE_BYTES, close, commit,
};
use crate::kernel::matmul::{NONE_TUNED, TunedProducts};
use crate::kernel::mlp::{self, Mlp};
use crate::kernel::update::{AVERAGE, BLOCK_BYTES, GRADIENTS, PARAMETERS, blocks};
use crate::kernel::{Family, Precision, Rounding, Target, eight_bit, gradients};
use crate::metrics::{Metric, MetricPlan, correct, is_classification};
use crate::nn::Net;
use crate::optim::{Groups, Passes, Update};
use crate::plan::{Arena, Layout, METRICS, Plan, Ring, Sink, alignment, whole_net};
use crate::shape::Shape;
use std::cell::OnceCell;
use std::sync::Arc;

/// Samples evaluated at once, at most.
const EVAL_BATCH: usize = 512;

/// A plan for batches of one size.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// Samples in a batch.
    pub batch: usize,
    /// Its kernels and buffers, the feed and the update included.
    pub plan: Plan,
}

/// Names and shapes of everything that a weights file holds, in order.
pub(super) fn names(parameters: &[Parameter], buffers: &[StateBuffer]) -> Vec<(String, Shape)> {
    let parameters = parameters.iter().map(|p| (p.name.clone(), p.shape.clone()));
    parameters.chain(buffers.iter().map(|b| (b.name.clone(), b.shape.clone()))).collect()
}

/// The columns that an objective writes to the ring: the loss, then its metrics.
fn filed(objective: &Objective) -> Vec<(Tensor, Sink)> {
    let metrics = objective.metrics().iter().map(|(_, value)| value);
    let all = std::iter::once(objective.loss()).chain(metrics);
    all.enumerate().map(|(column, value)| (value.clone(), Sink::Metric(column))).collect()
}

/// The model function of a run, and the metrics of its evaluation.
#[derive(Clone, Copy)]
pub(super) struct Objectives<'a> {
    pub model: ModelFn<'a>,
    /// Computed in evaluation beside the loss.
    pub metrics: &'a [Metric],
}

/// The function that makes the objective.
#[derive(Clone, Copy)]
pub(super) enum ModelFn<'a> {
    Plain(&'a Model<'a>, &'a Loss<'a>),
    Batches(&'a BatchLoss<'a, Objective>),
}

/// Builds the plans of a run, one for each size of batch.
pub(super) struct StepBuilder<'a> {
    pub objectives: Objectives<'a>,
    pub data: &'a Dataset,
    pub sources: Vec<Source<'a>>,
    /// The slots that streamed samples pass.
    pub streaming: Streaming,
    pub target: Target,
    /// The tiles that are named for products.
    pub tuned: &'a TunedProducts,
    /// Steps may be skipped.
    pub checked: bool,
    /// Batches go in micro-batches.
    pub in_parts: bool,
    /// Shards of a batch; 1 where it is not shared.
    pub shards: usize,
    /// Parts that the planner cuts the net in. All but the last are recomputed; 1 recomputes nothing.
    pub blocks: usize,
    /// Names of the objective's metrics, from the first plan on.
    pub metrics: OnceCell<Arc<[String]>>,
    /// The sums of evaluation's metrics, from its first plan on.
    pub eval_metrics: OnceCell<MetricPlan>,
}

/// The part of a training plan that evaluation shares.
pub(super) struct EvalModel {
    /// Names and shapes of everything that a weights file holds.
    pub trained: Vec<(String, Shape)>,
    pub arena: Arena,
    /// Evaluation reads the averaged weights.
    pub average: bool,
}

impl EvalModel {
    /// Refuses a graph of other parameters or buffers.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        if names(&graph.parameters(), &graph.buffers()) == self.trained {
            return Ok(());
        }
        Err(Error::Config(
            "the model function makes other parameters for evaluation than for training".into(),
        ))
    }
}

/// Why the kernels of a whole net cannot run.
fn misfit(plan: &Plan) -> Option<String> {
    let buffers = plan.steps.iter().map(|step| step.bindings.len()).max().unwrap_or(0);
    if buffers > MAX_BUFFERS {
        return Some(format!("a kernel would bind {buffers} buffers, and at most {MAX_BUFFERS} are there"));
    }
    plan.check().err().map(|_| "a layer is so wide that an invocation would loop too long".into())
}

impl<'a> StepBuilder<'a> {
    /// A builder for whole batches, stored activations and samples on the device, without skipped steps.
    pub fn new(objectives: Objectives<'a>, data: &'a Dataset, target: Target) -> StepBuilder<'a> {
        StepBuilder {
            objectives,
            data,
            sources: inputs::sources(data, |_| false),
            streaming: Streaming::default(),
            target,
            tuned: NONE_TUNED,
            checked: false,
            in_parts: false,
            shards: 1,
            blocks: 1,
            metrics: OnceCell::new(),
            eval_metrics: OnceCell::new(),
        }
    }

    /// The graph, the model's output where it has one, the minibatch, and the objective.
    pub(super) fn forward(
        &self,
        batch: usize,
        training: bool,
    ) -> Result<(Graph, Option<Tensor>, Batch, Objective)> {
        let graph = Graph::new();
        let fields = Batch::new(&graph, self.data.train(), batch);
        let net = Net::new(&graph, training);
        let (y, objective) = match self.objectives.model {
            ModelFn::Batches(loss) => (None, loss(&net, &fields)),
            ModelFn::Plain(model, loss) => {
                let y = model(&net, fields.x());
                graph.check()?;
                checks::check_classes(self.data, &y, fields.t())?;
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

    pub(super) fn ring(&self) -> Ring {
        let metrics = self.metrics.get().map_or(0, |names| names.len());
        Ring {
            columns: 1 + metrics.max(1) + if self.checked { gradients::COLUMNS } else { 0 },
            rows: MAX_WINDOW_STEPS,
        }
    }

    /// True where the loss is scaled, so that small gradients do not vanish in f16.
    pub(super) fn scaled(&self) -> bool {
        self.target.precision == Precision::F16
    }

    pub(super) fn update_builder<'e>(
        &self,
        update: &'e Update,
        groups: &'e Groups,
        parameters: &'e [Parameter],
        running: u64,
    ) -> UpdateBuilder<'e> {
        UpdateBuilder {
            update,
            groups,
            count: groups.trained().map(|i| parameters[i].shape.elements()).sum(),
            parameters,
            family: self.target.family,
            subgroups: self.target.subgroups,
            scaled: self.scaled(),
            checked: self.checked,
            in_parts: self.in_parts,
            sharing: Sharing { shards: self.shards, ranks: self.target.ranks },
            running,
            ring: self.ring(),
            computed: None,
        }
    }

    /// Plans a training step. `recompute`: the blocks that the model or the planner marks are recomputed.
    pub(super) fn train(
        &self,
        batch: usize,
        stride: usize,
        update: &Update,
        recompute: bool,
    ) -> Result<(Plan, Graph, Groups)> {
        let (graph, _, _, objective) = self.forward(batch, true)?;
        if recompute && self.blocks > 1 {
            graph.checkpoint_in(self.blocks);
        }
        if !recompute {
            graph.forget_checkpoints();
        }
        checks::check_tables(self.data, &graph)?;
        if self.in_parts && graph.has_uneven_mean() {
            let key = if self.shards > 1 { "shards" } else { "micro_batch" };
            return Err(Error::Config(format!(
                "train.{key}: the loss ignores some targets (ignore_index), so its mean is over fewer of them in \
                 one micro-batch than in another, or is a sum; micro-batches cannot be added to the loss of the batch. \
                 Leave {key} out, or take a mean over samples whose targets all count"
            )));
        }
        if self.shards > 1 && graph.moves_by_step_count() {
            return Err(Error::Config(
                "train.shards: batch_norm with momentum = \"none\" averages over all batches it has seen, one after the other, \
                 and shards go at once; give it a momentum, as 0.1"
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
        let layout = Layout { alignment: aligned, block: blocks * BLOCK_BYTES, small_below: least };
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
        // All buffers are copied at once; those that this graph does not change stay as they are.
        let buffers = graph.buffers();
        if buffers.iter().any(|b| b.next.is_some()) {
            let next = |b: &StateBuffer| b.next.or(b.node).map(|id| graph.tensor(id));
            let moved = (0..).zip(&buffers).filter_map(|(i, b)| next(b).map(|t| (t, Sink::Next(i))));
            outputs.extend(moved);
        }
        let path = self
            .misfit(&graph, update)
            .map_or_else(|| whole_net(&graph, &outputs, self.ring(), &arena, batch), Err);
        let path = match path {
            Ok(net) => {
                let plan = self.whole_net(&net, &arena, update, &groups, &parameters, stride)?;
                match misfit(&plan) {
                    None => return Ok((plan, graph, groups)),
                    Some(reason) => Err(reason),
                }
            }
            Err(reason) => Err::<Mlp, _>(reason),
        };
        let mut plan = Plan::with_arena(&graph, &outputs, self.ring(), self.target, arena, self.tuned)?;
        if let (Err(reason), Family::Tiled) = (path, self.target.family) {
            plan.path = format!("kernel by kernel: {reason}");
        }
        let kept = plan.state.bytes;
        if kept > 0 {
            plan.buffer(BUFFERS, kept);
        }
        let moves = buffers.iter().any(|b| b.next.is_some());
        let running = if moves && self.shards > 1 { kept } else { 0 };
        let ending = self.update_builder(update, &groups, &parameters, running);
        if running > 0 {
            ending.change(&mut plan);
        } else if moves {
            let bytes = [(BUFFERS, kept), (NEXT_BUFFERS, kept)];
            plan.add_kernel_after(commit(kept), "buffers", Shape::from([kept as usize / 4]), &bytes);
        }
        if self.in_parts {
            ending.accumulate(&mut plan);
        } else {
            ending.add(&mut plan)?;
        }
        self.feed(&mut plan, self.streaming.train.as_ref(), self.data.train(), batch, stride);
        Ok((plan, graph, groups))
    }

    /// Why a training step does not go in two dispatches, whatever the net.
    fn misfit(&self, graph: &Graph, update: &Update) -> Option<String> {
        let kernel = update.optimizer.kernel();
        let reasons = [
            (self.target.family != Family::Tiled, "its kernels are those of subgroups"),
            (!self.target.whole_nets, "whole nets are for GPUs, or switched off"),
            (self.target.precision != Precision::F32, "its values are in f16"),
            (self.in_parts, "its batches go in micro-batches"),
            (self.checked, "its gradients are checked before the update"),
            (kernel.passes != Passes::One, "its optimizer takes several passes"),
            (graph.has_checkpoints(), "activations are recomputed"),
            (!graph.buffers().is_empty(), "it has running statistics"),
            (self.data.train().fields().count() > AT_ONCE, "samples have more than two fields"),
        ];
        reasons.into_iter().find(|(is, _)| *is).map(|(_, reason)| reason.to_owned())
    }

    /// The plan of a step of two dispatches.
    fn whole_net(
        &self,
        net: &Mlp,
        arena: &Arena,
        update: &Update,
        groups: &Groups,
        parameters: &[Parameter],
        stride: usize,
    ) -> Result<Plan> {
        let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
        let beside = if self.target.statistics { ", and one for the statistics of gradients" } else { "" };
        plan.path = format!("whole net in two dispatches{beside}");
        let stage = self.streaming.train.as_ref();
        let feed = Feed { sources: &self.sources, stage, part: self.data.train(), stride };
        inputs::add_rows(&mut plan, net, feed);
        if self.target.statistics {
            let trained = plan.arena.trained;
            let kernel = mlp::stored_gradients(net, trained);
            let shape = Shape::from([trained as usize / 4]);
            plan.add_kernel_after(kernel, "gradients", shape, &[(GRADIENTS, trained), (STATE, STATE_BYTES)]);
        }
        let computed = mlp::computed(net);
        let ending =
            UpdateBuilder { computed: Some(&computed), ..self.update_builder(update, groups, parameters, 0) };
        ending.add(&mut plan)?;
        plan.buffer(METRICS, self.ring().bytes());
        Ok(plan)
    }

    /// The batches of an evaluation on `len` samples, the plan of the first, and the predictions of a sample where they
    /// are counted.
    ///
    /// A batch is a multiple of the training batch, up to 512 samples, that keeps the largest activation within
    /// `bound`. Activations are assumed to grow with the batch; where they grow faster, the batch is halved. The
    /// target may set the number of samples instead.
    pub(super) fn first_eval(
        &self,
        len: usize,
        train_rows: usize,
        bound: u64,
        model: &EvalModel,
    ) -> Result<(BatchPlan, Plan, Option<usize>)> {
        if let Some(rows) = self.target.memory.eval_batch {
            let batches = BatchPlan::new(len, BatchSize::Rows(rows), false)?;
            let (plan, counted) = self.eval(batches.rows, batches.rows, model)?;
            return Ok((batches, plan, counted));
        }
        let least = train_rows.min(EVAL_BATCH).min(len);
        let probe = self.eval(least, least, model)?;
        // The inputs of a batch count as well, so that it can be streamed.
        let part = self.data.eval().unwrap_or(self.data.train());
        let fed =
            part.fields().map(|(_, field)| field.shape().elements() as u64 * 4).sum::<u64>() * least as u64;
        let largest = probe.0.largest_activation().max(fed).max(1);
        let times = (bound / largest).clamp(1, EVAL_BATCH as u64) as usize;
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

    pub(super) fn eval(
        &self,
        batch: usize,
        stride: usize,
        model: &EvalModel,
    ) -> Result<(Plan, Option<usize>)> {
        let part = self.data.eval().unwrap_or(self.data.train());
        let (graph, y, fields, objective) = self.forward(batch, false)?;
        model.check(&graph)?;
        let mut outputs = filed(&objective);
        let t = fields.t();
        if !self.objectives.metrics.is_empty() {
            let (plain, own) = (y.as_ref().map(|y| (y, t)), objective.names());
            let (metrics, sums) = MetricPlan::new(self.objectives.metrics, &graph, plain, &own, batch)?;
            outputs.extend(sums);
            let unit = self.data.target_unit();
            self.eval_metrics.get_or_init(|| metrics.in_unit(&graph, t, unit));
        }
        let counted = y.filter(|y| self.data.classes().is_some() && is_classification(y, t));
        let each = t.shape()[1..].iter().product::<usize>();
        if let Some(y) = &counted {
            outputs.push((correct(y, t), Sink::Metric(1)));
        }
        let target = self.target.with_rounding(Rounding::Nearest);
        let arena = model.arena.clone();
        let mut plan = Plan::with_arena(&graph, &outputs, self.ring(), target, arena, self.tuned)?;
        if let Some(weights) = plan.buffers.iter_mut().find(|b| model.average && b.name == PARAMETERS) {
            weights.name = AVERAGE.into();
        }
        plan.add_kernel_after(close(), "close the step", Shape::default(), &[(STATE, STATE_BYTES)]);
        let stage = self.streaming.for_eval(part, stride)?;
        self.feed(&mut plan, stage.as_ref(), part, batch, stride);
        Ok((plan, counted.map(|_| each)))
    }

    /// Puts the kernels that open a step before the graph's own.
    fn feed(&self, plan: &mut Plan, stage: Option<&StagingLayout>, part: &Part, batch: usize, stride: usize) {
        inputs::add_feed(plan, Feed { sources: &self.sources, stage, part, stride }, batch);
        plan.buffer(METRICS, self.ring().bytes());
    }
}
