//! The plan of an update alone, of tensors of one shape: `bench` times it.

use super::optimizer_passes::OptimizerPasses;
use crate::error::Result;
use crate::kernel::Family;
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::update::{BLOCK_BYTES, GRADIENTS, PARAMETERS, TABLE, Tensor, UpdateContext};
use crate::optim::{self, ROW, UpdateKernel};
use crate::plan::Plan;
use crate::shape::Shape;

/// The update alone, for benchmarks: tensors of one shape one after the other, with one row in the table.
///
/// # Errors
/// Matrices so large that a product of theirs would loop too long.
pub(crate) fn of_equal_tensors(
    update: &UpdateKernel,
    shape: &Shape,
    tensors: usize,
    family: Family,
) -> Result<Plan> {
    let each = (4 * shape.elements() as u64).next_multiple_of(BLOCK_BYTES);
    let bytes = each * tensors as u64;
    let around = UpdateContext {
        gradients: GRADIENTS,
        bytes,
        first_block: 0,
        ends: &[],
        family,
        subgroups: false,
        checked: false,
        clip_value: false,
        average: false,
        computed: None,
    };
    let sizes = vec![(GRADIENTS, bytes), (PARAMETERS, bytes), (TABLE, 4 * ROW as u64), (STATE, STATE_BYTES)];
    let matrices = if matches!(update.passes, optim::Passes::Orthogonal(_)) { tensors } else { 0 };
    let list = (0..tensors as u64).map(|i| Tensor { shape, offset: each * i }).collect();
    let mut plan = Plan::default();
    OptimizerPasses::new(update, around, list, matrices, family).add(
        &mut plan,
        shape.elements() * tensors,
        sizes,
    )?;
    Ok(plan)
}
