//! The page of several runs: their curves over each other, the differences of their configs, a table.

use super::curves::{EPOCHS, STEPS, along, upward};
use super::lines;
use super::machine;
use super::names::{and_more, cut, scaled, shown, told_apart, value_text};
use super::record::RunRecord;
use super::single::navigation;
use crate::figure::page::{Cell, Page, Table, details, section, tiles};
use crate::figure::{Figure, Panel, escaped};
use crate::run::{System, Varying, varying_settings};
use crate::train::{Mode, Monitor};
use crate::units;
use toml::{Table as Settings, Value};

/// Points of a smoothed line of one run among others.
const SMOOTH: usize = 240;
/// Numbers of epochs that have a panel.
const METRICS: usize = 12;
/// Settings of the table of differences.
const MOST_SETTINGS: usize = 60;
/// Characters of a cell of a setting.
const LONGEST: usize = 90;

/// The page of runs.
pub fn several_page(records: &[RunRecord], title: Option<&str>) -> Page {
    let names =
        told_apart(records.iter().map(|own| (own.name.clone(), own.path.display().to_string())).collect());
    let title =
        title.map_or_else(|| format!("{} compared", units::plural(records.len(), "run")), str::to_owned);
    let metric = records.iter().find_map(RunRecord::main_metric);
    let best = metric.and_then(|name| best_of(records, name));

    let mut sections = section("runs", "Runs", &results(records, &names, metric));
    let figure = figure(records, &names, best);
    if !figure.panels.is_empty() {
        sections.push_str(&section("curves", "Curves", &figure.inline("curves-figure")));
    }
    sections.push_str(&section("config", "Differences of configs", &differences(records, &names)));
    sections.push_str(&notes(records, &names));
    sections.push_str(&machines(records, &names));

    let subtitle = match (metric, best) {
        (Some(name), Some(at)) => {
            format!("The best by {} is {}", shown(name, &records[at].summary.settings).title, names[at])
        }
        _ => "No epoch was reported by any of them".to_owned(),
    };
    let mut body = format!(
        "<header>\n<h1>{}</h1>\n<p>{}</p>\n{}</header>\n",
        escaped(&title),
        escaped(&subtitle),
        navigation(&sections)
    );
    if let (Some(name), Some(at)) = (metric, best)
        && let Some((value, epoch)) = records[at].summary.metric(name).and_then(|metric| metric.best)
    {
        let words = shown(name, &records[at].summary.settings).title;
        body.push_str(&tiles(&[
            ("best run".into(), names[at].clone(), records[at].summary.state.name().into()),
            ("its best epoch".into(), value_text(name, value), format!("{words}, in epoch {epoch}")),
            ("runs".into(), records.len().to_string(), String::new()),
        ]));
    }
    body.push_str(&sections);
    Page { title, description: format!("Report of {}.", units::plural(records.len(), "training run")), body }
}

/// The run with the best epoch by a metric.
fn best_of(records: &[RunRecord], name: &str) -> Option<usize> {
    let value = |own: &RunRecord| own.summary.metric(name)?.best.map(|(value, _)| value);
    let monitor = Monitor::new(name);
    let all = records.iter().enumerate().filter_map(|(at, own)| Some((at, value(own)?)));
    all.reduce(|a, b| {
        let is_better = match monitor.mode {
            Mode::Min => b.1 < a.1,
            Mode::Max => b.1 > a.1,
        };
        if is_better { b } else { a }
    })
    .map(|(at, _)| at)
}

/// A row a run.
fn results(records: &[RunRecord], names: &[String], metric: Option<&str>) -> String {
    let mut metrics: Vec<String> = Vec::new();
    for own in records.iter().flat_map(|own| &own.summary.metrics) {
        let is_result = own.name.starts_with("eval_") || own.name == "train_loss";
        if is_result && !metrics.contains(&own.name) {
            metrics.push(own.name.clone());
        }
    }
    metrics.sort_by_key(|name| Some(name.as_str()) != metric);
    let words =
        |name: &String| name.replace("eval_metrics.", "").replace("eval_", "held-out ").replace('_', " ");
    let is_main = |name: &String| Some(name.as_str()) == metric;
    let heads = metrics.iter().flat_map(|name| {
        [Some(format!("best {}", words(name))), is_main(name).then(|| "in epoch".to_owned())]
            .into_iter()
            .flatten()
    });
    let head = ["run", "state", "epochs", "steps"].into_iter().map(str::to_owned).chain(heads);
    let mut table = Table::new(
        "The best epoch of each run; a head sorts",
        head.chain(["seconds".to_owned(), "samples a second".to_owned()]),
    );
    for (own, name) in records.iter().zip(names) {
        let mut row = vec![
            Cell::text(name),
            Cell::text(own.summary.state.name()),
            Cell::count(own.summary.epochs),
            Cell::count(own.summary.steps),
        ];
        for name in &metrics {
            let best = own.summary.metric(name).and_then(|own| own.best);
            row.push(best.map_or(Cell::Empty, |(value, _)| Cell::Number(value_text(name, value), value)));
            if is_main(name) {
                row.push(best.map_or(Cell::Empty, |(_, epoch)| Cell::count(epoch)));
            }
        }
        row.push(own.system.as_ref().and_then(System::seconds).map_or(Cell::Empty, Cell::count));
        let rate = own.epoch_curve("samples_per_second").and_then(|own| own.by_epoch.last());
        row.push(rate.map_or(Cell::Empty, |(_, rate)| Cell::count(rate as u64)));
        table.rows.push(row);
    }
    table.html()
}

/// A panel a number, all runs in it.
fn figure(records: &[RunRecord], names: &[String], best: Option<usize>) -> Figure {
    let mut panels = Vec::new();
    // The curves of the runs that have this one.
    let curves = |of: &dyn Fn(&RunRecord) -> Option<lines::Points>| -> Vec<lines::Curve> {
        let all = records.iter().zip(names).enumerate();
        all.filter_map(|(run, (own, name))| Some(lines::Curve { run, name: name.clone(), points: of(own)? }))
            .collect()
    };
    let config = |all: &[lines::Curve]| {
        all.first().map_or_else(Settings::new, |own| records[own.run].summary.settings.clone())
    };
    let all = curves(&|own| {
        let curve = own.step_curve("loss").filter(|curve| !curve.is_empty())?;
        let smooth = curve.smooth(SMOOTH);
        Some(if smooth.is_empty() { curve.points() } else { smooth })
    });
    if !all.is_empty() {
        let shown = shown("loss", &config(&all));
        let panel = Panel::new("training loss, smoothed", along(STEPS), upward(&shown));
        panels.push(panel.with_all(lines::layers(all, best)));
    }
    let mut metrics: Vec<&str> = Vec::new();
    for own in records.iter().flat_map(|own| &own.epochs) {
        let is_left_out = own.name == "train_loss" && !panels.is_empty();
        if !is_left_out && !metrics.contains(&own.name.as_str()) && metrics.len() < METRICS {
            metrics.push(&own.name);
        }
    }
    for metric in metrics {
        let mut all = curves(&|own| {
            let curve = own.epoch_curve(metric).filter(|own| !own.by_epoch.is_empty())?;
            Some(curve.by_epoch.points())
        });
        if all.is_empty() {
            continue;
        }
        let shown = shown(metric, &config(&all));
        for own in &mut all {
            own.points = scaled(std::mem::take(&mut own.points), shown.scale);
        }
        let panel = Panel::new(shown.title.clone(), along(EPOCHS), upward(&shown));
        panels.push(panel.with_all(lines::layers(all, best)));
    }
    Figure { title: "Curves".into(), panels, ..Figure::default() }
}

/// The settings in which the runs differ: a row a setting.
fn differences(records: &[RunRecord], names: &[String]) -> String {
    let tables: Vec<&Settings> = records.iter().map(|own| &own.summary.settings).collect();
    let varying = varying_settings(&tables);
    if varying.is_empty() {
        return "<p>The configs are equal, but for the place of the data.</p>\n".into();
    }
    // Of tiles there are dozens; `compare` lists them.
    let few: Vec<&Varying> =
        varying.iter().filter(|(key, _)| !key.starts_with("tune.products.")).take(MOST_SETTINGS).collect();
    let mut table = Table::new(
        "Settings that are not the same in all runs",
        ["setting".to_owned()].into_iter().chain(names.iter().cloned()),
    );
    for (key, values) in &few {
        let cell = |value: &Option<Value>| value.as_ref().map_or(Cell::Empty, setting);
        let code = Cell::Html(format!("<code>{}</code>", escaped(key)));
        table.rows.push(std::iter::once(code).chain(values.iter().map(cell)).collect());
    }
    let left = varying.len() - few.len();
    let more = and_more(left, ": downhill compare lists them");
    if names.len() > 12 {
        details("Settings that are not the same in all runs", &table.html()) + &more
    } else {
        table.html() + &more
    }
}

/// A setting as a cell.
fn setting(value: &Value) -> Cell {
    match value {
        Value::Integer(number) => Cell::Number(number.to_string(), *number as f64),
        Value::Float(number) => Cell::Number(crate::figure::number(*number), *number),
        Value::String(text) => Cell::text(cut(text, LONGEST)),
        other => Cell::text(cut(&other.to_string(), LONGEST)),
    }
}

/// Errors and damaged files, by run.
fn notes(records: &[RunRecord], names: &[String]) -> String {
    let mut out = String::new();
    for (own, name) in records.iter().zip(names) {
        let error = own.summary.error.iter().map(|error| format!("ended by an error: {error}"));
        for text in error.chain(own.notes.iter().cloned()) {
            out.push_str(&format!("<p class=\"note bad\">{}: {}</p>\n", escaped(name), escaped(&text)));
        }
    }
    if out.is_empty() { out } else { section("notes", "Notes", &out) }
}

/// What all runs have alike; the rest is as if it was not known.
fn shared(all: &[&System]) -> Option<System> {
    /// The value that all have, or that of nothing.
    fn alike<T: Default + PartialEq>(all: &[&System], of: impl Fn(&System) -> T) -> T {
        let first = all.first().map(|system| of(system)).unwrap_or_default();
        if all.iter().all(|system| of(system) == first) { first } else { T::default() }
    }
    all.first().map(|_| System {
        version: alike(all, |own| own.version.clone()),
        adapter: alike(all, |own| own.adapter.clone()),
        driver: alike(all, |own| own.driver.clone()),
        backend: alike(all, |own| own.backend.clone()),
        kernels: alike(all, |own| own.kernels.clone()),
        reads: alike(all, |own| own.reads.clone()),
        software_threads: alike(all, |own| own.software_threads),
        peak_bytes: alike(all, |own| own.peak_bytes),
        ..System::default()
    })
}

/// The machine, once where it is the same for all.
fn machines(records: &[RunRecord], names: &[String]) -> String {
    let about = |own: &RunRecord| {
        let system = own.system.as_ref()?;
        Some((system.adapter.clone(), system.driver.clone(), system.version.clone()))
    };
    let first = records.first().and_then(about);
    if records.iter().all(|own| about(own) == first) {
        let all: Vec<&System> = records.iter().filter_map(|own| own.system.as_ref()).collect();
        let shared = shared(&all);
        return machine::system(shared.as_ref().filter(|system| !system.adapter.is_empty()), false);
    }
    let mut table = Table::new("What each run ran on", ["run", "adapter", "driver", "downhill"]);
    for (own, name) in records.iter().zip(names) {
        let (adapter, driver, version) = about(own).unwrap_or_default();
        table.rows.push([name, &adapter, &driver, &version].map(Cell::text).to_vec());
    }
    section("machine", "Machines", &table.html())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_several_runs_has_what_is_alike() {
        let of = |peak_bytes, threads| System {
            adapter: "a card".into(),
            kernels: "Tiled".into(),
            peak_bytes,
            software_threads: threads,
            parameters: 7,
            ..System::default()
        };
        let page = |all: &[&System]| machine::system(shared(all).as_ref(), false);
        let (one, two) = (of(1024, Some(2)), System { kernels: "Subgroup".into(), ..of(4096, Some(4)) });
        let equal = page(&[&one, &one]);
        assert!(equal.contains("1.0 KiB") && equal.contains("Tiled") && equal.contains("threads"), "{equal}");
        let other = page(&[&one, &two]);
        assert!(other.contains("a card"), "{other}");
        for word in ["KiB", "0 B", "memory", "Tiled", "threads", "parameters"] {
            assert!(!other.contains(word), "{word}: {other}");
        }
    }
}
