//! One file a WGSL family: which op it serves, its bindings, variants, grid, and cost.

pub mod attention;
pub mod chain;
pub mod cross_entropy;
pub mod eight_bit;
pub mod expr;
pub mod factored;
pub mod feed;
pub mod functions;
pub mod gradients;
pub mod map;
pub mod matmul;
pub mod orthogonal;
pub mod reduce;
pub mod scaling;
pub mod statistics;
mod target;

pub mod update;

pub use target::{MemoryBudget, Precision, Residence, Rounding, Target};

use crate::gpu::Access;
pub use crate::gpu::Family;
use crate::graph::NodeId;

/// Un-unrolled loop iterations one invocation may make: lavapipe cuts loops at 65,535 without a word.
pub const MAX_ITERATIONS: usize = 20_000;

/// Most workgroups along one dimension of a grid.
const MAX_GROUPS: u32 = 65_535;

/// Bindings of printed inputs; with output, second output and state that is eight storage buffers at most.
pub const MAX_INPUTS: usize = 5;

/// What a binding of a kernel is; the planner knows where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A node's value.
    Node(NodeId),
    /// What the kernel makes.
    Output,
    /// A second thing it makes.
    Second,
    /// A buffer of the engine by name: the step counter, tables, arenas.
    Named(&'static str),
}

/// A kernel of a step, before it is bound to memory.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The entry point, which labels pipeline and profile row.
    pub entry: &'static str,
    /// The composed WGSL.
    pub wgsl: String,
    /// Override constants.
    pub constants: Vec<(&'static str, u32)>,
    /// Binding number, access and operand.
    pub operands: Vec<(u32, Access, Operand)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Floating-point operations.
    pub flops: u64,
    /// Loop iterations of one invocation.
    pub iterations: usize,
}

/// A grid of `n` workgroups, folded into y past the limit of one dimension.
pub fn grid(n: usize) -> [u32; 3] {
    let n = n.max(1) as u32;
    let y = n.div_ceil(MAX_GROUPS);
    [n.div_ceil(y), y, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_fold() {
        assert_eq!(grid(10), [10, 1, 1]);
        let [x, y, _] = grid(200_000);
        assert!(x <= MAX_GROUPS && u64::from(x) * u64::from(y) >= 200_000);
    }
}
