//! Compares two `metrics.jsonl`, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::pairs::{apart, joined};
use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// Keys that are not compared: timings, and the step or epoch of a line.
const UNCOMPARED: [&str; 3] = ["samples_per_second", "data_wait", "event"];

/// The length of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Length {
    /// Number of steps in its metrics.
    pub steps: u64,
    /// Number of epochs in its metrics.
    pub epochs: u64,
}

/// The first number that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricParting {
    /// `step`, or `epoch`.
    pub event: &'static str,
    /// The number of the step or epoch in the first run.
    pub number: u64,
    /// The key, as `loss` or `metrics.kl`; `event` where the other run has another event here.
    pub key: String,
    /// The value in the first run; `None` without the key.
    pub a: Option<Value>,
    /// The value in the second run.
    pub b: Option<Value>,
}

impl MetricParting {
    /// The difference, absolute and as a share of the larger number.
    pub fn difference(&self) -> Option<(f64, f64)> {
        let [a, b] = [&self.a, &self.b].map(|value| value.as_ref().and_then(Value::as_f64));
        let (a, b) = a.zip(b)?;
        let difference = (a - b).abs();
        Some((difference, difference / larger(a, b)))
    }
}

/// The larger magnitude, at least the smallest positive number, so it can be a divisor.
fn larger(a: f64, b: f64) -> f64 {
    a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
}

/// The differences in the metrics of two runs.
pub(super) struct Walk {
    pub lengths: [Length; 2],
    /// The last line was cut off, and does not count.
    pub torn: [bool; 2],
    /// The first difference.
    pub parting: Option<MetricParting>,
}

/// The lengths of both runs and their first difference.
pub(super) fn walk(runs: [&Path; 2], tolerance: f64) -> Result<Walk> {
    let [mut a, mut b] = [Lines::open(runs[0])?, Lines::open(runs[1])?];
    let mut parting = None;
    loop {
        match (a.next()?, b.next()?) {
            (None, None) => break,
            (Some(a), Some(b)) if parting.is_none() => parting = a.parts(&b, tolerance),
            _ => {}
        }
    }
    if a.length == Length::default() && b.length == Length::default() {
        let [a, b] = runs.map(Path::display);
        return Err(Error::Data(format!("neither {a} nor {b} has a step: there is nothing to compare")));
    }
    Ok(Walk { lengths: [a.length, b.length], torn: [a.torn, b.torn], parting })
}

/// A step or an epoch.
struct Line {
    event: &'static str,
    number: u64,
    /// In the order of the file.
    entries: Metrics<Value>,
}

impl Line {
    /// The first difference, in the order of this line's keys.
    fn parts(&self, other: &Line, tolerance: f64) -> Option<MetricParting> {
        let parting = |key: String, a: Option<&Value>, b: Option<&Value>| MetricParting {
            event: self.event,
            number: self.number,
            key,
            a: a.cloned(),
            b: b.cloned(),
        };
        if (self.event, self.number) != (other.event, other.number) {
            let [a, b] = [self, other].map(|line| Value::from(format!("{} {}", line.event, line.number)));
            return Some(parting("event".into(), Some(&a), Some(&b)));
        }
        let [ours, theirs] = [self, other].map(Line::flat);
        joined(&ours, &theirs)
            .find(|(_, a, b)| match (a.and_then(|a| a.as_f64()), b.and_then(|b| b.as_f64())) {
                (Some(a), Some(b)) => apart(a, b, larger(a, b), tolerance),
                _ => a != b,
            })
            .map(|(key, a, b)| parting(key.to_owned(), a.copied(), b.copied()))
    }

    /// The values to compare by dotted key.
    fn flat(&self) -> Vec<(String, &Value)> {
        fn add<'a>(key: String, value: &'a Value, out: &mut Vec<(String, &'a Value)>) {
            match value {
                Value::Object(inner) => {
                    inner.iter().for_each(|(name, value)| add(format!("{key}.{name}"), value, out));
                }
                value => out.push((key, value)),
            }
        }
        let mut out = Vec::new();
        for (key, value) in self.entries.iter().filter(|(key, _)| !UNCOMPARED.contains(key)) {
            add(key.to_owned(), value, &mut out);
        }
        out
    }
}

/// The steps and epochs of a run, read one by one.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    /// Number of the line read last, from 1.
    line: u64,
    /// Length of the lines read so far.
    length: Length,
    /// The last line was cut off.
    torn: bool,
}

impl Lines {
    fn open(run: &Path) -> Result<Lines> {
        let path = run.join("metrics.jsonl");
        let file = File::open(&path).map_err(|err| match err.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::Config(format!(
                "{}: no metrics.jsonl there; the directory of a run is needed, as train made it",
                run.display()
            )),
            _ => Error::io("cannot read", &path, &err),
        })?;
        Ok(Lines { path, file: BufReader::new(file), line: 0, length: Length::default(), torn: false })
    }

    /// The next step or epoch. Lines of other events are skipped, and so is a last line that was cut off.
    fn next(&mut self) -> Result<Option<Line>> {
        let mut text = String::new();
        loop {
            text.clear();
            let read = self.file.read_line(&mut text);
            if read.map_err(|err| Error::io("cannot read", &self.path, &err))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            let entries: Metrics<Value> = match serde_json::from_str(&text) {
                Ok(entries) => entries,
                Err(_) if !text.ends_with('\n') => {
                    self.torn = true;
                    return Ok(None);
                }
                Err(err) => return Err(self.wrong(&err.to_string())),
            };
            let get = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
            let (event, count) = match get("event").and_then(Value::as_str) {
                Some("step") => ("step", &mut self.length.steps),
                Some("epoch") => ("epoch", &mut self.length.epochs),
                Some(_) => continue,
                None => return Err(self.wrong("it names no event")),
            };
            *count += 1;
            return match get(event).and_then(Value::as_u64) {
                Some(number) => Ok(Some(Line { event, number, entries })),
                None => Err(self.wrong(&format!("a {event} without its number"))),
            };
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::Data(format!("{}:{}: not a line that a run writes: {what}", self.path.display(), self.line))
    }
}
