//! `downhill sweep`: the table at its end.

use std::fmt::Write;

use serde_json::{Value, json};

use super::align;
use crate::run::{Row, ranked};
use crate::train::{Mode, Monitor};
use crate::units::plural;

/// Rows of a table, at most.
const ROWS: usize = 20;
/// The key that repeats a setting.
const SEED: &str = "seed";

/// The runs of one setting, with other seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its value of each swept key but the seed.
    pub values: Vec<String>,
    /// Runs that came to an end with a number, and all.
    pub runs: (usize, usize),
    /// Their mean.
    pub mean: f64,
    /// The standard deviation of one run, from two on.
    pub deviation: Option<f64>,
    /// The worst of them.
    pub worst: f64,
}

/// The settings of a sweep over seeds, the best mean first: a setting of which a run failed comes after those of which none
/// did. Empty where no seeds were swept.
pub fn settings(rows: &[Row], swept: &[String], monitor: &Monitor) -> Vec<Setting> {
    let Some(seed) = swept.iter().position(|key| key == SEED) else { return Vec::new() };
    let mut all: Vec<(Vec<String>, Vec<Option<f64>>)> = Vec::new();
    for row in rows {
        let mut values = row.values.clone();
        if seed < values.len() {
            values.remove(seed);
        }
        let value = row.value(monitor);
        match all.iter_mut().find(|(other, _)| *other == values) {
            Some((_, numbers)) => numbers.push(value),
            None => all.push((values, vec![value])),
        }
    }
    let mut settings: Vec<Setting> =
        all.into_iter().filter_map(|(values, numbers)| setting(values, &numbers, monitor)).collect();
    settings.sort_by(|a, b| {
        let failed = |own: &Setting| own.runs.0 < own.runs.1;
        let mean = match monitor.mode {
            Mode::Min => a.mean.total_cmp(&b.mean),
            Mode::Max => b.mean.total_cmp(&a.mean),
        };
        failed(a).cmp(&failed(b)).then(mean)
    });
    settings
}

fn setting(values: Vec<String>, numbers: &[Option<f64>], monitor: &Monitor) -> Option<Setting> {
    let there: Vec<f64> = numbers.iter().copied().flatten().collect();
    let (first, n) = (*there.first()?, there.len() as f64);
    let mean = there.iter().sum::<f64>() / n;
    let squares: f64 = there.iter().map(|x| (x - mean).powi(2)).sum();
    let worst = there.iter().copied().fold(first, |a, b| match monitor.mode {
        Mode::Min => a.max(b),
        Mode::Max => a.min(b),
    });
    let deviation = (there.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    Some(Setting { values, runs: (there.len(), numbers.len()), mean, deviation, worst })
}

/// Settings with their means over seeds, where seeds were swept, then the best runs, then how runs ended.
pub fn sweep_text(rows: &[Row], swept: &[String], monitor: &Monitor) -> String {
    let mut out = String::new();
    let settings = settings(rows, swept, monitor);
    let metric = &monitor.metric;
    if settings.len() > 1 || settings.iter().any(|own| own.runs.1 > 1) {
        let keys = swept.iter().filter(|key| *key != SEED).cloned();
        let head = keys.chain(["runs".into(), format!("{metric}, mean"), "deviation".into(), "worst".into()]);
        let mut table = vec![head.collect::<Vec<String>>()];
        for own in settings.iter().take(ROWS) {
            let runs = match own.runs {
                (there, all) if there == all => all.to_string(),
                (there, all) => format!("{there} of {all}"),
            };
            let deviation = own.deviation.map_or(String::new(), number);
            let numbers = [runs, number(own.mean), deviation, number(own.worst)];
            table.push(own.values.iter().cloned().chain(numbers).collect());
        }
        out.push_str(&align(&table, &left(&table)));
        more(&mut out, settings.len(), "setting");
        out.push('\n');
    }
    let best = ranked(rows, monitor);
    if !best.is_empty() {
        let head =
            swept.iter().cloned().chain(["end", "epochs", "eval loss", "accuracy", "run"].map(str::to_owned));
        let mut table = vec![head.collect::<Vec<String>>()];
        for (row, _) in best.iter().take(ROWS) {
            let last = row.last();
            let end = row.ended.as_ref().map_or_else(String::new, |ended| ended.end.clone());
            let accuracy = last
                .and_then(|last| last.eval_accuracy)
                .map_or(String::new(), |x| format!("{:.2}%", 100.0 * x));
            let loss = last.and_then(|last| last.eval_loss).map_or(String::new(), number);
            let epochs = last.map_or(0, |last| last.epoch).to_string();
            table.push(
                row.values.iter().cloned().chain([end, epochs, loss, accuracy, row.folder.clone()]).collect(),
            );
        }
        out.push_str(&align(&table, &left(&table)));
        more(&mut out, best.len(), "run");
        out.push('\n');
    }
    let _ = writeln!(out, "{}", ends(rows));
    out
}

/// Every column to the left but for the last ones, which are numbers.
fn left(table: &[Vec<String>]) -> Vec<bool> {
    let columns = table.first().map_or(0, Vec::len);
    (0..columns).map(|column| table[1..].iter().any(|row| row[column].parse::<f64>().is_err())).collect()
}

fn more(out: &mut String, all: usize, what: &str) {
    if all > ROWS {
        let _ = writeln!(out, "and {} more, in replicas.csv", plural(all - ROWS, what));
    }
}

/// How the runs ended, as `62 finished, 2 diverged`.
pub fn ends(rows: &[Row]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        let end = row.ended.as_ref().map_or("not ended", |ended| &ended.end);
        match counts.iter_mut().find(|(other, _)| *other == end) {
            Some((_, count)) => *count += 1,
            None => counts.push((end, 1)),
        }
    }
    let counts: Vec<String> = counts.iter().map(|(end, count)| format!("{count} {end}")).collect();
    counts.join(", ")
}

fn number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}

/// The table as JSON: runs in their order, settings, and the best run.
pub fn sweep_json(rows: &[Row], swept: &[String], monitor: &Monitor) -> Value {
    let run = |row: &Row| {
        json!({
            "replica": row.replica,
            "folder": row.folder,
            "settings": swept.iter().cloned().zip(row.values.iter().map(|text| json!(text))).collect::<serde_json::Map<_, _>>(),
            "end": row.ended.as_ref().map(|ended| &ended.end),
            "error": row.ended.as_ref().and_then(|ended| ended.error.as_ref()),
            "last": row.last(),
        })
    };
    let keys: Vec<&String> = swept.iter().filter(|key| *key != SEED).collect();
    let setting = |own: &Setting| {
        json!({
            "settings": keys.iter().map(|key| (*key).clone()).zip(own.values.iter().map(|text| json!(text)))
                .collect::<serde_json::Map<_, _>>(),
            "runs": own.runs.1,
            "ended": own.runs.0,
            "mean": own.mean,
            "deviation": own.deviation,
            "worst": own.worst,
        })
    };
    json!({
        "metric": monitor.metric,
        "best": ranked(rows, monitor).first().map(|(row, _)| &row.folder),
        "settings": settings(rows, swept, monitor).iter().map(setting).collect::<Vec<_>>(),
        "runs": rows.iter().map(run).collect::<Vec<_>>(),
    })
}
