//! What `watch.statistics` records: distributions of the weights over the steps, update-to-weight ratios, dead units.

use super::curves::{STEPS, along};
use super::names::look;
use super::record::{Distribution, RunRecord, TensorHistory};
use crate::figure::page::{details, section};
use crate::figure::{Axis, Extent, Figure, Heat, Panel, Series};
use crate::metrics::StatisticsRecord;

/// Tensors whose distributions are drawn.
const HEATS: usize = 6;
/// Tensors and layers that share a panel.
const LINES: usize = 7;
/// Columns of a picture of distributions.
const COLUMNS: usize = 32;
/// Levels of a distribution's colours, in logarithms of shares to base 10.
const LEAST_SHARE: f64 = -4.0;

/// The section, where the run has statistics.
pub(super) fn html(record: &RunRecord) -> String {
    if record.tensors.is_empty() && record.dead.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    let mut lines = Vec::new();
    for (at, tensors) in record.tensors.chunks(LINES).enumerate() {
        let title = "size of an update beside its weights";
        let y = Axis::log("‖update‖ / ‖weights‖ (ratio)");
        let title = if at == 0 { title.to_owned() } else { format!("{title}, {}", at + 1) };
        let of = |(i, own): (usize, &TensorHistory)| {
            let (colour, dash) = look(i);
            Series::line(own.name.clone(), colour, own.ratio.points()).dashed(dash)
        };
        lines.push(Panel::new(title, along(STEPS), y).with_all(tensors.iter().enumerate().map(of)));
        if at == 2 {
            break;
        }
    }
    for layers in record.dead.chunks(LINES).take(1) {
        let y = Axis::linear("units that are always 0 (%)");
        let of = layers.iter().enumerate().map(|(i, own)| {
            let (colour, dash) = look(i);
            let name = format!("{} ({} units)", own.layer, own.units);
            Series::line(name, colour, own.share.points()).dashed(dash)
        });
        lines.push(Panel::new("dead units of relu", along(STEPS), y).with_all(of));
    }
    let figure = Figure { title: "Updates and units".into(), panels: lines, ..Figure::default() };
    out.push_str(
        "<p class=\"muted\">An update a thousandth as large as its weights is usual for a good learning rate; a tenth is much, a \
         millionth is little.</p>\n",
    );
    out.push_str(&figure.inline("updates"));

    let heats = |kind: fn(&Distribution) -> &[u64]| -> Vec<Panel> {
        let matrices = record.tensors.iter().filter(|own| own.name.ends_with("weight"));
        let others = record.tensors.iter().filter(|own| !own.name.ends_with("weight"));
        matrices.chain(others).filter_map(|own| heat(own, kind)).take(HEATS).collect()
    };
    let weights = heats(|own| &own.weights);
    if !weights.is_empty() {
        let figure =
            Figure { title: "Distributions of weights".into(), panels: weights, ..Figure::default() };
        let left = record.tensors.len().saturating_sub(HEATS);
        let more = if left > 0 {
            format!("<p class=\"muted\">And {left} more in metrics.jsonl.</p>\n")
        } else {
            String::new()
        };
        out.push_str(&format!("<h3>Distributions of weights</h3>\n{}{more}", figure.inline("weights")));
    }
    let gradients = heats(|own| &own.gradients);
    if !gradients.is_empty() {
        let figure =
            Figure { title: "Distributions of gradients".into(), panels: gradients, ..Figure::default() };
        out.push_str(&details("Distributions of gradients", &figure.inline("gradients")));
    }
    for own in record.tensors.iter().filter(|own| own.nonfinite > 0) {
        let name = crate::figure::escaped(&own.name);
        out.push_str(&format!(
            "<p class=\"note bad\">{name}: up to {} weights and gradients at a step were infinite or no numbers.</p>\n",
            own.nonfinite
        ));
    }
    section("statistics", "Weights and gradients", &out)
}

/// A tensor's distribution over the steps: columns are steps, rows the bins of `StatisticsRecord::limits`.
fn heat(own: &TensorHistory, kind: fn(&Distribution) -> &[u64]) -> Option<Panel> {
    let bins = StatisticsRecord::limits().len() + 1;
    let all: Vec<&Distribution> = own.distributions.iter().filter(|at| kind(at).len() == bins).collect();
    let stride = all.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<&Distribution> = all.iter().copied().step_by(stride).collect();
    let is_there = |bin: usize| columns.iter().any(|at| kind(at)[bin] > 0);
    let (first, last) = ((0..bins).find(|bin| is_there(*bin))?, (0..bins).rev().find(|bin| is_there(*bin))?);
    let share = |at: &Distribution, bin: usize| {
        let total: u64 = kind(at).iter().sum();
        let count = kind(at)[bin];
        if count == 0 { f64::NAN } else { (count as f64 / total.max(1) as f64).log10().max(LEAST_SHARE) }
    };
    let values = (first..=last).flat_map(|bin| columns.iter().map(move |at| share(at, bin))).collect();
    let gap = match columns[..] {
        [a, b, ..] => (b.step - a.step) as f64,
        _ => 1.0,
    };
    let edges = columns.iter().map(|at| at.step as f64 - gap / 2.0);
    let x = edges.chain([columns.last()?.step as f64 + gap / 2.0]).collect();
    let y: Vec<f64> = (first..=last + 1).map(|bin| bin as f64).collect();
    let heat = Heat { x, y, values, label: "share of its numbers (log10)".into(), range: (LEAST_SHARE, 0.0) };
    let axis = Axis { ticks: ticks(first, last), ..Axis::linear("value (powers of two)") };
    let axis = axis.showing(Extent::Fixed(first as f64, last as f64 + 1.0));
    let (from, to) = (heat.x[0], heat.x[heat.x.len() - 1]);
    Some(Panel::new(own.name.clone(), along(STEPS).showing(Extent::Fixed(from, to)), axis).with(heat))
}

/// Limits between bins, as labels of the axis: 0, and every third power of two where there is room.
fn ticks(first: usize, last: usize) -> Vec<(f64, String)> {
    let limits = StatisticsRecord::limits();
    let middle = limits.len() / 2;
    let apart = ((last - first) / 8).max(2);
    let near = |at: usize| at.abs_diff(middle).is_multiple_of(apart);
    let label = |value: f64| match value {
        0.0 => "0".to_owned(),
        v if v.abs() >= 0.125 => crate::figure::number(v),
        v => format!("{}2^{}", if v < 0.0 { "−" } else { "" }, v.abs().log2().round()),
    };
    let all = (first + 1..=last).filter(|bin| near(bin - 1));
    all.map(|bin| (bin as f64, label(limits[bin - 1]))).collect()
}
