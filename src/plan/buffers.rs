//! The buffers of a plan: their names, and where outputs go.

use crate::gpu::reads::Texel;
use crate::graph::{Node, Op};
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE};
use crate::kernel::scaling;
use crate::kernel::update::{GRADIENTS, PARAMETERS};

/// The destination of an output of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A buffer of its own, of this name.
    Buffer(String),
    /// The gradient arena, at the offset of this parameter.
    Gradient(usize),
    /// A column of the ring of step metrics; the value is a scalar.
    Metric(usize),
    /// The next value of this buffer of the graph, taken over at the end of the step.
    Next(usize),
    /// Columns of the tally, the sums of an evaluation's batches, from `column` on.
    Tally {
        /// The first column.
        column: usize,
        /// The size of the tally.
        ring: Ring,
    },
}

/// The ring of step metrics.
pub const METRICS: &str = "metrics";
/// The ring of sums of an evaluation's batches.
pub const TALLY: &str = "eval tally";

/// Prefix of the names of buffers that hold activations: results of kernels for other kernels.
pub(super) const ACTIVATIONS: &str = "activations ";
/// Prefix of the names of buffers that hold an input.
pub(super) const INPUT: &str = "input ";

/// Prefix of the names of images of words, and of four words a pixel.
const WORD_IMAGES: &str = "image of words ";
const FOUR_IMAGES: &str = "image of fours ";

/// The name of an image.
pub(super) fn image_buffer(texel: Texel, number: usize) -> String {
    match texel {
        Texel::One => format!("{WORD_IMAGES}{number}"),
        Texel::Four => format!("{FOUR_IMAGES}{number}"),
    }
}

/// What the pixels of a buffer hold, where it is an image.
pub(super) fn image_texel(name: &str) -> Option<Texel> {
    let starts = |prefix| name.starts_with(prefix);
    if starts(WORD_IMAGES) { Some(Texel::One) } else { starts(FOUR_IMAGES).then_some(Texel::Four) }
}

/// The size of the ring of step metrics, or of the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Numbers of each step.
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
    /// Its name in the ledger. Activations are named `activations 0`, `activations 1`, … Names of images say so.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

impl BufferPlan {
    /// True for an image that operands are copied into.
    pub(crate) fn is_image(&self) -> bool {
        image_texel(&self.name).is_some()
    }
}

/// A range of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Index into [`Plan::buffers`](super::Plan::buffers).
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

/// The named buffer that always holds a node, if there is one.
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
