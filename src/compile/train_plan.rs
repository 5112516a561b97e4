//! Everything a run executes and allocates: a plan for each batch size, for training and for evaluation. No GPU.

use super::staging::StagingLayout;
use super::statistics::Statistics;
use super::step::StepPlan;
use crate::data::BatchPlan;
use crate::error::{Error, Result};
use crate::graph::{LayerSummary, Parameter, StateBuffer};
use crate::kernel::gradients::TOTAL_GRADIENTS;
use crate::kernel::matmul::ProductTile;
use crate::kernel::shards::TOTAL_BUFFERS;
use crate::kernel::{Family, Precision, Reads, Target};
use crate::metrics::{MetricPlan, Metrics, matches_name};
use crate::nn::init;
use crate::optim::{Groups, Update};
use crate::plan::{BufferPlan, IMAGE_LIMITS, METRICS, Memory, NamedTensor, Plan, Replicas, Ring, Step};
use crate::shape::Shape;
use crate::units;
use std::sync::Arc;

/// The buffers through which step metrics come back, in turn.
pub(crate) const READBACK: [&str; 2] = ["metrics readback 0", "metrics readback 1"];
/// The buffer through which the sums of an evaluation's metrics come back.
pub(crate) const TALLIED: &str = "eval tally readback";
/// The buffer through which comes what ranks exchange.
pub(crate) const EXCHANGED: &str = "exchange readback";
/// The buffer through which weights and state come back, part by part.
const SAVING: &str = "weights readback";
const SAVING_BYTES: u64 = 256 << 10;

/// Floating-point operations and bytes written that one thread of a software adapter does while a second one wakes.
const SMALL_WORK: u64 = 1_500_000;

/// Everything a run will execute and allocate, known before the first allocation. A plan never changes once it is built.
#[derive(Debug, Clone)]
pub struct TrainPlan {
    /// Trainable tensors.
    pub parameters: Vec<Parameter>,
    /// The layers of the model in its order, with the shapes of a training batch.
    pub layers: Vec<LayerSummary>,
    /// Tensors that are saved with the weights but not trained.
    pub buffers: Vec<StateBuffer>,
    /// The batches of an epoch.
    pub batches: BatchPlan,
    /// The training step of a full batch, and of a short last one. With micro-batches: one plan for each size of
    /// micro-batch, without the update.
    pub train: Vec<StepPlan>,
    /// The update after the last micro-batch of a batch. None where batches go whole: the step then holds it.
    pub update: Option<Plan>,
    /// Adds the shards of a rank, whose sum is exchanged for that of the others. None where no other ranks are.
    pub own_shards: Option<Plan>,
    /// Ranks that share each batch.
    pub ranks: usize,
    /// Computes the averaged weights before an evaluation, for optimizers that train other weights.
    pub average: Option<Plan>,
    /// How each parameter is updated.
    pub groups: Groups,
    /// The optimizer with its groups, clipping, schedule and average.
    pub rule: Update,
    /// Gradients are checked before the update, and a step may be skipped.
    pub checked: bool,
    /// Evaluation of a full batch, and of a short last one. Empty without an evaluation part.
    pub eval: Vec<StepPlan>,
    /// The batches of an evaluation.
    pub eval_batches: Option<BatchPlan>,
    /// Predictions of a sample, where evaluation counts the right ones.
    pub predictions: Option<usize>,
    /// The sums that evaluation files for its metrics.
    pub(crate) eval_metrics: Option<MetricPlan>,
    /// The plans that run after a step whose statistics are taken.
    pub(crate) statistics: Option<Statistics>,
    /// Names of the objective's metrics.
    pub metrics: Arc<[String]>,
    /// The ring that a step writes its numbers to: the loss, then the metrics or the count of right predictions.
    /// Where gradients are checked, [`COLUMNS`](crate::kernel::gradients::COLUMNS) more follow.
    pub ring: Ring,
    /// The format of activations and weights in memory.
    pub precision: Precision,
    /// The family of its kernels.
    pub family: Family,
    /// The way in which kernels read buffers.
    pub reads: Reads,
    /// Bytes of the largest operand that is read from an image, where memory allows no larger ones.
    pub image_limit: u64,
    /// Every buffer with its bytes; their sum is the peak.
    pub memory: Vec<BufferPlan>,
    /// The bytes that recomputed blocks save and the operations they cost, where there are such blocks.
    pub recomputation: Option<Recomputation>,
    /// The slots that streamed samples pass: of training, then of evaluation. Empty where the samples lie on the device.
    pub staging: Vec<StagingLayout>,
    /// The choices that make the run fit its budget.
    pub budget_choice: BudgetChoice,
    /// Nets that train at once; `None` for one.
    pub replicas: Option<Replicas>,
}

/// The choices that make a run fit its budget.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetChoice {
    /// Bytes that the run may take, where they are bounded.
    pub budget: Option<u64>,
    /// The choices, a sentence each, with their numbers. Empty where the data lie on the device, batches go whole, and
    /// operands are read in the adapter's way.
    pub choices: Vec<String>,
}

/// The difference that recomputed blocks make to a training step of a full batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recomputation {
    /// Bytes of activations that are not stored. Negative where recomputing needs more than storing.
    pub saved_bytes: i64,
    /// Floating-point operations done twice.
    pub added_flops: u64,
    /// Floating-point operations of the step without recomputation.
    pub flops_without: u64,
}

impl Recomputation {
    pub(super) fn between(with: &Plan, without: &Plan) -> Self {
        Recomputation {
            saved_bytes: without.bytes() as i64 - with.bytes() as i64,
            added_flops: with.flops().saturating_sub(without.flops()),
            flops_without: without.flops(),
        }
    }
}

impl TrainPlan {
    /// The plan with operands read in the target's way. Images take memory that the budget leaves; where it does not suffice
    /// for all, the largest operands are read from storage.
    #[must_use]
    pub fn reading(mut self, target: Target) -> TrainPlan {
        if target.reads == Reads::Storage {
            return self;
        }
        self.reads = target.reads;
        let with = |most: u64| {
            let mut plan = self.clone();
            let replicas = self.replicas.as_ref();
            plan.plans_mut().for_each(|plan| plan.read_by(target.reads, most, replicas));
            plan.memory = Memory::plan(plan.plans());
            plan.image_limit = most;
            plan
        };
        let fits = |plan: &TrainPlan| target.memory.budget.is_none_or(|budget| plan.peak_bytes() <= budget);
        let all = with(u64::MAX);
        if fits(&all) {
            return all;
        }
        let fewer =
            IMAGE_LIMITS[1..].iter().map(|&most| with(most)).find(|plan| plan.image_limit == 0 || fits(plan));
        let mut plan = fewer.unwrap_or(self);
        plan.budget_choice.choices.push(format!(
            "{}: with images of all operands, which are read faster here, the run would take {}",
            plan.read_as(),
            units::bytes(all.peak_bytes())
        ));
        plan
    }

    /// The way in which kernels read buffers, in words.
    pub fn read_as(&self) -> String {
        match (self.reads, self.image_limit) {
            (Reads::Storage, _) | (_, u64::MAX) => self.reads.to_string(),
            (_, 0) => "large operands are read from storage buffers, for lack of memory".into(),
            (_, most) => {
                format!(
                    "operands above {} are read from storage buffers, for lack of memory",
                    units::bytes(most)
                )
            }
        }
    }

    /// Every plan of the run.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        let steps = self.train.iter().chain(&self.eval).map(|step| &step.plan);
        let statistics = self.statistics.iter().flat_map(Statistics::plans);
        steps.chain(&self.own_shards).chain(&self.update).chain(&self.average).chain(statistics)
    }

    /// The tile of each product of the run that has one, plan by plan.
    pub fn product_tiles(&self) -> impl Iterator<Item = &ProductTile> {
        self.plans().flat_map(|plan| &plan.steps).flat_map(Step::tiles)
    }

    /// How many products have the tile that a table names.
    pub fn tuned_products(&self) -> usize {
        self.product_tiles().filter(|tile| tile.is_tuned).count()
    }

    pub(super) fn plans_mut(&mut self) -> impl Iterator<Item = &mut Plan> {
        let steps = self.train.iter_mut().chain(&mut self.eval).map(|step| &mut step.plan);
        let statistics = self.statistics.iter_mut().flat_map(Statistics::plans_mut);
        let update = self.own_shards.iter_mut().chain(&mut self.update);
        steps.chain(update).chain(&mut self.average).chain(statistics)
    }

    /// The objective's metrics in a row of the ring.
    pub(crate) fn metrics_of<T: Copy>(&self, row: &[T]) -> Metrics<T> {
        Metrics::new(&self.metrics, row[1..].iter().copied().take(self.metrics.len()))
    }

    /// True where the samples of `train` or `eval` are streamed.
    pub(crate) fn is_streamed(&self, part: &str) -> bool {
        self.staging.iter().any(|staging| staging.name == part)
    }

    /// Dispatches of a step of a full batch.
    pub fn dispatches(&self) -> usize {
        let of = |rows| self.train.iter().find(|b| b.batch == rows).map_or(0, |b| b.plan.steps.len());
        let update = self.own_shards.iter().chain(&self.update).map(|plan| plan.steps.len()).sum::<usize>();
        let own = self.batches.rows_of_rank(self.batches.rows, 0, self.ranks).len();
        self.batches.parts(own).map(of).sum::<usize>() + update
    }

    /// True where a step's dispatches are so small on average that a software adapter's second thread takes longer to wake
    /// than it saves.
    pub fn suits_one_thread(&self) -> bool {
        self.suits_one_thread_with(1)
    }

    /// [`TrainPlan::suits_one_thread`] for so many nets of this plan at once.
    pub(crate) fn suits_one_thread_with(&self, nets: usize) -> bool {
        let steps = &self.train[0].plan.steps;
        nets as u64 * steps.iter().map(Step::work).sum::<u64>() < SMALL_WORK * steps.len() as u64
    }

    /// The plans that run after a step whose statistics are taken, by name: that of the tensors, and that of the units for
    /// each size of batch.
    pub fn statistics_plans(&self) -> Vec<(String, &Plan)> {
        let Some(statistics) = &self.statistics else { return Vec::new() };
        let units = statistics.units.iter().map(|b| (format!("dead units, batch {}", b.batch), &b.plan));
        std::iter::once(("statistics, after a step".to_owned(), &statistics.plan)).chain(units).collect()
    }

    /// The model that training starts from, drawn by a seed: parameters in the order they were made, then buffers.
    pub fn initial_state(&self, seed: u64) -> Vec<NamedTensor> {
        let tensor = |name: &String, shape: &Shape, values| NamedTensor {
            name: name.clone(),
            shape: shape.clone(),
            values,
        };
        let parameters = self.parameters.iter().enumerate();
        let parameters = parameters.map(|(i, own)| tensor(&own.name, &own.shape, init::draw(own, i, seed)));
        let filled = |own: &StateBuffer| vec![own.init; own.shape.elements()];
        let buffers = self.buffers.iter().map(|own| tensor(&own.name, &own.shape, filled(own)));
        parameters.chain(buffers).collect()
    }

    /// How many numbers the model's parameters have.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.elements()).sum()
    }

    /// Every buffer of the run, those of the host that the device reads and writes included.
    pub fn all_buffers(&self) -> Vec<BufferPlan> {
        let slots = self.staging.iter().flat_map(StagingLayout::slots);
        self.memory.iter().cloned().chain(self.read_back()).chain([self.saving()]).chain(slots).collect()
    }

    /// The buffers through which results come back.
    pub(crate) fn read_back(&self) -> Vec<BufferPlan> {
        let readback = READBACK.map(|name| BufferPlan { name: name.into(), bytes: self.ring.bytes() });
        let sums = self
            .eval_metrics
            .iter()
            .map(|plan| BufferPlan { name: TALLIED.into(), bytes: plan.ring.bytes() });
        let statistics = self.statistics.iter().map(Statistics::readback);
        // Also for one rank, so that memory allows it what it allows several.
        let exchanged = (self.batches.shards > 1).then(|| BufferPlan {
            name: EXCHANGED.into(),
            bytes: self.exchanged().iter().map(|(_, b)| b).sum(),
        });
        let all = readback.into_iter().chain(sums).chain(statistics).chain(exchanged);
        all.map(|buffer| self.for_each_replica(buffer)).collect()
    }

    /// The parts of what a rank gives the others after its shards, with their bytes: its gradients, its changes of running
    /// statistics, and its rows of the ring.
    pub(crate) fn exchanged(&self) -> [(&'static str, u64); 3] {
        let bytes = |name: &str| self.memory.iter().find(|b| b.name == name).map_or(0, |b| b.bytes);
        [
            (TOTAL_GRADIENTS, bytes(TOTAL_GRADIENTS)),
            (TOTAL_BUFFERS, bytes(TOTAL_BUFFERS)),
            (METRICS, self.ring.bytes()),
        ]
    }

    /// The buffer through which weights and state come back.
    pub(crate) fn saving(&self) -> BufferPlan {
        BufferPlan { name: SAVING.into(), bytes: self.train[0].plan.arena.bytes.min(SAVING_BYTES) }
    }

    /// Bytes of every buffer together: the peak, since all are made before the first step and kept.
    pub fn peak_bytes(&self) -> u64 {
        self.all_buffers().iter().map(|b| b.bytes).sum()
    }

    /// The names of the numbers that an epoch of this run reports.
    pub fn reported_names(&self) -> Vec<String> {
        let mut names = vec!["train_loss".to_owned(), "samples_per_second".into(), "steps".into()];
        if self.eval_batches.is_some() {
            names.push("eval_loss".into());
            names.extend(self.predictions.map(|_| "eval_accuracy".into()));
            let metrics = self.eval_metrics.as_ref().map_or(&self.metrics, |plan| &plan.names);
            names.extend(metrics.iter().map(|name| format!("eval_metrics.{name}")));
        }
        names.extend(self.metrics.iter().map(|name| format!("train_metrics.{name}")));
        names
    }

    /// Refuses `key = "<metric>"` for a number that no epoch of the run reports.
    ///
    /// # Errors
    /// [`Error::Config`] with the names there are.
    pub fn check_metric(&self, key: &str, metric: &str) -> Result<()> {
        let names = self.reported_names();
        if names.iter().any(|name| matches_name(metric, name)) {
            return Ok(());
        }
        Err(Error::Config(format!(
            "{key} = \"{metric}\": no epoch of this run reports it; there are: {}",
            names.join(", ")
        )))
    }
}
