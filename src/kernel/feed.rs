//! `feed_gather.wgsl` and `step_close.wgsl`: where a step begins, and where one without an optimizer ends.

use super::{Kernel, Operand, grid};
use crate::data::{Kind, Scale};
use crate::gpu::{Access, wgsl};
use crate::graph::Clock;

/// A field to gather, in numbers: how many a sample has, where the first one begins, and how far apart they begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gather<'a> {
    /// Numbers of a sample.
    pub words: usize,
    /// Numbers before the first sample.
    pub first: usize,
    /// Numbers from one sample's beginning to the next one's.
    pub hop: usize,
    /// What they are in the source.
    pub kind: Kind,
    /// What becomes of them on the way.
    pub scale: Option<&'a Scale>,
}

/// The most steps of one submission: the device holds the tables of as many.
pub const MAX_WINDOW_STEPS: usize = 64;
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

impl Gather<'_> {
    /// How many numbers an invocation makes.
    fn unit(self) -> usize {
        let plane = self.scale.map_or(4, |scale| self.words / scale.factor.len());
        let all = [self.words, self.first, self.hop, plane];
        if all.iter().all(|n| n.is_multiple_of(4)) { 4 } else { 1 }
    }

    /// The types of what is written and of what is read, and the function between them; `name` is `x` or `t`, and
    /// `source` the binding.
    fn text(self, name: &str, source: &str) -> (String, String) {
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
    let mut constants = vec![("BATCH", batch as u32), ("STRIDE", stride as u32), ("OPENS", u32::from(opens))];
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
