//! The exhibits as one page that reads like a chapter, and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::exhibit::{About, Finding, Shown};
use super::formula::mathml;
use crate::figure::page::{Cell, Page, Table, document};
use crate::figure::{escaped, number};

/// An exhibit that has run.
#[derive(Debug)]
pub struct Chapter {
    /// What is known of it without a run.
    pub about: &'static About,
    /// The value of each setting.
    pub settings: BTreeMap<&'static str, f64>,
    /// What it gave.
    pub shown: Shown,
    /// The time it took.
    pub seconds: f64,
}

/// The conditions that all chapters of a page share.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// The seed.
    pub seed: u64,
    /// True for a quick run.
    pub quick: bool,
    /// The adapter's name.
    pub adapter: String,
    /// Settings that were changed, as they were given: `minibatch.draws=100`.
    pub set: Vec<String>,
}

impl Chapter {
    /// Findings that do not hold.
    pub fn faults(&self) -> impl Iterator<Item = &Finding> {
        self.shown.findings.iter().filter(|finding| !finding.holds())
    }

    /// The command that makes it.
    fn command(&self, conditions: &Conditions) -> String {
        let mut command = format!("downhill lab {} --seed {}", self.about.name, conditions.seed);
        if conditions.quick {
            command.push_str(" --quick");
        }
        let own = format!("{}.", self.about.name);
        for set in conditions.set.iter().filter(|set| set.starts_with(&own)) {
            let _ = write!(command, " --set {set}");
        }
        command
    }
}

/// An exhibit as JSON: its numbers beside their predictions. The time of the run is not in it, so equal runs give equal bytes.
pub fn json(chapter: &Chapter, conditions: &Conditions) -> Value {
    let Chapter { about, settings, shown, .. } = chapter;
    let findings: Vec<Value> = shown
        .findings
        .iter()
        .map(|f| {
            json!({
                "what": f.what, "predicted": f.predicted, "measured": f.measured, "low": f.low, "high": f.high,
                "holds": f.holds(),
            })
        })
        .collect();
    json!({
        "name": about.name,
        "title": about.title,
        "lecture": about.lecture,
        "command": chapter.command(conditions),
        "seed": conditions.seed,
        "quick": conditions.quick,
        "adapter": conditions.adapter,
        "settings": settings,
        "findings": findings,
        "holds": chapter.faults().next().is_none(),
    })
}

/// The chapters as one HTML file.
pub fn page(chapters: &[Chapter], conditions: &Conditions) -> String {
    let (held, all) = chapters
        .iter()
        .flat_map(|c| &c.shown.findings)
        .fold((0, 0), |(held, all), finding| (held + usize::from(finding.holds()), all + 1));
    let mut body = format!(
        "<header>\n<h1>Practical optimization, shown</h1>\n\
         <p>Minibatches, rates, momentum, running means, RMSProp, Adam, and the local optima that are hard to find: each \
         statement of the lecture, on the engine itself. Beside each measured number stands the one that theory gives.</p>\n\
         <p>{held} of {all} numbers agree. Adapter: {}. Seed {}{}.</p>\n</header>\n<nav aria-label=\"Exhibits\">\n<ol>\n",
        escaped(&conditions.adapter),
        conditions.seed,
        if conditions.quick { ", quick" } else { "" }
    );
    for chapter in chapters {
        let About { name, title, lecture, .. } = chapter.about;
        let faults = chapter.faults().count();
        let verdict = if faults == 0 { "agrees".to_owned() } else { format!("{faults} outside") };
        let _ = writeln!(
            body,
            "<li><a href=\"#{name}\">{}</a> ({}): {verdict}</li>",
            escaped(title),
            escaped(lecture)
        );
    }
    body.push_str("</ol>\n</nav>\n");
    for chapter in chapters {
        section(&mut body, chapter, conditions);
    }
    document(&Page {
        title: "Practical optimization, shown".into(),
        description:
            "The statements of a lecture on optimisation, run on the engine, with pictures and numbers."
                .into(),
        body,
    })
}

fn section(body: &mut String, chapter: &Chapter, conditions: &Conditions) {
    let Chapter { about, settings, shown, .. } = chapter;
    let _ = writeln!(body, "<section id=\"{}\">\n<h2>{}</h2>", about.name, escaped(about.title));
    let _ = writeln!(body, "<p class=\"muted\">Lecture: {}.</p>", escaped(about.lecture));
    for paragraph in about.statement {
        let _ = writeln!(body, "<p>{}</p>", escaped(paragraph));
    }
    for formula in about.formulas {
        let _ = writeln!(body, "<div class=\"scroll formula\" tabindex=\"0\">{}</div>", mathml(formula));
    }
    for (i, (figure, caption)) in shown.figures.iter().zip(&shown.captions).enumerate() {
        let _ = writeln!(
            body,
            "<h3>{}</h3>\n{}<p class=\"caption\">{}</p>",
            escaped(&figure.title),
            figure.inline(&format!("{}-{i}", about.name)),
            escaped(caption)
        );
    }
    let mut table = Table::new("Measured, beside theory", ["number", "theory", "measured", "agrees", ""]);
    for finding in &shown.findings {
        let verdict = if finding.holds() { "yes" } else { "NO" };
        table.rows.push(vec![
            Cell::text(&finding.what),
            cell(finding.predicted),
            cell(finding.measured),
            Cell::text(bounds(finding)),
            Cell::text(verdict),
        ]);
    }
    body.push_str(&table.html());
    if !about.slips.is_empty() {
        body.push_str("<h3>Slips of the lecture</h3>\n<ul>\n");
        for slip in about.slips {
            let _ = writeln!(body, "<li>{}</li>", escaped(slip));
        }
        body.push_str("</ul>\n");
    }
    let command = chapter.command(conditions);
    let _ = writeln!(
        body,
        "<h3>To try</h3>\n<p><code>{}</code> makes this exhibit.</p>\n<ul>",
        escaped(&command)
    );
    for (set, expect) in about.to_try {
        let _ = writeln!(body, "<li><code>--set {}</code>: {}.</li>", escaped(set), escaped(expect));
    }
    body.push_str("</ul>\n<details><summary>All settings</summary>\n");
    let mut table = Table::new("Settings", ["--set", "value", "meaning", "range"]);
    for setting in about.settings {
        let (low, high) = setting.range;
        table.rows.push(vec![
            Cell::text(format!("{}.{}", about.name, setting.key)),
            Cell::number(Some(settings[setting.key])),
            Cell::text(setting.about),
            Cell::text(format!("{} to {}", number(low), number(high))),
        ]);
    }
    let _ = writeln!(body, "{}</details>\n</section>", table.html());
}

/// A number of a table.
fn cell(v: f64) -> Cell {
    if v.is_finite() { Cell::Number(precise(v), v) } else { Cell::text(precise(v)) }
}

/// A number with six digits.
fn precise(v: f64) -> String {
    if v.is_infinite() {
        return "none".into();
    }
    if v == 0.0 || v.is_nan() {
        return number(v);
    }
    if (1e-3..1e6).contains(&v.abs()) {
        let decimals = (5 - v.abs().log10().floor() as i32).clamp(0, 8) as usize;
        let text = format!("{v:.decimals$}");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    format!("{v:.3e}")
}

/// The numbers that agree with a prediction.
pub fn bounds(finding: &Finding) -> String {
    let Finding { low, high, .. } = finding;
    match (low.is_finite(), high.is_finite()) {
        (true, false) => format!("from {}", precise(*low)),
        (false, _) => format!("up to {}", precise(*high)),
        (_, true) if *low == 0.0 => format!("up to {}", precise(*high)),
        _ => format!("{} to {}", precise(*low), precise(*high)),
    }
}

/// A finding in a line: the quantity, what was measured, what theory gives.
pub fn finding_text(finding: &Finding) -> String {
    let verdict = if finding.holds() { "ok" } else { "NO" };
    let (measured, theory) = (precise(finding.measured), precise(finding.predicted));
    format!("  {verdict}  {}: {measured}; theory {theory}, agrees {}", finding.what, bounds(finding))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Axis, Figure, Panel, Series};
    use crate::lab::EXHIBITS;

    fn chapter(measured: f64) -> Chapter {
        let about = &EXHIBITS[0];
        let mut shown = Shown::new();
        shown.near("a < b", -1.0, measured, 0.05);
        let panel = Panel::new("p", Axis::linear("x"), Axis::linear("y"));
        let panel = panel.with(Series::line("line", 0, vec![(0.0, 1.0), (1.0, 2.0)]));
        shown.figure(Figure { title: "f".into(), panels: vec![panel], ..Figure::default() }, "caption");
        Chapter { about, settings: about.settings(true, &[]).unwrap(), shown, seconds: 1.0 }
    }

    fn conditions() -> Conditions {
        let set = vec!["minibatch.draws=100".to_owned(), "ema.beta=0.5".to_owned()];
        Conditions { seed: 3, quick: true, adapter: "an <adapter>".into(), set }
    }

    #[test]
    fn a_page_has_every_part_and_no_open_tag() {
        let text = page(&[chapter(-1.01)], &conditions());
        for part in [
            "a &lt; b",
            "an &lt;adapter&gt;",
            "<math",
            "<svg",
            "1 of 1 numbers agree",
            "draws=100",
            "caption",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains("ema.beta"), "a setting of another exhibit");
        assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "the page loads nothing");
        for tag in ["section", "ul", "ol", "table", "details", "svg", "math", "p"] {
            let open = text.matches(&format!("<{tag} ")).count() + text.matches(&format!("<{tag}>")).count();
            assert_eq!(open, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert_eq!(text, page(&[chapter(-1.01)], &conditions()));
    }

    #[test]
    fn a_number_outside_is_a_fault() {
        let chapter = chapter(-0.9);
        assert_eq!(chapter.faults().count(), 1);
        let value = json(&chapter, &conditions());
        assert_eq!((&value["holds"], &value["findings"][0]["holds"]), (&json!(false), &json!(false)));
        let line = finding_text(&chapter.shown.findings[0]);
        assert_eq!(line, "  NO  a < b: -0.9; theory -1, agrees -1.05 to -0.95");
    }
}
