//! `downhill plot`: one number of one run or several, as a figure, as JSON, or as characters.

use serde_json::{Value, json};

use super::curves::{EPOCHS, STEPS, along, upward};
use super::lines;
use super::names::{scaled, shown, told_apart};
use super::record::RunRecord;
use crate::error::{Error, Result, suggestion};
use crate::figure::{Axis, Figure, Panel};
use crate::metrics::matches_name;

/// Points of a smoothed line.
const SMOOTH: usize = 400;
/// Runs of a plot in characters.
const MARKS: [char; 8] = ['*', 'o', '+', 'x', '#', '@', '%', '&'];

/// Curves of one number.
#[derive(Debug, Clone)]
pub struct Plotted {
    /// Its name, as in `metrics.jsonl`.
    pub metric: String,
    /// A curve a run that has it.
    curves: Vec<lines::Curve>,
    title: String,
    x: &'static str,
    y: Axis,
}

/// The number of this name of the runs: of steps (`loss`, `lr`, `grad_norm`) or of epochs (`eval_loss`, `accuracy`, `f1`).
///
/// # Errors
/// [`Error::Config`] where no run has it, with the nearest name; where it has no finite value.
pub fn plotted(records: &[RunRecord], name: &str, is_log: bool, is_smooth: bool) -> Result<Plotted> {
    let mut known: Vec<&str> = Vec::new();
    let all = records.iter().flat_map(|own| own.steps.iter().chain(&own.epochs)).map(|own| own.name.as_str());
    all.for_each(|name| {
        if !known.contains(&name) {
            known.push(name);
        }
    });
    let tries = [name.to_owned(), format!("eval_{name}"), format!("eval_metrics.{name}")];
    let exact = tries.iter().find_map(|name| known.iter().copied().find(|known| known == name));
    let Some(metric) = exact.or_else(|| known.iter().copied().find(|known| matches_name(name, known))) else {
        return Err(Error::Config(format!(
            "--metric {name}: no run has a number of that name; {}",
            suggestion(name, &known)
        )));
    };
    let of_steps = records.iter().any(|own| own.step_curve(metric).is_some());
    let names =
        told_apart(records.iter().map(|own| (own.name.clone(), own.path.display().to_string())).collect());
    let settings = records.first().map(|own| &own.summary.settings);
    let shown = shown(metric, &settings.cloned().unwrap_or_default());
    let mut curves = Vec::new();
    for (run, (own, name)) in records.iter().zip(names).enumerate() {
        let curve = match of_steps {
            true => own.step_curve(metric),
            false => own.epoch_curve(metric).map(|own| &own.by_epoch),
        };
        let Some(curve) = curve.filter(|curve| !curve.is_empty()) else { continue };
        let smooth = if is_smooth { curve.smooth(SMOOTH) } else { Vec::new() };
        let mut points = scaled(if smooth.is_empty() { curve.points() } else { smooth }, shown.scale);
        points.retain(|(_, y)| !is_log || *y > 0.0);
        if !points.is_empty() {
            curves.push(lines::Curve { run, name, points });
        }
    }
    if curves.is_empty() {
        let what =
            if is_log { "finite value above 0, which a logarithmic axis needs" } else { "finite value" };
        return Err(Error::Data(format!("{metric}: it has no {what}, so there is nothing to plot")));
    }
    let y = if is_log { Axis::log(shown.axis.clone()) } else { upward(&shown) };
    Ok(Plotted {
        metric: metric.to_owned(),
        curves,
        title: shown.title,
        x: if of_steps { STEPS } else { EPOCHS },
        y,
    })
}

impl Plotted {
    /// The figure.
    pub fn figure(&self) -> Figure {
        let panel =
            Panel::new("", along(self.x), self.y.clone()).with_all(lines::layers(self.curves.clone(), None));
        let runs: Vec<&str> = self.curves.iter().map(|own| own.name.as_str()).collect();
        let subtitle =
            if runs.len() == 1 { runs[0].to_owned() } else { crate::units::plural(runs.len(), "run") };
        Figure { title: self.title.clone(), subtitle, panels: vec![panel], ..Figure::default() }
    }

    /// The curves as JSON: points [x, y] of each run.
    pub fn json(&self) -> Value {
        let curves = self.curves.iter().map(|own| json!({ "run": own.name, "points": own.points }));
        json!({ "metric": self.metric, "x": self.x, "y": self.y.label, "curves": curves.collect::<Vec<_>>() })
    }

    /// The curves in characters, 80 columns wide.
    pub fn text(&self) -> String {
        let y = |value: f64| if self.y.log { value.log10() } else { value };
        let curves = self.curves.iter().take(MARKS.len());
        let values = || curves.clone().flat_map(|own| own.points.iter().map(|point| y(point.1)));
        let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
        let room = if high > low { 0.02 * (high - low) } else { (0.05 * high.abs()).max(1e-9) };
        let lines = curves.clone().zip(MARKS).map(|(own, mark)| crate::report::plot::Line {
            mark,
            points: own.points.iter().map(|&(x, value)| (x, y(value))).collect(),
        });
        let plot = crate::report::plot::Plot {
            y: (low - room, high + room),
            lines: lines.collect(),
            rule: None,
            x_log: false,
        };
        let log = if self.y.log { ", logarithms to base 10" } else { "" };
        let mut out = format!("{}{log}, over {}\n{}", self.y.label, self.x, plot.draw());
        if self.curves.len() > 1 {
            for (own, mark) in curves.zip(MARKS) {
                out.push_str(&format!("{mark} {}\n", own.name));
            }
        }
        if self.curves.len() > MARKS.len() {
            out.push_str(&format!("and {} more runs, which --svg draws\n", self.curves.len() - MARKS.len()));
        }
        out
    }
}
