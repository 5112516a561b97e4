//! Final losses of nets that differ in their start, by width.

use super::super::exhibit::{Setup, Shown};
use super::super::nets;
use super::super::statistics::{length, mean, variance};
use super::net::{self, WholeLoss};
use crate::error::Result;
use crate::figure::{Axis, Band, Extent, Figure, Panel, Series};
use crate::optim::schedule::Cosine;
use crate::optim::{Adam, Optimizer, Schedule, Update};
use crate::train::Variant;

/// The least ratio of spreads that agrees. Quick runs of seeds 0 to 9 gave 145 to 322, whole ones of
/// seeds 0 to 4 gave 629 to 841.
const SPREAD: f64 = 20.0;
/// The greatest excess of the worst wide net that agrees. Quick runs of seeds 0 to 9 gave 0.010 to 0.047, whole ones
/// 0.009 to 0.016.
const WORST: f64 = 0.15;

/// The final objectives of nets of one width, each from a start of its own.
fn ends(setup: &Setup<'_>, width: usize) -> Result<Vec<f64>> {
    let (samples, decay) = (setup.count("samples"), setup.number("decay"));
    let data = net::digits(samples, setup.seed_for(1))?;
    let adam = Adam { lr: 0.02, weight_decay: decay, ..Adam::default() };
    let update = Update {
        schedule: Some(Schedule::Cosine(Cosine { t_max: None, eta_min: 0.0 })),
        ..Update::new(Optimizer::Adam(adam))
    };
    let options = nets::options(samples, setup.count("steps"), setup.seed_for(2));
    let variants: Vec<Variant> = (0..setup.count("seeds") as u64)
        .map(|i| {
            let mut variant = Variant::new(format!("net {i}"), update.clone(), &options);
            variant.options.seeds.init = Some(setup.seed_for(3).wrapping_add(i));
            variant
        })
        .collect();
    let loss = net::relu_net(width);
    let trained = nets::train(setup.gpu, &data, &net::step(&loss), &variants, None)?;
    let mut whole = WholeLoss::new(setup.gpu, &loss, data.train())?;
    trained
        .iter()
        .map(|net| Ok(whole.at(&net.weights)? + 0.5 * decay * length(&net.flat()).powi(2)))
        .collect()
}

/// The value that a share of sorted values lies below.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}

pub(super) fn show(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    let widest = setup.count("widest");
    let widths: Vec<usize> = (0..).map(|k| 1 << k).take_while(|width| *width <= widest).collect();
    let (mut marks, mut band, mut spreads) = (Vec::new(), Vec::new(), Vec::new());
    let mut worst = Vec::new();
    for &width in &widths {
        let mut ends = ends(setup, width)?;
        ends.sort_by(f64::total_cmp);
        let x = width as f64;
        marks.extend(ends.iter().map(|end| (x, *end)));
        band.push((x, quantile(&ends, 0.1), quantile(&ends, 0.9)));
        spreads.push((x, variance(&ends).sqrt()));
        worst.push(ends[ends.len() - 1] / mean(&ends) - 1.0);
    }
    let (narrow, wide) = (spreads[0].1, spreads[spreads.len() - 1].1);
    let last = widths[widths.len() - 1];
    shown.between(
        format!("spread of final losses of nets with 1 hidden unit, over that with {last}"),
        f64::INFINITY,
        narrow / wide,
        (SPREAD, f64::INFINITY),
    );
    shown.below(
        format!("{last} hidden units: excess of the worst net over the mean, relative"),
        worst[worst.len() - 1],
        WORST,
    );
    let units = || Axis {
        ticks: widths.iter().map(|width| (*width as f64, width.to_string())).collect(),
        ..Axis::log("hidden units (count)")
    };
    let losses = Panel::new("Where they end", units(), Axis::linear("final loss with decay (nats)"))
        .with(Band { name: "10 to 90% of the nets".into(), colour: 0, points: band })
        .with(Series::marks("a net", 0, marks));
    let spread =
        Panel::new("How far apart", units(), Axis::log("standard deviation (nats)").showing(Extent::Data))
            .with(Series::both("spread over starts", 1, spreads));
    shown.figure(
        Figure {
            title: "Final losses by width".into(),
            panels: vec![losses, spread],
            columns: Some(2),
            ..Figure::default()
        },
        format!(
            "{} nets of each width from different starts, with one hidden layer of ReLU, on the same {} digits, with the same \
             {} steps of Adam. The loss counts the decay of weights, so it cannot fall to 0. Narrow nets get stuck at \
             different heights; wide ones all end at the same.",
            setup.count("seeds"),
            setup.count("samples"),
            setup.count("steps")
        ),
    );
    Ok(())
}
