//! From a graph to a fixed list of kernels and buffers: fuse, order, place in memory. No GPU.
//!
//! The plan knows every byte before the first allocation; [`Program`] binds it to a device.

mod absorb;
mod function;
mod fuse;
mod half;
mod lower;
mod memory;
mod place;
mod program;
mod view;
mod weights;

pub use function::{Function, Value};
pub use memory::{ALIGNMENT, Arena, Layout};
pub use program::{Memory, Program};
pub use weights::NamedTensor;
pub(crate) use weights::{TensorLocation, WeightLayout, check_weights};

use crate::error::{Error, Result};
use crate::gpu::Access;
use crate::graph::{Graph, Node, NodeId, Op, Tensor};
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE, STATE_BYTES};
use crate::kernel::update::{GRADIENTS, PARAMETERS};
use crate::kernel::{Kernel, MAX_ITERATIONS, Operand, Precision, Target, scaling};
use crate::shape::Shape;

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
const ACTIVATIONS: &str = "activations ";
/// How the names of buffers begin that hold an input.
const INPUT: &str = "input ";

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

/// A kernel of the plan with its place in memory.
#[derive(Debug, Clone)]
pub struct Step {
    /// What runs.
    pub kernel: Kernel,
    /// Binding number, access and range.
    pub bindings: Vec<(u32, Access, Location)>,
    /// The layer it belongs to, and what it computes: `1 (linear): matmul add relu`.
    pub title: String,
    /// Shape of what it makes.
    pub shape: Shape,
}

impl Step {
    /// Bytes of everything it binds; what it really moves is less where an operand is only touched in part.
    pub fn bytes(&self) -> u64 {
        self.bindings.iter().map(|(_, _, l)| l.bytes).sum()
    }
}

/// Kernels in order, and the buffers they need.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What runs, in order.
    pub steps: Vec<Step>,
    /// What it runs on.
    pub buffers: Vec<BufferPlan>,
    /// The layout of the parameters.
    pub arena: Arena,
    /// The layout of the buffers that are kept from step to step.
    pub state: Arena,
    /// What some buffers hold from the start and for good.
    pub constants: Vec<(&'static str, Vec<u32>)>,
}

impl Plan {
    /// Plans everything that `outputs` need. Metrics go to columns of `ring`.
    ///
    /// # Errors
    /// The graph's first shape error, or a kernel that would pass the loop limit.
    pub fn new(graph: &Graph, outputs: &[(Tensor, Sink)], ring: Ring, target: Target) -> Result<Plan> {
        let arena = Arena::aligned(graph.parameters().iter().map(|p| &p.shape), alignment(target));
        Self::with_arena(graph, outputs, ring, target, arena)
    }

    /// [`Plan::new`] with a layout of the parameters.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn with_arena(
        graph: &Graph,
        outputs: &[(Tensor, Sink)],
        ring: Ring,
        target: Target,
        arena: Arena,
    ) -> Result<Plan> {
        graph.check()?;
        let mut nodes = graph.nodes();
        let half = target.precision == Precision::F16;
        // A count of steps is the host's and takes no memory.
        let none = Shape::from([0]);
        let buffers = graph.buffers();
        let state = Arena::new(buffers.iter().map(|b| if b.node.is_some() { &b.shape } else { &none }));
        let outputs: Vec<(NodeId, Sink)> =
            outputs.iter().map(|(t, sink)| (lower::strip(&nodes, t.id()), sink.clone())).collect();
        let places = lower::Places::new(&nodes, &outputs);
        if half {
            let sunk: Vec<NodeId> = outputs.iter().map(|(id, _)| *id).collect();
            half::mark(&mut nodes, &places.fusion, &sunk);
        }
        let mut plan = lower::Lowering::new(&nodes, &outputs, places, ring, target).run(arena, state)?;
        if plan.buffers.iter().any(|b| b.name == scaling::HALF_PARAMETERS) {
            let bytes = plan.arena.bytes;
            let sizes = [(PARAMETERS, bytes), (scaling::HALF_PARAMETERS, bytes / 2), (STATE, STATE_BYTES)];
            plan.surround(
                scaling::weights(bytes, target.rounding),
                "weights",
                Shape::from([bytes as usize / 4]),
                &sizes,
                true,
            );
        }
        plan.check()?;
        plan.buffers.retain(|b| b.bytes > 0);
        Ok(plan)
    }

    /// Refuses a kernel that would pass the loop limit.
    pub(crate) fn check(&self) -> Result<()> {
        match self.steps.iter().find(|s| s.kernel.iterations > MAX_ITERATIONS) {
            None => Ok(()),
            Some(step) => Err(Error::Shape {
                context: String::new(),
                message: format!(
                    "{} would loop {} times in one invocation, past the limit of {MAX_ITERATIONS} (software \
                     adapters cut long loops without a word); make the axis it runs along shorter",
                    step.title, step.kernel.iterations
                ),
            }),
        }
    }

    /// The buffer of a name, entered or grown to `bytes`.
    pub fn buffer(&mut self, name: &str, bytes: u64) -> usize {
        match self.buffers.iter().position(|b| b.name == name) {
            Some(i) => {
                self.buffers[i].bytes = self.buffers[i].bytes.max(bytes);
                i
            }
            None => {
                self.buffers.push(BufferPlan { name: name.to_owned(), bytes });
                self.buffers.len() - 1
            }
        }
    }

    /// A kernel around the graph's own (feed, update, close), whose operands are named buffers or inputs.
    /// `bytes` gives the size of each name.
    pub fn surround(
        &mut self,
        kernel: Kernel,
        title: &str,
        shape: Shape,
        bytes: &[(&str, u64)],
        first: bool,
    ) {
        let mut bindings = Vec::with_capacity(kernel.operands.len());
        for &(slot, access, operand) in &kernel.operands {
            let Operand::Named(name) = operand else { unreachable!("{} binds names only", kernel.entry) };
            let size = bytes.iter().find(|(n, _)| *n == name).map_or(0, |(_, b)| *b);
            let buffer = self.buffer(name, size);
            let bytes = self.buffers[buffer].bytes;
            bindings.push((slot, access, Location { buffer, offset: 0, bytes }));
        }
        let step = Step { kernel, bindings, title: title.to_owned(), shape };
        self.steps.insert(if first { 0 } else { self.steps.len() }, step);
    }

    /// Bytes of the largest buffer of those that grow with the batch: activations and inputs.
    pub fn largest_activation(&self) -> u64 {
        let grows = |b: &&BufferPlan| b.name.starts_with(ACTIVATIONS) || b.name.starts_with(INPUT);
        self.buffers.iter().filter(grows).map(|b| b.bytes).max().unwrap_or(0)
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(|b| b.bytes).sum()
    }

    /// Floating-point operations of all kernels.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|s| s.kernel.flops).sum()
    }
}

/// What parameters begin at a multiple of.
pub fn alignment(target: Target) -> u64 {
    // At half its offset a tensor is aligned too.
    if target.precision == Precision::F16 { 2 * ALIGNMENT } else { ALIGNMENT }
}

/// The buffer of an input of the graph.
pub fn input_buffer(name: &str) -> String {
    format!("{INPUT}{name}")
}

/// The named buffer a node lies in for good, if it does.
fn fixed(node: &Node) -> Option<String> {
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
fn sink_buffer(sink: &Sink) -> String {
    match sink {
        Sink::Buffer(name) => name.clone(),
        Sink::Gradient(_) => GRADIENTS.into(),
        Sink::Metric(_) => METRICS.into(),
        Sink::Tally { .. } => TALLY.into(),
        Sink::Next(_) => NEXT_BUFFERS.into(),
    }
}
