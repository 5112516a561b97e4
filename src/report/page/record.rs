//! A run read for its report: curves in bounded memory, epochs, statistics, and the files beside them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::curve::{Curve, Thinned};
use super::names::folder_name;
use crate::config::Config;
use crate::data::Encoding;
use crate::error::{Error, Result};
use crate::run::{RunDir, RunSummary, System};

/// Rows of the table of epochs.
const EPOCHS: usize = 200;
/// Statistics that are kept.
const STATISTICS: usize = 48;
/// Points of a curve of statistics.
const STATISTICS_POINTS: usize = 240;
/// The beginning of a step's line.
const STEP: &[u8] = br#"{"event":"step","#;
/// Classes of a confusion matrix that is kept.
pub(super) const MOST_CLASSES: usize = 1_000;

/// A number, where it is finite: null, and a text such as "NaN", is none.
#[derive(Debug, Clone, Copy, Default)]
struct Loose(Option<f64>);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Loose;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Loose, E> {
                Ok(Loose(Some(value).filter(|value| value.is_finite())))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Loose, E> {
                Ok(Loose(Some(value as f64)))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Loose, E> {
                Ok(Loose(Some(value as f64)))
            }

            fn visit_unit<E>(self) -> std::result::Result<Loose, E> {
                Ok(Loose(None))
            }

            fn visit_str<E>(self, _: &str) -> std::result::Result<Loose, E> {
                Ok(Loose(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Numbers by their names, in their order.
#[derive(Debug, Default)]
struct Named(Vec<(String, Option<f64>)>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Named;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Named, A::Error> {
                let mut all = Vec::new();
                while let Some((name, Loose(value))) = map.next_entry::<String, Loose>()? {
                    all.push((name, value));
                }
                Ok(Named(all))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A step's line.
#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    step: u64,
    #[serde(default)]
    loss: Option<Loose>,
    #[serde(default)]
    lr: Option<Loose>,
    #[serde(default)]
    grad_norm: Option<Loose>,
    #[serde(default)]
    loss_scale: Option<Loose>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    metrics: Named,
}

/// The sum of counts; those of a damaged file may be any.
pub(super) fn total(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The numbers of a tensor, as far as a report shows them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Numbers {
    pub nonfinite: u64,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub histogram: Vec<u64>,
}

#[derive(Debug, Clone, Deserialize)]
struct TensorLine {
    name: String,
    #[serde(default)]
    weights: Numbers,
    #[serde(default)]
    gradients: Numbers,
    #[serde(default)]
    update_ratio: Loose,
    #[serde(default)]
    #[serde(rename = "updates")]
    _updates: IgnoredAny,
}

#[derive(Debug, Clone, Deserialize)]
struct DeadLine {
    layer: String,
    units: u64,
    dead: u64,
}

#[derive(Deserialize)]
struct StatisticsLine {
    #[serde(default)]
    step: u64,
    #[serde(default)]
    tensors: Vec<TensorLine>,
    #[serde(default)]
    dead_units: Vec<DeadLine>,
}

/// The distributions of a tensor at a step.
#[derive(Debug, Clone)]
pub(crate) struct Distribution {
    pub step: u64,
    pub weights: Numbers,
    pub gradients: Numbers,
}

/// A tensor over the run.
#[derive(Debug, Clone)]
pub(crate) struct TensorHistory {
    pub name: String,
    /// ‖update‖/‖weights‖ over the steps.
    pub ratio: Curve,
    pub distributions: Thinned<Distribution>,
    /// Weights and gradients that were not finite, at most at a step.
    pub nonfinite: u64,
}

/// The units of a layer of relu that are 0 for a whole batch.
#[derive(Debug, Clone)]
pub(crate) struct DeadHistory {
    pub layer: String,
    pub units: u64,
    /// Percent of the units, over the steps.
    pub share: Curve,
}

/// One number over the steps or epochs.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub name: String,
    /// Over the steps.
    pub by_step: Curve,
    /// Over the epochs; empty for a number of steps.
    pub by_epoch: Curve,
}

/// The numbers of an epoch, in the order of [`RunRecord::epochs`]' names.
#[derive(Debug, Clone)]
pub(crate) struct EpochRow {
    pub epoch: u64,
    pub step: u64,
    pub values: Vec<(String, Option<f64>)>,
}

/// A run read from its files.
#[derive(Debug)]
pub struct RunRecord {
    /// Its folder.
    pub path: PathBuf,
    /// The name in figures and tables.
    pub name: String,
    /// State, metrics with their best epochs, settings, faults.
    pub summary: RunSummary,
    /// `config.toml`
    pub(crate) config: String,
    /// Numbers of steps: `loss`, `lr`, `grad_norm`, `loss_scale`, `metrics.kl`.
    pub(crate) steps: Vec<Numbered>,
    /// Numbers of epochs: `train_loss`, `eval_metrics.f1`.
    pub(crate) epochs: Vec<Numbered>,
    pub(crate) rows: Thinned<EpochRow>,
    /// The step after the epoch with the least loss on the samples held out.
    pub(crate) best_step: Option<u64>,
    /// Steps whose gradients were not finite.
    pub(crate) skipped: u64,
    /// The last confusion matrix, and its epoch.
    pub(crate) confusion: Option<(u64, Vec<Vec<u64>>)>,
    pub(crate) tensors: Vec<TensorHistory>,
    pub(crate) dead: Vec<DeadHistory>,
    /// `profile.json`
    pub(crate) profile: Option<Value>,
    /// `system.json`
    pub system: Option<System>,
    /// The names of classes, where the data have some.
    pub(crate) classes: Option<Vec<String>>,
    /// What is missing or damaged, a sentence each.
    pub(crate) notes: Vec<String>,
}

impl RunRecord {
    /// Reads the folder of a run. Curves have at most `points` points.
    ///
    /// # Errors
    /// [`Error::Config`] where it is no folder of a run. Files of it that cannot be read are notes of the record.
    pub fn read(path: &Path, points: usize) -> Result<RunRecord> {
        let summary = RunSummary::read(path);
        let config = fs::read_to_string(path.join("config.toml")).unwrap_or_default();
        let json = |name: &str| serde_json::from_slice(&fs::read(path.join(name)).ok()?).ok();
        let encoding = RunDir::encoding(path).ok().flatten();
        let mut record = RunRecord {
            path: path.to_owned(),
            name: folder_name(path),
            notes: summary.faults.iter().map(ToString::to_string).collect(),
            summary,
            steps: Vec::new(),
            epochs: Vec::new(),
            rows: Thinned::new(EPOCHS),
            best_step: None,
            skipped: 0,
            confusion: None,
            tensors: Vec::new(),
            dead: Vec::new(),
            profile: json("profile.json"),
            system: System::read(path),
            classes: class_names(&config, encoding.as_ref()),
            config,
        };
        record.read_metrics(points)?;
        Ok(record)
    }

    fn read_metrics(&mut self, points: usize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let fault = |err: std::io::Error| Error::io("cannot read", &path, &err);
        // Its absence is a fault of the summary.
        let Ok(file) = File::open(&path) else { return Ok(()) };
        let mut file = BufReader::with_capacity(1 << 16, file);
        let (mut line, mut step, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line).map_err(fault)?;
            if read == 0 {
                return Ok(());
            }
            number += 1;
            let is_whole = line.ends_with(b"\n");
            let result = if line.starts_with(STEP) {
                serde_json::from_slice::<Step>(&line).map(|own| {
                    step = own.step;
                    self.take_step(own, points);
                })
            } else {
                self.take_line(&line, step, points)
            };
            match result {
                Ok(()) => {}
                // A process may have been killed within a line, or is writing it.
                Err(_) if !is_whole => {
                    self.notes.push(format!(
                        "the last line of metrics.jsonl, line {number}, is cut off and left out: the process was killed \
                         within it, or is writing it"
                    ));
                    return Ok(());
                }
                Err(_) => {
                    // Where the summary stops there too, its fault names the file; it skips the lines of steps.
                    if !self.notes.iter().any(|note| note.contains("metrics.jsonl")) {
                        self.notes.push(format!(
                            "{}:{number}: not a line that a run writes; what follows it is left out",
                            path.display()
                        ));
                    }
                    return Ok(());
                }
            }
        }
    }

    fn take_step(&mut self, line: Step, points: usize) {
        let numbers = [
            ("loss", line.loss),
            ("lr", line.lr),
            ("grad_norm", line.grad_norm),
            ("loss_scale", line.loss_scale),
        ];
        let x = line.step as f64;
        self.skipped += u64::from(line.skipped);
        for (name, value) in numbers {
            if let Some(Loose(value)) = value {
                curve(&mut self.steps, name, points).by_step.push(x, value);
            } else if name == "loss" {
                curve(&mut self.steps, name, points).by_step.push(x, None);
            }
        }
        for (name, value) in line.metrics.0 {
            curve(&mut self.steps, &format!("metrics.{name}"), points).by_step.push(x, value);
        }
    }

    fn take_line(&mut self, line: &[u8], step: u64, points: usize) -> serde_json::Result<()> {
        let is_statistics = line.starts_with(br#"{"event":"statistics""#);
        if is_statistics {
            self.take_statistics(serde_json::from_slice(line)?);
            return Ok(());
        }
        let value: Value = serde_json::from_slice(line)?;
        if value.get("event").and_then(Value::as_str) == Some("epoch") {
            self.take_epoch(&value, step, points);
        }
        Ok(())
    }

    fn take_epoch(&mut self, value: &Value, step: u64, points: usize) {
        let Some(entries) = value.as_object() else { return };
        let count = self.rows.last().map_or(1, |row| row.epoch.saturating_add(1));
        let epoch = value.get("epoch").and_then(Value::as_u64).unwrap_or(count);
        let mut values: Vec<(String, Option<f64>)> = Vec::new();
        // The order of a run's records, not that of a map.
        let known = [
            "train_loss",
            "eval_loss",
            "eval_accuracy",
            "train_metrics",
            "eval_metrics",
            "samples_per_second",
            "data_wait",
        ];
        for key in known {
            match entries.get(key) {
                Some(Value::Object(inner)) => {
                    values
                        .extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value.as_f64())));
                }
                Some(value) => values.push((key.to_owned(), value.as_f64())),
                None => {}
            }
        }
        if let Some(matrix) = entries.get("eval_confusion") {
            let matrix: Option<Vec<Vec<u64>>> = Vec::deserialize(matrix).ok();
            let is_square = |matrix: &Vec<Vec<u64>>| {
                (1..=MOST_CLASSES).contains(&matrix.len())
                    && matrix.iter().all(|row| row.len() == matrix.len())
            };
            self.confusion = matrix.filter(is_square).map(|matrix| (epoch, matrix)).or(self.confusion.take());
        }
        for (name, value) in &values {
            let own = curve(&mut self.epochs, name, points);
            own.by_step.push(step as f64, *value);
            own.by_epoch.push(epoch as f64, *value);
        }
        let best = self.summary.metric("eval_loss").and_then(|metric| metric.best);
        if best.is_some_and(|(_, best)| best == epoch) {
            self.best_step.get_or_insert(step);
        }
        self.rows.push(EpochRow { epoch, step, values });
    }

    fn take_statistics(&mut self, line: StatisticsLine) {
        let step = line.step;
        for tensor in line.tensors {
            let at = self.tensors.iter().position(|own| own.name == tensor.name).unwrap_or_else(|| {
                self.tensors.push(TensorHistory {
                    name: tensor.name.clone(),
                    ratio: Curve::new(STATISTICS_POINTS),
                    distributions: Thinned::new(STATISTICS),
                    nonfinite: 0,
                });
                self.tensors.len() - 1
            });
            let own = &mut self.tensors[at];
            own.ratio.push(step as f64, tensor.update_ratio.0);
            let nonfinite = tensor.weights.nonfinite.saturating_add(tensor.gradients.nonfinite);
            own.nonfinite = own.nonfinite.max(nonfinite);
            let (weights, gradients) = (tensor.weights, tensor.gradients);
            own.distributions.push(Distribution { step, weights, gradients });
        }
        for layer in line.dead_units {
            let at = self.dead.iter().position(|own| own.layer == layer.layer).unwrap_or_else(|| {
                self.dead.push(DeadHistory {
                    layer: layer.layer.clone(),
                    units: layer.units,
                    share: Curve::new(STATISTICS_POINTS),
                });
                self.dead.len() - 1
            });
            let share = 100.0 * layer.dead as f64 / layer.units.max(1) as f64;
            self.dead[at].share.push(step as f64, Some(share));
        }
    }

    /// A number of its steps.
    pub(crate) fn step_curve(&self, name: &str) -> Option<&Curve> {
        self.steps.iter().find(|own| own.name == name).map(|own| &own.by_step)
    }

    /// A number of its epochs.
    pub(crate) fn epoch_curve(&self, name: &str) -> Option<&Numbered> {
        self.epochs.iter().find(|own| own.name == name)
    }

    /// The number that says how good it is: the first of accuracy, the loss on the part held out, and that of training.
    pub(crate) fn main_metric(&self) -> Option<&'static str> {
        ["eval_accuracy", "eval_loss", "train_loss"]
            .into_iter()
            .find(|name| self.summary.metric(name).is_some())
    }
}

fn curve<'c>(curves: &'c mut Vec<Numbered>, name: &str, points: usize) -> &'c mut Numbered {
    let at = curves.iter().position(|own| own.name == name).unwrap_or_else(|| {
        let (by_step, by_epoch) = (Curve::new(points), Curve::new(points));
        curves.push(Numbered { name: name.to_owned(), by_step, by_epoch });
        curves.len() - 1
    });
    &mut curves[at]
}

fn class_names(config: &str, encoding: Option<&Encoding>) -> Option<Vec<String>> {
    Config::parse(config, &[]).ok()?.class_names(encoding)
}
