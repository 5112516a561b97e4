//! Many small steps make the average step (11 to 15).

use super::exhibit::{About, Setting, Setup, Shown};
use super::nets::{self, Step, Trained};
use super::statistics::{self, Chance, length, log_slope, moments};
use crate::compile::{Batch, Objective};
use crate::data::{self, Dataset, Sampling};
use crate::error::Result;
use crate::figure::{At, Axis, Figure, Panel, Rule, Series};
use crate::graph::{Init, Tensor};
use crate::nn::Net;
use crate::optim::{Optimizer, Sgd};
use crate::train::Variant;

pub(super) const ABOUT: About = About {
    name: "average-step",
    title: "Many small steps make the average step",
    lecture: "equations 11 to 15",
    statement: &[
        "Take 1/η steps at the rate η. Together they go as far as one step at the rate 1, whatever η; but \
         they go along the mean of 1/η gradients, whose variance is η times that of one. A smaller rate averages \
         more gradients: the noise of the way falls with the rate.",
        "This holds to the letter where the gradient does not change on the way: here for a linear loss. On a real net the \
         weights move, and the mean of many ways is the way of descent with the whole gradient (the gradient flow).",
        "It also needs minibatches that are drawn independently of each other. Shuffled epochs are better than that: after a \
         whole epoch every sample was seen once, and the sum of its gradients has no noise at all.",
    ],
    formulas: &[
        "\\Delta w = -\\eta \\sum_{t=1}^{1/\\eta} g_t, \\qquad \\mathrm{E}\\, \\Delta w = -\\nabla L, \\qquad \
         \\mathrm{Var}\\, \\Delta w = \\eta\\, \\mathrm{Var}\\, g",
    ],
    slips: &[
        "Equation (14) holds for frozen weights only: on a real net the gradient changes on the way.",
        "Equation (15) needs independent minibatches, which shuffling breaks (to the good).",
    ],
    to_try: &[
        ("average-step.replicas=64", "fewer ways, and the points leave the line"),
        ("average-step.batch=8", "an eighth of the variance at every rate"),
    ],
    settings: &[
        Setting::count("replicas", "nets that start from the same weights", 256.0, (16.0, 1024.0))
            .quick(128.0),
        Setting::count("batch", "samples of a batch", 1.0, (1.0, 16.0)),
        Setting::count("rates", "rates: 1/8, 1/16 and so on", 5.0, (3.0, 6.0)).quick(4.0),
    ],
    run,
};

/// Samples of the linear loss, and their numbers.
const SAMPLES: usize = 64;
const WIDTH: usize = 16;

/// The mean over a batch of Σ xᵢwᵢ, whose gradient is the mean of its samples, whatever w.
fn linear(net: &Net, batch: &Batch) -> Objective {
    let w = net.parameter("w", [WIDTH], Init::Constant(0.0));
    Objective::new(batch.x().mul(&w).sum(&[-1], false).mean_all())
}

/// Changes of the weights of many nets from the same start, after so many steps of the rate 1 over that number.
fn changes(
    setup: &Setup<'_>,
    data: &Dataset,
    step: &Step<'_>,
    (rows, steps): (usize, usize),
    sampling: Sampling,
) -> Result<Vec<Vec<f64>>> {
    let replicas = setup.count("replicas");
    let rate = Sgd { lr: 1.0 / steps as f64, ..Sgd::default() };
    let variants: Vec<Variant> = (0..replicas as u64)
        .map(|i| {
            let mut options = nets::options(rows, steps, setup.seed_for(1));
            options.sampling = sampling;
            // Orders of their own at each number of steps: else a way would begin as a shorter one.
            options.seeds.order = Some(setup.seed_for(16 + steps as u64) + i);
            Variant::new(format!("net {i}"), Optimizer::Sgd(rate.clone()), &options)
        })
        .collect();
    let start = nets::initial(data, step, &variants[0])?;
    let trained = nets::train(setup.gpu, data, step, &variants, None)?;
    let from = nets::flat(&start);
    let change = |net: &Trained| net.flat().iter().zip(&from).map(|(w, f)| w - f).collect();
    Ok(trained.iter().map(change).collect())
}

fn run(setup: &Setup<'_>) -> Result<Shown> {
    nets::check_divides("average-step.batch", setup.count("batch"), SAMPLES)?;
    let mut shown = Shown::new();
    let mut chance = Chance::new(setup.seed_for(3));
    let mean: Vec<f64> = (0..WIDTH).map(|_| 0.3 * chance.normal()).collect();
    let rows: Vec<Vec<f64>> = (0..SAMPLES)
        .map(|_| mean.iter().map(|m| f64::from((m + chance.normal()) as f32)).collect())
        .collect();
    let data = nets::samples("linear", &rows, &[0.0; SAMPLES])?;
    let whole = moments(&rows).0;
    let spread: f64 = moments(&rows).1.iter().sum::<f64>() * (SAMPLES as f64 - 1.0) / SAMPLES as f64;
    let batch = setup.count("batch");
    let counts: Vec<usize> = (0..setup.count("rates")).map(|i| 8 << i).collect();
    let replicas = setup.count("replicas") as f64;

    // A: a linear loss.
    let (mut linear_points, mut projections) = (Vec::new(), Vec::new());
    for &steps in &counts {
        let ways = changes(setup, &data, &linear, (batch, steps), Sampling::Replacement)?;
        let (_, variances) = moments(&ways);
        linear_points.push((1.0 / steps as f64, variances.iter().sum::<f64>()));
        // The way along the gradient, which is a number whose error can be told.
        let along: Vec<f64> = ways
            .iter()
            .map(|way| way.iter().zip(&whole).map(|(a, b)| a * b).sum::<f64>() / length(&whole))
            .collect();
        let error = (statistics::variance(&along) / replicas).sqrt();
        projections.push((statistics::mean(&along) + length(&whole)) / error);
    }
    shown.near("A, linear loss: slope of log variance against log rate", 1.0, log_slope(&linear_points), 0.1);
    let pooled = projections.iter().sum::<f64>() / (projections.len() as f64).sqrt();
    shown.near("A: mean way along the gradient less −|g|, in standard errors", 0.0, pooled, 3.0);

    // C: the same in whole epochs of shuffled samples.
    let epoch = SAMPLES / batch;
    let shuffled = changes(setup, &data, &linear, (batch, epoch), Sampling::Epoch)?;
    let drawn = changes(setup, &data, &linear, (batch, epoch), Sampling::Replacement)?;
    let total = |ways: &[Vec<f64>]| moments(ways).1.iter().sum::<f64>();
    shown.below(
        "C, after a whole shuffled epoch: variance over that of independent draws",
        total(&shuffled) / total(&drawn),
        1e-6,
    );

    // B: a real net.
    let digits = data::digits()?;
    let mut net_points = Vec::new();
    let mut last = Vec::new();
    for &steps in &counts[1..] {
        let ways = changes(
            setup,
            &digits,
            &nets::perceptron(8, Tensor::tanh),
            (8 * batch, steps),
            Sampling::Replacement,
        )?;
        let (mean, variances) = moments(&ways);
        net_points.push((1.0 / steps as f64, variances.iter().sum::<f64>()));
        last = mean;
    }
    shown.near("B, digits: slope of log variance against log rate", 1.0, log_slope(&net_points), 0.1);
    let flow = flow(setup, &digits)?;
    // The mean of the ways leaves the flow by the noise of the mean, and by terms of the order of the rate.
    let (rate, variance) = net_points[net_points.len() - 1];
    let difference: Vec<f64> = last.iter().zip(&flow).map(|(a, b)| a - b).collect();
    let error = (variance / replicas).sqrt() / length(&flow);
    shown.below(
        format!("B: mean way at the rate 1/{:.0} beside the gradient flow, relative", 1.0 / rate),
        length(&difference) / length(&flow),
        1.5 * error + rate,
    );

    let theory: Vec<(f64, f64)> = linear_points.iter().map(|p| (p.0, p.0 * spread / batch as f64)).collect();
    let linear_panel = Panel::new(
        "A and C: a linear loss",
        Axis::log("rate η (per step)"),
        Axis::log("variance of the way (trace)"),
    )
    .with(Series::line("η Var g", 6, theory).dashed("5 4"))
    .with(Series::marks("drawn independently", 0, linear_points));
    let slope = net_points[0].1 / net_points[0].0;
    let line: Vec<(f64, f64)> = net_points.iter().map(|p| (p.0, slope * p.0)).collect();
    let net_panel = Panel::new(
        "B: a net of digits",
        Axis::log("rate η (per step)"),
        Axis::log("variance of the way (trace)"),
    )
    .with(Series::line("slope 1", 6, line).dashed("5 4"))
    .with(Series::marks("drawn independently", 1, net_points));
    let shuffled_panel = epochs(setup, &data, batch, epoch)?;
    shown.figure(
        Figure {
            title: "1/η steps at the rate η".into(),
            panels: vec![linear_panel, net_panel, shuffled_panel],
            columns: Some(3),
            ..Figure::default()
        },
        format!(
            "{replicas:.0} nets from the same weights, each with minibatches of its own. Left and middle: half the rate, half \
             the variance. Right: along a linear loss, shuffled epochs lose all variance at their ends."
        ),
    );
    Ok(shown)
}

/// The variance within an epoch: shuffled, and drawn independently.
fn epochs(setup: &Setup<'_>, data: &Dataset, batch: usize, epoch: usize) -> Result<Panel> {
    let mut panel = Panel::new(
        "C: within an epoch",
        Axis::linear("steps (count)"),
        Axis::linear("variance of the sum of steps (trace)"),
    );
    let ends: Vec<usize> = (1..=8).map(|i| (epoch * i).div_ceil(8)).collect();
    for (i, (name, sampling)) in
        [("drawn independently", Sampling::Replacement), ("shuffled", Sampling::Epoch)]
            .into_iter()
            .enumerate()
    {
        let mut points = vec![(0.0, 0.0)];
        for &steps in &ends {
            // Each way is of the same rate here: the number of its steps undoes the rate of `changes`.
            let ways = changes(setup, data, &linear, (batch, steps), sampling)?;
            let scale = (steps as f64 / epoch as f64).powi(2);
            points.push((steps as f64, scale * moments(&ways).1.iter().sum::<f64>()));
        }
        panel = panel.with(Series::both(name, 3 * i, points));
    }
    let end = At::X(epoch as f64);
    Ok(panel.with(Rule { name: "end of the epoch".into(), colour: 6, dash: "2 4", at: end }))
}

/// The change by descent along the whole gradient, in steps so small that it is the flow.
fn flow(setup: &Setup<'_>, data: &Dataset) -> Result<Vec<f64>> {
    const STEPS: usize = 512;
    let options = nets::options(data.train().len(), STEPS, setup.seed_for(1));
    let sgd = Sgd { lr: 1.0 / STEPS as f64, ..Sgd::default() };
    let variant = Variant::new("flow", Optimizer::Sgd(sgd), &options);
    let start = nets::flat(&nets::initial(data, &nets::perceptron(8, Tensor::tanh), &variant)?);
    let trained = &nets::train(setup.gpu, data, &nets::perceptron(8, Tensor::tanh), &[variant], None)?[0];
    Ok(trained.flat().iter().zip(&start).map(|(w, s)| w - s).collect())
}
