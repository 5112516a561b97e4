//! The page of one run.

use super::judge::Verdict;
use super::names::value_text;
use super::record::RunRecord;
use super::{classes, curves, machine, weights};
use crate::figure::escaped;
use crate::figure::page::{Cell, Page, Table, details, section, tiles};
use crate::run::RunState;
use crate::units;

/// Letters of a config that a page shows.
const MOST_CONFIG: usize = 40_000;

/// The page of a run. `verdict`: what its weights answer now, or why they do not; `None` where nobody asked.
pub fn single_page(
    record: &RunRecord,
    verdict: Option<&Result<Verdict, String>>,
    title: Option<&str>,
) -> Page {
    let title = title.map_or_else(|| record.name.clone(), str::to_owned);
    let figure = curves::figure(record);
    let mut sections = String::new();
    let mut body = String::new();
    if figure.panels.is_empty() {
        let text = "<p>No step was reported yet.</p>\n";
        sections.push_str(&section("curves", "Curves", text));
    } else {
        sections.push_str(&section("curves", "Curves", &(figure.inline("curves-figure") + &epochs(record))));
    }
    sections.push_str(&classes::html(record, verdict));
    sections.push_str(&weights::html(record));
    sections.push_str(&machine::timing(record));
    sections.push_str(&machine::system(record.system.as_ref(), false));
    sections.push_str(&config(record));

    body.push_str(&format!(
        "<header>\n<h1>{}</h1>\n<p>{}</p>\n{}</header>\n",
        escaped(&title),
        escaped(&state(record)),
        navigation(&sections)
    ));
    body.push_str(&tiles(&result(record)));
    body.push_str(&notes(record));
    body.push_str(&sections);
    Page { title, description: format!("Report of a training run: {}.", state(record)), body }
}

/// Links to the sections of a page, by their headings.
pub(super) fn navigation(sections: &str) -> String {
    let mut out = String::from("<nav aria-label=\"Sections\">");
    for part in sections.split("<section id=\"").skip(1) {
        let id = part.split('"').next().unwrap_or_default();
        let heading =
            part.split("<h2>").nth(1).and_then(|rest| rest.split("</h2>").next()).unwrap_or_default();
        out.push_str(&format!("<a href=\"#{id}\">{heading}</a>"));
    }
    out + "</nav>\n"
}

/// Path, state and extent in a line.
fn state(record: &RunRecord) -> String {
    let summary = &record.summary;
    let end = record.system.as_ref().and_then(|system| system.segments.last()?.end.clone());
    let state = match end {
        Some(end) if summary.state == RunState::Finished => end,
        _ => summary.state.name().to_owned(),
    };
    let of = |done: u64, total: Option<u64>, what: &str| match total.filter(|total| *total != done) {
        Some(total) => format!("{} of {}", units::grouped(done as usize), units::plural(total, what)),
        None => format!("{} {what}{}", units::grouped(done as usize), if done == 1 { "" } else { "s" }),
    };
    let steps = of(summary.steps, summary.total_steps, "step");
    let epochs = of(summary.epochs, summary.total_epochs, "epoch");
    format!("{}: {state} after {steps}, {epochs}", record.path.display())
}

/// The numbers that come first.
fn result(record: &RunRecord) -> Vec<(String, String, String)> {
    let summary = &record.summary;
    let mut all = Vec::new();
    for (name, words) in [
        ("eval_accuracy", "best accuracy, held out"),
        ("eval_loss", "best loss, held out"),
        ("train_loss", "last training loss"),
    ] {
        let Some(metric) = summary.metric(name) else { continue };
        let (value, note) = match (name, metric.best, metric.last) {
            ("train_loss", _, Some(last)) => (value_text(name, last), format!("in epoch {}", summary.epochs)),
            (_, Some((best, epoch)), last) => {
                let last = last.map_or("not finite".into(), |last| value_text(name, last));
                let note = if epoch == summary.epochs {
                    format!("in epoch {epoch}, the last")
                } else {
                    format!("in epoch {epoch}; the last {last}")
                };
                (value_text(name, best), note)
            }
            _ => ("–".into(), "never finite".into()),
        };
        all.push((words.to_owned(), value, note));
    }
    for metric in summary.metrics.iter().filter(|metric| metric.name.starts_with("eval_metrics.")).take(3) {
        if let Some((best, epoch)) = metric.best {
            let name = metric.name.trim_start_matches("eval_metrics.").replace('_', " ");
            all.push((
                format!("best {name}, held out"),
                value_text(&metric.name, best),
                format!("in epoch {epoch}"),
            ));
        }
    }
    if summary.metrics.is_empty()
        && let Some(loss) = summary.loss
    {
        all.push((
            "loss of the last step".into(),
            crate::figure::number(loss),
            format!("step {}", summary.steps),
        ));
    }
    if let Some(system) = &record.system {
        if let Some(seconds) = system.seconds() {
            let segments = units::plural(system.segments.len(), "process");
            all.push(("time".into(), units::seconds(seconds as f64), format!("in {segments}")));
        }
        if system.parameters > 0 {
            all.push((
                "parameters".into(),
                units::grouped(system.parameters),
                format!("{} on the device", units::bytes(system.peak_bytes)),
            ));
        }
    }
    all
}

/// What went wrong, and what is missing.
fn notes(record: &RunRecord) -> String {
    let mut out = String::new();
    let mut note = |bad: bool, text: &str| {
        let class = if bad { "note bad" } else { "note" };
        out.push_str(&format!("<p class=\"{class}\">{}</p>\n", escaped(text)));
    };
    if let Some(error) = &record.summary.error {
        note(true, &format!("The run ended by an error: {error}"));
    }
    for own in &record.steps {
        if let Some((count, first)) = own.by_step.missing() {
            let name = own.name.trim_start_matches("metrics.");
            note(
                true,
                &format!(
                    "{name}: not a finite number in {}, first in step {first}.",
                    units::plural(count, "step")
                ),
            );
        }
    }
    for own in &record.epochs {
        if let Some((count, first)) = own.by_epoch.missing() {
            note(
                true,
                &format!(
                    "{}: not a finite number in {}, first in epoch {first}.",
                    own.name,
                    units::plural(count, "epoch")
                ),
            );
        }
    }
    if record.skipped > 0 {
        let steps = units::plural(record.skipped, "step");
        note(false, &format!("{steps} skipped: their gradients were not finite."));
    }
    for text in &record.notes {
        note(true, text);
    }
    if record.system.is_none() {
        note(
            false,
            "What it ran on, and when, is not known: it has no system.json, which earlier versions did not write.",
        );
    }
    out
}

/// The table of epochs.
fn epochs(record: &RunRecord) -> String {
    let Some(last) = record.rows.last() else { return String::new() };
    let mut columns: Vec<String> = Vec::new();
    for (name, _) in record.rows.iter().flat_map(|row| &row.values).chain(&last.values) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let shown = record.rows.iter().count() as u64;
    let seen = record.rows.seen();
    let title = if seen > shown {
        format!("Table of epochs ({shown} of {seen}, at equal distances)")
    } else {
        "Table of epochs".to_owned()
    };
    let words = |name: &String| {
        name.replace("eval_metrics.", "held out ").replace("train_metrics.", "training ").replace('_', " ")
    };
    let head = ["epoch".to_owned(), "step".to_owned()].into_iter().chain(columns.iter().map(words));
    let mut table = Table::new(title, head);
    for row in record.rows.iter() {
        let value =
            |name: &String| row.values.iter().find(|(other, _)| other == name).and_then(|(_, value)| *value);
        let cells = [Cell::count(row.epoch), Cell::count(row.step)];
        table
            .rows
            .push(cells.into_iter().chain(columns.iter().map(|name| Cell::number(value(name)))).collect());
    }
    table.folded()
}

/// `config.toml`, folded.
fn config(record: &RunRecord) -> String {
    if record.config.is_empty() {
        return String::new();
    }
    let cut: String = record.config.chars().take(MOST_CONFIG).collect();
    let rest = if cut.len() < record.config.len() { "\n.. cut: the rest is in config.toml" } else { "" };
    let text = format!("<pre>{}{rest}</pre>\n", escaped(&cut));
    section("config", "Config", &details("config.toml, with every default", &text))
}
