//! The passes of an update, placed in a plan: one, in 8 bits, with norms of tensors, factored, or with matrices made orthogonal.

use crate::error::Result;
use crate::graph::Graph;
use crate::kernel::factored::{Factored, LAYOUT};
use crate::kernel::orthogonal::{Class, DIRECTIONS, ORTHOGONAL, Orthogonal};
use crate::kernel::update::{self, BLOCK_BYTES, BLOCK_SUMS, NORMS, SPANS, Tensor, UpdateContext};
use crate::kernel::{Family, Kernel, ProductTiles, Target, eight_bit};
use crate::optim::{self, NewtonSchulz, UpdateKernel};
use crate::plan::{Location, Plan, Ring, Sink, input_buffer};
use crate::shape::Shape;

/// The name of the input and of the output of a graph of matrices.
const MATRICES: &str = "matrices";

/// An update of the tensors of an arena.
pub(super) struct OptimizerPasses<'a> {
    update: &'a UpdateKernel,
    around: UpdateContext<'a>,
    tensors: Vec<Tensor<'a>>,
    /// How many of the first tensors are matrices with an update of their own.
    matrices: usize,
    family: Family,
}

/// A size for each name that a pass binds.
type Sizes<'s> = Vec<(&'s str, u64)>;

impl<'a> OptimizerPasses<'a> {
    pub fn new(
        update: &'a UpdateKernel,
        around: UpdateContext<'a>,
        tensors: Vec<Tensor<'a>>,
        matrices: usize,
        family: Family,
    ) -> Self {
        OptimizerPasses { update, around, tensors, matrices, family }
    }

    /// Adds the passes to the plan. `count` numbers are trained; `sizes` are those of the buffers of every update.
    pub fn add(&self, plan: &mut Plan, count: usize, mut sizes: Sizes<'_>) -> Result<()> {
        let OptimizerPasses { update, around, .. } = self;
        let shape = Shape::from([count]);
        let put = |plan: &mut Plan, kernel: Kernel, sizes: &Sizes<'_>| {
            plan.add_kernel_after(kernel, "optimizer", shape.clone(), sizes);
        };
        let blocks = around.bytes.div_ceil(BLOCK_BYTES);
        let norms = [(SPANS, 8 * self.tensors.len() as u64), (BLOCK_SUMS, 8 * blocks), (NORMS, 8 * blocks)];
        match &update.passes {
            optim::Passes::One => {
                sizes.extend(update.slots.iter().map(|&slot| (slot, around.bytes)));
                put(plan, update::kernel(update, around, count), &sizes);
            }
            optim::Passes::EightBit => {
                let small = plan.arena.small_ranges.clone();
                let bytes = |slot| eight_bit::slot_bytes(slot, around.bytes, &small);
                sizes.extend(update.slots.iter().map(|&slot| (slot, bytes(slot))));
                put(plan, eight_bit::kernel(update, around, &small, count), &sizes);
            }
            optim::Passes::Norms(entry) => {
                sizes.extend(update.slots.iter().map(|&slot| (slot, around.bytes)));
                sizes.extend(norms);
                for kernel in update::kernels_with_norms(update, entry, around, count, self.tensors.len()) {
                    put(plan, kernel, &sizes);
                }
                plan.constants.push((SPANS, self.spans()));
            }
            optim::Passes::Factored => {
                let layout = Factored::new(&self.tensors, blocks as usize, self.family);
                sizes.extend(update.slots.iter().map(|&slot| (slot, 4 * layout.numbers as u64)));
                sizes.push((LAYOUT, 4 * layout.words.len() as u64));
                sizes.extend(norms);
                for kernel in layout.kernels(update, around, count) {
                    put(plan, kernel, &sizes);
                }
                plan.constants.extend([(SPANS, self.spans()), (LAYOUT, layout.words)]);
            }
            optim::Passes::Orthogonal(schulz) => {
                let layout = Orthogonal::new(&self.tensors[..self.matrices]);
                let matrices = layout.blocks as u64 * BLOCK_BYTES;
                let others = around.bytes - matrices;
                sizes.extend([("momentum_buffer", matrices), ("exp_avg", others), ("exp_avg_sq", others)]);
                sizes.extend([(DIRECTIONS, layout.bytes), (ORTHOGONAL, layout.bytes)]);
                sizes.push((LAYOUT, 4 * layout.words.len() as u64));
                if let Some(kernel) = layout.others(update, around, count) {
                    put(plan, kernel, &sizes);
                }
                if layout.blocks > 0 {
                    put(plan, layout.momentum(update, around), &sizes);
                    for class in &layout.classes {
                        make_orthogonal(plan, class, layout.bytes, schulz, self.family)?;
                    }
                    put(plan, layout.update(update, around, count), &sizes);
                    plan.constants.push((LAYOUT, layout.words));
                }
            }
        }
        Ok(())
    }

    /// The first block of each tensor, and the one after its last.
    fn spans(&self) -> Vec<u32> {
        self.tensors.iter().flat_map(Tensor::blocks).collect()
    }
}

/// Dispatches between the two passes for each shape of matrix.
pub(crate) fn dispatches_of_a_shape(schulz: &NewtonSchulz) -> Result<usize> {
    let class = Class { shape: Shape::from([2, 16, 16]), offset: 0 };
    let mut plan = Plan::default();
    make_orthogonal(&mut plan, &class, class.bytes(), schulz, Family::Tiled)?;
    Ok(plan.steps.len())
}

/// Adds the kernels that compute [`ORTHOGONAL`] from [`DIRECTIONS`], both of `bytes`, for the matrices of one shape.
fn make_orthogonal(
    plan: &mut Plan,
    class: &Class,
    bytes: u64,
    schulz: &NewtonSchulz,
    family: Family,
) -> Result<()> {
    let graph = Graph::new();
    let x = newton_schulz(&graph.input(MATRICES, &class.shape), schulz);
    let sink = [(x, Sink::Buffer(MATRICES.to_owned()))];
    // SwiftShader cannot compile the larger tiles, and a family does not tell it from a GPU.
    let target = Target::new(family).with_tiles(ProductTiles::Plain);
    let part = Plan::new(&graph, &sink, Ring { columns: 1, rows: 1 }, target)?;
    for mut step in part.steps {
        for (_, _, place) in &mut step.bindings {
            let own = &part.buffers[place.buffer];
            *place = if own.name == input_buffer(MATRICES) {
                Location {
                    buffer: plan.buffer(DIRECTIONS, bytes),
                    offset: class.offset + place.offset,
                    ..*place
                }
            } else if own.name == MATRICES {
                Location {
                    buffer: plan.buffer(ORTHOGONAL, bytes),
                    offset: class.offset + place.offset,
                    ..*place
                }
            } else {
                Location { buffer: plan.buffer(&own.name, own.bytes), ..*place }
            };
        }
        step.title = "optimizer".to_owned();
        plan.steps.push(step);
    }
    Ok(())
}

/// X = x/max(‖x‖, ε), then X ← aX + (bA + cA²)X with A = XXᵀ, times the factor of the shape; for each matrix of
/// [matrices, rows, columns]. Of tall ones A = XᵀX and X ← aX + X(bA + cA²), which is the same of the transposed.
fn newton_schulz(x: &crate::graph::Tensor, schulz: &NewtonSchulz) -> crate::graph::Tensor {
    let shape = x.shape();
    let (rows, columns) = (shape[1], shape[2]);
    let [a, b, c] = schulz.coefficients.map(|c| c as f32);
    let norm = x.square().sum(&[1, 2], true).sqrt().clamp(schulz.eps as f32, f32::MAX);
    let mut x = x.div(&norm);
    for _ in 0..schulz.steps {
        let transposed = x.permute(&[0, 2, 1]);
        let gram = if rows > columns { transposed.matmul(&x) } else { x.matmul(&transposed) };
        let blend = gram.matmul(&gram).mul_scalar(c).add(&gram.mul_scalar(b));
        let moved = if rows > columns { x.matmul(&blend) } else { blend.matmul(&x) };
        x = moved.add(&x.mul_scalar(a));
    }
    x.mul_scalar(schulz.adjust.factor(rows, columns) as f32)
}
