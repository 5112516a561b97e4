//! `feed_gather.wgsl` and `step_close.wgsl`: where a step begins, and where one without an optimizer ends.

use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::Clock;

/// Gathers `batch` samples of `x` and `t` words each from the buffers `data`, through row `steps done` of the
/// order table, whose rows are `stride` long.
pub fn gather(batch: usize, stride: usize, x: usize, t: usize, data: [&'static str; 2]) -> Kernel {
    let unit = |words: usize| if words.is_multiple_of(4) { ("vec4<u32>", words / 4) } else { ("u32", words) };
    let ((x_unit, x), (t_unit, t)) = (unit(x), unit(t));
    let units = format!("alias XUnit = {x_unit};\nalias TUnit = {t_unit};\n");
    let read = |slot, name| (slot, Access::Read, Operand::Named(name));
    let write = |slot, name| (slot, Access::Write, Operand::Named(name));
    Kernel {
        entry: "feed_gather",
        wgsl: wgsl::compose("feed_gather", &[("units", units)]),
        constants: vec![("BATCH", batch as u32), ("STRIDE", stride as u32), ("X", x as u32), ("T", t as u32)],
        operands: vec![
            read(0, data[0]),
            read(1, data[1]),
            read(2, ORDER),
            write(3, STATE),
            write(4, INPUT_X),
            write(5, INPUT_T),
        ],
        grid: grid((batch * (x + t)).div_ceil(64)),
        flops: 0,
        iterations: 1,
    }
}

/// Copies the arena of what the buffers become, of `bytes`, over that of the buffers.
pub fn commit(bytes: u64) -> Kernel {
    let fours = bytes as usize / 16;
    Kernel {
        entry: "buffers_commit",
        wgsl: wgsl::compose("buffers_commit", &[]),
        constants: vec![("LENGTH", fours as u32)],
        operands: vec![
            (0, Access::Read, Operand::Named(NEXT_BUFFERS)),
            (1, Access::Write, Operand::Named(BUFFERS)),
        ],
        grid: grid(fours.div_ceil(64)),
        flops: 0,
        iterations: 1,
    }
}

/// Closes a step that no optimizer closes.
pub fn close() -> Kernel {
    Kernel {
        entry: "step_close",
        wgsl: wgsl::compose("step_close", &[]),
        constants: vec![],
        operands: vec![(0, Access::Write, Operand::Named(STATE))],
        grid: [1, 1, 1],
        flops: 0,
        iterations: 1,
    }
}

/// Sample numbers, a row a step.
pub const ORDER: &str = "order";
/// The words of the open step.
pub const STATE: &str = "state";
/// Bytes of [`STATE`].
pub const STATE_BYTES: u64 = Clock::WORDS as u64 * 4;
/// Tensors kept from step to step that are not trained.
pub const BUFFERS: &str = "running buffers";
/// What those become at the end of the step.
pub const NEXT_BUFFERS: &str = "running buffers next";
/// The buffer of the graph's input `x`, the model's input.
pub const INPUT_X: &str = "input x";
/// The buffer of the graph's input `t`, the target.
pub const INPUT_T: &str = "input t";
