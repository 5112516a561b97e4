//! `downhill predict SWEEP --ensemble best:5`: the runs of a sweep that answer together.

use std::path::{Path, PathBuf};

use downhill::config::Config;
use downhill::data::{Dataset, Part};
use downhill::error::Result;
use downhill::infer::{Ensemble, mean};
use downhill::run::{RunDir, Sweep, ranked};
use downhill::train::Monitor;
use downhill::{Error, Value};

/// Runs of a sweep, the best first.
pub(super) struct Members {
    pub runs: Vec<PathBuf>,
    /// Runs of the whole sweep.
    of: usize,
    monitor: Monitor,
}

/// `--ensemble`: how many of the best.
pub(super) fn best(text: &str) -> Result<usize, String> {
    let count = text.strip_prefix("best:").and_then(|count| count.parse().ok());
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("\"{text}\": how many of the best, as best:5, is wanted"))
}

impl Members {
    /// The best `count` runs of a sweep. Their weights must be there.
    pub fn find(sweep: &Path, count: usize) -> Result<Members> {
        let (rows, monitor) = Sweep::table(sweep)?;
        let best = ranked(&rows, &monitor);
        if count > best.len() {
            return Err(Error::Config(format!(
                "--ensemble best:{count}: {} has {} that came to an end",
                sweep.display(),
                downhill::units::plural(best.len(), "run")
            )));
        }
        let runs: Vec<PathBuf> = best.iter().take(count).map(|(row, _)| sweep.join(&row.folder)).collect();
        if let Some(at) = runs.iter().position(|run| !RunDir::is_finished(run)) {
            return Err(Error::Config(format!(
                "--ensemble best:{count}: {} has no weights, number {} of the best; sweep with --keep best:{count}, or \
                 all, keeps them",
                runs[at].display(),
                at + 1
            )));
        }
        Ok(Members { runs, of: rows.len(), monitor })
    }

    /// The accuracy of the ensemble, and of the best alone, on the part held out, as a line; none where there are no classes.
    pub fn accuracy(&self, config: &Config, ensemble: &mut Ensemble) -> Result<Option<String>> {
        let data = config.dataset()?;
        let Some(part) = data.eval().filter(|_| counts(&data, ensemble)) else { return Ok(None) };
        let (mut together, mut alone) = (0, 0);
        let mut at = 0;
        while at < part.len() {
            let count = ensemble.batch().min(part.len() - at);
            let (inputs, targets) = samples(part, at, count)?;
            let each = answers(ensemble, &inputs, part.inputs().is_float())?;
            let width = ensemble.output().elements();
            let right = |answers: &[f32]| {
                let pairs = answers.chunks_exact(width).zip(&targets);
                pairs.filter(|(answer, target)| super::answers::likeliest(answer) as f64 == **target).count()
            };
            together += right(&mean(&each));
            alone += right(&each[0]);
            at += count;
        }
        let share = |right: usize| 100.0 * right as f64 / part.len().max(1) as f64;
        Ok(Some(format!(
            "ensemble of the best {} of {} runs by {}: accuracy {:.2}% on the {} samples held out; the best alone {:.2}%",
            self.runs.len(),
            self.of,
            self.monitor.metric,
            share(together),
            part.len(),
            share(alone)
        )))
    }
}

/// The answer of each model to numbers that it reads as floats, or as integers.
pub(super) fn answers(ensemble: &mut Ensemble, numbers: &[f64], are_floats: bool) -> Result<Vec<Vec<f32>>> {
    if are_floats {
        ensemble.predict_each(Value::F32(&numbers.iter().map(|v| *v as f32).collect::<Vec<_>>()))
    } else {
        ensemble.predict_each(Value::I32(&numbers.iter().map(|v| *v as i32).collect::<Vec<_>>()))
    }
}

/// True where an answer is a class.
fn counts(data: &Dataset, ensemble: &Ensemble) -> bool {
    data.classes().is_some() && ensemble.output().len() == 1 && ensemble.output().elements() > 1
}

/// Inputs and targets of samples of a part.
fn samples(part: &Part, first: usize, count: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for sample in first..first + count {
        let at = part.source_index(sample as u32) as usize;
        inputs.extend(part.inputs().sample(at)?);
        targets.push(part.targets().sample(at)?.first().copied().unwrap_or(f64::NAN));
    }
    Ok((inputs, targets))
}
