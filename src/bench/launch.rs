//! `downhill bench launch`: the cost of a dispatch, of the barrier before it, and of a load that waits for another.

use super::Summary;
use super::call::{Place, Shader, call_on_storage, fill};
use super::chase::{Chase, LOADS};
use super::options::Options;
use super::place::Points;
use super::report::{Report, machine};
use super::sheet::{Column, Sheet, Unit};
use super::timing::{Effort, Times, Work, time};
use crate::check::noise;
use crate::error::{Error, Result};
use crate::figure::{Axis, Figure, Panel, Series};
use crate::gpu::{Access, Buffer, Dispatch, Gpu};

const STEP: Shader = Shader { file: "bench/launch", entry: "launch_step" };
const COPY: Shader = Shader { file: "bench/launch", entry: "launch_copy" };

/// Most dispatches of a submission: disjoint ones have a buffer each.
const MOST: usize = 4096;
/// Bytes of the vec4s of a workgroup.
const FOURS: u64 = 64 * 16;

/// The measurement of `bench launch`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaunchBench {
    /// Dispatches of a submission, at most 4,096. Default: 1, 16 and 1,024; in a quick run 1, 16 and 128.
    pub dispatches: Vec<usize>,
    /// Bytes of the buffers that are chased through. Default: 16 KiB and 16 MiB; in a quick run 16 KiB and 256 KiB.
    pub chase: Vec<u64>,
}

const COLUMNS: [Column; 10] = [
    Column::new("what", "what", Unit::Text),
    Column::new("bytes", "buffer", Unit::Bytes),
    Column::new("dispatches", "dispatches", Unit::Whole),
    Column::new("loads", "loads", Unit::Whole),
    Column::new("device_seconds", "device", Unit::Seconds),
    Column::new("wall_seconds", "wall", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("runs", "runs", Unit::Whole),
    Column::new("each_seconds", "each", Unit::Seconds),
];

const NOTES: [&str; 3] = [
    "Each row is one submission. Dependent dispatches add 1 to the word that the one before them wrote. Disjoint ones write \
     a word of a buffer of their own, so there is no barrier between them. A copy loads and stores a vec4 with each of 64 \
     invocations, and reads what the one before it wrote.",
    "A chase is one invocation whose loads each wait for the one before. Its words are read from a storage buffer, also \
     where the engine's kernels read images.",
    "Each: the median over the number of dispatches, or of loads, by the device's clock where it has one. The wall's clock \
     has recording, submission and the readback of the timestamps in it.",
];

/// The dispatches that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dependent,
    Disjoint,
    Copy,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Dependent, Kind::Disjoint, Kind::Copy];

    fn name(self) -> &'static str {
        match self {
            Kind::Dependent => "dependent dispatches",
            Kind::Disjoint => "disjoint dispatches",
            Kind::Copy => "dependent copies",
        }
    }

    /// Bytes of the buffer that it writes.
    fn bytes(self) -> u64 {
        match self {
            Kind::Dependent | Kind::Disjoint => 4,
            Kind::Copy => FOURS,
        }
    }
}

impl LaunchBench {
    /// Runs it. The report has no roof.
    ///
    /// # Errors
    /// A number of dispatches or a size that cannot be; a result that is wrong.
    pub fn run(&self, gpu: &Gpu, options: &Options) -> Result<Report> {
        let (sheet, points) = self.measure(gpu, options)?;
        let figure = figure(gpu, points);
        Ok(Report {
            bench: "launch",
            machine: machine(gpu),
            roof: None,
            torch: None,
            sheets: vec![sheet],
            figure,
        })
    }

    /// The table, and dispatches with microseconds of each kind.
    pub(super) fn measure(&self, gpu: &Gpu, options: &Options) -> Result<(Sheet, Vec<Points>)> {
        let counts = self.counts(options.quick)?;
        let most = counts.iter().copied().max().unwrap_or(1);
        options.progress("dispatches");
        let dispatches: Vec<Vec<Dispatch>> =
            Kind::ALL.into_iter().map(|kind| dispatches(gpu, kind, most)).collect::<Result<_>>()?;
        let mut chases = Vec::new();
        for bytes in self.chases(options.quick) {
            options.progress(&format!("a chase through {}", crate::units::bytes(bytes)));
            chases.push(Chase::new(gpu, bytes)?);
        }
        let mut works = Vec::new();
        for dispatches in &dispatches {
            let of = |&count: &usize| Work { dispatches: dispatches[..count].to_vec(), turn: count };
            works.extend(counts.iter().map(of));
        }
        works.extend(chases.iter().map(|chase| Work::single(vec![chase.dispatch.clone()])));
        options.progress("the clock");
        // A turn is a submission: in a second one disjoint dispatches would wait for the buffers of the first.
        let effort = Effort { least: 0.0, ..options.effort };
        let times = time(gpu, &works.iter().collect::<Vec<_>>(), effort)?;

        let mut sheet = Sheet::new("Dispatches and loads", &COLUMNS);
        let mut points = vec![Vec::new(); Kind::ALL.len()];
        let (of_dispatches, of_chases) = times.split_at(counts.len() * Kind::ALL.len());
        for ((kind, points), times) in
            Kind::ALL.into_iter().zip(&mut points).zip(of_dispatches.chunks(counts.len()))
        {
            for (&count, times) in counts.iter().zip(times) {
                sheet.rows.push(row(kind.name(), kind.bytes(), [count, 0], times));
                points.push((count as f64, Summary::of(times.best()).median * 1e6));
            }
        }
        for (chase, times) in chases.iter().zip(of_chases) {
            sheet.rows.push(row("pointer chase", chase.bytes(), [1, LOADS], times));
        }
        sheet.notes = NOTES.map(str::to_owned).to_vec();
        Ok((sheet, points))
    }

    fn counts(&self, quick: bool) -> Result<Vec<usize>> {
        if self.dispatches.is_empty() {
            return Ok(vec![1, 16, if quick { 128 } else { 1024 }]);
        }
        match self.dispatches.iter().find(|&&count| count == 0 || count > MOST) {
            None => Ok(self.dispatches.clone()),
            Some(count) => Err(Error::Config(format!(
                "{count} dispatches in a submission are not measured: a number from 1 to {MOST} is needed, since disjoint \
                 ones have a buffer each"
            ))),
        }
    }

    fn chases(&self, quick: bool) -> Vec<u64> {
        match self.chase.as_slice() {
            [] => vec![16 << 10, if quick { 256 << 10 } else { 16 << 20 }],
            chase => chase.to_vec(),
        }
    }
}

/// A row of the table: dispatches and loads that were timed.
fn row(what: &str, bytes: u64, [dispatches, loads]: [usize; 2], times: &Times) -> Vec<super::Cell> {
    let best = Summary::of(times.best());
    let device = (!times.device.is_empty()).then(|| Summary::of(&times.device).median);
    vec![
        what.into(),
        (bytes as usize).into(),
        dispatches.into(),
        (loads > 0).then_some(loads).into(),
        device.into(),
        Summary::of(&times.wall).median.into(),
        best.lower.into(),
        best.upper.into(),
        best.runs.into(),
        (best.median / if loads > 0 { loads } else { dispatches } as f64).into(),
    ]
}

/// `count` dispatches of a kind, run once and checked.
fn dispatches(gpu: &Gpu, kind: Kind, count: usize) -> Result<Vec<Dispatch>> {
    let buffers = if kind == Kind::Disjoint { count + 1 } else { 2 };
    let buffers: Vec<Place> = (0..buffers)
        .map(|i| gpu.storage(&format!("bench launch {i}"), kind.bytes()).map(|buffer| Place::whole(&buffer)))
        .collect::<Result<_>>()?;
    let numbers = noise(1, (FOURS / 4) as usize, -1.0, 1.0);
    if kind == Kind::Copy {
        fill(gpu, &buffers[0], &numbers, 0)?;
    }
    let shader = if kind == Kind::Copy { COPY } else { STEP };
    // Dependent ones go from one buffer to the other and back.
    let places = |i: usize| match kind {
        Kind::Disjoint => [&buffers[i + 1], &buffers[0]],
        _ => [&buffers[(i + 1) % 2], &buffers[i % 2]],
    };
    let dispatches: Vec<Dispatch> = (0..count)
        .map(|i| {
            let [to, from] = places(i);
            call_on_storage(gpu, shader, &[], &[(Access::Write, to), (Access::Read, from)], [1, 1, 1])
        })
        .collect::<Result<_>>()?;
    let mut recorder = gpu.recorder();
    recorder.pass(&dispatches, 1);
    recorder.submit()?;
    let [last, _] = places(count - 1);
    match kind {
        Kind::Copy => expect(gpu, kind, &last.buffer, bytemuck::cast_slice(&numbers))?,
        Kind::Dependent => expect(gpu, kind, &last.buffer, &[count as u32])?,
        Kind::Disjoint => {
            for place in &buffers[1..] {
                expect(gpu, kind, &place.buffer, &[1])?;
            }
        }
    }
    Ok(dispatches)
}

/// Compares the words of a buffer.
fn expect(gpu: &Gpu, kind: Kind, buffer: &Buffer, want: &[u32]) -> Result<()> {
    let bytes = pollster::block_on(gpu.read(buffer, 0, 4 * want.len() as u64))?;
    let got: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
    match got.iter().zip(want).position(|(got, want)| got != want) {
        None => Ok(()),
        Some(i) => Err(Error::Gpu(format!(
            "{} are wrong: word {i} is {:#x} where {:#x} should be; nothing was timed",
            kind.name(),
            got[i],
            want[i]
        ))),
    }
}

/// Microseconds of a submission by its dispatches.
fn figure(gpu: &Gpu, points: Vec<Points>) -> Figure {
    let series = Kind::ALL
        .into_iter()
        .zip(points)
        .map(|(kind, points)| Series::both(kind.name(), kind as usize, points));
    Figure {
        title: "Dispatches".into(),
        subtitle: format!("{}; the time of a submission", gpu.adapter().name),
        panels: vec![Panel::new("", Axis::log("dispatches"), Axis::log("µs")).with_all(series)],
        ..Figure::default()
    }
}
