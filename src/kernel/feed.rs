//! `feed_gather.wgsl` begins a step, `step_close.wgsl` ends a step that has no optimizer.
//!
//! A sample is any number of named fields, each an input of the graph. A field is samples one after the other, or windows
//! over a sequence: `feed_gather` takes a first element and a hop. Fields over the same values share a buffer, so a text is
//! on the device once, for inputs and targets, training and evaluation. One dispatch gathers up to two fields; the first
//! dispatch of several opens the step.
//!
//! The step counter has two words. `feed_gather` opens a step: it reads `state[0]`, the steps done in this window, and
//! writes `state[1]`, one more. Metrics and optimizer read `state[1]`. The optimizer, or `step_close` in evaluation, closes
//! the step by `state[0] = state[1]`. No kernel reads and writes the same word, so no invocation sees another's write.

use super::{Kernel, Operand, grid};
use crate::data::{Kind, Scale};
use crate::gpu::{Access, wgsl};
use crate::graph::Clock;

/// A field to gather. Lengths are counted in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gather<'a> {
    /// Length of a sample.
    pub words: usize,
    /// Numbers before the first sample.
    pub first: usize,
    /// Distance from the beginning of a sample to that of the next.
    pub hop: usize,
    /// Kind of the numbers in the source.
    pub kind: Kind,
    /// Scaling on the way, if any.
    pub scale: Option<&'a Scale>,
}

/// The most steps of one submission, and so the rows of the tables on the device.
pub const MAX_WINDOW_STEPS: usize = 64;
/// The most fields that one dispatch gathers.
pub const AT_ONCE: usize = 2;
/// The buffers that gathering reads, field by field; the planner knows which ones they are.
pub const FROM: [&str; AT_ONCE] = ["feed from 0", "feed from 1"];
/// The buffers that gathering writes, field by field.
pub const INTO: [&str; AT_ONCE] = ["feed into 0", "feed into 1"];
/// Sample numbers, a row for each step.
pub const ORDER: &str = "order";
/// The words of the open step.
pub const STATE: &str = "state";
/// Bytes of [`STATE`].
pub const STATE_BYTES: u64 = Clock::WORDS as u64 * 4;
/// Tensors that are kept from step to step and not trained.
pub const BUFFERS: &str = "running buffers";
/// The entry point that gathers samples.
pub const GATHER: &str = "feed_gather";
/// The constant with the number of states that a gathering opens.
pub const OPENS: &str = "OPENS";
/// The constant with the words from one state that is opened to the next.
pub const STATE_HOP: &str = "STATE_HOP";
/// Invocations of a workgroup that gathers.
pub const INVOCATIONS: u32 = 64;
/// The values of [`BUFFERS`] after the step.
pub const NEXT_BUFFERS: &str = "running buffers next";

impl Gather<'_> {
    /// The numbers that one invocation writes.
    pub(super) fn unit(self) -> usize {
        let plane = self.scale.map_or(4, |scale| self.words / scale.factor.len());
        let all = [self.words, self.first, self.hop, plane];
        if all.iter().all(|n| n.is_multiple_of(4)) { 4 } else { 1 }
    }

    /// The types of what is written and of what is read, and the function between them; `name` is `x` or `t`, and
    /// `source` the binding.
    pub(super) fn text(self, name: &str, source: &str) -> (String, String) {
        let (four, kind) = (self.unit() == 4, self.kind.name());
        let of = |ty: &str| if four { format!("vec4<{ty}>") } else { ty.to_owned() };
        let wide = self.kind.bytes() == 4;
        let title = name.to_uppercase();
        let from = match (wide, self.kind.bytes()) {
            (true, _) => of("u32"),
            (false, 2) if four => "vec2<u32>".into(),
            _ => "u32".into(),
        };
        let types = format!("alias {title}Unit = {}; alias {title}From = {from};", of("u32"));
        let number = match (wide, four, 4 / self.kind.bytes()) {
            (true, ..) => format!("bitcast<{}>({source}[at])", of(kind)),
            (_, true, _) => format!("four_{kind}({source}[at])"),
            (_, false, per) => format!("one_{kind}({source}[at / {per}u], at)"),
        };
        let (constants, number) = match self.scale {
            None => (String::new(), number),
            Some(Scale { factor, offset }) => {
                let n = factor.len();
                let list = |numbers: &[f32]| {
                    let numbers: Vec<String> = numbers.iter().map(|x| format!("{x:?}f")).collect();
                    format!("array<f32, {n}>({})", numbers.join(", "))
                };
                let plane = self.words / self.unit() / n;
                let constants = format!(
                    "const {title}_FACTOR = {}; const {title}_OFFSET = {};\n",
                    list(factor),
                    list(offset)
                );
                let channel = if n == 1 { "0".into() } else { format!("unit / {plane}u") };
                let scaled = format!(
                    "{}({number}) * {title}_FACTOR[{channel}] + {title}_OFFSET[{channel}]",
                    of("f32")
                );
                (constants, scaled)
            }
        };
        let function = format!(
            "{constants}fn {name}_at(at: u32, unit: u32) -> {title}Unit {{ return bitcast<{title}Unit>({number}); }}"
        );
        (types, function)
    }
}

/// Gathers `batch` samples of a field, and of a second one where there is one, through row `steps done` of the
/// order table, whose rows are `stride` long; opens the step where it `opens`.
pub fn gather(batch: usize, stride: usize, x: Gather<'_>, t: Option<Gather<'_>>, opens: bool) -> Kernel {
    let (types, x_at) = x.text("x", "inputs");
    let mut slots = vec![("units", types), ("x_at", x_at)];
    let mut constants = vec![("BATCH", batch as u32), ("STRIDE", stride as u32), (OPENS, u32::from(opens))];
    let counts = |names: [&'static str; 3], g: Gather<'_>| {
        let numbers = [g.words, g.first, g.hop].map(|n| (n / g.unit()) as u32);
        names.into_iter().zip(numbers)
    };
    constants.extend(counts(["X", "X_FIRST", "X_HOP"], x));
    let read = |slot, name| (slot, Access::Read, Operand::Named(name));
    let write = |slot, name| (slot, Access::Write, Operand::Named(name));
    let mut operands = vec![read(0, FROM[0]), read(2, ORDER), write(3, STATE), write(4, INTO[0])];
    let mut units = x.words / x.unit();
    const T: [&str; 3] = ["T", "T_FIRST", "T_HOP"];
    match t {
        Some(t) => {
            let (types, t_at) = t.text("t", "targets");
            slots[0].1 += &format!(" {types}");
            slots.push(("t_at", t_at));
            constants.extend(counts(T, t));
            operands.extend([read(1, FROM[1]), write(5, INTO[1])]);
            units += t.words / t.unit();
        }
        None => {
            slots.extend(["targets", "t", "t_at", "gather_t"].map(|slot| (slot, String::new())));
            constants.extend(T.map(|name| (name, 0)));
        }
    }
    Kernel {
        entry: GATHER,
        wgsl: wgsl::compose("feed_gather", &slots),
        constants,
        operands,
        reads_old: false,
        parts: vec![],
        waits: None,
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
        reads_old: false,
        parts: vec![],
        waits: None,
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
        reads_old: false,
        parts: vec![],
        waits: None,
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

    const PLAIN: Gather<'_> = Gather { words: 8, first: 4, hop: 12, kind: Kind::F32, scale: None };

    #[test]
    fn samples_travel_in_fours_where_all_of_it_is_whole() {
        for (t, unit) in [
            (PLAIN, "vec4<u32>"),
            (Gather { words: 7, ..PLAIN }, "u32"),
            (Gather { first: 5, ..PLAIN }, "u32"),
            (Gather { hop: 9, ..PLAIN }, "u32"),
            (Gather { scale: Some(&Scale::standard(&[1.0; 2], &[2.0; 2])), ..PLAIN }, "vec4<u32>"),
            (Gather { scale: Some(&Scale::standard(&[1.0; 4], &[2.0; 4])), ..PLAIN }, "u32"),
        ] {
            let kernel = gather(3, 3, PLAIN, Some(t), true);
            let types = format!("alias XUnit = vec4<u32>; alias XFrom = vec4<u32>; alias TUnit = {unit};");
            assert!(kernel.wgsl.contains(&types), "{}", kernel.wgsl);
            let by = if unit == "u32" { 1 } else { 4 };
            let want = [t.words, t.first, t.hop].map(|n| (n / by) as u32);
            assert_eq!(["T", "T_FIRST", "T_HOP"].map(|name| constant(&kernel, name)), want);
            assert_eq!(["X", "X_FIRST", "X_HOP"].map(|name| constant(&kernel, name)), [2, 1, 3]);
        }
    }

    #[test]
    fn a_field_alone_leaves_no_trace_of_a_second() {
        let one = gather(3, 3, Gather { words: 5, first: 0, hop: 5, ..PLAIN }, None, false);
        assert!(!one.wgsl.contains("TUnit") && !one.wgsl.contains("t[j]"), "{}", one.wgsl);
        assert_eq!(one.operands.iter().map(|o| o.0).collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert_eq!((constant(&one, "OPENS"), one.grid), (0, [1, 1, 1]));
    }
}
