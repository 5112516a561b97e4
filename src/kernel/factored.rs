//! `optim/adafactor.wgsl`: five dispatches, whatever the number of tensors.

use super::update::{
    self, BLOCK_BYTES, BLOCK_SUMS, Body, Bound, NORMS, Tensor, UpdateContext, tensor_of_blocks,
};
use super::{Family, Kernel, grid};
use crate::gpu::{Access, wgsl};
use crate::optim::UpdateKernel;

/// The table of tensors and their second moments.
pub const LAYOUT: &str = "layout of tensors";
/// The slot: for each tensor the means of rows, of columns, and of the rows' means of each matrix.
const VARIANCE: &str = "variance";

/// Kinds of an entry of lines, as in the shader; from this bit on the logarithm of its lines.
const COLUMNS: u32 = 1;
const LONG: u32 = 2;
const LINES_FROM: u32 = 2;
/// All invocations sum a row longer than this; with one for each row, neighbours would read far apart.
const LONG_ROW: usize = 32;
/// A column longer than this is summed in 64 parts.
const LONG_COLUMN: usize = 1024;
/// The longest columns of which each has a lane of a subgroup to itself; of longer ones too many turns follow each other.
const LONGEST_OF_A_LANE: usize = 16_000;

/// The invocations that sum lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lanes {
    /// Subgroups of eight: a lane a column or a short row, or a long row to all.
    Eight,
    /// Workgroups of 64, with barriers: 64 short rows, one long row or column, or eight columns whose elements go round, so that
    /// neighbours read neighbours and no one reads more than an eighth.
    #[default]
    SixtyFour,
}

impl Lanes {
    fn count(self) -> usize {
        match self {
            Lanes::Eight => 8,
            Lanes::SixtyFour => 64,
        }
    }

    /// Turns of the loops over a line's parts.
    fn turns_of_parts(self) -> usize {
        match self {
            Lanes::Eight => 8 + 64,
            Lanes::SixtyFour => 0,
        }
    }

    /// Lines of a workgroup.
    fn lines(self, columns: bool, length: usize) -> usize {
        match (self, columns) {
            (_, false) if length > LONG_ROW => 1,
            (Lanes::Eight, _) => 8,
            (Lanes::SixtyFour, true) if length > LONG_COLUMN => 1,
            (Lanes::SixtyFour, true) if length > LONG_ROW => 8,
            (Lanes::SixtyFour, _) => 64,
        }
    }
}

/// The layout, and the sizes that follow from it.
#[derive(Debug, Clone, Default)]
pub struct Factored {
    /// The words of [`LAYOUT`].
    pub words: Vec<u32>,
    /// Numbers of the slot.
    pub numbers: usize,
    lanes: Lanes,
    tensors: usize,
    lines: usize,
    matrices: usize,
    /// Offsets in the words.
    shapes_at: usize,
    lines_at: usize,
    means_at: usize,
    longest: usize,
    /// A tensor has more than one matrix.
    batches: bool,
    /// Every four elements that are loaded together are of one line.
    whole_fours: bool,
}

impl Factored {
    /// For tensors whose blocks begin at their offsets; `blocks` in all.
    pub fn new(tensors: &[Tensor<'_>], blocks: usize, family: Family) -> Factored {
        let height = |tensor: &Tensor<'_>| tensor.shape.iter().rev().nth(1).copied().unwrap_or(1);
        let highest = tensors.iter().map(height).max().unwrap_or(1);
        let lanes = match family {
            Family::Subgroup if highest <= LONGEST_OF_A_LANE => Lanes::Eight,
            _ => Lanes::SixtyFour,
        };
        let mut layout = Factored { lanes, tensors: tensors.len(), shapes_at: blocks, ..Factored::default() };
        layout.whole_fours = true;
        layout.words = tensor_of_blocks(tensors, blocks);
        let (mut lines, mut means) = (Vec::new(), Vec::new());
        for (tensor, Tensor { shape, offset }) in (0..).zip(tensors) {
            let count = shape.elements();
            let (matrices, height, width) = match &shape[..] {
                [batch @ .., height, width] => (batch.iter().product(), *height, *width),
                _ => (0, 1, count),
            };
            layout.batches |= matrices > 1;
            layout.whole_fours &= matrices == 0 || width.is_multiple_of(4);
            let rows = matrices * height;
            let columns = matrices.max(1) * width;
            let at = layout.numbers;
            let (first, block) = (*offset / 4, *offset / BLOCK_BYTES);
            let words = [first as usize, count, height, width, rows, columns, at, block as usize];
            layout.words.extend(words.map(|word| word as u32));
            layout.numbers += rows + columns + matrices;
            let mut add = |kind: u32, count: usize, length: usize, long: usize| {
                let of_workgroup = lanes.lines(kind == COLUMNS, length);
                let kind = kind | if length > long { LONG } else { 0 } | of_workgroup.ilog2() << LINES_FROM;
                lines.extend((0..count).step_by(of_workgroup).flat_map(|line| [tensor, kind, line as u32]));
                let own = length.div_ceil(lanes.count() / of_workgroup) + lanes.turns_of_parts();
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
        let before = UpdateContext { average: false, ..around.clone() };
        let of_family = if around.family == Family::Subgroup { Lanes::Eight } else { Lanes::SixtyFour };
        let first = |entry, body, lanes| {
            update::pass_with(update, &before, entry, &bound(BLOCK_SUMS), 0, body, text(around, lanes))
        };
        let of_lines = |entry, groups| {
            let kernel = first(entry, Body::Own(self.lanes.count() as u32), self.lanes);
            Kernel { grid: grid(groups), iterations: self.longest, ..kernel }
        };
        let lines = of_lines("adafactor_lines", self.lines);
        let means = of_lines("adafactor_means", self.matrices);
        let sums = first("adafactor_sums", Body::Sums, of_family);
        let norms = update::tensor_norms(around, self.tensors);
        let text = text(around, of_family);
        let last =
            update::pass_with(update, around, update.entry, &bound(NORMS), parameters, Body::Update, text);
        let mut kernels = vec![lines, means, sums, norms, last];
        if self.matrices == 0 {
            kernels.remove(1);
        }
        let constants = [
            ("SHAPES", self.shapes_at),
            ("LINES", self.lines_at),
            ("MEANS", self.means_at),
            ("LINE_GROUPS", self.lines),
            ("MATRICES", self.matrices),
            ("BATCHES", usize::from(self.batches)),
            ("WHOLE_FOURS", usize::from(self.whole_fours)),
        ];
        for kernel in kernels.iter_mut().filter(|kernel| kernel.entry != "tensor_norms") {
            kernel.constants.extend(constants.map(|(name, value)| (name, value as u32)));
        }
        kernels
    }
}

/// The sums without barriers, where a subgroup makes them.
fn text(around: &UpdateContext<'_>, lanes: Lanes) -> Vec<(&'static str, String)> {
    if lanes == Lanes::SixtyFour {
        return vec![];
    }
    let lines = wgsl::source("shared/factored_subgroup").unwrap_or_default().to_owned();
    update::subgroup_sums(around).into_iter().chain([("lines", lines)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn a_convolution_is_a_batch_of_matrices_and_a_bias_a_line() {
        let (kernel, bias) = (Shape::from([2, 3, 5, 4]), Shape::from([70]));
        let tensors = [Tensor { shape: &kernel, offset: 0 }, Tensor { shape: &bias, offset: 1024 }];
        let layout = Factored::new(&tensors, 2, Family::Tiled);
        assert_eq!(layout.words[..2], [0, 1]);
        assert_eq!(layout.words[2..10], [0, 120, 5, 4, 30, 24, 0, 0]);
        assert_eq!(layout.words[10..18], [256, 70, 1, 70, 0, 70, 60, 1]);
        assert_eq!((layout.numbers, layout.matrices), (30 + 24 + 6 + 70, 6));
        // Thirty rows and 24 columns, a lane each; the bias's elements in two workgroups.
        assert_eq!(layout.words[18..30], [0, 24, 0, 0, 25, 0, 1, 25, 0, 1, 25, 64]);
        assert_eq!(layout.words[30..34], [0, 0, 0, 1]);
    }

    #[test]
    fn long_lines_are_summed_together() {
        let matrix = Shape::from([3, 100]);
        let layout = Factored::new(&[Tensor { shape: &matrix, offset: 0 }], 2, Family::Tiled);
        assert_eq!(layout.words[10..25], [0, 2, 0, 0, 2, 1, 0, 2, 2, 0, 25, 0, 0, 25, 64]);
        assert_eq!(layout.longest, 3);
    }

    #[test]
    fn columns_go_round_workgroups_and_lanes() {
        let kind = |height: usize, family| {
            let matrix = Shape::from([height, 10]);
            let blocks = (40 * height).div_ceil(1024);
            let layout = Factored::new(&[Tensor { shape: &matrix, offset: 0 }], blocks, family);
            layout.words[layout.means_at - 2]
        };
        // Eight columns of 100 elements, or one of more than 1,024, to a workgroup.
        assert_eq!([100, 1025].map(|height| kind(height, Family::Tiled)), [1 | 3 << 2, 1 | 2]);
        // Eight to a subgroup, unless they are too long for a lane.
        let of_lanes = [100, 1025, 16_001].map(|height| kind(height, Family::Subgroup));
        assert_eq!(of_lanes, [1 | 3 << 2, 1 | 2 | 3 << 2, 1 | 2]);
    }
}
