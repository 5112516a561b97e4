//! A run read from its files, without a device: its state, its metrics, its settings.

use super::config_diff::write_out;
use super::dir::{CONFIG, FAILED, LOCK, METRICS, RunDir};
use super::state::RunState;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::train::Monitor;
use serde::Deserialize;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use toml::Table;

/// One number of a run's epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSummary {
    /// As in `metrics.jsonl`: `eval_loss`, or `eval_metrics.f1`.
    pub name: String,
    /// The value of the last epoch; none where that is not finite.
    pub last: Option<f64>,
    /// The best value, and its epoch.
    pub best: Option<(f64, u64)>,
}

/// A run read from its files.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The directory.
    pub path: PathBuf,
    /// The state.
    pub state: RunState,
    /// The error that ended a run which failed.
    pub error: Option<String>,
    /// Epochs reported.
    pub epochs: u64,
    /// Epochs of the whole run, where its steps are not limited.
    pub total_epochs: Option<u64>,
    /// Steps reported.
    pub steps: u64,
    /// Steps of the whole run, where its config limits them.
    pub total_steps: Option<u64>,
    /// The loss of the last step; none where that is not finite.
    pub loss: Option<f64>,
    /// The numbers of its epochs.
    pub metrics: Vec<MetricSummary>,
    /// The time of its first file.
    pub started: Option<SystemTime>,
    /// Seconds from its first file to the last line of its metrics.
    pub seconds: Option<f64>,
    /// Its config, with short forms written out.
    pub settings: Table,
    /// Its files that cannot be read. What is read of the others is here.
    pub faults: Vec<Error>,
}

/// A step's line, as far as it is read.
#[derive(Deserialize)]
struct Step {
    step: u64,
    loss: Option<f64>,
}

/// The beginning of a step's line.
const STEP: &[u8] = br#"{"event":"step","#;

impl RunSummary {
    /// Reads the files of a run, except its weights. A line of metrics that was cut off is left out.
    pub fn read(path: &Path) -> RunSummary {
        let state = match () {
            () if RunDir::is_finished(path) => RunState::Finished,
            () if RunDir::is_in_use(path) => RunState::Running,
            () => RunState::Stopped,
        };
        let mut run = RunSummary {
            path: path.to_owned(),
            state,
            error: None,
            epochs: 0,
            total_epochs: None,
            steps: 0,
            total_steps: None,
            loss: None,
            metrics: Vec::new(),
            started: None,
            seconds: None,
            settings: Table::new(),
            faults: Vec::new(),
        };
        let config = run.read_config();
        let metrics = run.read_metrics();
        run.faults.extend([config, metrics].into_iter().filter_map(Result::err));
        run.read_times();
        run
    }

    /// The number of a name in [`RunSummary::metrics`].
    pub fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    fn read_config(&mut self) -> Result<()> {
        let path = self.path.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(|err| Error::io("cannot read", &path, &err))?;
        self.settings = text.parse().map_err(|err: toml::de::Error| {
            let line = err.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Error::Config(format!("{}:{line}: {}", path.display(), err.message()))
        })?;
        write_out(&mut self.settings);
        let limit = |key: &str| u64::try_from(self.settings.get("train")?.get(key)?.as_integer()?).ok();
        self.total_steps = limit("steps");
        self.total_epochs = limit("epochs").filter(|_| self.total_steps.is_none());
        Ok(())
    }

    fn read_metrics(&mut self) -> Result<()> {
        let path = self.path.join(METRICS);
        let fault = |err: std::io::Error| Error::io("cannot read", &path, &err);
        let mut file = BufReader::new(File::open(&path).map_err(fault)?);
        let (mut line, mut step, mut number) = (Vec::new(), Vec::new(), 0_u64);
        let wrong = |number: u64, what: &str| {
            Error::Data(format!("{}:{number}: not a line that a run writes: {what}", path.display()))
        };
        let mut result = Ok(());
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line).map_err(fault)?;
            // A process may have been killed within a line, or is writing it.
            if read == 0 || !line.ends_with(b"\n") {
                break;
            }
            number += 1;
            if line.starts_with(STEP) {
                // There may be millions; only the last one counts.
                std::mem::swap(&mut line, &mut step);
                continue;
            }
            match serde_json::from_slice::<Metrics<Value>>(&line) {
                Ok(entries) => self.take(&entries),
                Err(err) => {
                    result = Err(wrong(number, &err.to_string()));
                    break;
                }
            }
        }
        if !step.is_empty() {
            let step: Step =
                serde_json::from_slice(&step).map_err(|err| wrong(number, &format!("a step: {err}")))?;
            (self.steps, self.loss) = (step.step, step.loss);
        }
        result
    }

    /// Adds a line that is no step.
    fn take(&mut self, entries: &Metrics<Value>) {
        let get = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value);
        match get("event").and_then(Value::as_str) {
            Some("epoch") => {
                let epoch = get("epoch").and_then(Value::as_u64).unwrap_or(self.epochs + 1);
                self.epochs = epoch;
                for (name, value) in entries.iter().filter(|(name, _)| !["event", "epoch"].contains(name)) {
                    match value {
                        Value::Object(inner) => {
                            inner.iter().for_each(|(key, value)| {
                                self.add(&format!("{name}.{key}"), value, epoch);
                            });
                        }
                        value => self.add(name, value, epoch),
                    }
                }
            }
            Some(FAILED) if self.state == RunState::Stopped => {
                let state = get("state").and_then(|state| serde_json::from_value(state.clone()).ok());
                self.state = state.unwrap_or(RunState::Failed);
                self.error = get("error").and_then(Value::as_str).map(Into::into);
            }
            _ => {}
        }
    }

    /// Adds a number of an epoch; null is one that is not finite.
    fn add(&mut self, name: &str, value: &Value, epoch: u64) {
        let last = value.as_f64();
        if last.is_none() && !value.is_null() {
            return;
        }
        let at = self.metrics.iter().position(|metric| metric.name == name).unwrap_or_else(|| {
            self.metrics.push(MetricSummary { name: name.to_owned(), last: None, best: None });
            self.metrics.len() - 1
        });
        let metric = &mut self.metrics[at];
        metric.last = last;
        if let Some(value) = last {
            let monitor = Monitor::new(name);
            if metric.best.is_none_or(|(best, _)| monitor.better(value, best, 0.0)) {
                metric.best = Some((value, epoch));
            }
        }
    }

    /// Times of files: a copy of a run without them has none that mean anything.
    fn read_times(&mut self) {
        let of = |name: &str| fs::metadata(self.path.join(name)).ok();
        let (config, metrics) = (of(CONFIG), of(METRICS));
        let written = config.as_ref().and_then(|config| config.modified().ok());
        let made = metrics.as_ref().and_then(|metrics| metrics.created().ok());
        // The config is written again where a run resumes with another one.
        self.started = written.into_iter().chain(made).min();
        let end = metrics.and_then(|metrics| metrics.modified().ok());
        let elapsed = self.started.zip(end).and_then(|(start, end)| end.duration_since(start).ok());
        self.seconds = elapsed.map(|elapsed| elapsed.as_secs_f64());
    }
}

/// The directories of the runs at and below `folder`, in the order of their names; numbers in names count as numbers.
/// What is no run is passed over, and so is a folder that cannot be read.
///
/// # Errors
/// [`Error::Config`] where there is no such folder; [`Error::Io`] where it cannot be read.
pub fn find_runs(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        let what = if folder.exists() { "no directory" } else { "no such directory" };
        return Err(Error::Config(format!(
            "{}: {what}; a run, or a folder of runs, is needed, as train makes them in runs/",
            folder.display()
        )));
    }
    let (mut runs, mut seen, mut open) = (Vec::new(), Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        let listed = match fs::read_dir(&folder) {
            Ok(listed) => listed,
            Err(err) if seen.is_empty() => return Err(Error::io("cannot read", &folder, &err)),
            Err(_) => continue,
        };
        // A link may lead back up.
        let own = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        if seen.contains(&own) {
            continue;
        }
        seen.push(own);
        let is_run = is_run(&folder);
        for entry in listed.flatten() {
            let name = entry.file_name();
            let is_its_own = is_run && name == super::CHECKPOINTS;
            if !is_its_own && !name.to_string_lossy().starts_with('.') && entry.path().is_dir() {
                open.push(entry.path());
            }
        }
        if is_run {
            runs.push(folder);
        }
    }
    runs.sort_by_cached_key(|path| natural(&path.to_string_lossy()));
    Ok(runs)
}

/// True for the directory of a run, also where one of its files is missing.
fn is_run(folder: &Path) -> bool {
    [CONFIG, METRICS, LOCK].iter().filter(|name| folder.join(name).is_file()).count() >= 2
}

/// A name as texts and the numbers after them, so that `digits-2` comes before `digits-10`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(text);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        parts.push((head.to_owned(), number.parse().unwrap_or(if number.is_empty() { 0 } else { u64::MAX })));
        rest = tail;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["a-10", "a-9", "a", "b-1", "a-9-2", "a-9-10", "a-99999999999999999999"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["a", "a-9", "a-9-2", "a-9-10", "a-10", "a-99999999999999999999", "b-1"]);
    }

    #[test]
    fn a_run_is_read_from_whatever_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("deep/run-1");
        fs::create_dir_all(run.join("checkpoints/step-3")).unwrap();
        fs::write(run.join(CONFIG), "seed = 1\n[train]\nepochs = 7\n").unwrap();
        let lines = [
            r#"{"event":"step","step":1,"epoch":1,"loss":2.5,"lr":0.1}"#,
            r#"{"event":"epoch","epoch":1,"train_loss":2.0,"eval_loss":1.5,"eval_metrics":{"f1":0.5},"eval_confusion":[[1]]}"#,
            r#"{"event":"statistics","step":1}"#,
            r#"{"event":"step","step":2,"epoch":2,"loss":null,"lr":0.1}"#,
            r#"{"event":"epoch","epoch":2,"train_loss":1.0,"eval_loss":1.75,"eval_metrics":{"f1":null}}"#,
            r#"{"event":"step","step":3,"ep"#,
        ];
        let write = |lines: &[&str]| fs::write(run.join(METRICS), lines.join("\n")).unwrap();
        write(&lines);
        assert_eq!(find_runs(dir.path()).unwrap(), [run.as_path()]);
        assert_eq!(find_runs(&run).unwrap(), [run.as_path()]);
        let found = RunSummary::read(&run);
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        assert_eq!((found.state, found.epochs, found.total_epochs), (RunState::Stopped, 2, Some(7)));
        assert_eq!((found.steps, found.total_steps, found.loss), (2, None, None));
        let metric = |name: &str| found.metric(name).map(|metric| (metric.last, metric.best));
        assert_eq!(metric("train_loss"), Some((Some(1.0), Some((1.0, 2)))));
        assert_eq!(metric("eval_loss"), Some((Some(1.75), Some((1.5, 1)))));
        assert_eq!(metric("eval_metrics.f1"), Some((None, Some((0.5, 1)))));
        assert_eq!(metric("eval_confusion"), None);

        let failed = r#"{"event":"failed","step":2,"state":"diverged","error":"the loss became NaN"}"#;
        write(&[&lines[..2], &[failed, ""]].concat());
        let found = RunSummary::read(&run);
        assert_eq!((found.state, found.error.as_deref()), (RunState::Diverged, Some("the loss became NaN")));
        // What follows a line that no run writes is not read; what comes before it is.
        write(&["", lines[1], "garbage", lines[4], ""][1..]);
        fs::write(run.join(CONFIG), "seed = 1\nseed = [").unwrap();
        let found = RunSummary::read(&run);
        let faults: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
        assert!(
            faults[0].contains("config.toml:2: ") && faults[1].contains("metrics.jsonl:2: "),
            "{faults:?}"
        );
        assert_eq!((faults.len(), found.epochs), (2, 1));
    }
}
