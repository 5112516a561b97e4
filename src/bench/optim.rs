//! `downhill bench optim`: an update in three ways, beside what the adapter's memory can do.

use super::arenas::{Arenas, Expected};
use super::bench_context::BenchContext;
use super::call::Place;
use super::list::List;
use super::ops::Ops;
use super::options::Options;
use super::report::{Report, machine};
use super::sheet::{Cell, Column, Sheet, Unit};
use super::timing::{Work, time};
use super::torch::{self, Clock, Job, Torch};
use super::unfused::ops;
use super::update::{GRAIN, Update};
use super::way::Way;
use super::{Roof, Summary};
use crate::check::Settings;
use crate::error::{Error, Result, suggestion};
use crate::figure::{Axis, Figure, Panel, Series};
use crate::gpu::{Dispatch, Gpu};
use crate::kernel::Target;
use crate::optim::Optimizer;

/// The step whose scalars are used. Adam's first steps would prove nothing.
const STEP: u64 = 10;
/// Most dispatches prepared for one way. The benchmark rotates fewer sets of buffers to stay within it.
const MOST_PREPARED: usize = 32_768;
/// Longest update at the measured peak, in seconds. The benchmark skips usual sizes that would take longer.
const LONGEST: f64 = 0.2;
/// The usual sizes of a quick run.
const QUICK_SIZES: [usize; 2] = [1 << 10, 1 << 16];
/// SGD with momentum. A config selects it by a key of SGD.
const MOMENTUM: &str = "momentum";

/// The measurement of `bench optim`.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimBench {
    /// Optimizers by name; `momentum` is SGD with a momentum of 0.9. Default: all.
    pub optimizers: Vec<String>,
    /// Numbers of parameters. Default: 1 Ki to 64 Mi by factors of four, as far as they fit; in a quick run 1 Ki and 64 Ki.
    pub sizes: Vec<usize>,
    /// Numbers of tensors over which the parameters are spread.
    pub tensors: Vec<usize>,
}

/// The optimizer that is benchmarked by this name. It has weight decay, so that the check covers decay.
fn optimizer(name: &str) -> Result<Optimizer> {
    let known: Vec<&str> = known().collect();
    if !known.contains(&name) {
        return Err(Error::Config(format!(
            "no optimizer \"{name}\" to benchmark; {}",
            suggestion(name, &known)
        )));
    }
    match name {
        MOMENTUM => Optimizer::parse("sgd", "weight_decay = 0.01, momentum = 0.9"),
        name => Optimizer::parse(name, "weight_decay = 0.01"),
    }
}

/// The optimizers of the engine, and momentum.
fn known() -> impl Iterator<Item = &'static str> {
    Optimizer::NAMES
        .into_iter()
        .flat_map(|name| std::iter::once(name).chain((name == "sgd").then_some(MOMENTUM)))
}

const COLUMNS: [Column; 18] = [
    Column::new("optimizer", "optimizer", Unit::Text),
    Column::new("parameters", "parameters", Unit::Whole),
    Column::new("tensors", "tensors", Unit::Whole),
    Column::new("way", "way", Unit::Text),
    Column::new("dispatches", "dispatches", Unit::Whole),
    Column::new("device_seconds", "device", Unit::Seconds),
    Column::new("wall_seconds", "wall", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("runs", "runs", Unit::Whole),
    Column::new("bytes_per_parameter", "B/parameter", Unit::Whole),
    Column::new("bytes_per_second", "GB/s", Unit::Bandwidth),
    Column::new("flops_per_second", "GFLOP/s", Unit::Flops),
    Column::new("of_copy", "of copy", Unit::Share),
    Column::new("of_triad", "of triad", Unit::Share),
    Column::new("fused_is_faster", "fused is faster", Unit::Times),
    Column::new("rotated_bytes", "rotated", Unit::Bytes),
    Column::new("of_error_bound", "of error bound", Unit::Share),
];

const NOTES: [&str; 4] = [
    "GB/s: what the update has to move by the book (gradient, parameter and slots read, parameter and slots written; twice \
     where norms come before the update) over its time, by the device's clock where it has one. B/parameter is what the \
     way really moves. GFLOP/s: the operations of the fused update over the time of each way.",
    "Of triad: of a triad timed beside it, run by run. Of copy: of the copy above. Small updates can pass 100%, for their \
     arrays lie in the cache where too few were rotated.",
    "Of error bound: the largest difference to a reference in f64, as a share of what rounding alone can make.",
    "Tensors are matrices of 256 columns. The products of muon are in B/parameter and in GFLOP/s, and not in GB/s, which \
     leaves them out of the 28 bytes a parameter by the book.",
];

impl OptimBench {
    /// Runs it.
    ///
    /// # Errors
    /// An unknown optimizer; a size that fits nowhere; an update whose result is not the reference's.
    pub fn run(&self, gpu: &Gpu, options: &Options) -> Result<Report> {
        let optimizers = self.known_optimizers()?;
        self.fitting(gpu, options.quick)?;
        let mut torch = Torch::start(options.python.as_deref())?;
        let context = BenchContext::new(gpu, options)?;
        let (sheet, points) = self.measure(&context, &Way::ALL, torch.as_mut())?;
        let names: Vec<String> = optimizers.into_iter().map(|(name, _)| name).collect();
        let figure = figure(gpu, &context.roof, &names, &points);
        let (roof, torch) = (Some(context.roof), torch.map(|torch| torch.device.clone()));
        Ok(Report { bench: "optim", machine: machine(gpu), roof, torch, sheets: vec![sheet], figure })
    }

    /// The table and the points of the figure, of these ways alone.
    ///
    /// # Errors
    /// As [`OptimBench::run`].
    pub(super) fn measure(
        &self,
        context: &BenchContext<'_>,
        ways: &[Way],
        mut torch: Option<&mut Torch>,
    ) -> Result<(Sheet, Vec<Point>)> {
        let sizes = self.fitting(context.gpu, context.options.quick)?;
        let mut columns = COLUMNS.to_vec();
        columns.extend(torch.iter().flat_map(|_| torch::COLUMNS));
        let mut sheet = Sheet::new("Optimizers", &columns);
        let mut points = Vec::new();
        let mut too_long: Vec<String> = Vec::new();
        for (name, optimizer) in &self.known_optimizers()? {
            for &size in &sizes {
                for &tensors in &self.tensors {
                    let each = size / tensors / GRAIN * GRAIN;
                    if each == 0 {
                        continue;
                    }
                    let what = format!("{name}: {size} parameters in {tensors} tensors");
                    let case = Case { context, ways, name, optimizer };
                    // Explicit sizes are always measured.
                    if self.sizes.is_empty() && case.seconds_at_least(each, tensors)? > LONGEST {
                        too_long.push(what);
                        continue;
                    }
                    context.options.progress(&what);
                    case.run([each, tensors], &mut sheet, &mut points, torch.as_deref_mut())?;
                }
            }
        }
        sheet.notes = NOTES.map(str::to_owned).to_vec();
        if torch.is_some() {
            sheet.notes.push(torch::NOTE.to_owned());
        }
        if !too_long.is_empty() {
            sheet.notes.push(format!(
                "Left out, for one update would take more than {LONGEST} s at the measured peak (--sizes asks for them): {}.",
                too_long.join("; ")
            ));
        }
        Ok((sheet, points))
    }

    /// The optimizers to measure, with their names.
    fn known_optimizers(&self) -> Result<Vec<(String, Optimizer)>> {
        let names: Vec<String> = match self.optimizers.as_slice() {
            [] => known().map(str::to_owned).collect(),
            names => names.to_vec(),
        };
        names.into_iter().map(|name| optimizer(&name).map(|optimizer| (name, optimizer))).collect()
    }

    /// The sizes to measure. Usual sizes that a buffer cannot hold are skipped.
    fn fitting(&self, gpu: &Gpu, quick: bool) -> Result<Vec<usize>> {
        let most = (gpu.largest_buffer() / 4) as usize;
        if self.sizes.is_empty() {
            let usual = if quick { QUICK_SIZES.to_vec() } else { (5..=13).map(|i| 1 << (2 * i)).collect() };
            return Ok(usual.into_iter().filter(|&n| n <= most).collect());
        }
        match self.sizes.iter().find(|&&n| n > most) {
            None => Ok(self.sizes.clone()),
            Some(n) => Err(Error::Budget(format!(
                "{n} parameters need an array of {}, and this adapter's largest is {}: {most} parameters at most",
                crate::units::bytes(*n as u64 * 4),
                crate::units::bytes(gpu.largest_buffer())
            ))),
        }
    }
}

struct Case<'c> {
    context: &'c BenchContext<'c>,
    ways: &'c [Way],
    name: &'c str,
    optimizer: &'c Optimizer,
}

/// A point of the figure.
#[derive(Debug)]
pub(super) struct Point {
    optimizer: String,
    way: Way,
    tensors: usize,
    parameters: usize,
    rate: f64,
}

impl Case<'_> {
    /// Seconds of an update at the measured peak of operations.
    fn seconds_at_least(&self, each: usize, tensors: usize) -> Result<f64> {
        let plan =
            Update::new(self.context.gpu, self.optimizer, STEP)?.plan([each / GRAIN, GRAIN], tensors)?;
        Ok(plan.flops() as f64 / self.context.roof.flops)
    }

    /// Measures updates of `tensors` tensors of `each` numbers.
    fn run(
        &self,
        [each, tensors]: [usize; 2],
        sheet: &mut Sheet,
        points: &mut Vec<Point>,
        torch: Option<&mut Torch>,
    ) -> Result<()> {
        let BenchContext { gpu, options, streams, roof } = self.context;
        let update = Update::new(gpu, self.optimizer, STEP)?;
        let settings = Settings::from_optimizer(self.optimizer)?;
        let shape = [each / GRAIN, GRAIN];
        // Some optimizers have no list of ops to be compared with.
        let list = ops(&settings, STEP, shape, Target::for_gpu(gpu))?;
        let elements = each * tensors;
        let set_bytes = Arenas::set_bytes(&update.arrays(shape), tensors);
        let fitting = gpu.largest_buffer() / (elements as u64 * 4);
        let prepared = MOST_PREPARED / (tensors * list.as_ref().map_or(1, List::dispatches));
        let sets =
            options.rotation(gpu).div_ceil(set_bytes).min(fitting).min(prepared as u64).max(1) as usize;
        let arenas = Arenas::new(gpu, &update, shape, tensors, sets)?;
        let ends = if sets > 1 { vec![0, sets - 1] } else { vec![0] };
        let expected: Vec<Expected> =
            ends.iter().map(|&set| arenas.expected(set, &settings, STEP)).collect::<Result<_>>()?;
        // With one tensor the first two ways are the same.
        let differs = |way: &Way| match way {
            Way::Fused => true,
            Way::PerTensor => tensors > 1,
            Way::Unfused => list.is_some(),
        };
        let ways: Vec<Way> = self.ways.iter().copied().filter(differs).collect();
        let mut works = Vec::with_capacity(ways.len() + 1);
        let mut errors = Vec::with_capacity(ways.len());
        let fused = update.of(gpu, shape, tensors)?;
        for &way in &ways {
            let work = match (way, &list) {
                (Way::Fused, _) => over_sets(&arenas, |place| update.dispatches(gpu, &fused, place))?,
                (Way::PerTensor, _) => {
                    let one = update.of(gpu, shape, 1)?;
                    over_tensors(&arenas, |place| update.dispatches(gpu, &one, place))?
                }
                (Way::Unfused, None) => continue,
                (Way::Unfused, Some(list)) => {
                    let ops = Ops::new(gpu, list)?;
                    over_tensors(&arenas, |place| ops.dispatches(gpu, place))?
                }
            };
            let mut worst = 0.0_f64;
            for (&set, expected) in ends.iter().zip(&expected) {
                arenas.reset(gpu, way, expected)?;
                let mut recorder = gpu.recorder();
                recorder.pass(&work.dispatches[set * work.turn..(set + 1) * work.turn], 1);
                recorder.submit()?;
                worst = worst.max(arenas.check(gpu, self.name, way, expected)?);
            }
            errors.push(worst);
            works.push(work);
        }
        works.push(streams.triad(gpu, roof.triad_each)?);
        let times = time(gpu, &works.iter().collect::<Vec<_>>(), options.effort)?;
        let job = Job::Optim { optimizer: self.name, shape, tensors, sets };
        let compares = torch.is_some();
        let of_torch = torch.map(|torch| torch.measure(job, options.effort)).transpose()?.flatten();
        let (triad, times) = times.split_last().expect("the triad is there");
        let moved = f64::from(update.kernel.bytes_per_parameter) * elements as f64;
        let fastest = Summary::of(times[0].best()).median;
        for (((way, work), times), error) in ways.iter().zip(&works).zip(times).zip(errors) {
            let best = Summary::of(times.best());
            let rate = moved / best.median;
            let triads = streams.triad_bytes() as f64;
            // (moved / time) / (triads / time of the triad), run by run
            let of_triad = moved / triads * Summary::of_ratio(triad.best(), times.best()).median;
            let bytes = match (way, &list) {
                (Way::Unfused, Some(list)) => list.bytes() * tensors as u64,
                _ => update.bytes(&fused, elements),
            };
            let device = (!times.device.is_empty()).then(|| Summary::of(&times.device).median);
            let mut row = vec![
                self.name.into(),
                elements.into(),
                tensors.into(),
                way.name().into(),
                work.turn.into(),
                device.into(),
                Summary::of(&times.wall).median.into(),
                best.lower.into(),
                best.upper.into(),
                best.runs.into(),
                (bytes as f64 / elements as f64).round().into(),
                rate.into(),
                (fused.plan.flops() as f64 / best.median).into(),
                (rate / roof.copy).into(),
                of_triad.into(),
                Cell::from((*way != Way::Fused).then_some(best.median / fastest)),
                ((set_bytes * sets as u64) as usize).into(),
                error.into(),
            ];
            if compares {
                // PyTorch's update is the fused one's counterpart.
                let times = of_torch.as_ref().filter(|_| *way == Way::Fused);
                row.extend(torch::cells(times, Clock::Best, best.median));
            }
            sheet.rows.push(row);
            let (optimizer, way) = (self.name.to_owned(), *way);
            points.push(Point { optimizer, way, tensors, parameters: elements, rate });
        }
        Ok(())
    }
}

/// A way's dispatches in every set, each bound as a whole.
fn over_sets(
    arenas: &Arenas,
    dispatches: impl Fn(&dyn Fn(&str) -> Place) -> Result<Vec<Dispatch>>,
) -> Result<Work> {
    let mut all = Vec::new();
    for set in 0..arenas.sets {
        all.extend(dispatches(&|name| arenas.set(name, set))?);
    }
    Ok(Work { turn: all.len() / arenas.sets, dispatches: all })
}

/// A way's dispatches in every set, tensor by tensor.
fn over_tensors(
    arenas: &Arenas,
    dispatches: impl Fn(&dyn Fn(&str) -> Place) -> Result<Vec<Dispatch>>,
) -> Result<Work> {
    let mut all = Vec::new();
    for (set, tensor) in (0..arenas.sets).flat_map(|set| (0..arenas.tensors).map(move |t| (set, t))) {
        all.extend(dispatches(&|name| arenas.tensor(name, set, tensor))?);
    }
    Ok(Work { turn: all.len() / arenas.sets, dispatches: all })
}

/// A panel for each optimizer, a colour for each way, a dash for each number of tensors.
fn figure(gpu: &Gpu, roof: &Roof, names: &[String], points: &[Point]) -> Figure {
    let mut tensors: Vec<usize> = points.iter().map(|p| p.tensors).collect();
    tensors.sort_unstable();
    tensors.dedup();
    let ends = points.iter().map(|p| p.parameters as f64);
    let (least, most) = ends.fold((f64::MAX, 1.0_f64), |(a, b), n| (a.min(n), b.max(n)));
    let ticks = (0..10).step_by(2).map(|i| 1_u64 << (10 + 2 * i)).map(|n| {
        let words = if n < 1 << 20 { format!("{} Ki", n >> 10) } else { format!("{} Mi", n >> 20) };
        (n as f64, words)
    });
    let ticks: Vec<(f64, String)> = ticks.collect();
    let panel = |name: &String| {
        let mut series = Vec::new();
        for way in Way::ALL {
            for (i, &count) in tensors.iter().enumerate() {
                let mine = |p: &&Point| p.optimizer == *name && p.way == way && p.tensors == count;
                let points: Vec<(f64, f64)> =
                    points.iter().filter(mine).map(|p| (p.parameters as f64, p.rate / 1e9)).collect();
                if !points.is_empty() {
                    let plural = if count == 1 { "" } else { "s" };
                    let name = format!("{}, {count} tensor{plural}", way.name());
                    let dash = ["", "6 3", "2 3"][i.min(2)];
                    series.push(Series::both(name, way as usize, points).dashed(dash));
                }
            }
        }
        let line = vec![(least, roof.triad / 1e9), (most, roof.triad / 1e9)];
        series.push(Series::line("triad", 6, line).dashed("1 3"));
        let x = Axis { ticks: ticks.clone(), ..Axis::log("parameters") };
        Panel::new(name, x, Axis::linear("GB/s")).with_all(series)
    };
    Figure {
        title: "Optimizer updates".into(),
        subtitle: format!("{}; bytes of the update by the book over its time", gpu.adapter().name),
        panels: names.iter().map(panel).collect(),
        shared: true,
        ..Figure::default()
    }
}
