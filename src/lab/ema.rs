//! Exponential averages: their weights, their sum, their bias (19, 35 to 49).

use super::exhibit::{About, Setting, Setup, Shown};
use super::linear::{self, Course};
use super::statistics::largest;
use crate::error::Result;
use crate::figure::{At, Axis, Bars, Figure, Panel, Rule, Series};
use crate::optim::{MomentumForm, Optimizer, Sgd};

pub(super) const ABOUT: About = About {
    name: "ema",
    title: "Exponential averages and their bias",
    lecture: "equations 19 and 35 to 49",
    statement: &[
        "A running mean that keeps a share β of itself gives the value of τ steps ago the weight \
         (1 − β)β to the power τ. After t steps the weights add up to 1 − β to the \
         power t, not to 1: since it starts from 0, the mean is too small at first. Dividing by that sum corrects it.",
        "Here the weights are measured. Gradient t is 1 for weight t alone and 0 for all others, so after t steps the running \
         mean of each shows how much the engine gives to each step of the past.",
    ],
    formulas: &[
        "m_t = \\beta m_{t-1} + (1-\\beta)\\, g_t = (1-\\beta) \\sum_{\\tau=0}^{t-1} \\beta^{\\tau} g_{t-\\tau}",
        "(1-\\beta) \\sum_{\\tau=0}^{t-1} \\beta^{\\tau} = 1 - \\beta^{t}, \\qquad \\hat m_t = \\frac{m_t}{1-\\beta^{t}}",
    ],
    slips: &["Equation (43) has β to the power t + 1 where β to the power t is meant."],
    to_try: &[
        ("ema.beta=0.5", "two or three steps count, and the bias is gone at once"),
        ("ema.beta=0.99", "after 40 steps the mean has a third of its value"),
    ],
    settings: &[
        Setting::new("beta", "the share β that a step keeps", 0.9, (0.01, 0.999)),
        Setting::count("steps", "steps of the past that are shown", 40.0, (5.0, 60.0)),
    ],
    run,
};

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let (beta, steps) = (setup.number("beta"), setup.count("steps"));
    // Weight t is pulled at step t alone; the last weight at every step.
    let gradients: Vec<Vec<f64>> = (0..steps)
        .map(|t| (0..=steps).map(|i| f64::from(u8::from(i == t || i == steps))).collect())
        .collect();
    let course = Course { gradients, start: 0.0 };
    // With a rate of 1 a step is the running mean, its sign turned.
    let sgd = Sgd { lr: 1.0, momentum: beta, form: MomentumForm::Average, ..Sgd::default() };
    let weights = &course.weights_of(setup.gpu, &[Optimizer::Sgd(sgd)], steps)?[0];
    let measured: Vec<f64> = (0..steps)
        .map(|tau| {
            let changes = linear::changes(weights, steps - 1 - tau);
            -changes[steps - 1]
        })
        .collect();
    let predicted = |tau: usize| (1.0 - beta) * beta.powi(tau as i32);
    let worst = largest(measured.iter().enumerate().map(|(tau, m)| (m - predicted(tau)).abs()));
    let mut shown = Shown::new();
    shown.below("largest error of a weight of the average", worst, 1e-6);
    shown.near(
        format!("sum of the weights after {steps} steps"),
        1.0 - beta.powi(steps as i32),
        measured.iter().sum(),
        1e-6,
    );
    let mean: Vec<f64> = linear::changes(weights, steps).iter().map(|d| -d).collect();
    shown.near("running mean of a gradient of 1 after the first step", 1.0 - beta, mean[0], 1e-6);
    let corrected: Vec<f64> =
        mean.iter().enumerate().map(|(i, m)| m / (1.0 - beta.powi(i as i32 + 1))).collect();
    let off = largest(corrected.iter().map(|m| (m - 1.0).abs()));
    // A change of a weight near 40 is rounded by 2e-6, and the first mean is divided by 1 − β.
    shown.below(
        "largest error of the corrected mean",
        off,
        1e-6 + 4e-7 * steps as f64 / (1.0 - beta).min(0.5),
    );
    let bars = Bars {
        name: "measured".into(),
        colour: 0,
        width: 0.8,
        points: measured.iter().enumerate().map(|(tau, m)| (tau as f64, *m)).collect(),
    };
    let curve = (0..steps).map(|tau| (tau as f64, predicted(tau))).collect();
    let ages = Panel::new(
        format!("The weight of a gradient by its age, β = {beta}"),
        Axis::linear("age τ (steps)"),
        Axis::linear("weight in the average (share)"),
    )
    .with(bars)
    .with(Series::marks("(1 − β)β^τ", 1, curve));
    let bias = Panel::new(
        "A gradient of 1 from the start",
        Axis::linear("step (count)"),
        Axis::linear("running mean (of a gradient of 1)"),
    )
    .with(Series::both("as it is", 0, linear::by_step(&mean)))
    .with(Series::both("corrected", 2, linear::by_step(&corrected)))
    .with(Rule { name: "the gradient".into(), colour: 6, dash: "2 4", at: At::Y(1.0) });
    shown.figure(
        Figure {
            title: "An exponential average".into(),
            panels: vec![ages, bias],
            columns: Some(2),
            ..Figure::default()
        },
        "Left: the weights, read off the engine's momentum one by one. Right: the mean of a constant gradient starts at \
         1 − β, and divided by the sum of its weights it is right from the first step.",
    );
    Ok(shown)
}
