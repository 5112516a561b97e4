//! Gives every value that the drafted kernels make and read a location in memory.
//!
//! Parameters, gradients and each optimizer slot are an arena: one buffer with tensors aligned to 256 bytes. So an update
//! is one dispatch and a save is one copy. Activations are separate buffers, shared by lifetime, because wgpu tracks whole
//! buffers and refuses to read and write two parts of one in a dispatch. Buffers have names: all plans of a run share the
//! buffer of a name, as large as the largest plan needs it. A gradient that is also read lies among the activations and is
//! copied to the arena.
//!
//! Running buffers have an arena too. A step writes their next values into a second arena, and one dispatch copies it over
//! at the end of the step, since no kernel may read and write one buffer. Counts of batches are the host's.

use std::collections::HashMap;

use super::buffers::{ACTIVATIONS, Location, METRICS, Sink, TALLY, fixed, input_buffer, sink_buffer};
use super::lower::{Lowering, PartDraft};
use super::memory::{Arena, Life, share};
use super::steps::{Part, Plan, Step};
use crate::graph::{NodeId, Op};
use crate::kernel::Operand;
use crate::kernel::feed::{BUFFERS, STATE, STATE_BYTES};
use crate::kernel::update::PARAMETERS;

impl Lowering<'_> {
    /// Gives every value its location.
    pub(super) fn place(self, arena: &Arena, state: Arena) -> Plan {
        let mut plan = Plan { arena: arena.clone(), state, ..Plan::default() };
        let bytes = |id: NodeId| {
            let each = if self.nodes[id.0].half { 2 } else { 4 };
            (self.nodes[id.0].shape.elements() as u64 * each).next_multiple_of(16)
        };
        // A copy to a sink is f32 whatever the type of its source.
        let wide = |id: NodeId| (self.nodes[id.0].shape.elements() as u64 * 4).next_multiple_of(16);

        // Lives of values without a fixed location, and of partial results under a key of their own.
        let mut lives: Vec<Life> = Vec::new();
        let mut index: HashMap<NodeId, usize> = HashMap::new();
        let mut partials: HashMap<usize, usize> = HashMap::new(); // by their number
        for (k, draft) in self.drafts.iter().enumerate() {
            let others = draft.second.iter().chain(&draft.also).map(|(n, s)| (*n, s));
            let made = [(draft.output, &draft.sink)].into_iter().chain(others);
            for (node, sink) in made {
                if sink.is_none() {
                    index.entry(node).or_insert_with(|| {
                        lives.push(Life { first: k, last: k, bytes: bytes(node) });
                        lives.len() - 1
                    });
                }
            }
            for &(number, bytes) in &draft.partials {
                lives.push(Life { first: k, last: k, bytes: bytes.next_multiple_of(16) });
                partials.insert(number, lives.len() - 1);
            }
            for (_, _, operand) in &draft.kernel.operands {
                let life = match operand {
                    Operand::Node(node) => index.get(node),
                    Operand::Partial(number) => partials.get(number),
                    _ => None,
                };
                if let Some(&life) = life {
                    lives[life].last = k;
                }
            }
        }
        let (places, sizes) = share(&lives);
        let shared: Vec<usize> =
            sizes.iter().enumerate().map(|(i, &b)| plan.buffer(&format!("{}{i}", ACTIVATIONS), b)).collect();

        for draft in &self.drafts {
            let locate =
                |plan: &mut Plan, node: NodeId, sink: Option<&Sink>| match (sink, &self.nodes[node.0].op) {
                    (Some(Sink::Gradient(p)), _) => {
                        let buffer = plan.buffer(&sink_buffer(&Sink::Gradient(*p)), plan.arena.trained);
                        Location { buffer, offset: plan.arena.offsets[*p], bytes: wide(node) }
                    }
                    (Some(Sink::Next(i)), _) => {
                        let buffer = plan.buffer(&sink_buffer(&Sink::Next(*i)), plan.state.bytes);
                        Location { buffer, offset: plan.state.offsets[*i], bytes: wide(node) }
                    }
                    (Some(Sink::Metric(_)), _) => {
                        let buffer = plan.buffer(METRICS, self.ring.bytes());
                        Location { buffer, offset: 0, bytes: plan.buffers[buffer].bytes }
                    }
                    (Some(Sink::Tally { ring, .. }), _) => {
                        let buffer = plan.buffer(TALLY, ring.bytes());
                        Location { buffer, offset: 0, bytes: plan.buffers[buffer].bytes }
                    }
                    (Some(Sink::Buffer(name)), _) => {
                        let buffer = plan.buffer(name, wide(node));
                        Location { buffer, offset: 0, bytes: wide(node) }
                    }
                    (None, Op::Parameter(p)) => {
                        let by = if self.nodes[node.0].half { 2 } else { 1 };
                        let name = fixed(&self.nodes[node.0]).unwrap_or_default();
                        let buffer = plan.buffer(&name, plan.arena.bytes / by);
                        Location { buffer, offset: plan.arena.offsets[*p] / by, bytes: bytes(node) }
                    }
                    (None, Op::Buffer(i)) => {
                        let buffer = plan.buffer(BUFFERS, plan.state.bytes);
                        Location { buffer, offset: plan.state.offsets[*i], bytes: bytes(node) }
                    }
                    (None, Op::Clock) => {
                        let buffer = plan.buffer(STATE, STATE_BYTES);
                        Location { buffer, offset: 0, bytes: STATE_BYTES }
                    }
                    (None, Op::Input(name)) => {
                        let buffer = plan.buffer(&input_buffer(name), bytes(node));
                        Location { buffer, offset: 0, bytes: bytes(node) }
                    }
                    (None, _) => {
                        Location { buffer: shared[places[index[&node]]], offset: 0, bytes: bytes(node) }
                    }
                };
            let mut bindings = Vec::with_capacity(draft.kernel.operands.len());
            for &(slot, access, operand) in &draft.kernel.operands {
                let location = match operand {
                    Operand::Node(node) => {
                        let sink = self.owned.get(&node).filter(|s| matches!(s, Sink::Buffer(_)));
                        locate(&mut plan, node, sink)
                    }
                    Operand::Output => locate(&mut plan, draft.output, draft.sink.as_ref()),
                    Operand::Second => match &draft.second {
                        Some((node, sink)) => locate(&mut plan, *node, sink.as_ref()),
                        None => unreachable!("a second output without a node"),
                    },
                    Operand::Made(node) => locate(&mut plan, node, self.owned.get(&node)),
                    Operand::Partial(number) => {
                        let life = partials[&number];
                        Location { buffer: shared[places[life]], offset: 0, bytes: lives[life].bytes }
                    }
                    Operand::Named(name) => {
                        let bytes = match name {
                            STATE => STATE_BYTES,
                            PARAMETERS => plan.arena.bytes,
                            _ => 8,
                        };
                        let buffer = plan.buffer(name, bytes);
                        Location { buffer, offset: 0, bytes: plan.buffers[buffer].bytes }
                    }
                };
                bindings.push((slot, access, location));
            }
            plan.steps.push(Step {
                kernel: draft.kernel.clone(),
                bindings,
                images: Vec::new(),
                tile: draft.tile,
                title: draft.title.clone(),
                shape: self.nodes[draft.output.0].shape.clone(),
                parts: draft.parts.iter().map(|part| self.part(part)).collect(),
            });
        }
        plan
    }

    fn part(&self, part: &PartDraft) -> Part {
        let shape = self.nodes[part.output.0].shape.clone();
        Part { title: part.title.clone(), shape, tile: part.tile }
    }
}
