//! The spectrum of the Hessian at the start and at the end of training.

use super::super::exhibit::{Setup, Shown};
use super::super::nets;
use super::super::statistics::Chance;
use super::lanczos::{Ritz, lanczos, power_iteration};
use super::net::{self, Hessian};
use crate::error::Result;
use crate::figure::{Axis, Bars, Extent, Figure, Panel, number};
use crate::optim::{Adam, Optimizer};
use crate::train::Variant;

/// Bars of a spectrum.
const BARS: usize = 60;
/// Less than this of an eigenvalue is no bar.
const LEAST: f64 = 0.05;

/// The greatest size of the least eigenvalue, over the greatest one. Seeds 0 to 9 gave 0.0023 to 0.0067 at the end of training,
/// and 0.3 or so at its start.
const NEGATIVE: f64 = 0.03;

/// The estimated number of eigenvalues in each of even intervals, as bars.
fn bars(runs: &[Ritz], size: usize) -> Bars {
    let low = runs.iter().map(Ritz::smallest).fold(f64::INFINITY, f64::min);
    let high = runs.iter().map(Ritz::largest).fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low) / BARS as f64;
    // The middle of a bar is 0.
    let first = (low / width).round();
    let mut counts = vec![0.0; BARS + 2];
    for run in runs {
        for (value, weight) in run.values.iter().zip(&run.weights) {
            counts[((value / width).round() - first) as usize] += weight * size as f64 / runs.len() as f64;
        }
    }
    let points = counts.into_iter().enumerate().map(|(i, count)| ((first + i as f64) * width, count));
    let points = points.filter(|(_, count)| *count > LEAST).collect();
    Bars { name: "eigenvalues".into(), colour: 0, width, points }
}

pub(super) fn show(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    let samples = setup.count("samples");
    let data = net::digits(samples, setup.seed_for(8))?;
    let loss = net::tanh_net(setup.count("hessian_width"));
    let step = net::step(&loss);
    let adam = Adam { lr: 0.01, ..Adam::default() };
    let options = nets::options(samples, setup.count("hessian_steps"), setup.seed_for(9));
    let variant = Variant::new("net", Optimizer::Adam(adam), &options);
    let start = nets::initial(&data, &step, &variant)?;
    let end = nets::train(setup.gpu, &data, &step, &[variant], Some(&start))?.remove(0);
    let mut hessian = Hessian::new(setup.gpu, &loss, data.train())?;
    let mut chance = Chance::new(setup.seed_for(10));
    let size = hessian.size;
    let (mut panels, mut ends) = (Vec::new(), Vec::new());
    for (name, weights) in [("start", &start), ("end", &end.weights)] {
        hessian.move_to(weights)?;
        let runs: Vec<Ritz> = (0..setup.count("probes"))
            .map(|_| lanczos(size, setup.count("lanczos"), &mut chance, &mut |v| hessian.times(v)))
            .collect::<Result<_>>()?;
        let (low, high) = (runs[0].smallest(), runs[0].largest());
        ends.extend([low, high].map(|end| number(end).replace('-', "−")));
        let power = power_iteration(size, &mut chance, &mut |v| hessian.times(v))?;
        shown.below(
            format!("{name} of training: greatest eigenvalue by Lanczos and by powers, relative difference"),
            (high / power - 1.0).abs(),
            1e-3,
        );
        if name == "end" {
            shown.below(
                "end of training: size of the least eigenvalue over the greatest",
                (-low / high).max(0.0),
                NEGATIVE,
            );
        }
        let panel = Panel::new(
            format!("At the {name}"),
            Axis::linear("eigenvalue (nats per squared weight)"),
            Axis::log("eigenvalues in the bar (count)").showing(Extent::Fixed(LEAST, 2.0 * size as f64)),
        );
        panels.push(panel.with(bars(&runs, size)));
    }
    let losses = end.losses();
    shown.figure(
        Figure { title: "Curvatures in all directions".into(), panels, columns: Some(2), ..Figure::default() },
        format!(
            "A net of {size} weights before training, at a loss of {:.2}, and after {} steps of Adam over all {samples} digits, \
             at {}. The number of eigenvalues in an interval is estimated from {} random directions, so a single one can \
             count as less or more than 1. Most are near 0; a few large ones are positive. They lie between {} at the \
             start, and between {} at the end.",
            losses[0],
            losses.len(),
            number(losses[losses.len() - 1]),
            setup.count("probes"),
            ends[..2].join(" and "),
            ends[2..].join(" and ")
        ),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_count_every_eigenvalue() {
        let run = Ritz { values: vec![-1.0, -1e-9, 1e-9, 5.0], weights: vec![0.1, 0.3, 0.4, 0.2] };
        let bars = bars(&[run], 10);
        let counts: Vec<f64> = bars.points.iter().map(|p| p.1).collect();
        assert_eq!(counts.len(), 3);
        assert!((counts[1] - 7.0).abs() < 1e-12 && bars.points[1].0.abs() < 1e-12);
        assert!((counts.iter().sum::<f64>() - 10.0).abs() < 1e-12);
    }
}
