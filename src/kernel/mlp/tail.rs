//! The end of a net in one kernel of `mlp_rows.wgsl`, whose values lie in buffers of their own.

use super::rows::{Bindings, Text};
use super::{Mlp, Place};
use crate::gpu::Access;
use crate::graph::NodeId;
use crate::kernel::update::PARAMETERS;
use crate::kernel::{Kernel, Operand};

/// The kernel of a net's stages. `given` are the nodes that it reads, in the order of their numbers, and `made` those that it
/// makes, which are operands [`Operand::Made`].
pub fn tail(net: &Mlp, given: &[NodeId], made: &[NodeId]) -> Kernel {
    let mut bindings = Bindings::default();
    for (number, &node) in given.iter().enumerate() {
        bindings.add(&format!("given_{number}"), "array<f32>", Access::Read, Operand::Node(node));
    }
    for (number, &node) in made.iter().enumerate() {
        bindings.add(&format!("made_{number}"), "array<f32>", Access::Write, Operand::Made(node));
    }
    let mut places: Vec<_> = net.places.iter().collect();
    places.sort_unstable_by_key(|(node, _)| **node);
    if places.iter().any(|(_, place)| matches!(place, Place::Parameters(_))) {
        bindings.add("parameters", "array<f32>", Access::Read, Operand::Named(PARAMETERS));
        bindings.add("parameters_four", "array<vec4<f32>>", Access::Read, Operand::Named(PARAMETERS));
    }
    for (node, place) in places {
        if *place == Place::Targets {
            bindings.add("targets_in", "array<i32>", Access::Read, Operand::Node(*node));
        }
    }
    let mut text = Text::new(net);
    text.stages();
    text.kernel(bindings)
}
