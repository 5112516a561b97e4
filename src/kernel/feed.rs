//! `feed_gather.wgsl` and `step_close.wgsl`: where a step begins, and where one without an optimizer ends.

use super::{Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::graph::Clock;

/// A field to gather, in words: how many a sample has, where the first one begins, and how far apart they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// Words of a sample.
    pub words: usize,
    /// Words before the first sample.
    pub first: usize,
    /// Words from one sample's beginning to the next one's.
    pub hop: usize,
}

/// Fields that one dispatch gathers, at most.
pub const AT_ONCE: usize = 2;
/// What gathering reads, field by field; the planner knows the buffer.
pub const FROM: [&str; AT_ONCE] = ["feed from 0", "feed from 1"];
/// What gathering writes, field by field.
pub const INTO: [&str; AT_ONCE] = ["feed into 0", "feed into 1"];
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

/// Gathers `batch` samples of a field, and of a second one where there is one, through row `steps done` of the
/// order table, whose rows are `stride` long; opens the step where it `opens`.
pub fn gather(batch: usize, stride: usize, x: Gather, t: Option<Gather>, opens: bool) -> Kernel {
    let unit = |g: Gather| {
        if [g.words, g.first, g.hop].iter().all(|n| n.is_multiple_of(4)) {
            ("vec4<u32>", Gather { words: g.words / 4, first: g.first / 4, hop: g.hop / 4 })
        } else {
            ("u32", g)
        }
    };
    let (x_unit, x) = unit(x);
    let mut slots = vec![("units", format!("alias XUnit = {x_unit};"))];
    let mut constants = vec![
        ("BATCH", batch as u32),
        ("STRIDE", stride as u32),
        ("OPENS", u32::from(opens)),
        ("X", x.words as u32),
        ("X_FIRST", x.first as u32),
        ("X_HOP", x.hop as u32),
    ];
    let read = |slot, name| (slot, Access::Read, Operand::Named(name));
    let write = |slot, name| (slot, Access::Write, Operand::Named(name));
    let mut operands = vec![read(0, FROM[0]), read(2, ORDER), write(3, STATE), write(4, INTO[0])];
    let mut units = x.words;
    match t.map(unit) {
        Some((t_unit, t)) => {
            slots[0].1 += &format!(" alias TUnit = {t_unit};");
            let numbers = [("T", t.words), ("T_FIRST", t.first), ("T_HOP", t.hop)];
            constants.extend(numbers.map(|(name, n)| (name, n as u32)));
            operands.extend([read(1, FROM[1]), write(5, INTO[1])]);
            units += t.words;
        }
        None => {
            slots.extend(["targets", "t", "gather_t"].map(|slot| (slot, String::new())));
            constants.extend(["T", "T_FIRST", "T_HOP"].map(|name| (name, 0)));
        }
    }
    Kernel {
        entry: "feed_gather",
        wgsl: wgsl::compose("feed_gather", &slots),
        constants,
        operands,
        grid: grid((batch * units).div_ceil(64)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(kernel: &Kernel, name: &str) -> u32 {
        kernel.constants.iter().find(|(n, _)| *n == name).unwrap().1
    }

    #[test]
    fn samples_travel_as_vec4s_where_all_of_it_is_whole() {
        let whole = Gather { words: 8, first: 4, hop: 12 };
        for (t, unit) in [
            (whole, "vec4<u32>"),
            (Gather { words: 7, ..whole }, "u32"),
            (Gather { first: 5, ..whole }, "u32"),
            (Gather { hop: 9, ..whole }, "u32"),
        ] {
            let kernel = gather(3, 3, whole, Some(t), true);
            assert!(kernel.wgsl.contains(&format!("alias XUnit = vec4<u32>; alias TUnit = {unit};")));
            let by = if unit == "u32" { 1 } else { 4 };
            let want = [t.words, t.first, t.hop].map(|n| (n / by) as u32);
            assert_eq!(["T", "T_FIRST", "T_HOP"].map(|name| constant(&kernel, name)), want);
            assert_eq!(["X", "X_FIRST", "X_HOP"].map(|name| constant(&kernel, name)), [2, 1, 3]);
        }
    }

    #[test]
    fn a_field_alone_leaves_no_trace_of_a_second() {
        let one = gather(3, 3, Gather { words: 5, first: 0, hop: 5 }, None, false);
        assert!(!one.wgsl.contains("TUnit") && !one.wgsl.contains("t[j]"), "{}", one.wgsl);
        assert_eq!(one.operands.iter().map(|o| o.0).collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert_eq!((constant(&one, "OPENS"), one.grid), (0, [1, 1, 1]));
    }
}
