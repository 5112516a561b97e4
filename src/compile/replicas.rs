//! The plans of several nets that train at once: those of one net, each for all replicas.

use super::staging::StagingLayout;
use super::train_plan::TrainPlan;
use crate::error::{Error, Result};
use crate::kernel::feed::{FROM, ORDER};
use crate::kernel::gradients::SHARES;
use crate::kernel::{MAX_GROUPS, Operand, Reads, Target};
use crate::plan::{BufferPlan, Plan, Replicas, Shared, Spread, input_buffer};
use crate::units;

/// The orders in which replicas go through the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orders {
    /// Each replica has its own: its bits are those of a run alone with its seed.
    #[default]
    Own,
    /// All have the same, and each batch is gathered once.
    Shared,
}

/// The bytes of a run of several replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaBytes {
    /// All replicas share these: samples, constants, staging.
    pub shared: u64,
    /// Each replica has these for itself, padding between parts included.
    pub private: u64,
    /// Images that operands of all are copied into, on adapters that read images.
    pub images: u64,
}

impl TrainPlan {
    /// The plan of `count` nets of this one's structure that train at once. Each computes what it computes alone, to the bit
    /// as far as the driver compiles both texts alike. Peak memory is shared + count · private bytes
    /// ([`TrainPlan::replica_bytes`]); one replica is this plan.
    ///
    /// # Errors
    /// [`Error::Config`] for no replica, for more than a grid or a buffer can have, and for streamed samples in orders of
    /// their own; [`Error::Gpu`] where operands are read from uniform buffers or images already: plan for
    /// [`Reads::Storage`], and choose by [`TrainPlan::reading`] afterwards.
    pub fn replicated(&self, count: usize, orders: Orders) -> Result<TrainPlan> {
        if self.reads != Reads::Storage || self.replicas.is_some() {
            return Err(Error::Gpu(
                "a plan is replicated once, and before it is chosen how operands are read: plan for storage buffers".into(),
            ));
        }
        self.check_orders(count, orders)?;
        let (train, eval) = (self.shared(orders, false), self.shared(orders, true));
        let plans = self.plans().map(|plan| (plan, if self.is_eval(plan) { &eval } else { &train }));
        let replicas = Replicas::new(count, plans)?;
        let mut all = self.clone();
        if count == 1 {
            return Ok(all);
        }
        for (own, plan) in self.plans().zip(all.plans_mut()) {
            *plan = own.replicated(&replicas, if self.is_eval(own) { &eval } else { &train })?;
        }
        all.memory = replicas.memory(&self.memory);
        all.replicas = Some(replicas);
        Ok(all)
    }

    /// Refuses samples that each of several nets would stream in its own order.
    pub(crate) fn check_orders(&self, count: usize, orders: Orders) -> Result<()> {
        if count > 1 && orders == Orders::Own && self.is_streamed("train") {
            return Err(Error::Config(format!(
                "{count} nets in orders of their own would each stream their samples; share the order (--order shared), or \
                 keep the samples on the device (data.residence = \"device\", or more memory)"
            )));
        }
        Ok(())
    }

    /// How many of `wanted` nets of this plan run at once within the target's memory, in waves of even size.
    ///
    /// # Errors
    /// [`Error::Budget`] where not one fits; as [`TrainPlan::replicated`].
    pub fn replicas_at_once(&self, wanted: usize, orders: Orders, target: Target) -> Result<usize> {
        if wanted < 2 {
            return Ok(wanted.max(1));
        }
        let two = self.replicated(2, orders)?;
        let Some(bytes) = two.replica_bytes() else { return Ok(1) };
        let room = target.memory.budget.map_or(u64::MAX, |budget| budget.saturating_sub(bytes.shared));
        let strides =
            two.memory.iter().filter_map(|buffer| Some(two.replicas.as_ref()?.stride(&buffer.name)));
        let longest = strides.max().unwrap_or(1).max(1);
        let tallest = self.plans().flat_map(|plan| &plan.steps).map(|step| step.kernel.grid[2]).max();
        let most = (room / bytes.private.max(1))
            .min(target.memory.largest_buffer.min(2 * u64::from(u32::MAX)) / longest)
            .min(u64::from(MAX_GROUPS / tallest.unwrap_or(1).max(1)));
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if most == 0 {
            return Err(Error::Budget(format!(
                "a net takes {} beside the {} that all have in common, and the budget is {}",
                units::bytes(bytes.private),
                units::bytes(bytes.shared),
                units::bytes(target.memory.budget.unwrap_or(u64::MAX))
            )));
        }
        Ok(wanted.div_ceil(wanted.div_ceil(most)))
    }

    fn is_eval(&self, plan: &Plan) -> bool {
        self.eval.iter().any(|build| std::ptr::eq(&raw const build.plan, plan))
    }

    /// The buffers that replicas have in common: samples and constants; and where their order is one, the order and the
    /// batch. The order of an evaluation always is.
    fn shared(&self, orders: Orders, is_eval: bool) -> Shared {
        let mut shared: Shared = [SHARES.to_owned()].into();
        for plan in self.plans() {
            shared.extend(plan.constants.iter().map(|(name, _)| (*name).to_owned()));
            for step in &plan.steps {
                let fed = step.kernel.operands.iter().zip(&step.bindings);
                let fed = fed.filter(
                    |((.., operand), _)| matches!(operand, Operand::Named(name) if FROM.contains(name)),
                );
                shared.extend(fed.map(|(_, (.., place))| plan.buffers[place.buffer].name.clone()));
            }
        }
        if is_eval || orders == Orders::Shared {
            shared.insert(ORDER.to_owned());
        }
        if orders == Orders::Shared {
            let inputs = self.memory.iter().filter(|buffer| buffer.name.starts_with(&input_buffer("")));
            shared.extend(inputs.map(|buffer| buffer.name.clone()));
        }
        shared
    }

    /// Nets that train at once: 1 for a plan that was not replicated.
    pub fn replica_count(&self) -> usize {
        self.replicas.as_ref().map_or(1, Replicas::count)
    }

    /// Bytes of a buffer that one net has.
    pub(crate) fn bytes_of_one(&self, name: &str) -> u64 {
        let buffer = self.memory.iter().find(|buffer| buffer.name == name);
        let all = buffer.map_or(0, |buffer| buffer.bytes);
        self.replicas.as_ref().map_or(all, |replicas| replicas.bytes_of_one(name, all))
    }

    /// A buffer of the host that each replica fills, for all.
    pub(super) fn for_each_replica(&self, buffer: BufferPlan) -> BufferPlan {
        match &self.replicas {
            Some(replicas) => BufferPlan { bytes: replicas.bytes_of_all(buffer.bytes), ..buffer },
            None => buffer,
        }
    }

    /// The bytes of several replicas; `None` for one net.
    pub fn replica_bytes(&self) -> Option<ReplicaBytes> {
        let replicas = self.replicas.as_ref()?;
        let count = replicas.count() as u64;
        let read_back: u64 = self.read_back().iter().map(|buffer| buffer.bytes / count).sum();
        let private = replicas.private_bytes() + read_back;
        let images = self.memory.iter().filter(|buffer| buffer.is_image()).map(|buffer| buffer.bytes).sum();
        let alone = self.memory.iter().filter(|b| !b.is_image() && replicas.stride(&b.name) == 0);
        let slots = self.staging.iter().flat_map(StagingLayout::slots);
        let shared = alone.cloned().chain([self.saving()]).chain(slots).map(|buffer| buffer.bytes).sum();
        Some(ReplicaBytes { shared, private, images })
    }

    /// Kernels of a step of a full batch that run once for all replicas.
    pub fn dispatches_for_all(&self) -> usize {
        let once = |plan: &Plan| plan.spread.iter().filter(|spread| **spread == Spread::Once).count();
        let of = |rows| self.train.iter().find(|build| build.batch == rows).map_or(0, |b| once(&b.plan));
        self.batches.parts(self.batches.rows).map(of).sum::<usize>() + self.update.as_ref().map_or(0, once)
    }
}
