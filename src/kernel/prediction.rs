//! The predicted time of a kernel on the nominal card of [`cost`](super::cost).

use super::cost::Work;
use super::matmul::{Tile, work};
use super::{Family, Kernel};

/// Invocations of a workgroup of most kernels.
const INVOCATIONS: usize = 64;
/// Registers of an invocation of most kernels, estimated.
const REGISTERS: usize = 40;
/// K of a slab of `matmul_tiled.wgsl`.
const TILED_SLAB: usize = 16;

/// Microseconds of a kernel that reads and writes `bytes`, predicted without measuring. For a product of strided operands
/// this is the figure by which its tile was chosen. For others every loop iteration counts as one that waits for a load, so
/// that the figure is rough. `None` for kernels of software adapters.
pub fn microseconds(kernel: &Kernel, bytes: u64, family: Family) -> Option<f64> {
    if family != Family::Tiled {
        return None;
    }
    side_by_side(kernel.each(), bytes)
}

/// Microseconds of kernels side by side that read and write `bytes`; `None` for no kernel.
pub fn side_by_side<'a>(kernels: impl IntoIterator<Item = &'a Kernel>, bytes: u64) -> Option<f64> {
    let work = kernels.into_iter().map(work_of).reduce(Work::beside)?;
    Some(Work { bytes: bytes as f64, ..work }.microseconds())
}

/// The work of a kernel, without the bytes of its operands.
fn work_of(kernel: &Kernel) -> Work {
    let groups = kernel.grid.iter().map(|&n| n as usize).product();
    let constant = |name: &str| {
        kernel.constants.iter().find(|(known, _)| *known == name).map(|(_, value)| *value as usize)
    };
    let chunk = constant("CHUNK").unwrap_or(0).min(constant("K").unwrap_or(0));
    if let Some(tile) = Tile::of(&kernel.constants) {
        return work(tile, groups, chunk, 0.0);
    }
    let mut work = Work {
        groups,
        invocations: INVOCATIONS,
        registers: REGISTERS,
        rounds: kernel.waits.unwrap_or(kernel.iterations),
        multiply_adds: kernel.flops as f64 / 2.0 / groups as f64,
        shared_cycles: 0.0,
        bytes: 0.0,
        loaded_bytes: 0.0,
    };
    if let (Some(threads), Some(slab)) = (constant("THREADS"), constant("SLAB")) {
        // It loads a slab number by number in a loop, and the loop over the slab waits for no load.
        work.invocations = threads * threads;
        work.rounds = chunk.div_ceil(TILED_SLAB) * (slab / work.invocations);
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cost::{DISPATCH, ROUND};
    use crate::kernel::matmul::TILES;

    fn kernel(constants: &[(&'static str, u32)], grid: [u32; 3], iterations: usize) -> Kernel {
        Kernel {
            entry: "made up",
            wgsl: String::new(),
            constants: constants.to_vec(),
            operands: vec![],
            reads_old: false,
            parts: vec![],
            waits: None,
            grid,
            flops: 1000,
            iterations,
        }
    }

    fn of(kernel: &Kernel) -> f64 {
        microseconds(kernel, 64, Family::Tiled).expect("a figure")
    }

    #[test]
    fn rounds_are_those_that_wait() {
        assert_eq!(microseconds(&kernel(&[], [1, 1, 1], 1), 64, Family::Subgroup), None);
        assert!((of(&kernel(&[], [3, 2, 1], 10)) - DISPATCH - 10.0 * ROUND).abs() < 1e-9);
        // 40 of K are three slabs of 16, each loaded in eight turns.
        let tiled = [("THREADS", 8), ("SLAB", 512), ("K", 40), ("CHUNK", 40)];
        assert!((of(&kernel(&tiled, [1, 1, 1], 44)) - DISPATCH - 24.0 * ROUND).abs() < 1e-9);
    }

    /// The figure of a product is that by which its tile was chosen, for the K that there is and all workgroups.
    #[test]
    fn products_are_predicted_by_their_tile() {
        for tile in &TILES {
            let block = [&tile.constants()[..], &[("K", 1000), ("CHUNK", 1024)]].concat();
            let got = of(&kernel(&block, [4, 50, 2], 99));
            assert!((got - work(tile, 400, 1000, 64.0).microseconds()).abs() < 1e-9, "{tile:?}: {got}");
            assert!(got > DISPATCH + ROUND, "{tile:?}: {got}");
        }
    }
}
