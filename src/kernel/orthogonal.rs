//! `optim/muon.wgsl`: the passes before and after Newton–Schulz makes matrices orthogonal, and the pass over all other
//! parameters.

use super::factored::LAYOUT;
use super::update::{self, BLOCK, Bound, Tensor, UpdateContext, tensor_of_blocks};
use super::{Kernel, grid};
use crate::gpu::Access;
use crate::optim::UpdateKernel;
use crate::shape::Shape;

/// The input of Newton–Schulz: matrices without padding, those of one shape together.
pub const DIRECTIONS: &str = "directions";
/// The output of Newton–Schulz, laid out as [`DIRECTIONS`].
pub const ORTHOGONAL: &str = "orthogonal";
/// The matrices of a shape begin at a multiple of this number of bytes.
const ALIGNMENT: u64 = 256;

/// The matrices of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// [matrices, rows, columns].
    pub shape: Shape,
    /// The first byte.
    pub offset: u64,
}

impl Class {
    /// Bytes of them all.
    pub fn bytes(&self) -> u64 {
        4 * self.shape.elements() as u64
    }
}

/// The layout of matrices and of all other parameters.
#[derive(Debug, Clone, Default)]
pub struct Orthogonal {
    /// The words of [`LAYOUT`].
    pub words: Vec<u32>,
    /// The matrices by shape.
    pub classes: Vec<Class>,
    /// Bytes of [`DIRECTIONS`].
    pub bytes: u64,
    /// The number of blocks of matrices, which come before all others.
    pub blocks: usize,
}

impl Orthogonal {
    /// For the matrices of an arena.
    pub fn new(matrices: &[Tensor<'_>]) -> Orthogonal {
        let blocks = matrices.iter().map(|t| t.blocks()[1]).max().unwrap_or(0) as usize;
        let mut found: Vec<(&Shape, usize)> = Vec::new();
        for Tensor { shape, .. } in matrices {
            match found.iter_mut().find(|(known, _)| known == shape) {
                Some((_, count)) => *count += 1,
                None => found.push((shape, 1)),
            }
        }
        let mut layout =
            Orthogonal { words: tensor_of_blocks(matrices, blocks), blocks, ..Orthogonal::default() };
        for (shape, count) in found {
            let dims: Vec<usize> = std::iter::once(count).chain(shape.iter().copied()).collect();
            let class = Class { shape: Shape::from(dims.as_slice()), offset: layout.bytes };
            layout.bytes = (class.offset + class.bytes()).next_multiple_of(ALIGNMENT);
            layout.classes.push(class);
        }
        let mut next: Vec<u64> = layout.classes.iter().map(|class| class.offset / 4).collect();
        for Tensor { shape, offset } in matrices {
            let class = layout.classes.iter().position(|class| class.shape[1..] == shape[..]);
            let Some(place) = class.and_then(|class| next.get_mut(class)) else { continue };
            let count = shape.elements() as u64;
            layout.words.extend([offset / 4, count, *place].map(|word| word as u32));
            *place += count;
        }
        layout
    }

    fn constants(&self, kernel: Kernel) -> Kernel {
        let mut kernel = kernel;
        kernel.constants.extend([("SHAPES", self.blocks as u32), ("FIRST", self.blocks as u32)]);
        kernel
    }

    fn bound(last: &'static str) -> [Bound; 3] {
        [(4, Access::Write, "momentum_buffer"), (5, Access::Read, LAYOUT), (6, Access::Write, last)]
    }

    /// The pass that writes [`DIRECTIONS`].
    pub fn momentum(&self, update: &UpdateKernel, around: &UpdateContext<'_>) -> Kernel {
        let kernel = update::pass_before(update, around, "muon_momentum", &Self::bound(DIRECTIONS));
        self.constants(Kernel { grid: grid(self.blocks), ..kernel })
    }

    /// The pass that takes the step along [`ORTHOGONAL`].
    pub fn update(&self, update: &UpdateKernel, around: &UpdateContext<'_>, parameters: usize) -> Kernel {
        let kernel = update::pass(update, around, update.entry, &Self::bound(ORTHOGONAL), parameters);
        self.constants(Kernel { grid: grid(self.blocks), ..kernel })
    }

    /// The pass over all other parameters; `None` if there are none.
    pub fn others(
        &self,
        update: &UpdateKernel,
        around: &UpdateContext<'_>,
        parameters: usize,
    ) -> Option<Kernel> {
        let fours = around.bytes as usize / 16;
        let rest = fours.saturating_sub(self.blocks * BLOCK);
        let bound = [(4, Access::Write, "exp_avg"), (5, Access::Write, "exp_avg_sq")];
        let kernel = update::pass(update, around, "muon_others", &bound, parameters);
        (rest > 0).then(|| self.constants(Kernel { grid: grid(rest.div_ceil(BLOCK)), ..kernel }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_a_shape_lie_together_without_padding() {
        let (small, large) = (Shape::from([3, 5]), Shape::from([20, 20]));
        let at = |shape, offset| Tensor { shape, offset };
        let layout = Orthogonal::new(&[at(&small, 0), at(&large, 1024), at(&small, 3072)]);
        let shapes: Vec<&[usize]> = layout.classes.iter().map(|class| &class.shape[..]).collect();
        assert_eq!(shapes, [&[2, 3, 5][..], &[1, 20, 20]]);
        assert_eq!((layout.classes[1].offset, layout.bytes, layout.blocks), (256, 256 + 1792, 4));
        assert_eq!(layout.words[..4], [0, 1, 1, 2]);
        assert_eq!(layout.words[4..], [0, 15, 0, 256, 400, 64, 768, 15, 15]);
    }
}
