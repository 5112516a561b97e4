//! `downhill lr-find`: the range test as a table, a plot, JSON, CSV or a figure, with the suggestion.

use std::fmt::Write;

use serde_json::{Value, json};

use super::align;
use super::plot::{Line, Plot};
use crate::figure::{At, Axis, Extent, Figure, Layer, Panel, Rule, Series};
use crate::train::{LrEnd, LrPoint, LrSweep};

/// Rows of the table without those of the suggestions.
const ROWS: usize = 20;

/// A table of about 20 rows, a plot, and the suggestion with its reason.
pub fn lr_find_text(sweep: &LrSweep) -> String {
    let mut out = table(sweep);
    out.push('\n');
    out.push_str(&plot(sweep));
    out.push('\n');
    out.push_str(&ending(sweep));
    out
}

/// A learning rate with two digits, the precision of a suggestion: `3.2e-3`.
fn rate(lr: f64) -> String {
    format!("{lr:.1e}")
}

/// The steps of the two suggestions, each with its mark.
fn marks(sweep: &LrSweep) -> Vec<(u64, &'static str)> {
    let Ok(suggestion) = sweep.suggestion() else { return Vec::new() };
    let step = |lr: f64| sweep.points.iter().find(|p| p.lr == lr).map(|p| p.step);
    let named = [(suggestion.valley, "valley: take this"), (suggestion.steep, "steep")];
    named.into_iter().filter_map(|(lr, name)| step(lr).map(|step| (step, name))).collect()
}

fn table(sweep: &LrSweep) -> String {
    let marks = marks(sweep);
    let last = sweep.points.len() - 1;
    let each = (last as f64 / (ROWS - 1) as f64).max(1.0);
    let evenly: Vec<usize> = (0..ROWS).map(|i| (i as f64 * each).round() as usize).collect();
    let mut rows = vec![["step", "lr", "loss", "smoothed", ""].map(str::to_owned).to_vec()];
    for (i, point) in sweep.points.iter().enumerate() {
        let here: Vec<&str> = marks.iter().filter(|(step, _)| *step == point.step).map(|m| m.1).collect();
        if here.is_empty() && !evenly.contains(&i) && i != last {
            continue;
        }
        let mark = if here.is_empty() { String::new() } else { format!("<- {}", here.join(", ")) };
        let LrPoint { step, lr, loss, smoothed } = point;
        let loss = number(f64::from(*loss));
        rows.push(vec![step.to_string(), format!("{lr:.2e}"), loss, number(*smoothed), mark]);
    }
    align(&rows, &[false, false, false, false, true])
}

/// A loss in a column.
fn number(loss: f64) -> String {
    if loss.abs() < 1e5 { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

/// The range of losses in a picture: the descent with a part of the rise after it; without a descent, the smoothed losses.
fn range(sweep: &LrSweep) -> (f64, f64) {
    let smoothed = |points: &[LrPoint]| points.iter().map(|p| p.smoothed).collect::<Vec<_>>();
    let seen = match (sweep.suggestion(), sweep.considered()) {
        (Ok(_), _) => {
            let losses = sweep.descent().iter().map(|p| f64::from(p.loss));
            losses.chain(smoothed(sweep.descent())).collect()
        }
        (_, []) => smoothed(&sweep.points),
        (_, points) => smoothed(points),
    };
    let (low, high) = seen.iter().fold((f64::MAX, f64::MIN), |(low, high), y| (y.min(low), y.max(high)));
    let room = (high - low).max(1e-6 * high.abs()).max(f64::MIN_POSITIVE);
    // The range does not extend below 0 where no loss is.
    let least = if low < 0.0 { f64::MIN } else { 0.0 };
    ((low - 0.05 * room).max(least), high + 0.3 * room)
}

fn plot(sweep: &LrSweep) -> String {
    let line = |mark, of: fn(&LrPoint) -> f64| Line {
        mark,
        points: sweep.points.iter().map(|p| (p.lr.log10(), of(p))).collect(),
    };
    let suggested = sweep.suggestion().ok().map(|suggestion| suggestion.valley.log10());
    let plot = Plot {
        y: range(sweep),
        lines: vec![line('.', |p| f64::from(p.loss)), line('o', |p| p.smoothed)],
        rule: suggested,
        x_log: true,
    };
    let rule = if suggested.is_some() { ", | the suggestion" } else { "" };
    format!("  loss over lr: . of a batch, o smoothed{rule}\n{}", plot.draw())
}

/// The end of the test and its meaning.
fn ending(sweep: &LrSweep) -> String {
    let mut out = match sweep.end {
        LrEnd::Whole => format!("end      after all {} steps\n", sweep.steps),
        LrEnd::Diverged { lr } => {
            format!("end      the smoothed loss passed four times the best so far at lr = {}\n", rate(lr))
        }
        LrEnd::NotFinite { lr } => {
            format!("end      the loss was no longer finite at lr = {}\n", rate(lr))
        }
    };
    match sweep.suggestion() {
        Ok(suggestion) => {
            let (valley, steep) = (rate(suggestion.valley), rate(suggestion.steep));
            let _ = writeln!(out, "valley   {valley}    the middle of the longest descent");
            let _ = writeln!(out, "steep    {steep}    the steepest descent");
            let _ = writeln!(out, "lr = {valley}    --set optimizer.lr={valley}");
        }
        Err(why) => {
            let _ = writeln!(out, "no suggestion: {why}");
        }
    }
    out
}

/// Every point, the end, and the suggestion or the reason for its absence.
pub fn lr_find_json(sweep: &LrSweep) -> Value {
    let found = sweep.suggestion();
    json!({
        "lr": found.ok().map(|suggestion| suggestion.valley),
        "suggestion": found.ok(),
        "no_suggestion": found.err().map(|why| why.to_string()),
        "end": sweep.end,
        "steps": sweep.steps,
        "smooth": sweep.smooth,
        "left_out": sweep.left_out,
        "points": sweep.points,
    })
}

/// Every point: `step,lr,loss,smoothed`.
pub fn lr_find_csv(sweep: &LrSweep) -> String {
    let mut out = String::from("step,lr,loss,smoothed\n");
    for LrPoint { step, lr, loss, smoothed } in &sweep.points {
        let _ = writeln!(out, "{step},{lr:?},{loss:?},{smoothed:?}");
    }
    out
}

/// Both losses over the learning rate, with marks at the suggestions. `name` is that of the config.
pub fn lr_find_figure(sweep: &LrSweep, name: &str) -> Figure {
    let (low, high) = range(sweep);
    let curve = |of: fn(&LrPoint) -> f64| sweep.points.iter().map(|p| (p.lr, of(p))).collect();
    let mut layers: Vec<Layer> = vec![
        Series::marks("loss of a batch", 5, curve(|p| f64::from(p.loss))).into(),
        Series::line("smoothed", 0, curve(|p| p.smoothed)).into(),
    ];
    let subtitle = match sweep.suggestion() {
        Ok(suggestion) => {
            let named = [("valley", 1, suggestion.valley), ("steep", 2, suggestion.steep)];
            layers.extend(named.map(|(name, colour, lr)| {
                let name = format!("{name}: {}", rate(lr));
                Layer::Rule(Rule { name, colour, dash: "5 4", at: At::X(lr) })
            }));
            format!("lr = {}", rate(suggestion.valley))
        }
        Err(why) => format!("no suggestion: {why}"),
    };
    let loss = Axis::linear("loss").showing(Extent::Fixed(low, high));
    Figure {
        title: format!("Learning-rate range test of {name}"),
        subtitle,
        panels: vec![Panel::new("", Axis::log("learning rate"), loss).with_all(layers)],
        ..Figure::default()
    }
}
