//! Evaluation: the batches of a part in order, under the weights as they are.

use super::core::Engine;
use super::record::{Copy, parts_read_back, submit_window};
use super::steps::{add_means, ring_bytes};
use super::window::WindowClock;
use crate::compile::TrainPlan;
use crate::error::Result;
use crate::gpu::Dispatch;
use crate::kernel::feed::{MAX_WINDOW_STEPS, ORDER};
use crate::metrics::{MetricAccumulator, Metrics};
use crate::plan::{METRICS, TALLY};
use crate::ranks::Matter;

/// The result of an evaluation: means over the samples of its part.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The loss.
    pub loss: f64,
    /// Share of right predictions, where targets are classes.
    pub accuracy: Option<f64>,
    /// The objective's metrics, then those of [`TrainOptions::metrics`](crate::compile::TrainOptions::metrics), over all
    /// targets of the part.
    pub metrics: Metrics<f64>,
    /// Counts of each true class, a row, predicted as each class, a column, where they were asked for. Ignored targets
    /// are in no row, and predictions by NaN in no column.
    pub confusion: Option<Vec<Vec<u64>>>,
}

impl Evaluation {
    /// Every number with its name, as in [`EpochRecord::values`](crate::train::EpochRecord::values).
    pub fn values(&self) -> Vec<(String, f64)> {
        let accuracy = self.accuracy.map(|accuracy| ("eval_accuracy".to_owned(), accuracy));
        let metrics = self.metrics.iter().map(|(name, value)| (format!("eval_metrics.{name}"), *value));
        std::iter::once(("eval_loss".to_owned(), self.loss)).chain(accuracy).chain(metrics).collect()
    }
}

impl Engine {
    /// Evaluates the weights of the nets of the first slots, where there is an evaluation part: one evaluation a clock.
    /// `between` is called before each window, and its error ends the evaluation.
    ///
    /// # Errors
    /// Those of `between`; a lost device.
    pub async fn evaluate(
        &mut self,
        plan: &TrainPlan,
        clocks: &[WindowClock],
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Vec<Evaluation>>> {
        let (Some(batches), Some(_)) = (plan.eval_batches, &self.loaders.eval) else { return Ok(None) };
        // A run that ended by an error may have left windows in flight.
        self.discard().await?;
        self.compute_average(plan).await?;
        let mut totals: Vec<Totals> = clocks.iter().map(|_| Totals::new(plan)).collect();
        let ranks = self.gpu.ranks().clone();
        // Each rank evaluates batches in a row; all add the numbers of all, in the order of the batches.
        let share = |rank: usize| rank * batches.steps() / plan.ranks;
        let rank = if plan.ranks > 1 { ranks.rank() } else { 0 };
        let (mut batch, end) = (share(rank), share(rank + 1));
        let mut evaluated =
            EvaluatedWindow { passes: Vec::new(), nets: vec![Default::default(); clocks.len()] };
        let most = plan.eval_metrics.as_ref().map_or(MAX_WINDOW_STEPS, |metrics| metrics.ring.rows);
        while batch < end {
            between()?;
            let count = (end - batch).min(most).min(self.eval_pacing.steps());
            self.eval_pacing.restart();
            let window = self.evaluate_window(plan, clocks, batch, count).await?;
            self.eval_pacing.received(window.passes.len().max(1));
            batch += window.passes.len();
            if plan.ranks > 1 {
                evaluated.append(window);
                continue;
            }
            for (totals, (ring, sums)) in totals.iter_mut().zip(&window.nets) {
                totals.add(plan, &window.passes, ring, sums);
            }
        }
        self.evaluations += 1;
        if plan.ranks > 1 {
            for part in ranks.exchange(Matter::Evaluation, &evaluated.to_bytes(), false)?.parts() {
                let window = EvaluatedWindow::from_bytes(part, clocks.len());
                for (totals, (ring, sums)) in totals.iter_mut().zip(&window.nets) {
                    totals.add(plan, &window.passes, ring, sums);
                }
            }
        }
        Ok(Some(totals.into_iter().map(|totals| totals.finish(plan, batches.samples())).collect()))
    }

    /// Evaluates up to `count` batches from `batch` on, and waits for their numbers.
    async fn evaluate_window(
        &mut self,
        plan: &TrainPlan,
        clocks: &[WindowClock],
        batch: usize,
        count: usize,
    ) -> Result<EvaluatedWindow> {
        for (slot, clock) in clocks.iter().enumerate() {
            self.write_clock(plan, slot, *clock);
        }
        let nets = clocks.len();
        let Engine { gpu, memory, programs, readback, loaders, evaluations, .. } = self;
        let Some(loader) = &mut loaders.eval else { return Ok(EvaluatedWindow::default()) };
        let (samples, _) = loader.take(*evaluations, batch, count)?;
        gpu.write(memory.get(ORDER), 0, bytemuck::cast_slice(&samples.order));
        let passes = samples.passes;
        let indices = programs.compile_eval(gpu, plan, memory, &passes).await?;
        let dispatches: Vec<&[Dispatch]> = indices.into_iter().map(|index| programs.eval(index)).collect();
        let ring = readback.take_ring()?;
        let each = ring_bytes(plan, passes.len());
        let copy = Copy { from: METRICS, into: &ring, bytes: each };
        let tally = plan.eval_metrics.as_ref().zip(readback.eval_sums.as_ref()).map(|(metrics, into)| {
            let bytes = (passes.len() * metrics.ring.columns * 4) as u64;
            Copy { from: TALLY, into, bytes }
        });
        let summed = tally.map_or(1, |copy| copy.bytes);
        let copies: Vec<_> =
            std::iter::once(copy).chain(tally).map(|copy| copy.of_each(plan, nets).0).collect();
        let body = |recorder: &mut crate::gpu::Recorder<'_>| {
            recorder.only(nets);
            recorder.sequence(&dispatches);
        };
        let submission = submit_window(gpu, memory, loader, body, &copies)?;
        let sums = tally.map(|copy| gpu.map(copy.into, copy.bytes * nets as u64, submission.clone()));
        let pending = gpu.map(&ring, each * nets as u64, submission);
        readback.put_ring(ring);
        let rings = gpu.finish(pending).await?;
        let sums = match sums {
            Some(pending) => gpu.finish(pending).await?,
            None => Vec::new(),
        };
        let mut sums = parts_read_back(&sums, summed);
        let nets = parts_read_back(&rings, each).map(|ring| (ring, sums.next().unwrap_or_default()));
        Ok(EvaluatedWindow { nets: nets.collect(), passes })
    }
}

/// The numbers of a window of an evaluation.
#[derive(Default)]
struct EvaluatedWindow {
    /// Samples of each batch, and its number in the window.
    passes: Vec<(usize, usize)>,
    /// The rows of each net, one a batch: of the ring, and of the metrics' sums.
    nets: Vec<(Vec<f32>, Vec<f32>)>,
}

impl EvaluatedWindow {
    /// Adds the numbers of the batches that follow.
    fn append(&mut self, next: EvaluatedWindow) {
        self.passes.extend(next.passes);
        for (own, next) in self.nets.iter_mut().zip(next.nets) {
            own.0.extend(next.0);
            own.1.extend(next.1);
        }
    }

    /// As words: how many passes, and the samples of each; of each net how many numbers of the ring, those, and so the sums.
    fn to_bytes(&self) -> Vec<u8> {
        let mut words = vec![self.passes.len() as u32];
        words.extend(self.passes.iter().map(|(samples, _)| *samples as u32));
        for numbers in self.nets.iter().flat_map(|(ring, sums)| [ring, sums]) {
            words.push(numbers.len() as u32);
            words.extend(numbers.iter().map(|number| number.to_bits()));
        }
        bytemuck::cast_slice(&words).to_vec()
    }

    /// Reads the bytes of [`EvaluatedWindow::to_bytes`] back, for this number of nets.
    fn from_bytes(bytes: &[u8], nets: usize) -> EvaluatedWindow {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let mut words = words.into_iter();
        let mut list = || {
            let count = words.next().unwrap_or(0) as usize;
            words.by_ref().take(count).collect::<Vec<u32>>()
        };
        let passes = list().into_iter().enumerate().map(|(i, samples)| (samples as usize, i)).collect();
        let mut numbers = || list().into_iter().map(f32::from_bits).collect::<Vec<f32>>();
        EvaluatedWindow { passes, nets: (0..nets).map(|_| (numbers(), numbers())).collect() }
    }
}

/// The sums of a net over the batches.
struct Totals<'p> {
    sums: Vec<f64>,
    correct: f64,
    metrics: Option<MetricAccumulator<'p>>,
}

impl<'p> Totals<'p> {
    fn new(plan: &'p TrainPlan) -> Totals<'p> {
        let metrics = plan.eval_metrics.as_ref().map(MetricAccumulator::new);
        Totals { sums: vec![0.0; plan.ring.columns], correct: 0.0, metrics }
    }

    fn add(&mut self, plan: &TrainPlan, passes: &[(usize, usize)], ring: &[f32], sums: &[f32]) {
        for (row, (n, _)) in ring.chunks_exact(plan.ring.columns).zip(passes) {
            add_means(&mut self.sums, row, *n);
            self.correct += f64::from(row[1]);
        }
        if let (Some(metrics), Some(plans)) = (&mut self.metrics, &plan.eval_metrics) {
            let rows = sums.chunks_exact(plans.ring.columns).zip(passes);
            rows.for_each(|(row, (n, _))| metrics.add(row, *n));
        }
    }

    fn finish(self, plan: &TrainPlan, samples: usize) -> Evaluation {
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / samples.max(1) as f64).collect();
        let accuracy = plan.predictions.map(|each| self.correct / (samples as f64 * each as f64));
        let objective = plan.metrics_of(&means);
        let (metrics, confusion) = match self.metrics {
            Some(metrics) => metrics.finish(&objective),
            None => (objective, None),
        };
        Evaluation { loss: means[0], accuracy, metrics, confusion }
    }
}
