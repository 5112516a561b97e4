//! A table of runs for programs: JSON and CSV, with every metric.

use std::collections::BTreeSet;
use std::time::UNIX_EPOCH;

use serde_json::{Map, json};
use toml::Value;

use super::RunTable;
use crate::error::{Error, Result};
use crate::run::{MetricSummary, RunSummary};

/// The start in seconds since 1970.
fn started(run: &RunSummary) -> Option<u64> {
    Some(run.started?.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// A list of the runs: their metrics with last and best value, and the settings in which they differ.
pub fn runs_json(table: &RunTable) -> serde_json::Value {
    let runs = table.runs.iter().enumerate().map(|(at, run)| {
        let metric = |metric: &MetricSummary| {
            let (best, epoch) = metric.best.unzip();
            (metric.name.clone(), json!({ "last": metric.last, "best": best, "epoch": epoch }))
        };
        let settings = table
            .settings
            .iter()
            .filter_map(|(key, values)| Some((key.clone(), json!(values[at].as_ref()?))));
        json!({
            "run": run.path.display().to_string(),
            "state": run.state,
            "epochs": run.epochs,
            "total_epochs": run.total_epochs,
            "steps": run.steps,
            "total_steps": run.total_steps,
            "loss": run.loss,
            "metrics": run.metrics.iter().map(metric).collect::<Map<_, _>>(),
            "started": started(run),
            "seconds": run.seconds,
            "settings": settings.collect::<Map<_, _>>(),
            "error": run.error,
            "faults": run.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    runs.collect()
}

/// A line for each run: `NAME` is the value of the last epoch, `best NAME` the best one, and `best NAME epoch` its epoch.
///
/// # Errors
/// [`Error::Data`] where a row cannot be written.
pub fn runs_csv(table: &RunTable) -> Result<String> {
    let names: BTreeSet<&str> =
        table.runs.iter().flat_map(|run| &run.metrics).map(|metric| metric.name.as_str()).collect();
    let fixed =
        ["run", "state", "epochs", "total_epochs", "steps", "total_steps", "started", "seconds", "loss"];
    let mut head: Vec<String> = fixed.map(str::to_owned).to_vec();
    head.extend(
        names
            .iter()
            .flat_map(|name| [(*name).to_owned(), format!("best {name}"), format!("best {name} epoch")]),
    );
    head.extend(table.settings.iter().map(|(key, _)| key.clone()));
    head.extend(["error", "faults"].map(str::to_owned));

    fn cell<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(String::new, |value| value.to_string())
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let wrong = |err: &dyn std::fmt::Display| Error::Data(format!("cannot write a row: {err}"));
    writer.write_record(&head).map_err(|err| wrong(&err))?;
    for (at, run) in table.runs.iter().enumerate() {
        let mut row = vec![run.path.display().to_string(), run.state.name().to_owned()];
        row.extend(
            [Some(run.epochs), run.total_epochs, Some(run.steps), run.total_steps, started(run)].map(cell),
        );
        row.extend([run.seconds, run.loss].map(cell));
        for name in &names {
            let metric = run.metric(name);
            let (best, epoch) = metric.and_then(|metric| metric.best).unzip();
            row.extend([cell(metric.and_then(|metric| metric.last)), cell(best), cell(epoch)]);
        }
        row.extend(table.settings.iter().map(|(_, values)| {
            values[at].as_ref().map_or_else(String::new, |value| match value {
                Value::String(text) => text.clone(),
                Value::Float(number) => format!("{number:?}"),
                other => other.to_string(),
            })
        }));
        let faults: Vec<String> = run.faults.iter().map(ToString::to_string).collect();
        row.extend([cell(run.error.as_ref()), faults.join("; ")]);
        writer.write_record(&row).map_err(|err| wrong(&err))?;
    }
    let bytes = writer.into_inner().map_err(|err| wrong(&err.error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
