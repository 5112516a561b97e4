//! Many curves in one panel: a line each, or where there are many a band of quantiles with its median.

use super::names::{MOST_LINES, look};
use crate::figure::{Band, Layer, Series};

/// Places of a band, at most.
const PLACES: usize = 200;

/// Points (x, y) in the order of x.
pub(super) type Points = Vec<(f64, f64)>;

/// A curve of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// The number of its run, which has the same look in every panel.
    pub run: usize,
    pub name: String,
    pub points: Points,
}

/// The layers of these curves. `best`: the run that is drawn beside a band.
pub(super) fn layers(curves: Vec<Curve>, best: Option<usize>) -> Vec<Layer> {
    if curves.len() <= MOST_LINES {
        let line = |own: Curve| {
            let (colour, dash) = look(own.run);
            Series { dash, ..super::curves::line(&own.name, colour, own.points) }.into()
        };
        return curves.into_iter().map(line).collect();
    }
    let quantiles = quantiles(&curves);
    let name = format!("80% and half of {} runs", curves.len());
    let band = |low: usize, high: usize| Band {
        name: name.clone(),
        colour: 0,
        points: quantiles.iter().map(|(x, q)| (*x, q[low], q[high])).collect(),
    };
    let median = quantiles.iter().map(|(x, q)| (*x, q[2])).collect();
    let mut out: Vec<Layer> =
        vec![band(0, 4).into(), band(1, 3).into(), Series::line("median", 0, median).into()];
    if let Some(best) = curves.into_iter().find(|own| Some(own.run) == best) {
        out.push(Series::line(format!("best: {}", best.name), 1, best.points).into());
    }
    out
}

/// The quantiles 0.1, 0.25, 0.5, 0.75, 0.9 of the curves at each x where at least one has a point.
fn quantiles(curves: &[Curve]) -> Vec<(f64, [f64; 5])> {
    let mut xs: Vec<f64> = curves.iter().flat_map(|own| own.points.iter().map(|point| point.0)).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let stride = xs.len().div_ceil(PLACES).max(1);
    let last = xs.len().saturating_sub(1);
    let kept = xs.iter().enumerate().filter(|(i, _)| i.is_multiple_of(stride) || *i == last).map(|(_, x)| *x);
    let mut out = Vec::new();
    for x in kept {
        let mut values: Vec<f64> = curves.iter().filter_map(|own| at(&own.points, x)).collect();
        if values.is_empty() {
            continue;
        }
        values.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let place = q * (values.len() - 1) as f64;
            let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
            low + place.fract() * (high - low)
        };
        out.push((x, [0.1, 0.25, 0.5, 0.75, 0.9].map(quantile)));
    }
    out
}

/// The value of a curve at a place between its ends.
fn at(points: &[(f64, f64)], x: f64) -> Option<f64> {
    let next = points.partition_point(|point| point.0 < x);
    let b = points.get(next)?;
    if b.0 == x {
        return Some(b.1);
    }
    let a = points.get(next.checked_sub(1)?)?;
    Some(a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_curves_are_a_band() {
        let curve = |run: usize| {
            let y = run as f64;
            Curve { run, name: format!("run {run}"), points: vec![(1.0, y), (3.0, y)] }
        };
        let curves: Vec<Curve> = (0..21).map(curve).collect();
        let found = quantiles(&curves);
        assert_eq!(found, [(1.0, [2.0, 5.0, 10.0, 15.0, 18.0]), (3.0, [2.0, 5.0, 10.0, 15.0, 18.0])]);
        assert_eq!(layers(curves.clone(), Some(3)).len(), 4);
        assert_eq!(layers(curves[..3].to_vec(), None).len(), 3);
        let points = &curves[4].points;
        assert_eq!((at(points, 2.0), at(points, 4.0), at(points, 0.0)), (Some(4.0), None, None));
    }
}
