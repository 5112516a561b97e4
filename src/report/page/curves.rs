//! The curves of a run, one panel a number.

use super::curve::Curve;
use super::names::{Shown, scaled, shown};
use super::record::RunRecord;
use crate::figure::{At, Axis, Extent, Figure, Layer, Panel, Rule, Series};

/// Points of a smoothed line.
const SMOOTH: usize = 300;
/// Points up to which a line has marks.
const MARKED: usize = 40;

/// The axis of steps and that of epochs.
pub(super) const STEPS: &str = "step (updates)";
pub(super) const EPOCHS: &str = "epoch (passes over the samples)";

/// An upward axis of a number.
pub(super) fn upward(shown: &Shown) -> Axis {
    let extent = if shown.from_zero { Extent::Zero } else { Extent::Data };
    Axis::linear(shown.axis.clone()).showing(extent)
}

/// The axis of steps or of epochs.
pub(super) fn along(label: &str) -> Axis {
    Axis::linear(label).showing(Extent::Data)
}

/// A line, with marks where there are few points.
pub(super) fn line(name: &str, colour: usize, points: Vec<(f64, f64)>) -> Series {
    if points.len() <= MARKED {
        Series::both(name, colour, points)
    } else {
        Series::line(name, colour, points)
    }
}

/// The panels of a run: the loss, the numbers of its epochs, the learning rate, the gradients.
pub(super) fn figure(record: &RunRecord) -> Figure {
    let mut panels = Vec::new();
    panels.extend(loss(record));
    let config = &record.summary.settings;
    for own in &record.epochs {
        let is_elsewhere =
            ["train_loss", "eval_loss", "samples_per_second", "data_wait"].contains(&&*own.name);
        if is_elsewhere || own.by_epoch.is_empty() || has_better(record, &own.name) {
            continue;
        }
        let partner = own.name.strip_prefix("eval_metrics.").map(|short| format!("train_metrics.{short}"));
        let shown = shown(&own.name, config);
        let mut panel = Panel::new(shown.title.clone(), along(EPOCHS), upward(&shown));
        if let Some(train) = partner.and_then(|name| record.epoch_curve(&name)) {
            panel = panel.with(line("training", 0, scaled(train.by_epoch.points(), shown.scale)));
        }
        let (name, colour) = if own.name.starts_with("train") { ("training", 0) } else { ("held out", 1) };
        panel = panel.with(line(name, colour, scaled(own.by_epoch.points(), shown.scale)));
        if let Some((_, epoch)) = record.summary.metric(&own.name).and_then(|metric| metric.best) {
            panel = panel.with(best("best epoch", epoch as f64));
        }
        panels.push(panel);
    }
    for own in &record.steps {
        let is_learning_rate = own.name == "lr";
        if own.name == "loss" || own.by_step.is_empty() {
            continue;
        }
        let shown = shown(&own.name, config);
        let mut panel = Panel::new(shown.title.clone(), along(STEPS), upward(&shown));
        if is_learning_rate || own.name == "loss_scale" {
            panel.y = rate_axis(&own.by_step, &shown);
            panel = panel.with(Series::line("", 0, own.by_step.corners()));
        } else {
            panel = panel.with_all(raw_and_smooth(&own.by_step, &shown));
        }
        panels.push(panel);
    }
    Figure { title: "Curves".into(), panels, ..Figure::default() }
}

/// A learning rate over more than two decades has a logarithmic axis.
fn rate_axis(curve: &Curve, shown: &Shown) -> Axis {
    let points = curve.points();
    let (low, high) =
        points.iter().fold((f64::MAX, 0.0_f64), |(low, high), (_, y)| (low.min(*y), high.max(*y)));
    if low > 0.0 && high / low > 100.0 {
        Axis::log(shown.axis.clone())
    } else {
        Axis::linear(shown.axis.clone())
    }
}

/// True for a metric of the training's epochs that stands beside that of the evaluation, or has a curve of steps.
fn has_better(record: &RunRecord, name: &str) -> bool {
    name.strip_prefix("train_metrics.").is_some_and(|short| {
        record.epoch_curve(&format!("eval_metrics.{short}")).is_some()
            || record.step_curve(&format!("metrics.{short}")).is_some()
    })
}

fn best(name: &str, x: f64) -> Rule {
    Rule { name: name.into(), colour: 6, dash: "2 4", at: At::X(x) }
}

/// Every step faintly, and the mean over a few of them.
fn raw_and_smooth(curve: &Curve, shown: &Shown) -> Vec<Layer> {
    let (points, mean) = (scaled(curve.points(), shown.scale), scaled(curve.smooth(SMOOTH), shown.scale));
    if mean.is_empty() {
        return vec![line("each step", 0, points).into()];
    }
    let each = if curve.is_binned() { "each step, binned" } else { "each step" };
    vec![Series::line(each, 0, points).faintly().into(), Series::line("smoothed", 0, mean).into()]
}

/// The loss of each step, smoothed, and that on the samples held out.
fn loss(record: &RunRecord) -> Option<Panel> {
    let train = record.step_curve("loss").filter(|curve| !curve.is_empty());
    let shown = shown("loss", &record.summary.settings);
    let mut panel = Panel::new("loss", along(STEPS), upward(&shown));
    match train {
        Some(curve) => panel = panel.with_all(raw_and_smooth(curve, &shown)),
        None => {
            let epochs = record.epoch_curve("train_loss")?;
            panel = panel.with(line("training", 0, epochs.by_step.points()));
        }
    }
    if let Some(own) = record.epoch_curve("eval_loss").filter(|own| !own.by_step.is_empty()) {
        panel = panel.with(line("held out", 1, own.by_step.points()));
        if let Some(step) = record.best_step {
            panel = panel.with(best("best epoch", step as f64));
        }
    }
    Some(panel)
}
