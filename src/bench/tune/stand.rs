//! A product of a plan on buffers of its own, with numbers whose sums are exact.

use std::collections::BTreeMap;

use crate::bench::call::{Place, fill};
use crate::bench::timing::Work;
use crate::check::noise;
use crate::data::Kind;
use crate::error::Result;
use crate::gpu::{Access, Buffer, Gpu};
use crate::kernel::MAX_INPUTS;
use crate::plan::{BufferPlan, Location, Memory, Plan, Program, Step};

/// The bindings of A and B.
const OPERANDS: [u32; 2] = [8, 9];
/// The bindings of what an epilogue reads, from 0 on.
const INPUTS: u32 = MAX_INPUTS as u32;
/// The seed of all that epilogues read: an input may have another binding where K is in parts.
const INPUT: u64 = 7;
/// Numbers of an operand before they come again: a prime, so that rows differ.
const NUMBERS: usize = 65_521;
/// Quarters from 0 to 1 as f16.
const HALVES: [u32; 5] = [0, 0x3400, 0x3800, 0x3a00, 0x3c00];

/// A result in memory.
#[derive(Debug)]
struct Made {
    buffer: Buffer,
    offset: u64,
    bytes: u64,
    kind: Kind,
}

/// A product, and the kernel that adds its parts.
#[derive(Debug)]
pub(super) struct Stand {
    pub work: Work,
    made: Vec<Made>,
}

/// The type of the numbers of a binding; `None` where they are no floats.
fn kind(wgsl: &str, slot: u32) -> Option<Kind> {
    let is = |name: &str| wgsl.contains(&format!("alias T{slot} = {name};"));
    if is("f16") { Some(Kind::F16) } else { is("f32").then_some(Kind::F32) }
}

/// Quarters from -1 to 1, as words that hold one f32 or two f16. A sum of a million products of them is exact.
fn quarters(seed: u64, kind: Kind) -> Vec<f32> {
    let quarters = noise(seed, 2 * NUMBERS, -1.0, 1.0).into_iter().map(|x| (4.0 * x).round());
    let half = |x: f32| HALVES[x.abs() as usize] | if x < 0.0 { 0x8000 } else { 0 };
    let quarters: Vec<f32> = quarters.collect();
    let word = |pair: &[f32]| match kind {
        Kind::F16 => f32::from_bits(half(pair[0]) | half(pair[1]) << 16),
        _ => pair[0] / 4.0,
    };
    quarters.chunks_exact(2).map(word).collect()
}

/// The steps of a product, with buffers as large as what the steps bind of them.
fn own_plan(plan: &Plan, at: usize) -> Plan {
    let parts = plan.steps[at].tile.map_or(1, |tile| tile.choice.parts);
    let mut steps = plan.steps[at..=at + usize::from(parts > 1)].to_vec();
    let mut ranges: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
    for step in &steps {
        for (_, _, place) in &step.bindings {
            let [start, end] = ranges.entry(place.buffer).or_insert([u64::MAX, 0]);
            (*start, *end) = ((*start).min(place.offset), (*end).max(place.offset + place.bytes));
        }
        for used in &step.images {
            ranges.insert(used.image, [0, plan.buffers[used.image].bytes]);
        }
    }
    let index = |old: usize| ranges.keys().position(|known| *known == old).unwrap_or(0);
    for step in &mut steps {
        for (_, _, place) in &mut step.bindings {
            place.offset -= ranges[&place.buffer][0];
            place.buffer = index(place.buffer);
        }
        step.images.iter_mut().for_each(|used| used.image = index(used.image));
    }
    let own = |(old, [start, end]): (&usize, &[u64; 2])| {
        let name = plan.buffers[*old].name.clone();
        BufferPlan { name, bytes: end - start }
    };
    Plan { buffers: ranges.iter().map(own).collect(), steps, ..Plan::default() }
}

impl Stand {
    /// The product at step `at` of a plan.
    ///
    /// # Errors
    /// Too little memory; a kernel that does not compile.
    pub fn new(gpu: &Gpu, plan: &Plan, at: usize) -> Result<Stand> {
        let own = own_plan(plan, at);
        let memory = Memory::allocate(gpu, &own.buffers)?;
        let buffer = |index: usize| memory.get(&own.buffers[index].name);
        let put = |step: &Step, (slot, _, place): &(u32, Access, Location), seed: u64| {
            let Some(kind) = kind(&step.kernel.wgsl, *slot) else { return Ok(()) };
            let buffer = buffer(place.buffer).clone();
            fill(gpu, &Place { buffer, offset: place.offset, bytes: place.bytes }, &quarters(seed, kind), 0)
        };
        // A and B last, for an epilogue may read one of them too.
        for step in &own.steps {
            for binding in step.bindings.iter().filter(|(slot, ..)| *slot < INPUTS) {
                put(step, binding, INPUT)?;
            }
        }
        let (first, last) = (&own.steps[0], &own.steps[own.steps.len() - 1]);
        for binding in first.bindings.iter().filter(|(slot, ..)| OPERANDS.contains(slot)) {
            put(first, binding, binding.0.into())?;
        }
        let made = last.bindings.iter().filter(|(_, access, _)| *access == Access::Write);
        let made = made.map(|(slot, _, place)| Made {
            buffer: buffer(place.buffer).clone(),
            offset: place.offset,
            bytes: place.bytes,
            kind: kind(&last.kernel.wgsl, *slot).unwrap_or(Kind::F32),
        });
        let made = made.collect();
        let dispatches = Program::new(gpu, &own, &memory)?.dispatches;
        Ok(Stand { work: Work { turn: dispatches.len(), dispatches }, made })
    }

    /// Runs it once: every number that it makes.
    ///
    /// # Errors
    /// A lost device.
    pub fn results(&self, gpu: &Gpu) -> Result<Vec<f64>> {
        let mut recorder = gpu.recorder();
        recorder.pass(&self.work.dispatches, 1);
        recorder.submit()?;
        let mut all = Vec::new();
        for Made { buffer, offset, bytes, kind } in &self.made {
            let bytes = pollster::block_on(gpu.read(buffer, *offset, *bytes))?;
            let each = if *kind == Kind::F16 { 2 } else { 4 };
            all.extend(bytes.chunks_exact(each).map(|number| kind.number(number)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_the_same_in_both_formats() {
        let (single, halves) = (quarters(8, Kind::F32), quarters(8, Kind::F16));
        assert_eq!((single.len(), halves.len()), (NUMBERS, NUMBERS));
        let mut seen = std::collections::BTreeSet::new();
        for (single, pair) in single.iter().zip(&halves) {
            let low = Kind::F16.number(&pair.to_bits().to_le_bytes()[..2]);
            let high = Kind::F16.number(&pair.to_bits().to_le_bytes()[2..]);
            assert_eq!(low, f64::from(*single));
            seen.extend([low, high].map(|x| (4.0 * x) as i32));
        }
        assert!(seen.into_iter().eq(-4..=4));
    }
}
