//! `downhill compare`: a line for the metrics, the lengths, the weights and each key of the config.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Comparison, Length, MetricParting, WeightParting};
use crate::run::SettingDifference;
use crate::units::plural;

/// The comparison as text.
pub fn compare_text(comparison: &Comparison) -> String {
    let [a, b] = comparison.runs.each_ref().map(|run| run.display());
    let [x, y] = comparison.lengths;
    let mut out = String::new();
    let _ = match &comparison.metrics {
        Some(parting) => writeln!(out, "metrics  {}", metric(parting, comparison)),
        None => {
            let shorter = Length { steps: x.steps.min(y.steps), epochs: x.epochs.min(y.epochs) };
            writeln!(out, "metrics  alike over {}{}", length(shorter), within(comparison.tolerance))
        }
    };
    if x != y {
        let _ = writeln!(out, "length   {a} has {}, {b} has {}", length(x), length(y));
    }
    for (run, _) in comparison.runs.iter().zip(comparison.torn).filter(|(_, torn)| *torn) {
        let file = run.join("metrics.jsonl");
        let _ = writeln!(out, "note     the last line of {} is cut off, and is left out", file.display());
    }
    if let Some(text) = weights(comparison) {
        let _ = writeln!(out, "weights  {text}");
    }
    for SettingDifference { key, values } in &comparison.settings {
        let [x, y] =
            values.each_ref().map(|value| value.as_ref().map_or("not there".into(), ToString::to_string));
        let _ = writeln!(out, "config   {key} is {x} in {a} and {y} in {b}");
    }
    out
}

fn length(length: Length) -> String {
    format!("{} and {}", plural(length.steps, "step"), plural(length.epochs, "epoch"))
}

fn within(tolerance: f64) -> String {
    if tolerance == 0.0 { ", to the bit".into() } else { format!(", within {tolerance:e}") }
}

fn metric(parting: &MetricParting, comparison: &Comparison) -> String {
    let [a, b] = comparison.runs.each_ref().map(|run| run.display());
    let [x, y] =
        [&parting.a, &parting.b].map(|value| value.as_ref().map_or("not there".into(), Value::to_string));
    let MetricParting { event, number, key, .. } = parting;
    let text = format!("{key} of {event} {number} is {x} in {a} and {y} in {b}");
    match parting.difference() {
        Some((difference, relative)) => {
            format!("{text}: they differ by {difference:.3e}, {relative:.3e} of the larger")
        }
        None => text,
    }
}

fn weights(comparison: &Comparison) -> Option<String> {
    let [a, b] = comparison.runs.each_ref().map(|run| run.display());
    let Some(tensors) = comparison.tensors else {
        let without = comparison.runs.iter().zip(comparison.without_weights).find(|(_, without)| *without);
        return without.map(|(run, _)| format!("not compared: {} has no model.safetensors", run.display()));
    };
    Some(match &comparison.weights {
        None => format!("alike in {}{}", plural(tensors, "tensor"), within(comparison.tolerance)),
        Some(WeightParting::Alone { tensor, run }) => {
            format!("only {} has {tensor}", comparison.runs[*run].display())
        }
        Some(WeightParting::Shape { tensor, shapes: [x, y] }) => {
            format!("{tensor} has shape {x:?} in {a} and {y:?} in {b}")
        }
        Some(WeightParting::Element { tensor, index, values: [x, y], largest }) => {
            let difference = (f64::from(*x) - f64::from(*y)).abs();
            format!(
                "{tensor} {index:?} is {x:?} in {a} and {y:?} in {b}: they differ by {difference:.3e}, {:.3e} of the \
                 tensor's largest",
                difference / f64::from(largest.max(f32::MIN_POSITIVE))
            )
        }
    })
}

/// The comparison as JSON.
pub fn compare_json(comparison: &Comparison) -> Value {
    let metrics = comparison.metrics.as_ref().map(|parting| {
        let mut value = json!(parting);
        let (difference, relative) = parting.difference().unzip();
        value["difference"] = json!(difference);
        value["relative"] = json!(relative);
        value
    });
    let weights = comparison.weights.as_ref().map(|parting| match parting {
        WeightParting::Alone { tensor, run } => {
            json!({ "tensor": tensor, "only_in": comparison.runs[*run] })
        }
        WeightParting::Shape { tensor, shapes: [a, b] } => {
            json!({ "tensor": tensor, "shape_a": a.to_vec(), "shape_b": b.to_vec() })
        }
        WeightParting::Element { tensor, index, values: [a, b], largest } => {
            json!({ "tensor": tensor, "index": index, "a": a, "b": b, "largest": largest })
        }
    });
    let setting = |difference: &SettingDifference| json!({ "key": difference.key, "a": difference.values[0], "b": difference.values[1] });
    json!({
        "alike": comparison.alike(),
        "runs": comparison.runs,
        "tolerance": comparison.tolerance,
        "lengths": comparison.lengths,
        "torn": comparison.torn,
        "metrics": metrics,
        "tensors": comparison.tensors,
        "weights": weights,
        "config": comparison.settings.iter().map(setting).collect::<Vec<_>>(),
    })
}
