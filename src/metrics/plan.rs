//! The plan of an evaluation's metrics: the sums that the device files for each batch, and their columns.

use super::metric::Metric;
use super::sums::{Sum, sums_of};
use super::targets::Targets;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::kernel::feed::MAX_WINDOW_STEPS;
use crate::plan::{Ring, Sink};
use crate::shape::Shape;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that the sums of a window of batches take at most, where one batch takes less.
const TALLY_BYTES: u64 = 1 << 20;
/// f32 has every whole number up to here.
const COUNTED: usize = 1 << 24;

/// The sums that an evaluation computes for its metrics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricPlan {
    pub metrics: Vec<Metric>,
    /// Names of the objective's metrics, then of these that are numbers.
    pub names: Arc<[String]>,
    /// The sums of a batch and their columns.
    pub(super) sums: Vec<(Sum, Range<usize>)>,
    /// Batches of a window, and the numbers each files.
    pub ring: Ring,
    /// Targets of a sample, those that are ignored too.
    pub each: usize,
    /// Every label counts in a mean over them, whether it occurs or not.
    pub labels: bool,
    /// An error times this is in the target's own unit.
    pub unit: f64,
}

impl MetricPlan {
    /// With errors in the target's own unit, where the loss compares the data's own target `t` and this was divided by
    /// `unit`.
    pub fn in_unit(self, graph: &Graph, t: &Tensor, unit: Option<f64>) -> MetricPlan {
        let is_own = graph.losses().iter().all(|(_, target, _)| target.id() == t.id());
        MetricPlan { unit: unit.filter(|_| is_own).unwrap_or(1.0), ..self }
    }

    /// Plans these metrics for batches of `batch` samples: the plan, and the sums with their columns.
    pub fn new(
        metrics: &[Metric],
        graph: &Graph,
        plain: Option<(&Tensor, &Tensor)>,
        objective: &[String],
        batch: usize,
    ) -> Result<(MetricPlan, Vec<(Tensor, Sink)>)> {
        Metric::check(metrics)?;
        let names = metrics.iter().filter(|m| **m != Metric::ConfusionMatrix).map(Metric::name);
        let names: Vec<String> = objective.iter().cloned().chain(names).collect();
        if let Some(taken) = metrics.iter().map(Metric::name).find(|name| objective.contains(name)) {
            return Err(Error::Config(format!(
                "eval.metrics: the model function has a metric \"{taken}\" of its own; name that one otherwise"
            )));
        }
        let targets =
            Targets::find(graph, plain).map_err(|why| Error::Config(format!("eval.metrics: {why}")))?;
        let count = targets.count();
        if count > COUNTED {
            return Err(Error::Config(format!(
                "eval.metrics: a batch of {batch} samples has {count} targets, and counts are exact up to {COUNTED} a \
                 batch; a smaller data.batch_size is needed"
            )));
        }
        let mut sums: Vec<(Sum, Tensor)> = Vec::new();
        for metric in metrics {
            for (sum, of) in graph.scoped("metrics", || sums_of(metric, &targets))? {
                if sums.iter().all(|(other, _)| *other != sum) {
                    sums.push((sum, of));
                }
            }
        }
        graph.check()?;
        let mut columns = 0;
        let mut range = |t: &Tensor| {
            let from = columns;
            columns += Shape::from(t.shape()).elements();
            from..columns
        };
        let placed: Vec<(Sum, Range<usize>)> = sums.iter().map(|(sum, t)| (*sum, range(t))).collect();
        let rows = (TALLY_BYTES / (4 * columns.max(1) as u64)).clamp(1, MAX_WINDOW_STEPS as u64) as usize;
        let ring = Ring { columns, rows };
        let filed = sums.into_iter().zip(&placed);
        let filed = filed.map(|((_, t), (_, at))| (t, Sink::Tally { column: at.start, ring })).collect();
        let labels = matches!(targets, Targets::Labels(_));
        let (metrics, each) = (metrics.to_vec(), count / batch.max(1));
        let unit = 1.0;
        Ok((MetricPlan { metrics, names: names.into(), sums: placed, ring, each, labels, unit }, filed))
    }
}
