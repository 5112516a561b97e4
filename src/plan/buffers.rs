//! The buffers of a plan: their names, and where outputs go.

use crate::graph::{Node, Op};
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE};
use crate::kernel::scaling;
use crate::kernel::update::{GRADIENTS, PARAMETERS};

/// Where an output of the graph goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A buffer of its own, of this name.
    Buffer(String),
    /// The gradient arena, at the place of this parameter.
    Gradient(usize),
    /// A column of the ring of step metrics; the value is a scalar.
    Metric(usize),
    /// What this buffer of the graph becomes at the end of the step.
    Next(usize),
    /// Columns of the tally, from this one on: what the batches of an evaluation add up to.
    Tally {
        /// The first.
        column: usize,
        /// The size of the tally.
        ring: Ring,
    },
}

/// The ring of step metrics.
pub const METRICS: &str = "metrics";
/// The ring of what the batches of an evaluation add up to.
pub const TALLY: &str = "eval tally";

/// How the names of buffers begin that hold what kernels make for others.
pub(super) const ACTIVATIONS: &str = "activations ";
/// How the names of buffers begin that hold an input.
pub(super) const INPUT: &str = "input ";

/// The size of the ring of step metrics, or of the tally: so many numbers a step, for so many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Numbers a step.
    pub columns: usize,
    /// Steps.
    pub rows: usize,
}

impl Ring {
    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        (self.columns * self.rows).max(1) as u64 * 4
    }
}

/// A buffer of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferPlan {
    /// Its name in the ledger. Activations are named `activations 0`, `activations 1`, …
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// A range of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

/// The buffer of an input of the graph.
pub fn input_buffer(name: &str) -> String {
    format!("{INPUT}{name}")
}

/// The named buffer a node lies in for good, if it does.
pub(super) fn fixed(node: &Node) -> Option<String> {
    match &node.op {
        Op::Input(name) => Some(input_buffer(name)),
        Op::Parameter(_) if node.half => Some(scaling::HALF_PARAMETERS.into()),
        Op::Parameter(_) => Some(PARAMETERS.into()),
        Op::Buffer(_) => Some(BUFFERS.into()),
        Op::Clock => Some(STATE.into()),
        _ => None,
    }
}

/// The arena a sink belongs to.
pub(super) fn sink_buffer(sink: &Sink) -> String {
    match sink {
        Sink::Buffer(name) => name.clone(),
        Sink::Gradient(_) => GRADIENTS.into(),
        Sink::Metric(_) => METRICS.into(),
        Sink::Tally { .. } => TALLY.into(),
        Sink::Next(_) => NEXT_BUFFERS.into(),
    }
}
