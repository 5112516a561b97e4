//! `downhill bench matmul`: the engine's products under the roofline.

use super::Summary;
use super::bench_context::BenchContext;
use super::call::{Place, fill};
use super::options::Options;
use super::place::{self, Deed, Points, dots, roofline};
use super::report::{Report, machine};
use super::sheet::{Column, Sheet, Unit};
use super::timing::{Work, time};
use super::torch::{self, Clock, Job, Torch};
use crate::check::noise;
use crate::check::within;
use crate::error::{Error, Result};
use crate::gpu::{AdapterKind, Gpu};
use crate::graph::{Graph, Tensor};
use crate::kernel::Target;
use crate::plan::{Memory, Plan, Program, Ring, Sink, input_buffer};

/// The measurement of `bench matmul`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatmulBench {
    /// Sides of the square products. Default: 64 to 2048 by factors of two, to 1024 on a software adapter.
    pub sizes: Vec<usize>,
}

/// Which operands are transposed, as BLAS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// a [m, k] b [k, n]: the gradient of a layer's input.
    Nn,
    /// a [m, k] b [n, k]: a layer, by torch's weight.
    Nt,
    /// a [k, m] b [k, n]: the gradient of a weight.
    Tn,
}

const LAYOUTS: [(Layout, &str); 3] = [(Layout::Nn, "NN"), (Layout::Nt, "NT"), (Layout::Tn, "TN")];
/// Many small products at once: how many, and their side.
const BATCHED: [(usize, usize); 2] = [(64, 32), (64, 64)];
/// Sets of operands in turn, at most.
const MOST_SETS: u64 = 256;
/// Elements of the result that are checked.
const CHECKED: usize = 256;
/// The buffer of the result.
const PRODUCT: &str = "bench product";

const COLUMNS: [Column; 9] = [
    Column::new("layout", "layout", Unit::Text),
    Column::new("batch", "batch", Unit::Whole),
    Column::new("side", "side", Unit::Whole),
    Column::new("kernel", "kernel", Unit::Text),
    Column::new("device_seconds", "device", Unit::Seconds),
    Column::new("wall_seconds", "wall", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("runs", "runs", Unit::Whole),
];
const CHECK: Column = Column::new("of_error_bound", "of error bound", Unit::Share);

/// A product of square matrices, `batch` times over.
#[derive(Debug, Clone, Copy)]
struct Case {
    layout: Layout,
    name: &'static str,
    batch: usize,
    side: usize,
}

impl MatmulBench {
    /// Runs it.
    ///
    /// # Errors
    /// A product too large for the adapter; one whose result is not the reference's.
    pub fn run(&self, gpu: &Gpu, options: &Options) -> Result<Report> {
        let mut torch = Torch::start(options.python.as_deref())?;
        let context = BenchContext::new(gpu, options)?;
        let (sheet, points) = self.measure(&context, torch.as_mut())?;
        let names = LAYOUTS.iter().map(|(_, name)| (*name).to_owned()).chain(["batched NN".to_owned()]);
        let series = names.zip(points).enumerate().map(|(i, (name, points))| dots(name, i, points)).collect();
        let title = "Products of square matrices";
        let figure = roofline(title, gpu.adapter().name.clone(), &context.roof, series);
        let (roof, torch) = (Some(context.roof), torch.map(|torch| torch.device.clone()));
        Ok(Report { bench: "matmul", machine: machine(gpu), roof, torch, sheets: vec![sheet], figure })
    }

    /// The table, and the points under the roof: of each layout, then of batches.
    ///
    /// # Errors
    /// As [`MatmulBench::run`].
    pub(super) fn measure(
        &self,
        context: &BenchContext<'_>,
        mut torch: Option<&mut Torch>,
    ) -> Result<(Sheet, Vec<Points>)> {
        let BenchContext { gpu, options, roof, .. } = context;
        let mut columns = [&COLUMNS[..], &place::COLUMNS, &[CHECK]].concat();
        columns.extend(torch.iter().flat_map(|_| torch::COLUMNS));
        let mut sheet = Sheet::new("Products of square matrices", &columns);
        let mut points = vec![Vec::new(); LAYOUTS.len() + 1];
        for case in self.cases(gpu, options) {
            options.progress(&format!("{} {} x {}", case.name, case.batch, case.side));
            let (row, deed, error) = case.run(gpu, options)?;
            let mut row = row;
            row.extend(deed.cells(roof));
            row.push(error.into());
            if let Some(torch) = torch.as_deref_mut() {
                let (layout, batch, side) = (case.name, case.batch, case.side);
                let sets = case.sets(gpu, options) as usize;
                let times = torch.measure(Job::Matmul { layout, batch, side, sets }, options.effort)?;
                row.extend(torch::cells(times.as_ref(), Clock::Best, deed.seconds));
            }
            sheet.rows.push(row);
            let kind = if case.batch > 1 { LAYOUTS.len() } else { case.layout as usize };
            points[kind].push(deed.point());
        }
        sheet.notes = vec![
            "NN: a b. NT: a bᵀ, a layer with torch's weight. TN: aᵀ b, the gradient of a weight.".into(),
            place::NOTE.into(),
        ];
        if torch.is_some() {
            sheet.notes.push(torch::NOTE.to_owned());
        }
        Ok((sheet, points))
    }

    fn cases(&self, gpu: &Gpu, options: &Options) -> Vec<Case> {
        let most = if gpu.adapter().kind == AdapterKind::Software { 1024 } else { 2048 };
        let most = if options.quick { 128 } else { most };
        let usual = (6..).map(|i| 1 << i).take_while(|&n| n <= most).collect();
        let sizes = if self.sizes.is_empty() { usual } else { self.sizes.clone() };
        let square = |&side: &usize| LAYOUTS.map(|(layout, name)| Case { layout, name, batch: 1, side });
        let batched = BATCHED.map(|(batch, side)| Case { layout: Layout::Nn, name: "NN", batch, side });
        let mut cases: Vec<Case> = sizes.iter().flat_map(square).collect();
        // With explicit sizes only those are measured.
        cases.extend(batched.into_iter().filter(|_| self.sizes.is_empty()));
        cases
    }
}

impl Case {
    /// a or b in memory: [batch, side, side].
    fn elements(&self) -> usize {
        self.batch * self.side * self.side
    }

    /// Sets of operands in turn.
    fn sets(&self, gpu: &Gpu, options: &Options) -> u64 {
        options.rotation(gpu).div_ceil(8 * self.elements() as u64).clamp(1, MOST_SETS)
    }

    fn graph(&self) -> (Graph, Tensor) {
        let graph = Graph::new();
        let shape = [self.batch, self.side, self.side];
        let (a, b) = (graph.input("a", shape), graph.input("b", shape));
        let (a, b) = match self.layout {
            Layout::Nn => (a, b),
            Layout::Nt => (a, b.transpose(-1, -2)),
            Layout::Tn => (a.transpose(-1, -2), b),
        };
        let product = a.matmul(&b);
        (graph, product)
    }

    /// The product alone, its operands read as in training.
    fn plan(&self, gpu: &Gpu) -> Result<Plan> {
        let (graph, product) = self.graph();
        let sinks = [(product, Sink::Buffer(PRODUCT.into()))];
        let target = Target::for_gpu(gpu);
        let mut plan = Plan::new(&graph, &sinks, Ring { columns: 0, rows: 0 }, target)?;
        plan.read_as(gpu.reads(), target.memory.budget);
        Ok(plan)
    }

    /// The first cells of its row, its place, and the largest difference to the reference as a share of the bound.
    fn run(&self, gpu: &Gpu, options: &Options) -> Result<(Vec<super::Cell>, Deed, f64)> {
        let plan = self.plan(gpu)?;
        let inputs = ["a", "b"].map(input_buffer);
        let sets = self.sets(gpu, options);
        // The sets share the result, so that each product waits for the one before it.
        let first = Memory::allocate(gpu, &Memory::plan([&plan]))?;
        let numbers = [noise(1, self.elements(), -1.0, 1.0), noise(2, self.elements(), -1.0, 1.0)];
        let mut dispatches = Vec::new();
        for set in 0..sets {
            let memory = if set == 0 { first.clone() } else { first.with_own(gpu, &inputs)? };
            for (name, numbers) in inputs.iter().zip(&numbers) {
                fill(gpu, &Place::whole(memory.get(name)), numbers, 0)?;
            }
            dispatches.extend(Program::new(gpu, &plan, &memory)?.dispatches);
        }
        let work = Work { turn: plan.steps.len(), dispatches };
        let mut recorder = gpu.recorder();
        recorder.pass(&work.dispatches[..work.turn], 1);
        recorder.submit()?;
        let bytes = pollster::block_on(gpu.read(first.get(PRODUCT), 0, 4 * self.elements() as u64))?;
        let error = self.check(&numbers, &bytemuck::pod_collect_to_vec(&bytes))?;
        let times = time(gpu, &[&work], options.effort)?.remove(0);
        let best = Summary::of(times.best());
        let device = (!times.device.is_empty()).then(|| Summary::of(&times.device).median);
        let row = vec![
            self.name.into(),
            self.batch.into(),
            self.side.into(),
            plan.steps[0].kernel.entry.into(),
            device.into(),
            Summary::of(&times.wall).median.into(),
            best.lower.into(),
            best.upper.into(),
            best.runs.into(),
        ];
        let flops = 2.0 * self.elements() as f64 * self.side as f64;
        let deed = Deed { flops, bytes: 12.0 * self.elements() as f64, seconds: best.median };
        Ok((row, deed, error))
    }

    /// Compares elements all over the result with sums in f64.
    fn check(&self, numbers: &[Vec<f32>; 2], got: &[f32]) -> Result<f64> {
        let (n, [a, b]) = (self.side, numbers);
        let mut worst = 0.0_f64;
        // An odd stride, so that all rows and columns have their turn.
        let step = (got.len() / CHECKED).max(1) | 1;
        for at in (0..got.len()).step_by(step).chain([got.len() - 1]) {
            let (batch, row, col) = (at / (n * n), at / n % n, at % n);
            let (mut sum, mut size) = (0.0, 0.0);
            for k in 0..n {
                let (in_a, in_b) = match self.layout {
                    Layout::Nn => ((row, k), (k, col)),
                    Layout::Nt => ((row, k), (col, k)),
                    Layout::Tn => ((k, row), (k, col)),
                };
                let of = |m: &[f32], (r, c): (usize, usize)| f64::from(m[batch * n * n + r * n + c]);
                let term = of(a, in_a) * of(b, in_b);
                sum += term;
                size += term.abs();
            }
            // Higham 2002, (3.5), for any order of the sum; an f32 sum or product may be either neighbour.
            let units = (n + 1) as f64 * f64::from(f32::EPSILON);
            let bound = units / (1.0 - units) * size;
            let off = (f64::from(got[at]) - sum).abs();
            if !within(got[at], sum, bound) {
                return Err(Error::Gpu(format!(
                    "{} of {} products of side {n} is wrong: row {row}, column {col} of product {batch} is {} where {sum} \
                     should be, and at most {bound:.1e} between them is rounding; nothing was timed",
                    self.name, self.batch, got[at]
                )));
            }
            worst = worst.max(off / bound);
        }
        Ok(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{GpuOptions, Reads};

    #[test]
    fn operands_are_read_as_in_training() {
        let open =
            |adapter: &str| Gpu::open(&GpuOptions { adapter: adapter.into(), ..GpuOptions::default() });
        let gpu = open("software").or_else(|_| open("auto")).unwrap();
        let case = Case { layout: Layout::Nn, name: "NN", batch: 1, side: 256 };
        let counts = case.plan(&gpu).unwrap().steps[0].reads();
        let images = if gpu.reads() == Reads::Storage { 0 } else { 2 };
        assert_eq!((counts.image, counts.copies), (images, images), "{}", gpu.reads());
    }
}
