//! The end of a training step, after the gradients: micro-batches added, the step settled, the weights updated.

use super::optimizer_passes::OptimizerPasses;
use crate::error::Result;
use crate::graph::Parameter;
use crate::kernel::Family;
use crate::kernel::feed::{BUFFERS, MAX_WINDOW_STEPS, NEXT_BUFFERS, STATE, STATE_BYTES};
use crate::kernel::gradients::{
    self, PARTIAL_NORMS, RING, SHARES, Settle, TOTAL_GRADIENTS, accumulate, partial_bytes, settle,
};
use crate::kernel::mlp::VALUES;
use crate::kernel::shards::{self, SHARD_BUFFERS, SHARD_GRADIENTS, SHARES_ROW, Slots, TOTAL_BUFFERS};
use crate::kernel::update::{self, AVERAGE, Computed, GRADIENTS, PARAMETERS, TABLE, Tensor, UpdateContext};
use crate::optim::{Clip, Groups, ROW, Update};
use crate::plan::{Arena, Plan, Ring};
use crate::shape::Shape;

/// The shards of a batch, and the ranks they are dealt to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharing {
    pub shards: usize,
    pub ranks: usize,
}

/// Builds the end of a step.
pub(super) struct UpdateBuilder<'a> {
    pub update: &'a Update,
    pub groups: &'a Groups,
    /// Elements of all trained parameters.
    pub count: usize,
    pub parameters: &'a [Parameter],
    pub family: Family,
    /// Kernels of GPUs may pass values between the lanes of a subgroup.
    pub subgroups: bool,
    /// The loss is scaled.
    pub scaled: bool,
    /// Gradients are checked, and the step may be skipped.
    pub checked: bool,
    /// Its gradients come from micro-batches.
    pub in_parts: bool,
    /// The shards of a batch, and the ranks they are dealt to.
    pub sharing: Sharing,
    /// Bytes of running statistics that shards change.
    pub running: u64,
    pub ring: Ring,
    /// What computes the gradients, where they are not in memory.
    pub computed: Option<&'a Computed>,
}

/// Rows of the optimizer's table for each group: the updates of a window, and where steps may be skipped, those before it
/// whose results the host has not received.
pub(crate) fn table_updates(checked: bool) -> usize {
    if checked { 2 * MAX_WINDOW_STEPS + 1 } else { MAX_WINDOW_STEPS }
}

impl UpdateBuilder<'_> {
    fn shape(&self) -> Shape {
        Shape::from([self.count])
    }

    /// Adds the gradients of a micro-batch to those of its batch.
    pub fn accumulate(&self, plan: &mut Plan) {
        let trained = plan.arena.trained;
        if self.sharing.shards > 1 {
            let bytes = self.shard_bytes(trained);
            plan.add_kernel_after(shards::weigh(trained), "gradients", self.shape(), &bytes);
            return;
        }
        let bytes = [
            (GRADIENTS, trained),
            (TOTAL_GRADIENTS, trained),
            (SHARES, (MAX_WINDOW_STEPS * 8) as u64),
            (STATE, STATE_BYTES),
        ];
        plan.add_kernel_after(accumulate(trained), "gradients", self.shape(), &bytes);
    }

    /// Buffers of the sums over shards, with their bytes.
    fn shard_bytes(&self, trained: u64) -> Vec<(&'static str, u64)> {
        let count = self.sharing.shards as u64;
        vec![
            (GRADIENTS, trained),
            (SHARD_GRADIENTS, count * trained),
            (TOTAL_GRADIENTS, trained),
            (SHARES, (MAX_WINDOW_STEPS * SHARES_ROW) as u64),
            (STATE, STATE_BYTES),
            (BUFFERS, self.running),
            (NEXT_BUFFERS, self.running),
            (SHARD_BUFFERS, count * self.running),
            (TOTAL_BUFFERS, self.running),
        ]
    }

    /// Adds what a micro-batch changes in running statistics to the changes of its shard.
    pub fn change(&self, plan: &mut Plan) {
        let (bytes, shape) = (self.shard_bytes(plan.arena.trained), Shape::from([self.running as usize / 4]));
        plan.add_kernel_after(shards::change(self.running), "buffers", shape, &bytes);
    }

    /// Adds shards, or the sums of ranks, in a fixed tree.
    fn add_slots(&self, plan: &mut Plan, slots: Slots) {
        let trained = plan.arena.trained;
        let bytes = self.shard_bytes(trained);
        plan.add_kernel_after(shards::add_gradients(trained, slots), "gradients", self.shape(), &bytes);
        if self.running > 0 {
            let shape = Shape::from([self.running as usize / 4]);
            plan.add_kernel_after(shards::add_buffers(self.running, slots), "buffers", shape, &bytes);
        }
    }

    /// Adds the shards of this rank, where there are others to exchange their sum with.
    pub fn own_shards(&self, arena: &Arena) -> Option<Plan> {
        let Sharing { shards, ranks } = self.sharing;
        (ranks > 1).then(|| {
            let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
            self.add_slots(&mut plan, Slots::Own(shards / ranks));
            plan
        })
    }

    /// Settles the step where it may be skipped, and updates the weights. Shards, or the sums of ranks, are added before.
    ///
    /// # Errors
    /// Matrices so large that a product of theirs would loop too long.
    pub fn add(&self, plan: &mut Plan) -> Result<()> {
        let trained = plan.arena.trained;
        if self.sharing.shards > 1 {
            let Sharing { shards, ranks } = self.sharing;
            self.add_slots(plan, if ranks > 1 { Slots::Gathered(ranks) } else { Slots::Own(shards) });
            if self.running > 0 {
                let (bytes, shape) = (self.shard_bytes(trained), Shape::from([self.running as usize / 4]));
                plan.add_kernel_after(shards::apply(self.running), "buffers", shape, &bytes);
            }
        }
        let gradients = match (self.computed, self.in_parts) {
            (Some(_), _) => VALUES,
            (None, true) => TOTAL_GRADIENTS,
            (None, false) => GRADIENTS,
        };
        let table = table_updates(self.checked) * self.groups.groups.len() * ROW * 4;
        let kernel = self.update.optimizer.kernel();
        let bytes = vec![
            (gradients, if self.computed.is_some() { 0 } else { trained }),
            (PARAMETERS, plan.arena.bytes),
            (AVERAGE, plan.arena.bytes),
            (TABLE, table as u64),
            (STATE, STATE_BYTES),
            (RING, self.ring.bytes()),
            (PARTIAL_NORMS, partial_bytes(trained)),
        ];
        if self.checked {
            let clipped = self.update.max_norm().is_some();
            let columns = self.ring.columns;
            let how = Settle { scaled: self.scaled, clipped, columns, column: columns - gradients::COLUMNS };
            for kernel in settle(gradients, trained, how) {
                plan.add_kernel_after(kernel, "gradients", self.shape(), &bytes);
            }
        }
        let ends = plan.arena.group_ends.clone();
        let around = UpdateContext {
            gradients,
            bytes: trained,
            first_block: 0,
            ends: &ends,
            family: self.family,
            subgroups: self.subgroups,
            checked: self.checked,
            clip_value: matches!(self.update.clip, Some(Clip::Value(_))),
            average: self.update.average.is_some(),
            computed: self.computed,
        };
        let (tensors, matrices) = self.tensors(&plan.arena);
        OptimizerPasses::new(&kernel, around, tensors, matrices, self.family).add(plan, self.count, bytes)
    }

    /// The tensors that are trained, and how many of them are updated as matrices: the first.
    fn tensors(&self, arena: &Arena) -> (Vec<Tensor<'_>>, usize) {
        let matrix = |i: usize| {
            self.groups.of[i].is_some_and(|group| self.groups.groups[group].optimizer.of_matrices())
        };
        let mut order: Vec<usize> = self.groups.trained().collect();
        order.sort_by_key(|&i| !matrix(i));
        let matrices = order.iter().filter(|&&i| matrix(i)).count();
        let tensor = |i: usize| Tensor { shape: &self.parameters[i].shape, offset: arena.offsets[i] };
        (order.into_iter().map(tensor).collect(), matrices)
    }

    /// Computes the averaged weights before an evaluation, for optimizers that train other weights.
    pub fn average(&self, arena: &Arena) -> Option<Plan> {
        let update = self.update.optimizer.kernel();
        let kernel = update::average(&update, arena.trained)?;
        let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
        let base = update.average.map_or("", |average| average.base);
        let bytes = [(PARAMETERS, arena.bytes), (AVERAGE, arena.bytes), (base, arena.trained)];
        plan.add_kernel_after(kernel, "optimizer", self.shape(), &bytes);
        Some(plan)
    }
}
