//! How a training step ends, after the gradients: micro-batches added, the step settled, the weights updated.

use super::blueprint::WINDOW;
use crate::kernel::Family;
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::gradients::{
    self, PARTIAL_NORMS, RING, SHARES, Settle, TOTAL_GRADIENTS, accumulate, partial_bytes, settle,
};
use crate::kernel::update::{
    self, AVERAGE, Around, BLOCK_BYTES, BLOCK_SUMS, GRADIENTS, NORMS, PARAMETERS, SPANS, TABLE,
};
use crate::optim::{Clip, Groups, ROW, Update};
use crate::plan::{Arena, Plan, Ring};
use crate::shape::Shape;

/// What the end of a step depends on.
pub(super) struct Ending<'a> {
    pub update: &'a Update,
    pub groups: &'a Groups,
    /// How many numbers are trained.
    pub count: usize,
    /// Bytes of each parameter.
    pub bytes: Vec<u64>,
    pub family: Family,
    /// The loss is scaled.
    pub scaled: bool,
    /// The step may be left out.
    pub checked: bool,
    /// Its gradients come from micro-batches.
    pub in_parts: bool,
    pub ring: Ring,
}

/// Updates of which the table has rows: those of a window, and where steps may be left out, those before it of which the
/// host does not know yet.
pub(super) fn table_updates(checked: bool) -> usize {
    if checked { 2 * WINDOW + 1 } else { WINDOW }
}

impl Ending<'_> {
    fn shape(&self) -> Shape {
        Shape::from([self.count])
    }

    /// Adds the gradients of a micro-batch to those of its batch.
    pub fn accumulate(&self, plan: &mut Plan) {
        let trained = plan.arena.trained;
        let bytes = [
            (GRADIENTS, trained),
            (TOTAL_GRADIENTS, trained),
            (SHARES, (WINDOW * 8) as u64),
            (STATE, STATE_BYTES),
        ];
        plan.surround(accumulate(trained), "gradients", self.shape(), &bytes, false);
    }

    /// Settles the step where it may be left out, and updates the weights.
    pub fn add(&self, plan: &mut Plan) {
        let trained = plan.arena.trained;
        let gradients = if self.in_parts { TOTAL_GRADIENTS } else { GRADIENTS };
        let table = table_updates(self.checked) * self.groups.groups.len() * ROW * 4;
        let kernel = self.update.optimizer.kernel();
        let mut bytes = vec![
            (gradients, trained),
            (PARAMETERS, plan.arena.bytes),
            (AVERAGE, plan.arena.bytes),
            (TABLE, table as u64),
            (STATE, STATE_BYTES),
            (RING, self.ring.bytes()),
            (PARTIAL_NORMS, partial_bytes(trained)),
            (SPANS, 8 * self.groups.trained().count() as u64),
            (BLOCK_SUMS, 8 * trained.div_ceil(BLOCK_BYTES)),
            (NORMS, 8 * trained.div_ceil(BLOCK_BYTES)),
        ];
        bytes.extend(kernel.slots.iter().map(|&slot| (slot, trained)));
        if self.checked {
            let max_norm = match self.update.clip {
                Some(Clip::Norm(max)) => Some(max as f32),
                _ => None,
            };
            let columns = self.ring.columns;
            let how = Settle { scaled: self.scaled, max_norm, columns, column: columns - gradients::COLUMNS };
            for kernel in settle(gradients, trained, how) {
                plan.surround(kernel, "gradients", self.shape(), &bytes, false);
            }
        }
        let ends = plan.arena.ends.clone();
        let around = Around {
            gradients,
            bytes: trained,
            ends: &ends,
            blocks: update::blocks(&kernel, self.family),
            checked: self.checked,
            clip_value: matches!(self.update.clip, Some(Clip::Value(_))),
            average: self.update.average.is_some(),
        };
        let tensors = self.groups.trained().count();
        for kernel in update::kernels(&kernel, &around, self.count, tensors) {
            plan.surround(kernel, "optimizer", self.shape(), &bytes, false);
        }
        if kernel.sums.is_some() {
            plan.constants.push((SPANS, self.spans(&plan.arena)));
        }
    }

    /// The first block of each tensor that is trained, and the one after its last.
    fn spans(&self, arena: &Arena) -> Vec<u32> {
        let span = |i: usize| {
            let bytes = self.bytes[i].next_multiple_of(BLOCK_BYTES);
            [arena.offsets[i], arena.offsets[i] + bytes].map(|at| (at / BLOCK_BYTES) as u32)
        };
        self.groups.trained().flat_map(span).collect()
    }

    /// What comes before an evaluation whose weights are not those that are trained.
    pub fn average(&self, arena: &Arena) -> Option<Plan> {
        let update = self.update.optimizer.kernel();
        let kernel = update::average(&update, arena.trained)?;
        let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
        let base = update.average.map_or("", |average| average.base);
        let bytes = [(PARAMETERS, arena.bytes), (AVERAGE, arena.bytes), (base, arena.trained)];
        plan.surround(kernel, "optimizer", self.shape(), &bytes, false);
        Some(plan)
    }
}
