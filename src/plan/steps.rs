//! A plan: kernels in order, and the buffers they need.

use super::buffers::{ACTIVATIONS, BufferPlan, INPUT, Location};
use super::memory::Arena;
use crate::error::{Error, Result};
use crate::gpu::Access;
use crate::gpu::reads::OLD;
use crate::kernel::matmul::ProductTile;
use crate::kernel::{Kernel, MAX_ITERATIONS, Operand};
use crate::shape::Shape;
use serde::Serialize;

/// How many operands are read in each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReadCounts {
    /// Storage buffers that are not written.
    pub storage: usize,
    /// Uniform buffers.
    pub uniform: usize,
    /// Images.
    pub image: usize,
    /// Copies into images before the kernel.
    pub copies: usize,
}

/// An image that a kernel reads in place of a range of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageUse {
    /// The binding, whose location is the range.
    pub slot: u32,
    /// Index of the image in [`Plan::buffers`].
    pub image: usize,
    /// The range is copied into it before the kernel. False where it holds it already.
    pub copied: bool,
    /// The parts of the range that replicas have, where each has one.
    pub parts: Option<ImageParts>,
}

/// The parts of a range that replicas have: equal bytes at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageParts {
    /// How many.
    pub count: u64,
    /// Bytes from one to the next.
    pub stride: u64,
    /// Bytes of one.
    pub bytes: u64,
}

/// A kernel of the plan with its bindings.
#[derive(Debug, Clone)]
pub struct Step {
    /// The kernel.
    pub kernel: Kernel,
    /// Binding number, access and range.
    pub bindings: Vec<(u32, Access, Location)>,
    /// The images that bindings with [`Access::Image`] read.
    pub images: Vec<ImageUse>,
    /// The product and its tile, of a kernel that has one. Where K is in parts, the next step adds them.
    pub tile: Option<ProductTile>,
    /// The layer and the ops: `1 (linear): matmul add relu`.
    pub title: String,
    /// Shape of the output.
    pub shape: Shape,
    /// The kernels that it runs side by side, in the order of [`Kernel::parts`]; empty for one kernel.
    pub parts: Vec<Part>,
}

/// One of the kernels that a step runs side by side.
#[derive(Debug, Clone)]
pub struct Part {
    /// The layer and the ops.
    pub title: String,
    /// Shape of the output.
    pub shape: Shape,
    /// The product and its tile, of a kernel that has one.
    pub tile: Option<ProductTile>,
}

impl Step {
    /// Bytes of all bindings, of one that is read and written once. The kernel moves less where it touches an operand only
    /// in part.
    pub fn bytes(&self) -> u64 {
        self.bindings.iter().filter(|(slot, ..)| *slot < OLD).map(|(_, _, l)| l.bytes).sum()
    }

    /// The tiles of its products.
    pub fn tiles(&self) -> impl Iterator<Item = &ProductTile> {
        self.tile.iter().chain(self.parts.iter().filter_map(|part| part.tile.as_ref()))
    }

    /// The kernels that it runs side by side, or itself.
    fn one_by_one(mut self) -> Vec<Step> {
        if self.parts.is_empty() {
            return vec![self];
        }
        let parts = std::mem::take(&mut self.kernel.parts).into_iter().zip(std::mem::take(&mut self.parts));
        let single = parts.map(|(kernel, Part { title, shape, tile })| {
            let places = self.kernel.operands.iter().zip(&self.bindings);
            let bindings = kernel.operands.iter().filter_map(|&(slot, access, operand)| {
                let place = places.clone().find(|((.., own), _)| *own == operand);
                place.map(|(_, binding)| (slot, access, binding.2))
            });
            let bindings = bindings.collect();
            Step { kernel, bindings, images: Vec::new(), tile, title, shape, parts: Vec::new() }
        });
        single.collect()
    }

    /// The ways in which it reads what it reads.
    pub fn reads(&self) -> ReadCounts {
        let count =
            |is: fn(Access) -> bool| self.bindings.iter().filter(|(_, access, _)| is(*access)).count();
        ReadCounts {
            storage: count(|access| access == Access::Read),
            uniform: count(|access| access == Access::Uniform),
            image: count(|access| matches!(access, Access::Image(_))),
            copies: self.images.iter().filter(|used| used.copied).count(),
        }
    }

    /// Floating-point operations and bytes of what it writes, copies into images included: what it costs, about, in a
    /// submission.
    pub fn work(&self) -> u64 {
        let is_copied = |slot: u32| self.images.iter().any(|used| used.slot == slot && used.copied);
        let moved =
            self.bindings.iter().filter(|(slot, access, _)| *access == Access::Write || is_copied(*slot));
        self.kernel.flops + moved.map(|(_, _, l)| l.bytes).sum::<u64>()
    }
}

/// Who runs a kernel of a replicated plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Each replica: the grid along z is that of one net times the replicas.
    Each {
        /// Workgroups along z of one net.
        z: u32,
    },
    /// The first replica alone, for all.
    Once,
}

/// Kernels in order, and the buffers they need.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The kernels in order.
    pub steps: Vec<Step>,
    /// The buffers.
    pub buffers: Vec<BufferPlan>,
    /// The layout of the parameters.
    pub arena: Arena,
    /// The layout of the running buffers.
    pub state: Arena,
    /// The path that a training step takes on GPUs, in words, and why.
    pub path: String,
    /// The contents of buffers that never change.
    pub constants: Vec<(&'static str, Vec<u32>)>,
    /// Who runs each kernel, of a plan for several replicas; empty for one net.
    pub spread: Vec<Spread>,
}

impl Plan {
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

    /// The index of the buffer of a name, which is added or grown to `bytes`.
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

    /// Adds a kernel before all others. Its operands are named buffers; `bytes` has the size of each name.
    pub fn add_kernel_before(&mut self, kernel: Kernel, title: &str, shape: Shape, bytes: &[(&str, u64)]) {
        let step = self.named_step(kernel, title, shape, bytes);
        self.steps.insert(0, step);
    }

    /// Adds a kernel after all others. Its operands are named buffers; `bytes` has the size of each name.
    pub fn add_kernel_after(&mut self, kernel: Kernel, title: &str, shape: Shape, bytes: &[(&str, u64)]) {
        let step = self.named_step(kernel, title, shape, bytes);
        self.steps.push(step);
    }

    /// A step whose operands are named buffers.
    fn named_step(&mut self, kernel: Kernel, title: &str, shape: Shape, bytes: &[(&str, u64)]) -> Step {
        let mut bindings = Vec::with_capacity(kernel.operands.len());
        for &(slot, access, operand) in &kernel.operands {
            let Operand::Named(name) = operand else { unreachable!("{} binds names only", kernel.entry) };
            let size = bytes.iter().find(|(n, _)| *n == name).map_or(0, |(_, b)| *b);
            let buffer = self.buffer(name, size);
            let bytes = self.buffers[buffer].bytes;
            bindings.push((slot, access, Location { buffer, offset: 0, bytes }));
        }
        Step {
            kernel,
            bindings,
            images: Vec::new(),
            tile: None,
            title: title.to_owned(),
            shape,
            parts: Vec::new(),
        }
    }

    /// Gives kernels that run side by side a dispatch each. Results have the same bits.
    pub fn one_by_one(&mut self) {
        self.steps = std::mem::take(&mut self.steps).into_iter().flat_map(Step::one_by_one).collect();
    }

    /// Bytes of the largest buffer that grows with the batch, an activation or an input.
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
