//! Adds up the sums of batches and computes the metrics of an evaluation from them, in f64.

use super::metric::{Averaging, Metric};
use super::plan::MetricPlan;
use super::sums::Sum;
use super::values::Metrics;

/// A confusion matrix: rows are the true classes, columns the predicted ones.
pub(crate) type Confusion = Vec<Vec<u64>>;

/// The sums over the batches so far.
pub(crate) struct MetricAccumulator<'t> {
    plan: &'t MetricPlan,
    columns: Vec<f64>,
    samples: usize,
    /// For each output: the mean of its targets, and the sum of the squares of their distances from it.
    moments: Vec<(f64, f64)>,
}

impl<'t> MetricAccumulator<'t> {
    pub fn new(plan: &'t MetricPlan) -> Self {
        let columns = vec![0.0; plan.ring.columns];
        let outputs = plan.sums.iter().find(|(sum, _)| *sum == Sum::Mean).map_or(0, |(_, at)| at.len());
        MetricAccumulator { plan, columns, samples: 0, moments: vec![(0.0, 0.0); outputs] }
    }

    /// Adds the sums of a batch of `samples`.
    pub fn add(&mut self, row: &[f32], samples: usize) {
        self.merge_moments(row, samples);
        self.columns.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
        self.samples += samples;
    }

    /// Chan, Golub and LeVeque's update of mean and squares by those of a batch, which are about a number near its mean.
    fn merge_moments(&mut self, row: &[f32], samples: usize) {
        let of = |sum| self.range(sum).map_or(&[][..], |at| &row[at]);
        let (n, more) = (self.samples as f64, samples as f64);
        let batch = of(Sum::Mean).iter().zip(of(Sum::Offset)).zip(of(Sum::Spread));
        for ((mean, squares), ((about, offset), spread)) in self.moments.iter_mut().zip(batch) {
            let [about, offset, spread] = [about, offset, spread].map(|x| f64::from(*x));
            let apart = about + offset / more - *mean;
            *mean += apart * more / (n + more);
            *squares += (spread - offset * offset / more).max(0.0) + apart * apart * n * more / (n + more);
        }
    }

    fn range(&self, sum: Sum) -> Option<std::ops::Range<usize>> {
        self.plan.sums.iter().find(|(other, _)| *other == sum).map(|(_, at)| at.clone())
    }

    fn of(&self, sum: Sum) -> &[f64] {
        self.range(sum).map_or(&[], |at| &self.columns[at])
    }

    fn total(&self, sum: Sum) -> f64 {
        self.of(sum).iter().sum()
    }

    /// Everything of the evaluation: the objective's metrics and these, and the confusion matrix if it was asked for.
    pub fn finish(self, objective: &Metrics<f64>) -> (Metrics<f64>, Option<Confusion>) {
        let own = self.plan.metrics.iter().filter_map(|metric| self.value(metric));
        let values = objective.iter().map(|(_, value)| *value).chain(own);
        (Metrics::new(&self.plan.names, values), self.confusion())
    }

    fn confusion(&self) -> Option<Confusion> {
        let counts = &self.columns[self.range(Sum::Confusion)?];
        let classes = counts.len().isqrt().max(1);
        Some(counts.chunks(classes).map(|row| row.iter().map(|count| *count as u64).collect()).collect())
    }

    /// The metric, if it is a number.
    fn value(&self, metric: &Metric) -> Option<f64> {
        let targets = match self.range(Sum::Kept) {
            Some(_) => self.total(Sum::Kept),
            None => self.samples as f64 * self.plan.each as f64,
        };
        let entropy = || self.total(Sum::Entropy) / targets;
        Some(match metric {
            Metric::Accuracy => self.total(Sum::Right(1)) / targets,
            Metric::TopK { k } => self.total(Sum::Right(*k)) / targets,
            Metric::Precision { average } => self.average(*average, |class| share(class.hit, class.said)),
            Metric::Recall { average } => self.average(*average, |class| share(class.hit, class.truth)),
            Metric::F1 { average } => {
                self.average(*average, |class| share(2.0 * class.hit, class.said + class.truth))
            }
            Metric::ConfusionMatrix => return None,
            Metric::Mae => self.plan.unit * self.total(Sum::Absolute) / targets,
            Metric::Rmse => self.plan.unit * (self.total(Sum::Squared) / targets).sqrt(),
            Metric::R2 => self.r2(),
            Metric::Perplexity => entropy().exp(),
            Metric::BitsPerCharacter => entropy() / std::f64::consts::LN_2,
        })
    }

    fn average(&self, how: Averaging, of: impl Fn(&Class) -> f64) -> f64 {
        let sums = self.of(Sum::Hit).iter().zip(self.of(Sum::Said)).zip(self.of(Sum::True));
        let classes = sums.map(|((&hit, &said), &truth)| Class { hit, said, truth });
        match how {
            Averaging::Micro => {
                let add = |a: Class, b: Class| Class {
                    hit: a.hit + b.hit,
                    said: a.said + b.said,
                    truth: a.truth + b.truth,
                };
                classes.reduce(add).map_or(0.0, |all| of(&all))
            }
            Averaging::Macro => {
                let counts = |class: &Class| self.plan.labels || class.said + class.truth > 0.0;
                let all: Vec<f64> = classes.filter(counts).map(|class| of(&class)).collect();
                share(all.iter().sum(), all.len() as f64)
            }
            Averaging::Weighted => {
                share(classes.map(|class| class.truth * of(&class)).sum(), self.total(Sum::True))
            }
        }
    }

    fn r2(&self) -> f64 {
        let one = |(&residual, &(_, squares)): (&f64, &(f64, f64))| match squares {
            0.0 if residual == 0.0 => 1.0,
            0.0 => 0.0,
            squares => 1.0 - residual / squares,
        };
        let all: f64 = self.of(Sum::Residual).iter().zip(&self.moments).map(one).sum();
        all / self.moments.len() as f64
    }
}

/// How often a class is hit, predicted and true.
struct Class {
    hit: f64,
    said: f64,
    truth: f64,
}

/// a/b, and 0 where b is.
fn share(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
