//! `optim/muon.wgsl`: the passes before and after Newton–Schulz makes matrices orthogonal, and the pass over all other
//! parameters.

use super::Kernel;
use super::factored::LAYOUT;
use super::update::{self, BLOCK_BYTES, Body, Tensor, UpdateContext, tensor_of_blocks};
use crate::gpu::{Access, wgsl};
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

    /// A pass over the matrices, with [`DIRECTIONS`] or [`ORTHOGONAL`] as `last`.
    fn pass(
        &self,
        update: &UpdateKernel,
        around: &UpdateContext<'_>,
        entry: &'static str,
        last: &'static str,
        parameters: usize,
    ) -> Kernel {
        let bytes = around.bytes.min(self.blocks as u64 * BLOCK_BYTES);
        let around = UpdateContext { bytes, ..around.clone() };
        let bound =
            [(4, Access::Write, "momentum_buffer"), (5, Access::Read, LAYOUT), (6, Access::Write, last)];
        let whole =
            self.classes.iter().all(|class| class.shape[1..].iter().product::<usize>().is_multiple_of(4));
        let text = whole.then(|| wgsl::source("shared/whole_directions").unwrap_or_default().to_owned());
        let text = text.into_iter().map(|text| ("directions", text)).collect();
        let mut kernel = update::pass_with(update, &around, entry, &bound, parameters, Body::Update, text);
        kernel.constants.push(("SHAPES", self.blocks as u32));
        kernel
    }

    /// The pass that writes [`DIRECTIONS`].
    pub fn momentum(&self, update: &UpdateKernel, around: &UpdateContext<'_>) -> Kernel {
        let around = UpdateContext { average: false, ..around.clone() };
        self.pass(update, &around, "muon_momentum", DIRECTIONS, 0)
    }

    /// The pass that takes the step along [`ORTHOGONAL`].
    pub fn update(&self, update: &UpdateKernel, around: &UpdateContext<'_>, parameters: usize) -> Kernel {
        self.pass(update, around, update.entry, ORTHOGONAL, parameters)
    }

    /// The pass over all other parameters; `None` if there are none.
    pub fn others(
        &self,
        update: &UpdateKernel,
        around: &UpdateContext<'_>,
        parameters: usize,
    ) -> Option<Kernel> {
        if around.bytes <= self.blocks as u64 * BLOCK_BYTES {
            return None;
        }
        let around = UpdateContext { first_block: self.blocks, ..around.clone() };
        let bound = [(4, Access::Write, "exp_avg"), (5, Access::Write, "exp_avg_sq")];
        Some(update::pass(update, &around, "muon_others", &bound, parameters, Body::Update))
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
