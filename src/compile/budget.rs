//! The search for a plan that fits the memory budget: samples on the device or streamed, batches whole or in
//! micro-batches, activations stored or recomputed. Choices that cost less time come first.
//!
//! The number of samples that are evaluated at once follows from the batches of the config, not from the budget: sums over
//! the samples are made in its order, so losses and metrics have the same bits in every budget. Only where the batches are
//! split or activations recomputed, and that number does not fit, is a smaller one chosen. The plan says so, and the run's
//! config has the number, for `compare` to find.

use std::cell::OnceCell;

use super::assemble::{Choice, assemble, training_graph};
use super::inputs;
use super::staging::{StagingLayout, Streaming};
use super::step::Objectives;
use super::train_plan::{BudgetChoice, TrainPlan};
use crate::data::{BatchPlan, Dataset};
use crate::error::{Error, Result};
use crate::kernel::feed::MAX_WINDOW_STEPS;
use crate::kernel::matmul::TunedProducts;
use crate::kernel::{Residence, Target};
use crate::optim::Update;
use crate::plan::BufferPlan;
use crate::units;

/// Lines of the plan that a budget error shows.
const LINES: usize = 12;
/// Numbers of blocks that the search tries for recomputation.
const BLOCKS: [usize; 5] = [2, 3, 4, 6, 8];

/// Plans a run that fits its memory budget. `tuned` names tiles of products.
///
/// # Errors
/// [`Error::Budget`] with the plan and what would fit; errors of model and data.
pub(super) fn plan_within_budget(
    objectives: Objectives<'_>,
    update: Update,
    data: &Dataset,
    batches: BatchPlan,
    target: Target,
    tuned: &TunedProducts,
) -> Result<TrainPlan> {
    update.validate()?;
    target.check()?;
    let search = BudgetSearch {
        objectives,
        update: &update,
        data,
        batches,
        target,
        tuned,
        eval_batch: OnceCell::new(),
    };
    let whole = match search.attempt(batches, 1)? {
        Ok(train_plan) => return Ok(train_plan),
        Err(refused) => refused,
    };
    if target.memory.may_split {
        for blocks in [1].into_iter().chain(BLOCKS) {
            if let Some(train_plan) = search.in_parts(blocks)? {
                return Ok(train_plan);
            }
        }
    }
    Err(search.refusal(&whole)?)
}

struct BudgetSearch<'a> {
    objectives: Objectives<'a>,
    update: &'a Update,
    data: &'a Dataset,
    batches: BatchPlan,
    target: Target,
    tuned: &'a TunedProducts,
    /// Samples evaluated at once in these batches, whatever the budget is; known once the first plan is assembled.
    eval_batch: OnceCell<Option<usize>>,
}

/// Steps of a slot, the bytes of the run with all samples on the device, and a buffer that is too large for that.
type Streamed = (usize, u64, Option<BufferPlan>);

/// A plan that does not fit, and the bytes that it takes at least.
struct OverBudget {
    train_plan: TrainPlan,
    least: u64,
    /// A buffer larger than the adapter allows.
    largest: Option<BufferPlan>,
}

impl BudgetSearch<'_> {
    fn assemble(&self, batches: BatchPlan, choice: Choice) -> Result<TrainPlan> {
        let (objectives, update) = (self.objectives, self.update.clone());
        let mut train_plan =
            assemble(objectives, update, self.data, batches, self.target, choice, self.tuned)?;
        // The first plan has the batches of the config, whole.
        self.eval_batch.get_or_init(|| train_plan.eval_batches.map(|batches| batches.rows));
        train_plan.budget_choice = BudgetChoice { budget: self.target.memory.budget, choices: Vec::new() };
        Ok(train_plan)
    }

    fn fits(&self, bytes: u64) -> bool {
        self.target.memory.budget.is_none_or(|budget| bytes <= budget)
    }

    /// Finds a plan for these batches that fits: with samples on the device, training samples streamed, or all
    /// samples streamed; and with evaluation in the batches of the config, or in batches as small as these.
    fn attempt(&self, batches: BatchPlan, blocks: usize) -> Result<Result<TrainPlan, OverBudget>> {
        let usual = self.eval_batch.get().copied().flatten();
        let mut refused = match self.attempt_with(batches, blocks, usual)? {
            Ok(train_plan) => return Ok(Ok(train_plan)),
            Err(refused) => refused,
        };
        if usual.is_some() && self.target.memory.eval_batch.is_none() {
            match self.attempt_with(batches, blocks, None)? {
                Ok(train_plan) => return Ok(Ok(train_plan)),
                Err(smaller) if smaller.least < refused.least => refused = smaller,
                Err(_) => {}
            }
        }
        Ok(Err(refused))
    }

    fn attempt_with(
        &self,
        batches: BatchPlan,
        blocks: usize,
        eval_batch: Option<usize>,
    ) -> Result<Result<TrainPlan, OverBudget>> {
        let room = self.target.memory;
        let choice = |stages: Streaming| Choice { streaming: stages, blocks, eval_batch };
        let mut resident = self.assemble(batches, choice(Streaming::default()))?;
        let peak = resident.peak_bytes();
        let samples = self.sources(&Streaming::default());
        let too_large = samples.iter().find(|b| b.bytes > room.largest_buffer).cloned();
        // Buffers that stay the same however samples are fed.
        let work = resident.memory.iter().filter(|b| samples.iter().all(|s| s.name != b.name));
        if let Some(largest) = work.max_by_key(|b| b.bytes).filter(|b| b.bytes > room.largest_buffer) {
            let (least, largest) = (peak, Some(largest.clone()));
            return Ok(Err(OverBudget { train_plan: resident, least, largest }));
        }
        if room.residence != Residence::Streamed && too_large.is_none() && self.fits(peak) {
            self.describe(&mut resident, blocks, None);
            return Ok(Ok(resident));
        }
        if room.residence == Residence::Resident {
            if let Some(source) = too_large {
                return Err(Error::Budget(format!(
                    "data.residence = \"resident\": \"{}\" takes {}, and the largest buffer of the adapter is {}; \
                     \"auto\" streams it",
                    source.name,
                    units::bytes(source.bytes),
                    units::bytes(room.largest_buffer)
                )));
            }
            return Ok(Err(OverBudget { train_plan: resident, least: peak, largest: None }));
        }
        // Everything but the samples takes the same memory, which determines the size of the slots.
        let part = self.data.train();
        let most = StagingLayout::most_steps(part, &batches);
        let total: u64 = samples.iter().map(|b| b.bytes).sum();
        let mut least = (if room.residence == Residence::Streamed { u64::MAX } else { peak }, None);
        // True streams evaluation samples too.
        let ways: &[bool] = match (self.data.eval(), room.residence) {
            (None, _) => &[false],
            (Some(_), Residence::Streamed) => &[true],
            (Some(_), _) => &[false, true],
        };
        for &eval in ways {
            for steps in (1..=most).rev() {
                let stages = Streaming::streamed(part, &batches, steps, eval);
                let Some(bytes) = self.staged(&resident, &stages)? else { continue };
                let needed = peak - total + bytes;
                if needed < least.0 || too_large.is_some() && least.1.is_none() {
                    least = (needed, Some(stages.clone()));
                }
                if self.fits(needed) {
                    let mut streamed = self.assemble(batches, choice(stages))?;
                    debug_assert_eq!(streamed.peak_bytes(), needed);
                    self.describe(&mut streamed, blocks, Some((steps, peak, too_large)));
                    return Ok(Ok(streamed));
                }
            }
        }
        let train_plan = match least.1 {
            Some(stages) => self.assemble(batches, choice(stages))?,
            None => resident,
        };
        let least = least.0.min(train_plan.peak_bytes());
        Ok(Err(OverBudget { train_plan, least, largest: None }))
    }

    /// The buffers of the parts of the data set that lie on the device.
    fn sources(&self, stages: &Streaming) -> Vec<BufferPlan> {
        let of = |s: &inputs::Source<'_>| BufferPlan { name: s.name.clone(), bytes: s.words() };
        inputs::sources(self.data, |part| stages.streams(part)).iter().map(of).collect()
    }

    /// Bytes that samples take, on the device and in slots; nothing where one buffer would be too large.
    fn staged(&self, of: &TrainPlan, stages: &Streaming) -> Result<Option<u64>> {
        let eval = match (self.data.eval(), of.eval_batches) {
            (Some(part), Some(batches)) => stages.for_eval(part, batches.rows)?,
            _ => None,
        };
        let all: Vec<StagingLayout> = stages.train.clone().into_iter().chain(eval).collect();
        let resident = self.sources(stages);
        let largest = all.iter().map(|s| s.bytes).chain(resident.iter().map(|b| b.bytes)).max();
        if largest > Some(self.target.memory.largest_buffer) {
            return Ok(None);
        }
        let slots: u64 = all.iter().map(StagingLayout::total).sum();
        Ok(Some(slots + resident.iter().map(|b| b.bytes).sum::<u64>()))
    }

    /// The plan with the fewest micro-batches that fit, if any fit.
    fn in_parts(&self, blocks: usize) -> Result<Option<TrainPlan>> {
        let rows = self.batches.rows;
        let attempt = |parts: usize| -> Result<Option<TrainPlan>> {
            let micro = self.batches.with_micro(Some(rows.div_ceil(parts)))?;
            Ok(self.attempt(micro, blocks)?.ok())
        };
        if blocks > 1
            && let Some(whole) = attempt(1)?
        {
            return Ok(Some(whole));
        }
        // A batch statistic of a part differs from that of the batch.
        if self.whole_only()?.is_some() {
            return Ok(None);
        }
        let most = rows.min(MAX_WINDOW_STEPS);
        let Some(mut best) = attempt(most)? else { return Ok(None) };
        // `low` parts do not fit, `high` do.
        let (mut low, mut high) = (1, most);
        while high - low > 1 {
            let parts = low.midpoint(high);
            match attempt(parts)? {
                Some(train_plan) => (high, best) = (parts, train_plan),
                None => low = parts,
            }
        }
        Ok(Some(best))
    }

    /// The reason that batches must not be split into micro-batches, if there is one.
    fn whole_only(&self) -> Result<Option<&'static str>> {
        let graph = training_graph(self.objectives, self.data, self.batches.rows)?;
        Ok(if graph.has_uneven_mean() {
            Some("the loss is a sum, or ignores some targets, so that parts of a batch do not add up to it")
        } else if graph.has_batch_statistics() {
            Some("batch norm and mixup look at all samples of a batch")
        } else {
            None
        })
    }

    /// Describes the choice in sentences.
    fn describe(&self, train_plan: &mut TrainPlan, blocks: usize, streamed: Option<Streamed>) {
        let mut choices = Vec::new();
        if let Some((steps, resident, too_large)) = streamed {
            let slot = train_plan.staging.first().map_or(0, |stage| stage.bytes);
            let why = match too_large {
                _ if self.target.memory.residence == Residence::Streamed => {
                    "as data.residence says".to_owned()
                }
                Some(source) => format!(
                    "for \"{}\" takes {} and the largest buffer of the adapter is {}",
                    source.name,
                    units::bytes(source.bytes),
                    units::bytes(self.target.memory.largest_buffer)
                ),
                None => format!(
                    "for with all of them on the device the run would take {}",
                    units::bytes(resident)
                ),
            };
            let which = match train_plan.staging.len() {
                1 if train_plan.eval_batches.is_some() => "training samples",
                _ => "samples",
            };
            choices.push(format!(
                "{which} are streamed, {why}: slots of {steps} {}, {}",
                if steps == 1 { "step" } else { "steps" },
                units::bytes(slot)
            ));
        }
        if !self.batches.in_parts() && train_plan.batches.in_parts() {
            choices.push(format!(
                "batches of {} go in {} micro-batches of {}, whose gradients are added",
                train_plan.batches.rows,
                train_plan.batches.parts(train_plan.batches.rows).count(),
                train_plan.batches.micro
            ));
        }
        let usual = self.eval_batch.get().copied().flatten();
        if let Some((eval, usual)) =
            train_plan.eval_batches.zip(usual).filter(|(eval, usual)| eval.rows != *usual)
        {
            choices.push(format!(
                "evaluation goes in batches of {}, and in batches of {usual} with more memory: the last bits of its loss \
                 and metrics may differ",
                eval.rows
            ));
        }
        if blocks > 1 {
            choices.push(format!("activations are kept at {blocks} places and computed again in between"));
        }
        train_plan.budget_choice.choices = choices;
    }

    /// The error that nothing fits, with the plan and a setting that would fit.
    fn refusal(&self, whole: &OverBudget) -> Result<Error> {
        let OverBudget { train_plan, least, largest } = whole;
        let budget = self.target.memory.budget.unwrap_or(self.target.memory.largest_buffer);
        let mut buffers = train_plan.all_buffers();
        buffers.sort_by_key(|b| std::cmp::Reverse(b.bytes));
        let mut lines: Vec<String> = buffers
            .iter()
            .take(LINES)
            .map(|b| format!("\n  {:>10}  {}", units::bytes(b.bytes), b.name))
            .collect();
        if let Some(rest) = buffers.get(LINES..).filter(|rest| !rest.is_empty()) {
            let bytes: u64 = rest.iter().map(|b| b.bytes).sum();
            lines.push(format!("\n  {:>10}  {} more", units::bytes(bytes), rest.len()));
        }
        let remedy = if self.target.memory.may_split {
            self.smallest()?
        } else {
            match self.largest_part()? {
                Some((micro, bytes)) => format!(
                    "train.micro_batch = {micro} fits, with {}, and makes the same update but for what is drawn by chance; \
                     \"auto\" chooses for itself",
                    units::bytes(bytes)
                ),
                None => match self.whole_only()? {
                    Some(why) => format!(
                        "no smaller part of a batch is tried, for {why}; a smaller data.batch_size fits, or \
                         train.micro_batch = \"auto\" may compute activations again"
                    ),
                    None => self.smallest()?,
                },
            }
        };
        let (rows, lines) = (self.batches.rows, lines.concat());
        Ok(Error::Budget(match largest {
            Some(buffer) => format!(
                "a batch of {rows} needs \"{}\" of {}, and the largest buffer of the adapter is {}:{lines}\n{remedy}",
                buffer.name,
                units::bytes(buffer.bytes),
                units::bytes(self.target.memory.largest_buffer)
            ),
            None => format!(
                "a batch of {rows} needs {} ({least} B), and the budget is {} ({budget} B):{lines}\n{remedy}",
                units::bytes(*least),
                units::bytes(budget)
            ),
        }))
    }

    /// The largest micro-batch that fits, and the bytes of the run with it.
    fn largest_part(&self) -> Result<Option<(usize, u64)>> {
        let train_plan = self.in_parts(1)?;
        Ok(train_plan.map(|train_plan| (train_plan.batches.micro, train_plan.peak_bytes())))
    }

    /// The bytes that the run takes at least, whatever is chosen.
    fn smallest(&self) -> Result<String> {
        let (rows, blocks) = (self.batches.rows, BLOCKS[BLOCKS.len() - 1]);
        let parts = if self.whole_only()?.is_some() { 1 } else { rows.min(MAX_WINDOW_STEPS) };
        let micro = self.batches.with_micro(Some(rows.div_ceil(parts)))?;
        let mut least = None;
        for blocks in [1, blocks] {
            if let Err(refused) = self.attempt(micro, blocks)? {
                least = least.into_iter().chain([refused.least]).min();
            }
        }
        Ok(format!(
            "micro-batches of {} and activations that are computed again would still take {}; a larger budget, a smaller \
             data.batch_size or model, or an optimizer that keeps less (downhill optimizers) fits",
            micro.micro,
            units::bytes(least.unwrap_or(0))
        ))
    }
}
