//! The view of a run in TensorBoard: event files beside `metrics.jsonl`.
//!
//! TensorBoard takes all event files of a folder as one run and reads them in the order of their names, so a resumed
//! run writes a file of a later name and leaves the earlier ones as they are.

mod event;
mod record;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub use event::Histogram;
use event::{Event, Summary, What};

use super::present::check_present;
use crate::error::{Error, Result};
use crate::metrics::{Numbers, StatisticsRecord};
use crate::train::{EpochRecord, Observer, StepRecord};

/// The prefix of every event file's name.
const PREFIX: &str = "events.out.tfevents.";

/// An event file that is being written. A call hands its data to the operating system before it returns.
///
/// As an [`Observer`] it writes, each at its step: `train/loss`, `train/lr`, `train/grad_norm` and `train/<metric>` of
/// every step; `epoch/train_loss`, `epoch/train_<metric>`, `epoch/samples_per_second`, `eval/loss`, `eval/accuracy` and
/// `eval/<metric>` of every epoch; of the steps whose statistics are taken the histograms `weights/<tensor>`,
/// `gradients/<tensor>` and `updates/<tensor>`, their norms as `weight_norm/<tensor>` and so on, `update_ratio/<tensor>`, and
/// `dead_units/<layer>` as a share. A metric that bears one of these names itself goes by `train/metrics/<metric>` and
/// `eval/metrics/<metric>`.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// True where a folder has one already.
    pub fn is_in(folder: &Path) -> bool {
        latest(folder).is_ok_and(|latest| latest.is_some())
    }

    /// Starts a file in `folder`, as `events.out.tfevents.<seconds>.<host>.<process>.v2`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn create(folder: &Path) -> Result<EventFile> {
        let seconds = (now() as u64).max(latest(folder)?.map_or(0, |last| last + 1));
        let name = format!("{PREFIX}{seconds:010}.{}.{}.v2", host(), std::process::id());
        let path = folder.join(name);
        let file = File::create_new(&path).map_err(|err| Error::io("cannot write", &path, &err))?;
        let mut events = EventFile { path, file: BufWriter::new(file) };
        events.write(0, What::FileVersion("brain.Event:2"))?;
        events.flush()?;
        Ok(events)
    }

    /// Starts a file for a run that resumes after `step` steps. Records of later steps in earlier files no longer
    /// count.
    ///
    /// # Errors
    /// As [`EventFile::create`].
    pub fn resume(folder: &Path, step: u64) -> Result<EventFile> {
        let mut events = EventFile::create(folder)?;
        events.write(step + 1, What::SessionStart)?;
        events.flush()?;
        Ok(events)
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends numbers by their tags, all of one step.
    ///
    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    pub fn scalars<T: AsRef<str>>(&mut self, step: u64, scalars: &[(T, f64)]) -> Result<()> {
        self.numbers(step, scalars)?;
        self.flush()
    }

    /// Appends histograms by their tags, all of one step.
    ///
    /// # Errors
    /// [`Error::Data`] where a histogram has not as many limits as buckets; [`Error::Io`] as [`EventFile::scalars`].
    pub fn histograms(&mut self, step: u64, histograms: &[(&str, &Histogram)]) -> Result<()> {
        for (tag, histogram) in histograms {
            let (limits, buckets) = (histogram.bucket_limit.len(), histogram.bucket.len());
            if limits != buckets {
                return Err(Error::Data(format!(
                    "histogram {tag}: {limits} limits for {buckets} buckets; each bucket has an upper limit"
                )));
            }
        }
        let values = histograms.iter().map(|(tag, histogram)| (*tag, Summary::Histogram(histogram)));
        self.write(step, What::Summary(&values.collect::<Vec<_>>()))?;
        self.flush()
    }

    fn numbers<T: AsRef<str>>(&mut self, step: u64, scalars: &[(T, f64)]) -> Result<()> {
        let values = scalars.iter().map(|(tag, value)| (tag.as_ref(), Summary::Scalar(*value as f32)));
        self.write(step, What::Summary(&values.collect::<Vec<_>>()))
    }

    fn write(&mut self, step: u64, what: What<'_>) -> Result<()> {
        let event = Event { wall_time: now(), step, what };
        let written = self.file.write_all(&record::framed(&event.encode()));
        written.map_err(|err| Error::io("cannot write", &self.path, &err))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|err| Error::io("cannot write", &self.path, &err))?;
        check_present(self.file.get_ref(), &self.path)
    }
}

impl Observer for EventFile {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        for step in steps {
            let mut scalars = vec![("train/loss".into(), step.loss.into()), ("train/lr".into(), step.lr)];
            scalars
                .extend(step.gradient_check.map(|check| ("train/grad_norm".into(), check.grad_norm.into())));
            scalars.extend(step.metrics.iter().map(|(name, value)| (tag("train", name), (*value).into())));
            self.numbers::<String>(step.step, &scalars)?;
        }
        self.flush()
    }

    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<()> {
        let (mut scalars, mut histograms) = (Vec::new(), Vec::new());
        for tensor in &statistics.tensors {
            let kinds =
                [("weight", &tensor.weights), ("gradient", &tensor.gradients), ("update", &tensor.updates)];
            for (kind, numbers) in kinds {
                scalars.push((format!("{kind}_norm/{}", tensor.name), numbers.norm));
                histograms.push((format!("{kind}s/{}", tensor.name), histogram(numbers)));
            }
            scalars.push((format!("update_ratio/{}", tensor.name), tensor.update_ratio));
        }
        let share = |dead: u64, units: u64| dead as f64 / units as f64;
        let layers = statistics.dead_units.iter();
        scalars.extend(layers.map(|of| (format!("dead_units/{}", of.layer), share(of.dead, of.units))));
        let histograms: Vec<_> = histograms.iter().map(|(tag, of)| (tag.as_str(), of)).collect();
        self.histograms(statistics.step, &histograms)?;
        self.scalars(statistics.step, &scalars)
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        let mut scalars = vec![("epoch/train_loss".into(), epoch.train_loss)];
        let metrics = epoch.train_metrics.iter();
        scalars.extend(metrics.map(|(name, value)| (format!("epoch/train_{name}"), *value)));
        scalars.push(("epoch/samples_per_second".into(), epoch.samples_per_second));
        scalars.extend(epoch.eval_loss.map(|loss| ("eval/loss".into(), loss)));
        scalars.extend(epoch.eval_accuracy.map(|accuracy| ("eval/accuracy".into(), accuracy)));
        scalars.extend(epoch.eval_metrics.iter().map(|(name, value)| (tag("eval", name), *value)));
        self.scalars::<String>(epoch.step, &scalars)
    }
}

/// A tensor's numbers as TensorBoard shows them.
fn histogram(numbers: &Numbers) -> Histogram {
    let num = (numbers.count - numbers.nonfinite) as f64;
    let last = numbers.max.unwrap_or(0.0).max(f64::from(f32::MAX));
    Histogram {
        min: numbers.min.unwrap_or(0.0),
        max: numbers.max.unwrap_or(0.0),
        num,
        sum: numbers.mean * num,
        sum_squares: numbers.norm * numbers.norm,
        bucket_limit: StatisticsRecord::limits().into_iter().chain([last]).collect(),
        bucket: numbers.histogram.iter().map(|&n| n as f64).collect(),
    }
}

/// A metric's tag. No metric is named `loss`, but it may be named as another number of the engine's own.
fn tag(room: &str, metric: &str) -> String {
    let taken = match room {
        "train" => ["lr", "grad_norm"].contains(&metric),
        _ => metric == "accuracy",
    };
    let below = if taken { "metrics/" } else { "" };
    format!("{room}/{below}{metric}")
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The seconds in the name of the last event file in `folder`, if there is one.
fn latest(folder: &Path) -> Result<Option<u64>> {
    let failed = |err| Error::io("cannot read", folder, &err);
    let mut last = None;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let seconds =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok());
        last = last.max(seconds);
    }
    Ok(last)
}

/// This machine's name as part of a file's.
fn host() -> String {
    let told = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told =
        told.or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok()));
    let kept = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = told.unwrap_or_default().trim().chars().filter(kept).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests;
