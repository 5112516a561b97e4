//! One file for each WGSL family: the op it serves, its bindings, variants, grid and cost.
//!
//! Loops stay under a limit. lavapipe silently ends the loops of an invocation after 65,535 iterations in all. So each
//! kernel states its number of iterations, matmuls and reductions cut long axes into parts to stay under
//! [`MAX_ITERATIONS`], and `Plan::check` refuses a kernel that exceeds it.

#[doc(hidden)]
pub mod attention;
#[doc(hidden)]
pub mod chain;
pub mod cost;
#[doc(hidden)]
pub mod cross_entropy;
#[doc(hidden)]
pub mod eight_bit;
#[doc(hidden)]
pub mod expr;
#[doc(hidden)]
pub mod factored;
#[doc(hidden)]
pub mod feed;
#[doc(hidden)]
pub mod functions;
#[doc(hidden)]
pub mod gradients;
#[doc(hidden)]
pub mod map;
#[doc(hidden)]
pub mod matmul;
#[doc(hidden)]
pub mod mlp;
#[doc(hidden)]
pub mod orthogonal;
pub mod prediction;
#[doc(hidden)]
pub mod reduce;
#[doc(hidden)]
pub mod reduce_chain;
#[doc(hidden)]
pub mod scaling;
#[doc(hidden)]
pub mod shards;
#[doc(hidden)]
pub mod side_by_side;
#[doc(hidden)]
pub mod statistics;
mod target;

#[doc(hidden)]
pub mod update;

pub use matmul::{ProductKind, TileChoice, TunedProducts};
pub use target::{
    JOINT_BUFFERS, JOINT_WORKGROUP_BYTES, MemoryBudget, Precision, ProductTiles, Residence, Rounding, Target,
};

use crate::gpu::Access;
pub use crate::gpu::{Family, Reads};
use crate::graph::NodeId;

/// The most loop iterations of one invocation that are not unrolled. lavapipe silently ends loops at 65,535.
pub const MAX_ITERATIONS: usize = 20_000;

/// The most buffers that one kernel of GPUs binds: SwiftShader has 10, other adapters of Vulkan, Metal and DX12 16 and more,
/// as many as kernels side by side bind.
pub const MAX_BUFFERS: usize = 10;

/// Most workgroups along one dimension of a grid.
pub(crate) const MAX_GROUPS: u32 = 65_535;

/// The most bindings of printed inputs. With output, second output and state a kernel has at most eight storage buffers.
pub const MAX_INPUTS: usize = 5;

/// The meaning of a kernel's binding; the planner knows its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A node's value.
    Node(NodeId),
    /// The kernel's output.
    Output,
    /// The kernel's second output.
    Second,
    /// The value of a node that the kernel makes, where it makes several.
    Made(NodeId),
    /// The partial results of this number, which a kernel leaves for a later one.
    Partial(usize),
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
    /// No number of an operand that is written is read after it was written: what is read may be a copy made before.
    pub reads_old: bool,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Floating-point operations.
    pub flops: u64,
    /// Loop iterations of one invocation.
    pub iterations: usize,
    /// The kernels that it runs side by side; empty for one kernel.
    pub parts: Vec<Kernel>,
    /// Loop iterations that wait for a load from memory, one after the other; `None` for all of them.
    pub waits: Option<usize>,
}

impl Kernel {
    /// The kernels that it runs side by side, or itself alone.
    pub fn each(&self) -> &[Kernel] {
        if self.parts.is_empty() { std::slice::from_ref(self) } else { &self.parts }
    }
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
