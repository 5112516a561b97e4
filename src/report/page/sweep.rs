//! The page of a sweep: its metric against each key, the best runs, rungs and ends, curves of all.

use std::path::Path;

use super::curve::Curve;
use super::curves::{EPOCHS, along, upward};
use super::lines;
use super::machine;
use super::names::{MOST_LINES, Shown, and_more, cut, folder_name, shown, value_text};
use super::single::navigation;
use crate::error::Result;
use crate::figure::page::{Cell, Page, Table, section, tiles};
use crate::figure::{Axis, Extent, Figure, Panel, Series, escaped};
use crate::report::sweep::{ends, settings};
use crate::run::{Row, Sweep, SweepHistory, System, ranked};
use crate::train::{EpochRecord, Mode};
use crate::units;

/// The key that repeats a setting.
const SEED: &str = "seed";
/// Rows of the table of runs.
const ROWS: usize = 500;
/// Values of a key whose axis names each.
const NAMED: usize = 12;
/// Letters of a value on an axis.
const LETTERS: usize = 14;

/// The page of the sweep in a folder, each curve of at most `points` points.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) where the folder holds no sweep, or its files are not those of one.
pub fn sweep_page(folder: &Path, title: Option<&str>, points: usize) -> Result<Page> {
    let history = Sweep::history(folder)?;
    let system = System::read(folder);
    let title = title.map_or_else(|| folder_name(folder), str::to_owned);
    let SweepHistory { rows, swept, monitor, .. } = &history;
    let best = ranked(rows, monitor);
    let config =
        best.first().map_or_else(|| rows.first().map(|row| &row.folder), |(row, _)| Some(&row.folder));
    let config = config.and_then(|own| std::fs::read_to_string(folder.join(own).join("config.toml")).ok());
    let config = config.and_then(|text| text.parse().ok()).unwrap_or_default();
    let shown = shown(&monitor.metric, &config);

    let mut sections = String::new();
    let against = against(&history, &shown);
    if !against.panels.is_empty() {
        let words = "<p class=\"muted\">A mark is a run; the line joins the means. Runs that halving ended early have trained less \
                     than the others.</p>\n";
        sections.push_str(&section(
            "keys",
            "The metric against each key",
            &(words.to_owned() + &against.inline("keys-figure")),
        ));
    }
    let curves = curves(&history, &config, points);
    if !curves.panels.is_empty() {
        let words = if rows.len() > MOST_LINES {
            "<p class=\"muted\">At each epoch the band is of the runs that came so far.</p>\n"
        } else {
            ""
        };
        sections.push_str(&section(
            "curves",
            "Curves",
            &(words.to_owned() + &curves.inline("curves-figure")),
        ));
    }
    sections.push_str(&section("runs", "Runs", &(by_setting(&history) + &table(&history))));
    sections.push_str(&rungs(&history));
    sections.push_str(&errors(rows));
    sections.push_str(&machine::system(system.as_ref(), true));

    let count = units::plural(rows.len(), "run");
    let by = if swept.is_empty() { String::new() } else { format!(", by {}", swept.join(", ")) };
    let state = format!("{}: {count}{by}; {}", folder.display(), ends(rows));
    let mut body = format!(
        "<header>\n<h1>{}</h1>\n<p>{}</p>\n{}</header>\n",
        escaped(&title),
        escaped(&state),
        navigation(&sections)
    );
    let mut all = Vec::new();
    if let Some((row, value)) = best.first() {
        let values =
            swept.iter().zip(&row.values).map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>();
        all.push((format!("best {}", shown.title), value_text(&monitor.metric, *value), values.join(", ")));
    }
    all.push(("runs".into(), rows.len().to_string(), ends(rows)));
    if let Some(seconds) = system.as_ref().and_then(System::seconds) {
        all.push((
            "time".into(),
            units::seconds(seconds as f64),
            format!("{} a run", units::seconds(seconds as f64 / rows.len().max(1) as f64)),
        ));
    }
    body.push_str(&tiles(&all));
    body.push_str(&sections);
    Ok(Page { title, description: format!("Report of a sweep: {state}."), body })
}

/// A panel a key: the metric of each run.
fn against(history: &SweepHistory, shown: &Shown) -> Figure {
    let SweepHistory { rows, swept, monitor, .. } = history;
    let mut panels = Vec::new();
    for (column, key) in swept.iter().enumerate() {
        if key == SEED && swept.len() > 1 {
            continue;
        }
        let values: Vec<&str> =
            rows.iter().filter_map(|row| row.values.get(column)).map(String::as_str).collect();
        let axis = KeyAxis::of(key, &values);
        let (mut whole, mut dropped): (lines::Points, lines::Points) = Default::default();
        let mut means: Vec<(f64, f64, f64)> = Vec::new();
        for row in rows {
            let (Some(value), Some(text)) = (row.value(monitor), row.values.get(column)) else { continue };
            let Some(x) = axis.place(text) else { continue };
            let y = value * shown.scale;
            let is_dropped = row.ended.as_ref().is_some_and(|ended| ended.rung.is_some());
            if is_dropped {
                dropped.push((x, y));
                continue;
            }
            whole.push((x, y));
            match means.iter_mut().find(|mean| mean.0 == x) {
                Some(mean) => (mean.1, mean.2) = (mean.1 + y, mean.2 + 1.0),
                None => means.push((x, y, 1.0)),
            }
        }
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut panel = Panel::new(key.clone(), axis.axis, upward(shown));
        for (name, colour, points) in [("ended early by halving", 4, dropped), ("ran to its end", 0, whole)] {
            if !points.is_empty() {
                panel = panel.with(Series::marks(name, colour, points));
            }
        }
        if means.len() > 1 {
            let line = means.iter().map(|(x, sum, n)| (*x, sum / n)).collect();
            panel = panel.with(Series::line("mean", 0, line));
        }
        if !panel.layers.is_empty() {
            panels.push(panel);
        }
    }
    Figure { title: "The metric against each key".into(), panels, ..Figure::default() }
}

/// The axis of a key: its numbers, or its values one beside the other.
struct KeyAxis {
    axis: Axis,
    names: Option<Vec<String>>,
}

impl KeyAxis {
    fn of(key: &str, values: &[&str]) -> KeyAxis {
        let numbers: Option<Vec<f64>> =
            values.iter().map(|text| text.parse().ok().filter(|v: &f64| v.is_finite())).collect();
        let label = format!("{key} (value)");
        if let Some(numbers) = numbers {
            let (low, high) = numbers.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            let axis = if low > 0.0 && high / low > 20.0 {
                Axis::log(label)
            } else {
                Axis::linear(label).showing(Extent::Data)
            };
            return KeyAxis { axis, names: None };
        }
        let mut names: Vec<String> = Vec::new();
        for value in values {
            if !names.iter().any(|name| name == value) {
                names.push((*value).to_owned());
            }
        }
        let ticks =
            names.iter().take(NAMED).enumerate().map(|(at, name)| (at as f64, cut(name, LETTERS))).collect();
        let extent = Extent::Fixed(-0.5, names.len() as f64 - 0.5);
        KeyAxis { axis: Axis { ticks, ..Axis::linear(label).showing(extent) }, names: Some(names) }
    }

    fn place(&self, text: &str) -> Option<f64> {
        match &self.names {
            Some(names) => names.iter().position(|name| name == text).map(|at| at as f64),
            None => text.parse().ok(),
        }
    }
}

/// Settings with their means over seeds, where seeds were swept.
fn by_setting(history: &SweepHistory) -> String {
    let SweepHistory { rows, swept, monitor, .. } = history;
    let all = settings(rows, swept, monitor);
    if all.len() < 2 && all.iter().all(|own| own.runs.1 < 2) {
        return String::new();
    }
    let keys = swept.iter().filter(|key| *key != SEED).cloned();
    let numbers = ["runs", "mean", "deviation", "worst"].map(str::to_owned);
    let mut table = Table::new(
        format!("Settings by the mean of {} over their seeds", monitor.metric),
        keys.chain(numbers),
    );
    for own in all {
        let number = |value: f64| Cell::Number(value_text(&monitor.metric, value), value);
        let runs = if own.runs.0 == own.runs.1 {
            own.runs.1.to_string()
        } else {
            format!("{} of {}", own.runs.0, own.runs.1)
        };
        let mut row: Vec<Cell> = own.values.iter().map(value_cell).collect();
        row.push(Cell::Number(runs, own.runs.0 as f64));
        row.extend([number(own.mean), own.deviation.map_or(Cell::Empty, number), number(own.worst)]);
        table.rows.push(row);
    }
    table.html()
}

/// A value of a key, sorted as a number where it is one.
fn value_cell(text: &String) -> Cell {
    text.parse().map_or_else(|_| Cell::text(text), |value| Cell::Number(text.clone(), value))
}

/// Every run, the best first, then those without a number.
fn table(history: &SweepHistory) -> String {
    let SweepHistory { rows, swept, monitor, .. } = history;
    let mut order: Vec<&Row> = ranked(rows, monitor).into_iter().map(|(row, _)| row).collect();
    order.extend(rows.iter().filter(|row| row.value(monitor).is_none()));
    let numbers = [&*monitor.metric, "epochs", "steps", "end"].map(str::to_owned);
    let head = ["run".to_owned()].into_iter().chain(swept.iter().cloned()).chain(numbers);
    let mut table = Table::new("All runs, the best first; a head sorts", head);
    for row in order.iter().take(ROWS) {
        let value = row.value(monitor);
        let ended = row.ended.as_ref();
        let end = ended.map_or_else(
            || "not ended".to_owned(),
            |ended| match ended.rung {
                Some(rung) => format!("{} after epoch {rung}", ended.end),
                None => ended.end.clone(),
            },
        );
        let mut cells = vec![Cell::text(&row.folder)];
        cells.extend(row.values.iter().map(value_cell));
        cells
            .push(value.map_or(Cell::Empty, |value| Cell::Number(value_text(&monitor.metric, value), value)));
        cells.push(row.last().map_or(Cell::Empty, |last| Cell::count(last.epoch)));
        cells.push(ended.map_or(Cell::Empty, |ended| Cell::count(ended.steps)));
        cells.push(Cell::text(end));
        table.rows.push(cells);
    }
    let left = order.len().saturating_sub(ROWS);
    table.html() + &and_more(left, " in replicas.csv")
}

/// The numbers of all runs over their epochs, of each run at most `points` points.
fn curves(history: &SweepHistory, config: &toml::Table, points: usize) -> Figure {
    let SweepHistory { rows, monitor, epochs, .. } = history;
    let mut metrics = vec![monitor.metric.as_str()];
    for name in ["train_loss", "eval_loss", "eval_accuracy"] {
        if !metrics.contains(&name) {
            metrics.push(name);
        }
    }
    let best = ranked(rows, monitor).first().map(|(row, _)| row.replica);
    let mut own: Vec<Vec<&EpochRecord>> = vec![Vec::new(); rows.len()];
    for (replica, epoch) in epochs {
        own.get_mut(*replica).into_iter().for_each(|own| own.push(epoch));
    }
    let mut panels = Vec::new();
    for metric in metrics {
        let shown = shown(metric, config);
        let curve = |row: &Row| {
            let mut curve = Curve::new(points);
            for epoch in own.get(row.replica)? {
                let value = epoch.value(metric).map(|value| shown.scale * value);
                curve.push(epoch.epoch as f64, value);
            }
            let points = curve.points();
            (!points.is_empty()).then(|| lines::Curve { run: row.replica, name: row.folder.clone(), points })
        };
        let all: Vec<lines::Curve> = rows.iter().filter_map(curve).collect();
        if !all.is_empty() {
            let panel = Panel::new(shown.title.clone(), along(EPOCHS), upward(&shown));
            panels.push(panel.with_all(lines::layers(all, best)));
        }
    }
    Figure { title: "Curves".into(), panels, ..Figure::default() }
}

/// The judgements of halving, those of one rung together.
fn rungs(history: &SweepHistory) -> String {
    let SweepHistory { judged, monitor, .. } = history;
    let mut rungs: Vec<u64> = judged.iter().map(|own| own.rung).collect();
    rungs.sort_unstable();
    rungs.dedup();
    if rungs.is_empty() {
        return String::new();
    }
    let head = ["after epoch", "judged", "went on", "ended", "worst that went on", "best that was ended"];
    let mut table = Table::new(format!("Rungs of halving, by {}", monitor.metric), head);
    for rung in rungs {
        let own = || judged.iter().filter(move |own| own.rung == rung);
        let (kept, dropped) = (
            own().map(|own| own.kept.len()).sum::<usize>(),
            own().map(|own| own.dropped.len()).sum::<usize>(),
        );
        let values = |of: fn(&crate::run::Judged) -> &Vec<usize>| -> Vec<f64> {
            own()
                .flat_map(|own| own.values.iter().filter(move |(run, _)| of(own).contains(run)))
                .filter_map(|(_, value)| *value)
                .collect()
        };
        let (least, most) = (f64::min as fn(f64, f64) -> f64, f64::max as fn(f64, f64) -> f64);
        let (worse, better) = match monitor.mode {
            Mode::Min => (most, least),
            Mode::Max => (least, most),
        };
        let cell = |value: Option<f64>| {
            value.map_or(Cell::Empty, |value| Cell::Number(value_text(&monitor.metric, value), value))
        };
        table.rows.push(vec![
            Cell::count(rung),
            Cell::count((kept + dropped) as u64),
            Cell::count(kept as u64),
            Cell::count(dropped as u64),
            cell(values(|own| &own.kept).into_iter().reduce(worse)),
            cell(values(|own| &own.dropped).into_iter().reduce(better)),
        ]);
    }
    section("rungs", "Halving", &table.html())
}

/// Runs that failed, with their errors.
fn errors(rows: &[Row]) -> String {
    let mut out = String::new();
    for row in rows {
        if let Some(error) = row.ended.as_ref().and_then(|ended| ended.error.as_ref()) {
            out.push_str(&format!(
                "<p class=\"note bad\">{}: {}</p>\n",
                escaped(&row.folder),
                escaped(error)
            ));
        }
    }
    if out.is_empty() { out } else { section("errors", "Runs that failed", &out) }
}
