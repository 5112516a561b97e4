//! A run's plans, assembled under one choice: training steps, update, evaluation, statistics, memory.

use super::staging::Streaming;
use super::statistics::Statistics;
use super::step::{EvalModel, Objectives, StepBuilder, StepPlan, names};
use super::train_plan::{BudgetChoice, Recomputation, TrainPlan};
use super::{checks, inputs};
use crate::data::{BatchPlan, Dataset};
use crate::error::{Error, Result};
use crate::graph::{Graph, StateBuffer};
use crate::kernel::feed::MAX_WINDOW_STEPS;
use crate::kernel::matmul::TunedProducts;
use crate::kernel::{Family, Precision, Reads, Target};
use crate::optim::{Clip, Groups, Update};
use crate::plan::{Memory, Plan};

/// The memory choices of a plan.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub streaming: Streaming,
    /// Parts that the net is cut in. All but the last are recomputed; 1 recomputes nothing.
    pub blocks: usize,
    /// Samples evaluated at once, where the target does not say. Default: what keeps activations as small as training's.
    pub eval_batch: Option<usize>,
}

/// Plans a run in these batches, under this choice, with the tiles that are named for products.
pub(super) fn assemble(
    forward: Objectives<'_>,
    update: Update,
    data: &Dataset,
    batches: BatchPlan,
    mut target: Target,
    Choice { streaming, blocks, eval_batch }: Choice,
    tuned: &TunedProducts,
) -> Result<TrainPlan> {
    target.memory.eval_batch = target.memory.eval_batch.or(eval_batch);
    let most = batches.parts(batches.rows).count();
    if most > MAX_WINDOW_STEPS {
        let key = match batches.shards {
            1 => format!("train.micro_batch = {}", batches.micro),
            shards => format!("train.shards = {shards} in micro-batches of {}", batches.micro),
        };
        let remedy = match batches.shards {
            1 => format!("the least is {}", batches.rows.div_ceil(MAX_WINDOW_STEPS)),
            _ => "take fewer shards, or a larger train.micro_batch".to_owned(),
        };
        return Err(Error::Config(format!(
            "{key}: a batch of {} samples would go in {most} micro-batches, and at most {MAX_WINDOW_STEPS} fit in a \
             submission; {remedy}",
            batches.rows
        )));
    }
    check_ranks(&batches, &target)?;
    let scaled = target.precision == Precision::F16;
    let by_norm = matches!(update.clip, Some(Clip::Norm(_)));
    let checked = scaled || batches.in_parts() || update.skip_nonfinite.unwrap_or(by_norm) || by_norm;
    let in_parts = batches.in_parts();
    let sources = inputs::sources(data, |part| streaming.streams(part));
    let draft = StepBuilder {
        checked,
        in_parts,
        shards: batches.shards,
        sources,
        streaming,
        tuned,
        blocks,
        ..StepBuilder::new(forward, data, target)
    };
    let (mut parameters, mut buffers, mut groups) = (Vec::new(), Vec::new(), None);
    let mut layers = Vec::new();
    let (mut train, mut recomputation): (Vec<StepPlan>, _) = (Vec::new(), None);
    let sizes = std::iter::once(batches.rows).chain(batches.last).flat_map(|rows| batches.parts(rows));
    for batch in sizes {
        if train.iter().any(|build| build.batch == batch) {
            continue;
        }
        let (plan, graph, found) = draft.train(batch, batches.micro, &update, true)?;
        if graph.has_checkpoints() && train.is_empty() {
            let (whole, ..) = draft.train(batch, batches.micro, &update, false)?;
            recomputation = Some(Recomputation::between(&plan, &whole));
        }
        if train.is_empty() {
            layers = graph.layers();
        }
        (parameters, buffers, groups) = (graph.parameters(), graph.buffers(), Some(found));
        train.push(StepPlan { batch, plan });
    }
    let groups = groups.unwrap_or_else(|| Groups { groups: Vec::new(), of: Vec::new() });
    let arena = &train[0].plan.arena;
    let running = match batches.shards {
        1 => 0,
        _ if buffers.iter().any(|buffer: &StateBuffer| buffer.next.is_some()) => train[0].plan.state.bytes,
        _ => 0,
    };
    let builder = draft.update_builder(&update, &groups, &parameters, running);
    let average = builder.average(arena);
    let ending = if in_parts {
        let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
        builder.add(&mut plan)?;
        Some(plan)
    } else {
        None
    };
    let own_shards = builder.own_shards(arena);
    let mut eval = Vec::new();
    let (mut eval_batches, mut predictions, mut eval_stage) = (None, None, None);
    let model = EvalModel {
        trained: names(&parameters, &buffers),
        arena: train[0].plan.arena.clone(),
        average: update.evaluates_average(),
    };
    if let Some(part) = data.eval() {
        let bound = train.iter().map(|b| b.plan.largest_activation()).fold(0, u64::max);
        let (plan, first, counted) = draft.first_eval(part.len(), batches.micro, bound, &model)?;
        eval.push(StepPlan { batch: plan.rows, plan: first });
        eval_stage = draft.streaming.for_eval(part, plan.rows)?;
        if let Some(batch) = plan.last {
            eval.push(StepPlan { batch, plan: draft.eval(batch, plan.rows, &model)?.0 });
        }
        (eval_batches, predictions) = (Some(plan), counted);
    }
    checks::check_plateau(&update, eval_batches.is_some(), predictions.is_some())?;
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
            Some(Statistics::new(&draft, &model, &parameters, &groups, sizes)?)
        }
        false => None,
    };
    let ring = draft.ring();
    let staging = draft.streaming.train.into_iter().chain(eval_stage).collect();
    let metrics = draft.metrics.into_inner().unwrap_or_default();
    let mut plan = TrainPlan {
        parameters,
        layers,
        buffers,
        batches,
        train,
        update: ending,
        own_shards,
        ranks: target.ranks,
        average,
        groups,
        rule: update,
        checked,
        eval,
        eval_batches,
        predictions,
        eval_metrics: draft.eval_metrics.into_inner(),
        statistics,
        metrics,
        ring,
        precision: target.precision,
        family: target.family,
        reads: Reads::Storage,
        image_limit: 0,
        memory: Vec::new(),
        recomputation,
        staging,
        budget_choice: BudgetChoice::default(),
        replicas: None,
    };
    plan.memory = Memory::plan(plan.plans());
    Ok(plan)
}

/// Refuses ranks that cannot share a batch.
fn check_ranks(batches: &BatchPlan, target: &Target) -> Result<()> {
    let (shards, ranks) = (batches.shards, target.ranks);
    if !ranks.is_power_of_two() || shards % ranks != 0 {
        let remedy = match (shards, ranks.is_power_of_two()) {
            (_, false) => "start 2, 4, 8 .. ranks".to_owned(),
            (1, true) => format!("begin a run with --set train.shards={ranks}"),
            (_, true) => {
                format!("start {shards} ranks or fewer, or begin another run with --set train.shards={ranks}")
            }
        };
        return Err(Error::Config(format!(
            "train.shards = {shards} and {ranks} ranks: each rank has as many shards of a batch as any other, so that the number \
             of ranks divides that of the shards; {remedy}"
        )));
    }
    if ranks > 1 && target.statistics {
        return Err(Error::Config(format!(
            "watch.statistics: they are of one process's gradients and activations, and {ranks} ranks share the batch; leave \
             them out, or train with one rank"
        )));
    }
    Ok(())
}

/// The graph of model and loss in a training step on `batch` samples.
pub(super) fn training_graph(forward: Objectives<'_>, data: &Dataset, batch: usize) -> Result<Graph> {
    let draft = StepBuilder::new(forward, data, Target::new(Family::Tiled));
    Ok(draft.forward(batch, true)?.0)
}
