//! The order of runs in a table.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use toml::Value;

use crate::error::{Error, Result, suggestion};
use crate::metrics::matches_name;
use crate::run::RunSummary;
use crate::train::{Mode, Monitor};

/// The key that sorts runs.
pub(super) struct Key {
    by: By,
    is_reversed: bool,
}

enum By {
    Column(Column),
    Metric(Monitor),
    Setting(String),
}

#[derive(Clone, Copy)]
enum Column {
    Run,
    State,
    Epochs,
    Steps,
    Loss,
    Time,
    Started,
}

/// The columns by their names.
const COLUMNS: [(&str, Column); 7] = [
    ("run", Column::Run),
    ("state", Column::State),
    ("epochs", Column::Epochs),
    ("steps", Column::Steps),
    ("loss", Column::Loss),
    ("time", Column::Time),
    ("started", Column::Started),
];

impl Key {
    /// Reads a name, with `-` before it for the other direction.
    pub fn parse(text: &str, runs: &[RunSummary]) -> Result<Key> {
        let (is_reversed, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let metrics: BTreeSet<&str> =
            runs.iter().flat_map(|run| &run.metrics).map(|metric| metric.name.as_str()).collect();
        let found = [name.to_owned(), format!("eval_{name}"), format!("eval_metrics.{name}")];
        let mut found = found.iter().filter_map(|name| metrics.get(name.as_str()).copied());
        let metric = found.next().or_else(|| metrics.iter().copied().find(|known| matches_name(name, known)));
        let by = if let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) {
            By::Column(*column)
        } else if let Some(metric) = metric {
            By::Metric(Monitor::new(metric))
        } else if runs.iter().any(|run| setting(run, name).is_some()) {
            By::Setting(name.to_owned())
        } else {
            let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).chain(metrics).collect();
            return Err(Error::Config(format!(
                "--sort {text}: no run has a column, a metric or a setting of that name; {}",
                suggestion(name, &names)
            )));
        };
        Ok(Key { by, is_reversed })
    }

    /// The metric, if it is one.
    pub fn into_metric(self) -> Option<String> {
        match self.by {
            By::Metric(monitor) => Some(monitor.metric),
            _ => None,
        }
    }

    /// Sorts runs. Those without the value come last, whatever the direction.
    pub fn sort(&self, runs: &mut [RunSummary]) {
        match &self.by {
            By::Column(Column::Run) => {
                if self.is_reversed {
                    runs.reverse();
                }
            }
            By::Column(Column::State) => self.sort_by(runs, |run| Some(run.state), Ord::cmp),
            By::Column(Column::Epochs) => self.sort_by(runs, |run| Some(Reverse(run.epochs)), Ord::cmp),
            By::Column(Column::Steps) => self.sort_by(runs, |run| Some(Reverse(run.steps)), Ord::cmp),
            By::Column(Column::Loss) => self.sort_by(runs, |run| run.loss, f64::total_cmp),
            By::Column(Column::Time) => self.sort_by(runs, |run| run.seconds, f64::total_cmp),
            By::Column(Column::Started) => self.sort_by(runs, |run| run.started.map(Reverse), Ord::cmp),
            By::Metric(monitor) => {
                let best = |run: &RunSummary| Some(run.metric(&monitor.metric)?.best?.0);
                self.sort_by(runs, best, |a, b| match monitor.mode {
                    Mode::Min => a.total_cmp(b),
                    Mode::Max => b.total_cmp(a),
                });
            }
            By::Setting(key) => self.sort_by(runs, |run| setting(run, key).cloned(), by_value),
        }
    }

    fn sort_by<T>(
        &self,
        runs: &mut [RunSummary],
        value: impl Fn(&RunSummary) -> Option<T>,
        order: impl Fn(&T, &T) -> Ordering,
    ) {
        runs.sort_by(|a, b| match (value(a), value(b)) {
            (Some(a), Some(b)) if self.is_reversed => order(&b, &a),
            (Some(a), Some(b)) => order(&a, &b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
    }
}

/// A setting by its key, as `optimizer.lr`.
fn setting<'a>(run: &'a RunSummary, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let first = run.settings.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// Numbers by their size, then other values by their text.
fn by_value(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (None, None) => a.to_string().cmp(&b.to_string()),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}
