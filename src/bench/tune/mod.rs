//! `downhill tune`: measures the tiles of a run's products, and names those that are faster than the predicted ones.
//!
//! The cost model chooses tiles without a device, so that the bits of a run follow from its config. Measuring is asked for,
//! and what it names is then a part of the config. A product is measured as the run computes it, with its epilogue, its
//! sums of rows and the kernel that adds the parts of K. Turns use the same operands, which stay in the cache: in a step the
//! kernels before have just written most of them.

mod report;
mod stand;
mod verdict;

use std::collections::BTreeMap;

use super::Summary;
use super::options::Options;
use super::timing::time;
use crate::compile::{StepPlan, TrainPlan};
use crate::error::{Error, Result};
use crate::gpu::{Family, Gpu};
use crate::kernel::matmul::ranked;
use crate::kernel::{ProductKind, ProductTiles, Target, TileChoice, TunedProducts};
use crate::plan::Plan;
use stand::Stand;
use verdict::chosen;

pub use verdict::LEAST_GAIN;

/// Tiles that are measured for a product, at most.
const CANDIDATES: usize = 4;
/// Plans of a run, at most, until all of its products are measured: another tile may change what else is in it.
const PLANS: usize = 5;

/// A measurement of the tiles of a run.
pub struct Tuning<'t> {
    /// Plans the run with tiles named for products.
    pub plan: &'t dyn Fn(&TunedProducts) -> Result<TrainPlan>,
    /// Products that were measured before, and are not measured again.
    pub known: TunedProducts,
}

/// A tile that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The tile.
    pub choice: TileChoice,
    /// Seconds that the cost model predicts on the nominal GPU.
    pub predicted: f64,
    /// Seconds of the product, and of the kernel that adds its parts.
    pub seconds: Summary,
}

/// A product that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct TunedProduct {
    /// The product.
    pub kind: ProductKind,
    /// The layer and the ops of the kernel that was measured, the first of this kind.
    pub title: String,
    /// The tiles, the predicted one first.
    pub candidates: Vec<Candidate>,
    /// Index of the tile that is named.
    pub chosen: usize,
    /// Tiles that were left out, each with the reason.
    pub left_out: Vec<(TileChoice, String)>,
}

/// The change that named tiles make in a step or an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct StepChange {
    /// The step, with its batch.
    pub title: String,
    /// Its products that were measured now.
    pub products: usize,
    /// Its products that were measured before.
    pub known: usize,
    /// Seconds of its products that were measured now, by the predicted tiles.
    pub before: f64,
    /// The same by the named tiles.
    pub after: f64,
}

/// The result of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// Every product with its tile, those that were known too.
    pub products: TunedProducts,
    /// The products that were measured.
    pub measured: Vec<TunedProduct>,
    /// The steps of the run.
    pub steps: Vec<StepChange>,
}

/// Why the products of a device have no tiles to choose from; `None` where they have.
pub fn without_tiles(gpu: &Gpu) -> Option<String> {
    let target = Target::for_gpu(gpu);
    let name = &gpu.adapter().name;
    match (target.family, target.tiles) {
        (Family::Subgroup, _) => Some(format!(
            "the products of {name} are made by kernels of subgroups, for software adapters, which have one tile each"
        )),
        (Family::Tiled, ProductTiles::Plain) => Some(format!(
            "the products of {name} are made by matmul_tiled, for software adapters, where larger tiles take longer"
        )),
        (Family::Tiled, _) => None,
    }
}

/// The plans of training and evaluation.
fn steps(plan: &TrainPlan) -> impl Iterator<Item = (&'static str, &StepPlan)> {
    let training = if plan.batches.in_parts() { "micro-batch" } else { "training step" };
    let train = plan.train.iter().map(move |step| (training, step));
    train.chain(plan.eval.iter().map(|step| ("evaluation", step)))
}

/// Every plan that has products: steps, evaluations, statistics.
fn plans(plan: &TrainPlan) -> Vec<&Plan> {
    let statistics = plan.statistics_plans().into_iter().map(|(_, plan)| plan);
    steps(plan).map(|(_, step)| &step.plan).chain(statistics).collect()
}

/// The plan that has a product of this kind first, and its place there.
fn find(plan: &TrainPlan, kind: ProductKind) -> Option<(&Plan, usize)> {
    plans(plan).into_iter().find_map(|plan| {
        let at = plan.steps.iter().position(|step| step.tile.is_some_and(|tile| tile.kind == kind))?;
        Some((plan, at))
    })
}

/// The products of the run that a table does not name, in the order of the plans.
fn missing(plan: &TrainPlan, table: &TunedProducts) -> Vec<ProductKind> {
    let mut found = Vec::new();
    for kind in plans(plan).iter().flat_map(|plan| &plan.steps).filter_map(|step| Some(step.tile?.kind)) {
        if table.get(&kind).is_none() && !found.contains(&kind) {
            found.push(kind);
        }
    }
    found
}

impl std::fmt::Debug for Tuning<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tuning").field("known", &self.known).finish_non_exhaustive()
    }
}

impl Tuning<'_> {
    /// Measures the products of the run that are not known.
    ///
    /// # Errors
    /// Errors of the plan; a lost device; too little memory for a product.
    pub fn run(&self, gpu: &Gpu, options: &Options) -> Result<Tuned> {
        let (mut products, mut measured) = (self.known.clone(), Vec::new());
        let mut plan = (self.plan)(&products)?;
        for _ in 1..PLANS {
            let missing = missing(&plan, &products);
            if missing.is_empty() {
                break;
            }
            let plans = self.candidates(&products, &missing)?;
            for kind in missing {
                options.progress(&kind.to_string());
                let product = measure(gpu, options, kind, &plans)?;
                name(&mut products, kind, product.candidates[product.chosen].choice)?;
                measured.push(product);
            }
            plan = (self.plan)(&products)?;
        }
        let steps = changes(&plan, &measured);
        Ok(Tuned { products, measured, steps })
    }

    /// A plan for each rank of tiles: the first has the predicted tile of every missing product, the second the next one.
    fn candidates(&self, products: &TunedProducts, missing: &[ProductKind]) -> Result<Vec<TrainPlan>> {
        let plan = |rank: usize| {
            let mut table = products.clone();
            for &kind in missing {
                if let Some(choice) = ranked(kind.sizes, kind.row_sum).get(rank) {
                    name(&mut table, kind, (*choice).into())?;
                }
            }
            (self.plan)(&table)
        };
        (0..CANDIDATES).map(plan).collect()
    }
}

/// Names a tile in a table.
fn name(table: &mut TunedProducts, kind: ProductKind, choice: TileChoice) -> Result<()> {
    table.insert(kind, choice).map_err(|fault| Error::Gpu(format!("{kind}: {fault}")))
}

/// Measures the tiles of a product, each in the plan of its rank.
fn measure(gpu: &Gpu, options: &Options, kind: ProductKind, plans: &[TrainPlan]) -> Result<TunedProduct> {
    let (mut title, mut want, mut left_out) = (String::new(), Vec::new(), Vec::new());
    let mut stands: Vec<(TileChoice, f64, Stand)> = Vec::new();
    for (choice, plan) in ranked(kind.sizes, kind.row_sum).into_iter().zip(plans) {
        let (tile, predicted) = (TileChoice::from(choice), choice.microseconds * 1e-6);
        // Where the tiles of other products change the plan, this one may not be in it.
        let Some((plan, at)) = find(plan, kind) else { continue };
        let tried = Stand::new(gpu, plan, at).and_then(|stand| stand.results(gpu).map(|got| (stand, got)));
        let fault = match tried {
            // Without the predicted tile there is nothing to compare with.
            Err(err) if stands.is_empty() => return Err(err),
            Err(err @ Error::DeviceLost(_)) => return Err(err),
            Err(err) => Some(err.to_string()),
            Ok((stand, got)) => {
                let fault = if stands.is_empty() { None } else { verdict::difference(&want, &got) };
                if stands.is_empty() {
                    (want, title) = (got, plan.steps[at].title.clone());
                }
                if fault.is_none() {
                    stands.push((tile, predicted, stand));
                }
                fault
            }
        };
        left_out.extend(fault.map(|fault| (tile, fault)));
    }
    let works: Vec<_> = stands.iter().map(|(.., stand)| &stand.work).collect();
    let times = time(gpu, &works, options.effort)?;
    let seconds: Vec<&[f64]> = times.iter().map(super::timing::Times::best).collect();
    let chosen = chosen(&seconds);
    let candidates = stands.iter().zip(&seconds).map(|((choice, predicted, _), seconds)| Candidate {
        choice: *choice,
        predicted: *predicted,
        seconds: Summary::of(seconds),
    });
    Ok(TunedProduct { kind, title, candidates: candidates.collect(), chosen, left_out })
}

/// The change that the tiles of measured products make in each step of the run.
fn changes(plan: &TrainPlan, measured: &[TunedProduct]) -> Vec<StepChange> {
    let times: BTreeMap<ProductKind, [f64; 2]> = measured
        .iter()
        .map(|product| (product.kind, [0, product.chosen].map(|i| product.candidates[i].seconds.median)))
        .collect();
    let change = |(title, step): (&str, &StepPlan)| {
        let title = format!("{title}, batch {}", step.batch);
        let mut change = StepChange { title, products: 0, known: 0, before: 0.0, after: 0.0 };
        for kind in step.plan.steps.iter().filter_map(|step| Some(step.tile?.kind)) {
            match times.get(&kind) {
                Some([before, after]) => {
                    change.products += 1;
                    change.before += before;
                    change.after += after;
                }
                None => change.known += 1,
            }
        }
        change
    };
    steps(plan).map(change).filter(|change| change.products + change.known > 0).collect()
}

#[cfg(test)]
mod tests;
