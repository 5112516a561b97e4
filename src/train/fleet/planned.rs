//! The nets of a fleet, planned: variants whose plans are alike.

use super::Variant;
use super::net::Net;
use crate::compile::{Orders, TrainPlan};
use crate::error::{Error, Result};

/// Variants that can train at once, with the plan of each alone.
#[derive(Debug)]
pub struct FleetPlan {
    /// The plan of the first.
    pub(super) plan: TrainPlan,
    pub(super) nets: Vec<Net>,
    pub(super) orders: Orders,
}

impl FleetPlan {
    /// A first variant. `plan` is that of its run alone, made for a target that reads storage buffers.
    ///
    /// # Errors
    /// [`Error::Config`] for a plan that takes statistics of tensors; a metric that no epoch reports.
    pub fn new(variant: Variant, plan: TrainPlan, orders: Orders) -> Result<FleetPlan> {
        if plan.statistics.is_some() {
            return Err(Error::Config(
                "watch.statistics: several nets at once take no statistics of tensors; leave it out, and train the net of \
                 interest alone with it"
                    .into(),
            ));
        }
        Ok(FleetPlan { nets: vec![Net::new(variant, &plan)?], plan, orders })
    }

    /// The difference that keeps a variant from training with the others, in words; `None` where nothing does.
    pub fn difference(&self, variant: &Variant, plan: &TrainPlan) -> Option<String> {
        let (first, own) = (&self.nets[0].variant.options, &variant.options);
        let order = match self.orders {
            Orders::Shared if first.sampling != own.sampling => {
                Some("the sampling of their order, which they share")
            }
            Orders::Shared if first.order_seed() != own.order_seed() => {
                Some("the seed of their order, which they share")
            }
            Orders::Shared | Orders::Own => None,
        };
        self.plan.difference(plan).or(order.map(str::to_owned))
    }

    /// Adds a variant.
    ///
    /// # Errors
    /// [`Error::Config`] for one that cannot train with the others, with what keeps it from that.
    pub fn add(&mut self, variant: Variant, plan: &TrainPlan) -> Result<()> {
        if let Some(what) = self.difference(&variant, plan) {
            return Err(Error::Config(format!(
                "\"{}\" and \"{}\" differ in {what}: nets that train at once differ in numbers of the optimizer, seeds and \
                 lengths alone; make a fleet of each kind",
                self.nets[0].variant.name, variant.name
            )));
        }
        self.join(variant, plan)
    }

    /// Adds a variant that [`FleetPlan::difference`] keeps from nothing.
    pub(crate) fn join(&mut self, variant: Variant, plan: &TrainPlan) -> Result<()> {
        self.nets.push(Net::new(variant, plan)?);
        Ok(())
    }

    /// The plan of the first variant alone.
    pub fn plan(&self) -> &TrainPlan {
        &self.plan
    }
}
