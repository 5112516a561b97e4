//! What the batches of an evaluation add up to for the metrics it is asked for: computed and filed by the device.

use std::ops::Range;
use std::sync::Arc;

use super::blueprint::WINDOW;
use super::metric::Metric;
use super::subject::Subject;
use super::sums::{self, Sum};
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::plan::{Ring, Sink};
use crate::shape::Shape;

/// A window of batches files about so much, at most, where one batch files less.
const TALLY_BYTES: u64 = 1 << 20;
/// Up to here f32 has every whole number.
const COUNTED: usize = 1 << 24;

/// What evaluation files for its metrics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub metrics: Vec<Metric>,
    /// Names of the objective's metrics, then of these that are numbers.
    pub names: Arc<[String]>,
    /// The sums of a batch and their columns.
    pub sums: Vec<(Sum, Range<usize>)>,
    /// Batches of a window, and the numbers each files.
    pub ring: Ring,
    /// Targets of a sample, those that are ignored too.
    pub each: usize,
    /// Every label counts in a mean over them, whether it occurs or not.
    pub labels: bool,
}

impl Tally {
    /// The tally of these metrics for batches of `batch` samples, and what is filed where.
    pub fn plan(
        metrics: &[Metric],
        graph: &Graph,
        plain: Option<(&Tensor, &Tensor)>,
        objective: &[String],
        batch: usize,
    ) -> Result<(Tally, Vec<(Tensor, Sink)>)> {
        Metric::check(metrics)?;
        let names = metrics.iter().filter(|m| **m != Metric::ConfusionMatrix).map(Metric::name);
        let names: Vec<String> = objective.iter().cloned().chain(names).collect();
        if let Some(taken) = metrics.iter().map(Metric::name).find(|name| objective.contains(name)) {
            return Err(Error::Config(format!(
                "eval.metrics: the model function has a metric \"{taken}\" of its own; name that one otherwise"
            )));
        }
        let subject =
            Subject::of(graph, plain).map_err(|why| Error::Config(format!("eval.metrics: {why}")))?;
        let targets = subject.targets();
        if targets > COUNTED {
            return Err(Error::Config(format!(
                "eval.metrics: a batch of {batch} samples has {targets} targets, and counts are exact up to {COUNTED} a \
                 batch; a smaller data.batch_size is needed"
            )));
        }
        let mut sums: Vec<(Sum, Tensor)> = Vec::new();
        for metric in metrics {
            for (sum, of) in graph.scoped("metrics", || sums::of(metric, &subject))? {
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
        let rows = (TALLY_BYTES / (4 * columns.max(1) as u64)).clamp(1, WINDOW as u64) as usize;
        let ring = Ring { columns, rows };
        let filed = sums.into_iter().zip(&placed);
        let filed = filed.map(|((_, t), (_, at))| (t, Sink::Tally { column: at.start, ring })).collect();
        let labels = matches!(subject, Subject::Labels(_));
        let (metrics, each) = (metrics.to_vec(), targets / batch.max(1));
        Ok((Tally { metrics, names: names.into(), sums: placed, ring, each, labels }, filed))
    }
}
