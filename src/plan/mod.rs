//! From a graph to a fixed list of kernels and buffers: fuse, lower, place in memory. Planning needs no GPU.
//!
//! The nets are small, so launches cost more than arithmetic. A fixed plan makes a step a short list of prepared dispatches,
//! and its memory a number known before the first allocation. [`Program`] binds a plan to a device.

mod axes;
mod buffers;
mod function;
mod fuse;
mod group;
mod half;
mod lower;
mod memory;
mod place;
mod program;
mod reads;
mod replicate;
mod rewrite;
mod row_sum;
mod side_by_side;
mod steps;
mod tail;
mod view;
mod weights;
mod weights_file;
mod whole_net;

pub use buffers::{BufferPlan, Location, METRICS, Ring, Sink, TALLY, input_buffer};
pub use function::{Function, Value};
pub use memory::{ALIGNMENT, Arena, Layout};
pub use program::{Memory, Program};
pub(crate) use reads::IMAGE_LIMITS;
pub use replicate::{Replicas, Shared};
pub use steps::{ImageParts, ImageUse, Part, Plan, ReadCounts, Spread, Step};
pub use weights::NamedTensor;
pub(crate) use weights::{TensorLocation, WeightLayout, check_weights};
pub(crate) use weights_file::{FileTensor, tensors_from_bytes, wrong as wrong_weights};
pub use weights_file::{weights_from_bytes, weights_to_bytes};
pub(crate) use whole_net::whole_net;

use crate::error::Result;
use crate::graph::{Graph, NodeId, Tensor};
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::matmul::{NONE_TUNED, TunedProducts};
use crate::kernel::update::PARAMETERS;
use crate::kernel::{Family, Precision, Target, scaling};
use crate::shape::Shape;

impl Plan {
    /// Plans everything that `outputs` need. Metrics go to columns of `ring`.
    ///
    /// # Errors
    /// The graph's first shape error, or a kernel that would pass the loop limit.
    pub fn new(graph: &Graph, outputs: &[(Tensor, Sink)], ring: Ring, target: Target) -> Result<Plan> {
        let arena = Arena::aligned(graph.parameters().iter().map(|p| &p.shape), alignment(target));
        Self::with_arena(graph, outputs, ring, target, arena, NONE_TUNED)
    }

    /// [`Plan::new`] with a layout of the parameters, and with tiles named for products.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn with_arena(
        graph: &Graph,
        outputs: &[(Tensor, Sink)],
        ring: Ring,
        target: Target,
        arena: Arena,
        tuned: &TunedProducts,
    ) -> Result<Plan> {
        graph.check()?;
        let mut nodes = graph.nodes();
        let half = target.precision == Precision::F16;
        // The host counts steps, so a count takes no memory.
        let none = Shape::from([0]);
        let buffers = graph.buffers();
        let state = Arena::new(buffers.iter().map(|b| if b.node.is_some() { &b.shape } else { &none }));
        let outputs: Vec<(NodeId, Sink)> =
            outputs.iter().map(|(t, sink)| (view::strip(&nodes, t.id()), sink.clone())).collect();
        if target.family == Family::Tiled {
            rewrite::take_apart(&mut nodes);
            let roots: Vec<NodeId> = outputs.iter().map(|(id, _)| *id).collect();
            rewrite::join_attention(&mut nodes, &roots);
        }
        let places = lower::Places::new(&nodes, &outputs, target.family);
        if half {
            let sunk: Vec<NodeId> = outputs.iter().map(|(id, _)| *id).collect();
            half::mark(&mut nodes, &places.fusion, &sunk);
        }
        let lowering = lower::Lowering::new(&nodes, &outputs, places, ring, target, &arena, tuned);
        let mut lowering = lowering.run();
        if target.side_by_side && target.family == Family::Tiled {
            lowering = side_by_side::join(lowering);
        }
        let mut plan = lowering.place(&arena, state);
        if plan.buffers.iter().any(|b| b.name == scaling::HALF_PARAMETERS) {
            let bytes = plan.arena.bytes;
            let sizes = [(PARAMETERS, bytes), (scaling::HALF_PARAMETERS, bytes / 2), (STATE, STATE_BYTES)];
            plan.add_kernel_before(
                scaling::weights(bytes, target.rounding),
                "weights",
                Shape::from([bytes as usize / 4]),
                &sizes,
            );
        }
        plan.check()?;
        plan.buffers.retain(|b| b.bytes > 0);
        Ok(plan)
    }
}

/// The alignment of parameters in their arena.
pub fn alignment(target: Target) -> u64 {
    // A tensor is aligned at half its offset too.
    if target.precision == Precision::F16 { 2 * ALIGNMENT } else { ALIGNMENT }
}
