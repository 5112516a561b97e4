//! Evaluation: the batches of a part in order, under the weights as they are.

use super::core::Engine;
use super::record::{Copy, submit_window};
use super::steps::add_means;
use super::window::WindowClock;
use crate::compile::TrainPlan;
use crate::error::{Error, Result};
use crate::gpu::Dispatch;
use crate::kernel::feed::{MAX_WINDOW_STEPS, ORDER};
use crate::metrics::{MetricAccumulator, Metrics};
use crate::plan::{METRICS, TALLY};

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
    /// Evaluates the weights, where there is an evaluation part. `is_stopped` is asked between two windows.
    ///
    /// # Errors
    /// [`Error::Cancelled`] where it is stopped; a lost device.
    pub async fn evaluate(
        &mut self,
        plan: &TrainPlan,
        clock: WindowClock,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<Evaluation>> {
        let (Some(batches), Some(_)) = (plan.eval_batches, &self.loaders.eval) else { return Ok(None) };
        // A run that ended by an error may have left windows in flight.
        self.discard().await?;
        self.compute_average(plan)?;
        let columns = plan.ring.columns;
        let (mut sums, mut correct) = (vec![0.0; columns], 0.0);
        let mut metrics = plan.eval_metrics.as_ref().map(MetricAccumulator::new);
        let most = plan.eval_metrics.as_ref().map_or(MAX_WINDOW_STEPS, |metrics| metrics.ring.rows);
        let mut batch = 0;
        while batch < batches.steps() {
            if is_stopped() {
                return Err(Error::Cancelled);
            }
            let count = (batches.steps() - batch).min(most).min(self.eval_pacing.steps());
            self.eval_pacing.restart();
            let window = self.evaluate_window(plan, clock, batch, count).await?;
            self.eval_pacing.received(window.passes.len().max(1));
            for (row, (n, _)) in window.ring.chunks_exact(columns).zip(&window.passes) {
                add_means(&mut sums, row, *n);
                correct += f64::from(row[1]);
            }
            if let (Some(metrics), Some(plans)) = (&mut metrics, &plan.eval_metrics) {
                let rows = window.sums.chunks_exact(plans.ring.columns).zip(&window.passes);
                rows.for_each(|(row, (n, _))| metrics.add(row, *n));
            }
            batch += window.passes.len();
        }
        self.evaluations += 1;
        let samples = batches.samples();
        let means: Vec<f64> = sums.iter().map(|sum| sum / samples.max(1) as f64).collect();
        let accuracy = plan.predictions.map(|each| correct / (samples as f64 * each as f64));
        let objective = plan.metrics_of(&means);
        let (metrics, confusion) = match metrics {
            Some(metrics) => metrics.finish(&objective),
            None => (objective, None),
        };
        Ok(Some(Evaluation { loss: means[0], accuracy, metrics, confusion }))
    }

    /// Evaluates up to `count` batches from `batch` on, and waits for their numbers.
    async fn evaluate_window(
        &mut self,
        plan: &TrainPlan,
        clock: WindowClock,
        batch: usize,
        count: usize,
    ) -> Result<EvaluatedWindow> {
        self.write_clock(clock);
        let Engine { gpu, memory, programs, readback, loaders, evaluations, .. } = self;
        let Some(loader) = &mut loaders.eval else { return Ok(EvaluatedWindow::default()) };
        let (samples, _) = loader.take(*evaluations, batch, count)?;
        gpu.write(memory.get(ORDER), 0, bytemuck::cast_slice(&samples.order));
        let passes = samples.passes;
        let indices = programs.compile_eval(gpu, plan, memory, &passes)?;
        let dispatches: Vec<&[Dispatch]> = indices.into_iter().map(|index| programs.eval(index)).collect();
        let ring = readback.take_ring()?;
        let bytes = (passes.len() * plan.ring.columns * 4) as u64;
        let mut copies = vec![Copy { from: METRICS, into: &ring, bytes }];
        let sums = plan.eval_metrics.as_ref().zip(readback.eval_sums.as_ref());
        let sums = sums.map(|(metrics, into)| ((passes.len() * metrics.ring.columns * 4) as u64, into));
        copies.extend(sums.map(|(bytes, into)| Copy { from: TALLY, into, bytes }));
        let body = |recorder: &mut crate::gpu::Recorder<'_>| recorder.sequence(&dispatches);
        let submission = submit_window(gpu, memory, loader, body, &copies)?;
        let sums = sums.map(|(bytes, from)| gpu.map(from, bytes, submission.clone()));
        let pending = gpu.map(&ring, bytes, submission);
        readback.put_ring(ring);
        let ring = bytemuck::pod_collect_to_vec(&gpu.finish(pending).await?);
        let sums = match sums {
            Some(pending) => bytemuck::pod_collect_to_vec(&gpu.finish(pending).await?),
            None => Vec::new(),
        };
        Ok(EvaluatedWindow { passes, ring, sums })
    }
}

/// The numbers of a window of an evaluation.
#[derive(Default)]
struct EvaluatedWindow {
    /// Samples of each batch, and its number in the window.
    passes: Vec<(usize, usize)>,
    /// A row of the ring a batch.
    ring: Vec<f32>,
    /// A row of the metrics' sums a batch.
    sums: Vec<f32>,
}
