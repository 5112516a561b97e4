//! What `watch.statistics` records: distributions of the weights over the steps, update-to-weight ratios, dead units.

use super::curves::{STEPS, along};
use super::names::{and_more, look};
use super::record::{Distribution, Numbers, RunRecord, TensorHistory, total};
use crate::figure::page::section;
use crate::figure::{Axis, Band, Extent, Figure, Heat, Panel, Series};
use crate::metrics::StatisticsRecord;

/// Tensors whose values are drawn.
const TENSORS: usize = 6;
/// Tensors and layers that share a panel.
const LINES: usize = 7;
/// Columns of a picture of sizes.
const COLUMNS: usize = 24;
/// The least share that has a colour of its own, as a logarithm to base 10.
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

    let panels = |of: fn(&TensorHistory) -> Option<Panel>| -> Vec<Panel> {
        let matrices = record.tensors.iter().filter(|own| own.name.ends_with("weight"));
        let others = record.tensors.iter().filter(|own| !own.name.ends_with("weight"));
        matrices.chain(others).filter_map(of).take(TENSORS).collect()
    };
    let left = record.tensors.len().saturating_sub(TENSORS);
    let more = and_more(left, " in metrics.jsonl");
    let weights = panels(values);
    if !weights.is_empty() {
        let figure = Figure { title: "Values of weights".into(), panels: weights, ..Figure::default() };
        out.push_str(&format!("<h3>Values of weights</h3>\n{}{more}", figure.inline("weights")));
    }
    let gradients = panels(sizes);
    if !gradients.is_empty() {
        let figure = Figure { title: "Sizes of gradients".into(), panels: gradients, ..Figure::default() };
        out.push_str(&format!("<h3>Sizes of gradients</h3>\n{}{more}", figure.inline("gradients")));
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

/// The bins of statistics by their limits; the outermost have none, and take those of the numbers there are.
fn bins(numbers: &Numbers) -> Option<Vec<(f64, f64, u64)>> {
    let limits = StatisticsRecord::limits();
    let (min, max) = (numbers.min?, numbers.max?);
    if numbers.histogram.len() != limits.len() + 1 {
        return None;
    }
    let low = |bin: usize| if bin == 0 { min } else { limits[bin - 1].max(min) };
    let high = |bin: usize| limits.get(bin).map_or(max, |limit| limit.min(max));
    Some(numbers.histogram.iter().enumerate().map(|(bin, n)| (low(bin), high(bin), *n)).collect())
}

/// The values below which these shares of the numbers lie, as if they were spread evenly within a bin.
fn quantiles<const N: usize>(numbers: &Numbers, shares: [f64; N]) -> Option<[f64; N]> {
    let bins = bins(numbers)?;
    let all = total(bins.iter().map(|bin| bin.2));
    let last = bins.iter().rev().find(|bin| bin.2 > 0)?.1;
    Some(shares.map(|share| {
        let mut wanted = share * all as f64;
        for &(low, high, n) in bins.iter().filter(|bin| bin.2 > 0) {
            if wanted <= n as f64 {
                return low + (high - low) * wanted / n as f64;
            }
            wanted -= n as f64;
        }
        last
    }))
}

/// The values of a tensor over the steps: all of them, 90% and half of them, and the median.
fn values(own: &TensorHistory) -> Option<Panel> {
    // From the least value to the greatest.
    let all = own.distributions.iter().filter_map(|at| {
        let [a, b, c, d, e] = quantiles(&at.weights, [0.05, 0.25, 0.5, 0.75, 0.95])?;
        Some((at.step as f64, [at.weights.min?, a, b, c, d, e, at.weights.max?]))
    });
    let all: Vec<(f64, [f64; 7])> = all.collect();
    if all.is_empty() {
        return None;
    }
    let band = |low: usize, high: usize| Band {
        name: "all, 90% and half of them".into(),
        colour: 0,
        points: all.iter().map(|(x, values)| (*x, values[low], values[high])).collect(),
    };
    let median = all.iter().map(|(x, values)| (*x, values[3])).collect();
    let y = Axis::linear("weight (value)").showing(Extent::Data);
    let panel = Panel::new(own.name.clone(), along(STEPS), y);
    Some(panel.with_all([band(0, 6), band(1, 5), band(2, 4)]).with(Series::line("median", 0, median)))
}

/// The sizes of a tensor's gradients over the steps: columns are steps, rows powers of two, whatever the sign.
fn sizes(own: &TensorHistory) -> Option<Panel> {
    let limits = StatisticsRecord::limits();
    let middle = limits.len() / 2;
    let folded = |at: &Distribution| -> Option<Vec<u64>> {
        let bins = &at.gradients.histogram;
        // The bins on both sides of a limit 0 are alike; the outermost one is the last.
        (bins.len() == limits.len() + 1)
            .then(|| (0..=middle).map(|i| bins[middle - i].saturating_add(bins[middle + 1 + i])).collect())
    };
    let mut all: Vec<(f64, Vec<u64>)> = Vec::new();
    for at in own.distributions.iter() {
        let step = at.step as f64;
        // Columns have a width: a step that does not rise has none.
        if all.last().is_none_or(|(last, _)| step > *last) {
            all.extend(folded(at).map(|bins| (step, bins)));
        }
    }
    let stride = all.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<&(f64, Vec<u64>)> = all.iter().step_by(stride).collect();
    let is_there = |bin: &usize| columns.iter().any(|(_, bins)| bins[*bin] > 0);
    let (first, last) = ((0..=middle).find(is_there)?, (0..=middle).rev().find(is_there)?);
    let share = |bins: &[u64], bin: usize| {
        let all = total(bins.iter().copied());
        if bins[bin] == 0 { f64::NAN } else { (bins[bin] as f64 / all as f64).log10().max(LEAST_SHARE) }
    };
    let values =
        (first..=last).flat_map(|bin| columns.iter().map(move |(_, bins)| share(bins, bin))).collect();
    let gap = match columns[..] {
        [(a, _), (b, _), ..] => b - a,
        _ => 1.0,
    };
    let starts = columns.iter().map(|(step, _)| *step - gap / 2.0);
    let x: Vec<f64> = starts.chain([columns.last()?.0 + gap / 2.0]).collect();
    let y: Vec<f64> = (first..=last + 1).map(|bin| bin as f64).collect();
    let along = along(STEPS).showing(Extent::Fixed(x[0], x[x.len() - 1]));
    let heat = Heat { x, y, values, label: "share of them (log10)".into(), range: (LEAST_SHARE, 0.0) };
    // The limit below a bin; the innermost begins at 0.
    let power =
        |bin: usize| if bin == 0 { "0".to_owned() } else { power_of_two(limits[middle + bin].log2() as i32) };
    let apart = ((last + 1 - first) / 6).max(1);
    let ticks = (first..=last + 1).filter(|bin| bin.is_multiple_of(apart) && middle + bin < limits.len());
    let ticks = ticks.map(|bin| (bin as f64, power(bin))).collect();
    let axis = Axis { ticks, ..Axis::linear("|gradient| (value)") };
    let axis = axis.showing(Extent::Fixed(first as f64, last as f64 + 1.0));
    Some(Panel::new(own.name.clone(), along, axis).with(heat))
}

/// `2⁻²⁶`
fn power_of_two(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '\u{2077}', '\u{2078}', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    format!("2{}", power.to_string().chars().map(raised).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::curve::{Curve, Thinned};
    use super::*;

    #[test]
    fn quantiles_lie_within_their_bins() {
        let limits = StatisticsRecord::limits();
        let mut histogram = vec![0; limits.len() + 1];
        let at = limits.iter().position(|limit| *limit == 0.5).unwrap();
        // 0.5 to 1, and 1 to 2.
        (histogram[at + 1], histogram[at + 2]) = (50, 50);
        let numbers = Numbers { nonfinite: 0, min: Some(0.5), max: Some(1.5), histogram };
        assert_eq!(quantiles(&numbers, [0.0, 0.25, 0.5, 0.75, 1.0]), Some([0.5, 0.75, 1.0, 1.25, 1.5]));
        assert_eq!(quantiles(&Numbers::default(), [0.5]), None);
        // Counts of a damaged file are any.
        let mut damaged = numbers;
        damaged.histogram.fill(u64::MAX);
        assert!(quantiles(&damaged, [0.5]).is_some());
        assert_eq!([-26, 0, 13].map(power_of_two), ["2⁻²⁶", "2⁰", "2¹³"]);
    }

    #[test]
    fn steps_that_go_back_have_no_column() {
        let bins = StatisticsRecord::limits().len() + 1;
        let numbers = || Numbers { histogram: vec![u64::MAX; bins], ..Numbers::default() };
        let of = |steps: &[u64]| {
            let mut distributions = Thinned::new(48);
            for &step in steps {
                distributions.push(Distribution { step, weights: numbers(), gradients: numbers() });
            }
            sizes(&TensorHistory { name: "w".into(), ratio: Curve::new(2), distributions, nonfinite: 0 })
        };
        let (rising, others) = (of(&[100, 200, 300]).unwrap(), of(&[100, 50, 100, 200, 0, 300]).unwrap());
        assert_eq!(format!("{others:?}"), format!("{rising:?}"));
    }
}
