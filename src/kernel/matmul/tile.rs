//! The tiles of `matmul_block.wgsl`: their sizes, and what follows from them.

/// A tile of the result that one workgroup makes, and how its invocations share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Elements of K that lie in workgroup memory at a time.
    pub slab: usize,
    /// Rows of an invocation, a multiple of 4.
    pub each_rows: usize,
    /// Columns of an invocation, a multiple of 4.
    pub each_cols: usize,
    /// Groups of invocations that each sum their share of every slab.
    pub slices: usize,
    /// Slabs in workgroup memory: with two in turn there is one barrier a slab, with one there are two.
    pub buffers: usize,
    /// 32-bit registers of an invocation on the nominal card, estimated: sums, operands, the next slab, addresses.
    pub registers: usize,
}

/// The least workgroup memory that WebGPU promises.
const WORKGROUP_BYTES: usize = 16 << 10;

/// Every tile, in the order in which equal predictions are settled. All keep within 16 KiB of workgroup memory, since a
/// plan does not know the device: so the slabs of the largest two are 8 deep.
pub const TILES: [Tile; 7] = [
    Tile::new([16, 16, 128], [4, 4], 16, 1, 60),
    Tile::new([32, 32, 64], [4, 4], 4, 1, 60),
    Tile::new([32, 32, 32], [4, 4], 1, 2, 80),
    Tile::new([64, 32, 16], [4, 4], 1, 2, 60),
    Tile::new([64, 64, 16], [8, 4], 1, 2, 84),
    Tile::new([128, 64, 8], [8, 4], 1, 2, 80),
    Tile::new([128, 128, 8], [8, 8], 1, 2, 120),
];

impl Tile {
    const fn new(
        [rows, cols, slab]: [usize; 3],
        [each_rows, each_cols]: [usize; 2],
        slices: usize,
        buffers: usize,
        registers: usize,
    ) -> Tile {
        Tile { rows, cols, slab, each_rows, each_cols, slices, buffers, registers }
    }

    /// Invocations of a slice along the rows.
    pub const fn tall(&self) -> usize {
        self.rows / self.each_rows
    }

    /// Invocations of a slice along the columns.
    pub const fn wide(&self) -> usize {
        self.cols / self.each_cols
    }

    /// Invocations of a workgroup.
    pub const fn invocations(&self) -> usize {
        self.slices * self.tall() * self.wide()
    }

    /// Cells of four numbers in a slab of A.
    pub const fn a_cells(&self) -> usize {
        self.rows * self.slab / 4
    }

    /// Cells of a slab of B.
    pub const fn b_cells(&self) -> usize {
        self.cols * self.slab / 4
    }

    /// Cells in workgroup memory: the slabs, or afterwards the partial tiles of the slices.
    pub const fn cells(&self) -> usize {
        let slabs = self.buffers * (self.a_cells() + self.b_cells());
        let partial = if self.slices > 1 { self.slices * self.rows * self.cols / 4 } else { 0 };
        if slabs > partial { slabs } else { partial }
    }

    /// Steps of four along K that an invocation takes in a slab.
    pub const fn steps(&self) -> usize {
        self.slab / 4 / self.slices
    }

    /// Loop iterations of an invocation for `chunk` of K.
    pub fn iterations(&self, chunk: usize) -> usize {
        chunk.div_ceil(self.slab) * (1 + self.steps()) + self.slices + self.each_rows
    }

    /// Its name, which no other tile has: rows by columns by K of a slab, as `64x32x16`.
    pub fn name(&self) -> String {
        format!("{}x{}x{}", self.rows, self.cols, self.slab)
    }

    /// The override constants of the shader.
    pub fn constants(&self) -> [(&'static str, u32); 10] {
        let swap = if self.buffers == 2 { self.a_cells() + self.b_cells() } else { 0 };
        [
            ("ROWS", self.rows as u32),
            ("COLS", self.cols as u32),
            ("SLAB", self.slab as u32),
            ("SLICES", self.slices as u32),
            ("TALL", self.tall() as u32),
            ("WIDE", self.wide() as u32),
            ("INVOCATIONS", self.invocations() as u32),
            ("A_CELLS", self.a_cells() as u32),
            ("CELLS", self.cells() as u32),
            ("SWAP", swap as u32),
        ]
    }

    /// The tile that a kernel's constants describe.
    pub fn of(constants: &[(&'static str, u32)]) -> Option<&'static Tile> {
        TILES.iter().find(|tile| tile.constants().iter().all(|own| constants.contains(own)))
    }
}

const _: () = {
    let mut i = 0;
    while i < TILES.len() {
        let tile = &TILES[i];
        assert!(16 * tile.cells() <= WORKGROUP_BYTES, "more workgroup memory than WebGPU promises");
        assert!(tile.invocations() <= 256, "more invocations than WebGPU promises");
        // The sum of the slices and the sums of rows take one quarter of an invocation's tile for each row.
        assert!(tile.slices == 1 || (tile.each_rows == 4 && tile.each_cols == 4));
        i += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_found_by_its_constants() {
        for tile in &TILES {
            let mut constants = vec![("M", 5), ("N", 7)];
            constants.extend(tile.constants());
            assert_eq!(Tile::of(&constants), Some(tile));
        }
        assert_eq!(Tile::of(&[("ROWS", 16)]), None);
    }
}
