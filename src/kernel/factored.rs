//! `optim/adafactor.wgsl`: five dispatches, whatever the number of tensors.

use super::update::{self, BLOCK_BYTES, BLOCK_SUMS, Bound, NORMS, Tensor, UpdateContext, tensor_of_blocks};
use super::{Kernel, grid};
use crate::gpu::Access;
use crate::optim::UpdateKernel;

/// The table of tensors and their second moments.
pub const LAYOUT: &str = "layout of tensors";
/// The slot: for each tensor the means of rows, of columns, and of the rows' means of each matrix.
const VARIANCE: &str = "variance";

/// Kinds of an entry of lines, as in the shader.
const COLUMNS: u32 = 1;
const TOGETHER: u32 = 2;
/// Invocations of a workgroup.
const LANES: usize = 64;
/// All invocations sum a row longer than this; with one for each row, neighbours would read far apart.
const LONG_ROW: usize = 32;
/// All invocations sum a column longer than this, though its elements are far apart; a single one would take too long.
const LONG_COLUMN: usize = 1024;

/// The layout, and the sizes that follow from it.
#[derive(Debug, Clone, Default)]
pub struct Factored {
    /// The words of [`LAYOUT`].
    pub words: Vec<u32>,
    /// Numbers of the slot.
    pub numbers: usize,
    tensors: usize,
    lines: usize,
    matrices: usize,
    /// Offsets in the words.
    shapes_at: usize,
    lines_at: usize,
    means_at: usize,
    longest: usize,
}

impl Factored {
    /// For tensors whose blocks begin at their offsets; `blocks` in all.
    pub fn new(tensors: &[Tensor<'_>], blocks: usize) -> Factored {
        let mut layout = Factored { tensors: tensors.len(), shapes_at: blocks, ..Factored::default() };
        layout.words = tensor_of_blocks(tensors, blocks);
        let (mut lines, mut means) = (Vec::new(), Vec::new());
        for (tensor, Tensor { shape, offset }) in (0..).zip(tensors) {
            let count = shape.elements();
            let (matrices, height, width) = match &shape[..] {
                [batch @ .., height, width] => (batch.iter().product(), *height, *width),
                _ => (0, 1, count),
            };
            let rows = matrices * height;
            let columns = matrices.max(1) * width;
            let at = layout.numbers;
            let (first, block) = (*offset / 4, *offset / BLOCK_BYTES);
            let words = [first as usize, count, height, width, rows, columns, at, block as usize];
            layout.words.extend(words.map(|word| word as u32));
            layout.numbers += rows + columns + matrices;
            let mut add = |kind: u32, count: usize, length: usize, long: usize| {
                let (kind, step) = if length > long { (kind | TOGETHER, 1) } else { (kind, LANES) };
                lines.extend((0..count).step_by(step).flat_map(|line| [tensor, kind, line as u32]));
                let own = if step == 1 { length.div_ceil(LANES) } else { length };
                layout.longest = layout.longest.max(own);
            };
            add(0, rows, width, LONG_ROW);
            add(COLUMNS, columns, height, LONG_COLUMN);
            means.extend((0..matrices).flat_map(|matrix| [tensor, matrix as u32]));
        }
        (layout.lines, layout.matrices) = (lines.len() / 3, means.len() / 2);
        layout.lines_at = layout.words.len();
        layout.words.append(&mut lines);
        layout.means_at = layout.words.len();
        layout.words.append(&mut means);
        layout
    }

    /// The kernels; `parameters` of the arena's numbers are in use.
    pub fn kernels(
        &self,
        update: &UpdateKernel,
        around: &UpdateContext<'_>,
        parameters: usize,
    ) -> Vec<Kernel> {
        let bound = |last| -> [Bound; 3] {
            [(4, Access::Write, VARIANCE), (5, Access::Read, LAYOUT), (6, Access::Write, last)]
        };
        let first = |entry| update::pass_before(update, around, entry, &bound(BLOCK_SUMS));
        let lines = Kernel { grid: grid(self.lines), iterations: self.longest, ..first("adafactor_lines") };
        let means =
            Kernel { grid: grid(self.matrices), iterations: self.longest, ..first("adafactor_means") };
        let norms = update::tensor_norms(around, self.tensors);
        let last = update::pass(update, around, update.entry, &bound(NORMS), parameters);
        let mut kernels = vec![lines, means, first("adafactor_sums"), norms, last];
        if self.matrices == 0 {
            kernels.remove(1);
        }
        let constants = [
            ("SHAPES", self.shapes_at),
            ("LINES", self.lines_at),
            ("MEANS", self.means_at),
            ("LINE_GROUPS", self.lines),
            ("MATRICES", self.matrices),
        ];
        for kernel in kernels.iter_mut().filter(|kernel| kernel.entry != "tensor_norms") {
            kernel.constants.extend(constants.map(|(name, value)| (name, value as u32)));
        }
        kernels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn a_convolution_is_a_batch_of_matrices_and_a_bias_a_line() {
        let (kernel, bias) = (Shape::from([2, 3, 5, 4]), Shape::from([70]));
        let tensors = [Tensor { shape: &kernel, offset: 0 }, Tensor { shape: &bias, offset: 1024 }];
        let layout = Factored::new(&tensors, 2);
        assert_eq!(layout.words[..2], [0, 1]);
        assert_eq!(layout.words[2..10], [0, 120, 5, 4, 30, 24, 0, 0]);
        assert_eq!(layout.words[10..18], [256, 70, 1, 70, 0, 70, 60, 1]);
        assert_eq!((layout.numbers, layout.matrices), (30 + 24 + 6 + 70, 6));
        // Thirty rows and 24 columns, a lane each; the bias's elements in two workgroups.
        assert_eq!(layout.words[18..30], [0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 1, 64]);
        assert_eq!(layout.words[30..34], [0, 0, 0, 1]);
    }

    #[test]
    fn long_lines_are_summed_together() {
        let matrix = Shape::from([3, 100]);
        let layout = Factored::new(&[Tensor { shape: &matrix, offset: 0 }], 2);
        assert_eq!(layout.words[10..25], [0, 2, 0, 0, 2, 1, 0, 2, 2, 0, 1, 0, 0, 1, 64]);
        assert_eq!(layout.longest, 3);
    }
}
