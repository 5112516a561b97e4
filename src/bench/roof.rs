//! The adapter's own ceilings: what it copies, what it streams, what it computes at most.

use serde::{Deserialize, Serialize};

use super::Summary;
use super::call::{Images, Place, Shader, call, fill};
use super::options::Options;
use super::timing::{Effort, Times, Work, time};
use crate::check::noise;
use crate::check::within;
use crate::error::{Error, Result};
use crate::gpu::{Access, Buffer, Gpu};
use crate::kernel::grid;

const STREAM: Shader = Shader { file: "bench/stream", entry: "stream_move" };
const FLOPS: Shader = Shader { file: "bench/flops", entry: "flops_chain" };

/// vec4s an invocation. A GPU is fast with one, a software adapter with more. The fastest counts.
const EACH: [u32; 3] = [1, 4, 16];
/// Largest array that is streamed.
const LARGEST: u64 = 256 << 20;
/// Turns of the loop in flops.wgsl.
const TURNS: u32 = 2_000;
/// Operations of an invocation of flops.wgsl in a turn.
const LINKS: u32 = 192;
/// Runs of each candidate. Few are enough, since other kernels are timed beside a triad of their own.
const ROUNDS: usize = 7;
/// Invocations of a workgroup.
const GROUP: usize = 64;

/// The measured limits of the adapter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roof {
    /// a = b, read and write counted, in bytes a second.
    pub copy: f64,
    /// a = b + s c, two reads and a write counted, in bytes a second.
    pub triad: f64,
    /// Multiply-adds in registers, each two operations, in operations a second.
    pub flops: f64,
    /// vec4s an invocation of the fastest triad.
    pub triad_each: u32,
    /// Bytes of each array of copy and triad.
    pub array: u64,
}

impl Roof {
    /// Most operations a second for `intensity` operations a byte.
    pub fn bound(&self, intensity: f64) -> f64 {
        self.flops.min(intensity * self.bandwidth())
    }

    /// The better of copy and triad.
    pub fn bandwidth(&self) -> f64 {
        self.copy.max(self.triad)
    }
}

/// Measures the limits of an adapter.
///
/// # Errors
/// [`Error::Gpu`] where the result of a stream or a chain is wrong.
pub fn roof(gpu: &Gpu, options: &Options) -> Result<Roof> {
    Streams::new(gpu, options)?.roof(gpu, options.effort)
}

/// The arrays of copy and triad, kept so that others can be timed beside them.
#[derive(Debug)]
pub(super) struct Streams {
    arrays: [Buffer; 3],
    /// A word that every stream binds for writing, so each stream begins after the last has ended.
    gate: Buffer,
    images: Images,
    /// Bytes of each array.
    bytes: u64,
}

impl Streams {
    /// Arrays filled with random numbers.
    pub fn new(gpu: &Gpu, options: &Options) -> Result<Streams> {
        // Copy touches two arrays; both have to be past the cache.
        let bytes = (options.rotation(gpu) / 2).min(gpu.largest_buffer()).min(LARGEST) & !0xffff;
        let array = |name| gpu.storage(name, bytes);
        let arrays = [array("bench stream a")?, array("bench stream b")?, array("bench stream c")?];
        for (seed, buffer) in (1..).zip(&arrays) {
            fill(gpu, &Place::whole(buffer), &noise(seed, 1 << 20, -1.0, 1.0), 0)?;
        }
        Ok(Streams { arrays, gate: gpu.storage("bench gate", 4)?, images: Images::default(), bytes })
    }

    /// A copy, or a triad, with `each` vec4s an invocation.
    fn stream(&self, gpu: &Gpu, triad: bool, each: u32) -> Result<Work> {
        let fours = (self.bytes / 16) as usize;
        let [a, b, c] = [0, 1, if triad { 2 } else { 1 }].map(|i| Place::whole(&self.arrays[i]));
        let gate = Place::whole(&self.gate);
        let bound = [(Access::Write, &a), (Access::Read, &b), (Access::Read, &c), (Access::Write, &gate)];
        let constants = [("LENGTH", fours as u32), ("EACH", each), ("TRIAD", triad.into())];
        let groups = grid(fours.div_ceil(GROUP * each as usize));
        Ok(Work::single(vec![call(gpu, &self.images, STREAM, &constants, &bound, groups)?]))
    }

    /// The triad to time beside other kernels, with `each` vec4s an invocation.
    pub fn triad(&self, gpu: &Gpu, each: u32) -> Result<Work> {
        self.stream(gpu, true, each)
    }

    /// Bytes a triad moves.
    pub fn triad_bytes(&self) -> u64 {
        3 * self.bytes
    }

    /// Measures the roof.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the result of a stream or a chain is wrong.
    pub fn roof(&self, gpu: &Gpu, effort: Effort) -> Result<Roof> {
        let mut works = Vec::new();
        for each in EACH {
            works.push(self.stream(gpu, false, each)?);
        }
        for each in EACH {
            works.push(self.triad(gpu, each)?);
        }
        // Enough workgroups for the largest GPU. A few are enough for a software adapter.
        let software = gpu.adapter().kind == crate::gpu::AdapterKind::Software;
        let groups = if software { 32 } else { 4096 };
        let out = gpu.storage("bench flops", (groups * GROUP * 4) as u64)?;
        let seed = gpu.storage("bench flops seed", 8)?;
        let numbers = [0.999_f32, 0.0005];
        gpu.write(&seed, 0, bytemuck::cast_slice(&numbers));
        let places = [Place::whole(&out), Place::whole(&seed)];
        let bound = [(Access::Write, &places[0]), (Access::Read, &places[1])];
        works.push(Work::single(vec![call(
            gpu,
            &self.images,
            FLOPS,
            &[("TURNS", TURNS)],
            &bound,
            grid(groups),
        )?]));
        let times = time(
            gpu,
            &works.iter().collect::<Vec<_>>(),
            Effort { rounds: effort.rounds.min(ROUNDS), ..effort },
        )?;
        self.check(gpu)?;
        check_chains(gpu, &out)?;
        let best = |times: &[Times], bytes: f64| {
            let rates = times.iter().map(|t| bytes / Summary::of(t.best()).median);
            rates.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
        };
        let (copies, rest) = times.split_at(EACH.len());
        let (triads, chains) = rest.split_at(EACH.len());
        let (triad_each, triad) = best(triads, self.triad_bytes() as f64);
        let operations = f64::from(TURNS) * f64::from(LINKS) * (groups * GROUP) as f64;
        Ok(Roof {
            copy: best(copies, 2.0 * self.bytes as f64).1,
            triad,
            flops: best(chains, operations).1,
            triad_each: EACH[triad_each],
            array: self.bytes,
        })
    }

    /// The last triad's a is b + 3c at both ends and in the middle.
    fn check(&self, gpu: &Gpu) -> Result<()> {
        const PART: u64 = 4096;
        let half = (self.bytes / 2) & !0xff;
        for at in [0, half, self.bytes - PART] {
            let read = |buffer| pollster::block_on(gpu.read(buffer, at, PART));
            let [a, b, c] = [read(&self.arrays[0])?, read(&self.arrays[1])?, read(&self.arrays[2])?];
            let [a, b, c] = [a, b, c].map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
            for i in 0..a.len() {
                let want = f64::from(b[i]) + 3.0 * f64::from(c[i]);
                // Two roundings of numbers below 4, each to a neighbour and so by less than 2^-22.
                if !within(a[i], want, 2.0 * 2.0_f64.powi(-22)) {
                    return Err(Error::Gpu(format!(
                        "the triad is wrong at byte {}: {} where {want} should be; the adapter's numbers cannot be \
                         trusted",
                        at + 4 * i as u64,
                        a[i]
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Checks that every chain ends near its fixed point, shift / (1 - scale) = 0.5. Each of its 16,000 links multiplies
/// the distance to it by scale, 0.999.
fn check_chains(gpu: &Gpu, out: &Buffer) -> Result<()> {
    let bytes = pollster::block_on(gpu.read(out, 0, out.bytes()))?;
    let sums: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    // scale and shift are f32s, off by up to 2^-25 and 2^-36, and the fixed point moves by 1,000 times that. A link
    // rounds twice, by 2^-25 each, and the errors of 1,000 links add up. The bound is that of twelve chains, whose sum
    // is 6.
    let most = 12.0 * 1000.0 * 4.0 * 2.0_f64.powi(-25);
    match sums.iter().find(|sum| !within(**sum, 6.0, most)) {
        None => Ok(()),
        Some(sum) => Err(Error::Gpu(format!(
            "chains of multiply-adds end at {sum} in place of 6: the adapter cut their loop short, so its numbers \
             cannot be trusted"
        ))),
    }
}
