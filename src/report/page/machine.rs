//! Where the time went, and the machine: epochs, kernels of `profile.json`, `system.json`.

use serde_json::Value;

use super::curves::{EPOCHS, along, line, upward};
use super::names::{and_more, scaled, shown};
use super::record::RunRecord;
use crate::figure::page::{Cell, Table, facts, section};
use crate::figure::{Figure, Panel};
use crate::run::System;
use crate::units;

/// Kernels of a table.
const KERNELS: usize = 24;

/// The section of times.
pub(super) fn timing(record: &RunRecord) -> String {
    let config = &record.summary.settings;
    let mut panels = Vec::new();
    for name in ["samples_per_second", "data_wait"] {
        let Some(own) = record.epoch_curve(name).filter(|own| !own.by_epoch.is_empty()) else { continue };
        let shown = shown(name, config);
        let points = scaled(own.by_epoch.points(), shown.scale);
        let mut axis = upward(&shown);
        if name == "data_wait" {
            axis.extent = crate::figure::Extent::Fixed(0.0, 100.0);
        }
        panels.push(Panel::new(shown.title.clone(), along(EPOCHS), axis).with(line("", 0, points)));
    }
    if let Some(samples) =
        record.system.as_ref().map(|system| system.epoch_samples).filter(|samples| *samples > 0)
        && let Some(own) = record.epoch_curve("samples_per_second")
    {
        let seconds = |(x, rate): (f64, f64)| (x, samples as f64 / rate.max(f64::MIN_POSITIVE));
        let points: Vec<(f64, f64)> = own.by_epoch.points().into_iter().map(seconds).collect();
        let axis = crate::figure::Axis::linear("training time of an epoch (s)");
        panels.push(Panel::new("time of an epoch", along(EPOCHS), axis).with(line(
            "time of an epoch",
            0,
            points,
        )));
    }
    let mut out = String::new();
    if !panels.is_empty() {
        let figure = Figure { title: "Timing".into(), panels, ..Figure::default() };
        out.push_str("<p class=\"muted\">Evaluation is not counted.</p>\n");
        out.push_str(&figure.inline("timing"));
    }
    out.push_str(&kernels(record));
    if out.is_empty() { out } else { section("time", "Time", &out) }
}

/// The table of kernels, the longest first.
fn kernels(record: &RunRecord) -> String {
    let Some(profile) = &record.profile else {
        return "<p class=\"muted\">Times of kernels are recorded by <code>downhill train --profile</code>.</p>\n".into();
    };
    if let Some(why) = profile.get("untimed").and_then(Value::as_str) {
        return format!("<p class=\"note\">Kernels are not timed: {}.</p>\n", crate::figure::escaped(why));
    }
    let Some(rows) = profile.get("kernels").and_then(Value::as_array).filter(|rows| !rows.is_empty()) else {
        return String::new();
    };
    let number = |row: &Value, key: &str| row.get(key).and_then(Value::as_f64);
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let most = rows.iter().filter_map(|row| number(row, "share")).fold(f64::MIN_POSITIVE, f64::max);
    let steps =
        profile.get("device_step_seconds").and_then(Value::as_array).map_or(1, |steps| steps.len().max(1));
    let head = ["kernel", "what", "makes", "share", "mean time", "calls a step", "GFLOP/s", "GB/s"];
    let mut table = Table::new("Kernels of a training step, by the device's clock", head);
    for row in rows.iter().take(KERNELS) {
        let share = number(row, "share").unwrap_or(0.0);
        let makes = row.get("makes").map(Value::to_string).unwrap_or_default().replace(',', ", ");
        let rate = |key: &str| {
            number(row, key).map_or(Cell::Empty, |value| Cell::Number(units::three(value / 1e9), value))
        };
        let time = number(row, "mean_seconds").map_or(Cell::Empty, |s| Cell::Number(units::duration(s), s));
        let calls =
            number(row, "calls").map_or(Cell::Empty, |calls| Cell::count((calls / steps as f64) as u64));
        table.rows.push(vec![
            Cell::Html(format!("<code>{}</code>", crate::figure::escaped(&text(row, "kernel")))),
            Cell::text(text(row, "what")),
            Cell::text(makes),
            Cell::Bar(format!("{:.1}%", 100.0 * share), share / most),
            time,
            calls,
            rate("flops_per_second"),
            rate("bytes_per_second"),
        ]);
    }
    let left = rows.len().saturating_sub(KERNELS);
    let more = and_more(left, " in profile.json");
    let mean = |key: &str| {
        let all: Vec<f64> = profile.get(key)?.as_array()?.iter().filter_map(Value::as_f64).collect();
        (!all.is_empty()).then(|| units::duration(all.iter().sum::<f64>() / all.len() as f64))
    };
    let of_step = match (
        number(profile, "kernel_seconds"),
        mean("device_step_seconds"),
        mean("wall_step_seconds"),
    ) {
        (Some(kernels), Some(device), Some(wall)) => format!(
            "<p>The kernels take {} of {device} a step by the device's clock, each in a pass of its own; {wall} by the wall's \
             clock as they are trained.</p>\n",
            units::duration(kernels)
        ),
        _ => String::new(),
    };
    format!("<h3>Kernels</h3>\n{of_step}{}{more}", table.html())
}

/// The section of the machine; for a run of an earlier version a sentence.
pub(super) fn system(system: Option<&System>, is_sweep: bool) -> String {
    let Some(system) = system else { return String::new() };
    let mut all: Vec<(&str, String)> = Vec::new();
    let mut add = |name, value: String| {
        if !value.is_empty() {
            all.push((name, value));
        }
    };
    add("adapter", system.adapter.clone());
    add(
        "driver",
        [&*system.driver, &*system.backend]
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
    );
    add(
        "kernels",
        [&*system.kernels, &*system.reads]
            .iter()
            .filter(|s| !s.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("; "),
    );
    if let Some(threads) = system.software_threads {
        let text = if threads == 0 { "the one that submits".to_owned() } else { threads.to_string() };
        add("threads of the driver", text);
    }
    if system.parameters > 0 {
        add("parameters", units::grouped(system.parameters));
        add(
            "batch",
            format!(
                "{}; {} an epoch",
                units::plural(system.batch_size, "sample"),
                units::plural(system.steps_per_epoch, "step")
            ),
        );
        add(
            "samples",
            format!(
                "{} to train on, {} held out",
                units::grouped(system.epoch_samples),
                units::grouped(system.eval_samples)
            ),
        );
    }
    if system.dispatches_per_step > 0 {
        let what = if is_sweep { "dispatches a step, of all runs at once" } else { "dispatches a step" };
        add(what, system.dispatches_per_step.to_string());
    }
    if system.peak_bytes > 0 {
        add("memory, planned", units::bytes(system.peak_bytes));
    }
    add("downhill", system.version.clone());
    let mut out = facts(&all);
    if !system.segments.is_empty() {
        let mut table = Table::new(
            "When it trained",
            ["process", "began", "ended", "seconds", "from step", "to step", "end"],
        );
        if is_sweep {
            table = Table::new("When it trained", ["process", "began", "ended", "seconds", "end"]);
        }
        for (at, own) in system.segments.iter().enumerate() {
            let time = |seconds: u64| Cell::text(units::date_and_time(seconds));
            let mut row = vec![
                Cell::count(at as u64 + 1),
                time(own.started),
                own.ended.map_or(Cell::text("not known: it was killed, or trains"), time),
                own.ended.map_or(Cell::Empty, |ended| Cell::count(ended.saturating_sub(own.started))),
            ];
            if !is_sweep {
                row.push(Cell::count(own.from_step));
                row.push(own.to_step.map_or(Cell::Empty, Cell::count));
            }
            row.push(own.end.clone().map_or(Cell::Empty, Cell::Text));
            table.rows.push(row);
        }
        out.push_str(&table.html());
    }
    section("machine", "Machine", &out)
}
