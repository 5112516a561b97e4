//! `optim/*.wgsl`: one dispatch for the whole arena, whatever the number of tensors.

use super::feed::STATE;
use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::optim::UpdateKernel;

/// The parameter arena.
pub const PARAMETERS: &str = "parameters";
/// The gradient arena, laid out as the parameters.
pub const GRADIENTS: &str = "gradients";
/// The scalars of each step, two vec4s a row.
pub const TABLE: &str = "optimizer table";
/// Elements of a workgroup: 64 invocations of a vec4.
const GROUP: usize = 256;

/// The update of an arena of `elements` (a multiple of 4), of which `parameters` are in use.
pub fn kernel(update: &UpdateKernel, elements: usize, parameters: usize) -> Kernel {
    let named = |slot, access, name| (slot, access, Operand::Named(name));
    let mut operands = vec![
        named(0, Access::Read, GRADIENTS),
        named(1, Access::Read, TABLE),
        named(2, Access::Write, STATE),
        named(3, Access::Write, PARAMETERS),
    ];
    operands.extend((4..).zip(&update.slots).map(|(slot, &name)| named(slot, Access::Write, name)));
    let mut constants = update.constants.clone();
    constants.push(("LENGTH", (elements / 4) as u32));
    Kernel {
        entry: update.entry,
        wgsl: wgsl::compose(update.shader, &[]),
        constants,
        operands,
        grid: grid(elements.div_ceil(GROUP)),
        flops: u64::from(update.flops_per_parameter) * parameters as u64,
        iterations: 1,
    }
}
