//! The loss along the straight line between two solutions.

use super::super::exhibit::{Setup, Shown};
use super::super::nets;
use super::super::statistics::{largest, mean};
use super::alignment::aligned;
use super::net::{self, WholeLoss};
use crate::error::Result;
use crate::figure::{Axis, Extent, Figure, Panel, Series};
use crate::optim::{Adam, Optimizer};
use crate::plan::NamedTensor;
use crate::train::Variant;

/// Intervals of a line.
const PARTS: usize = 24;
/// The greatest share of the barrier that may be left. Quick runs of seeds 0 to 9 left 0.066 to 0.091, whole
/// ones of seeds 0 to 4 left 0.043 to 0.067.
const BARRIER: f64 = 0.3;

/// Losses at even distances along a line.
type Line = Vec<f64>;

fn along(whole: &mut WholeLoss, a: &[NamedTensor], b: &[NamedTensor]) -> Result<Line> {
    (0..=PARTS).map(|k| whole.at(&net::between(a, b, k as f64 / PARTS as f64))).collect()
}

/// The greatest rise of the loss over the straight line between the losses at its ends.
fn barrier(line: &Line) -> f64 {
    let over =
        |(k, loss): (usize, &f64)| loss - (line[0] + (line[PARTS] - line[0]) * k as f64 / PARTS as f64);
    largest(line.iter().enumerate().map(over))
}

/// Lines between pairs of nets: as they are, and with the hidden units of one in the order of the other's.
fn lines(setup: &Setup<'_>, width: usize) -> Result<[Vec<Line>; 2]> {
    let data = net::digits(setup.count("samples"), setup.seed_for(4))?;
    let loss = net::relu_net(width);
    let adam = Adam { lr: 0.01, weight_decay: setup.number("decay"), ..Adam::default() };
    let options = nets::options(32, setup.count("line_steps"), 0);
    let variants: Vec<Variant> = (0..2 * setup.count("pairs") as u64)
        .map(|i| {
            let variant = Variant::new(format!("net {i}"), Optimizer::Adam(adam.clone()), &options);
            variant.seed(setup.seed_for(5).wrapping_add(i))
        })
        .collect();
    let trained = nets::train(setup.gpu, &data, &net::step(&loss), &variants, None)?;
    let mut whole = WholeLoss::new(setup.gpu, &loss, data.train())?;
    let mut out = [Vec::new(), Vec::new()];
    for pair in trained.chunks_exact(2) {
        let (a, b) = (&pair[0].weights, &pair[1].weights);
        out[0].push(along(&mut whole, a, b)?);
        out[1].push(along(&mut whole, a, &aligned(a, b, width))?);
    }
    Ok(out)
}

pub(super) fn show(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const NAMES: [(&str, &str); 2] = [("as they are", ""), ("units aligned", "6 4")];
    let widest = setup.count("line_width");
    let widths: Vec<usize> = (3..).step_by(2).map(|k| 1 << k).take_while(|w| *w < widest).collect();
    let mut barriers = [Vec::new(), Vec::new()];
    let mut last = [Vec::new(), Vec::new()];
    for width in widths.into_iter().chain([widest]) {
        last = lines(setup, width)?;
        for (all, lines) in barriers.iter_mut().zip(&last) {
            all.push((width as f64, mean(&lines.iter().map(barrier).collect::<Vec<_>>())));
        }
    }
    let ends = last[0].iter().zip(&last[1]).map(|(a, b)| (b[PARTS] / a[PARTS] - 1.0).abs());
    shown.below(
        "loss of a net with its hidden units in another order, relative difference",
        largest(ends),
        1e-5,
    );
    let height = |i: usize| barriers[i][barriers[i].len() - 1].1;
    shown.below(
        format!("{widest} hidden units: barrier with units aligned, over that as they are"),
        height(1) / height(0),
        BARRIER,
    );
    let point = |(k, loss): (usize, &f64)| (k as f64 / PARTS as f64, *loss);
    let mut between = Panel::new(
        format!("Between nets of {widest} hidden units"),
        Axis::linear("place on the line, α (share of the way)").showing(Extent::Fixed(0.0, 1.0)),
        Axis::linear("loss (nats)"),
    );
    let mut by_width = Panel::new(
        "By width",
        Axis {
            ticks: barriers[0].iter().map(|(width, _)| (*width, width.to_string())).collect(),
            ..Axis::log("hidden units (count)")
        },
        Axis::log("height of the barrier (nats)"),
    );
    for (i, (name, dash)) in NAMES.into_iter().enumerate() {
        between =
            between.with_all(last[i].iter().map(|line| {
                Series::line(name, i, line.iter().enumerate().map(point).collect()).dashed(dash)
            }));
        by_width = by_width.with(Series::both(name, i, barriers[i].clone()).dashed(dash));
    }
    shown.figure(
        Figure {
            title: "Between two solutions".into(),
            panels: vec![between, by_width],
            columns: Some(2),
            ..Figure::default()
        },
        format!(
            "{} pairs of nets from different starts, and the loss of the nets on the straight line between them. Most of the \
             wall goes away once the hidden units of the second net stand in the order of the first one's, which changes \
             nothing of what it computes. Right: means over pairs.",
            setup.count("pairs")
        ),
    );
    Ok(())
}
