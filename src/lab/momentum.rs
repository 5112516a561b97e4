//! Momentum in two parametrisations (16 to 27).

use super::exhibit::{About, Setting, Setup, Shown};
use super::linear::{self, Course};
use super::nets;
use super::statistics::length;
use crate::data;
use crate::error::Result;
use crate::figure::{At, Axis, Extent, Figure, Panel, Rule, Series};
use crate::graph::Tensor;
use crate::optim::schedule::MultiStep;
use crate::optim::{MomentumForm, Optimizer, Schedule, Sgd, Update};
use crate::train::Variant;

pub(super) const ABOUT: About = About {
    name: "momentum",
    title: "Momentum: two parametrisations that are one",
    lecture: "equations 16 to 27",
    statement: &[
        "Momentum is written in two ways. The traditional way is a ball with friction: the velocity keeps a share \
         μ of itself and takes the whole gradient. The other way is a running mean of gradients, which is the \
         direction of the step. With η(average) = η(traditional)/(1 − μ) both make the same \
         steps.",
        "So μ and η of the traditional way are entangled: raising μ from 0.9 to 0.99 alone makes the \
         steps ten times as long. In the average form μ says how much is averaged, and η how far a step goes.",
        "A schedule parts them. The ball keeps the speed it gained at the old rate; the running mean takes the new rate \
         at once.",
    ],
    formulas: &[
        "v_{t+1} = \\mu v_t - \\eta_{\\mathrm{trad}}\\, g_t, \\qquad w_{t+1} = w_t + v_{t+1}",
        "m_{t+1} = \\mu m_t + (1-\\mu)\\, g_t, \\qquad w_{t+1} = w_t - \\eta_{\\mathrm{avg}}\\, m_{t+1}",
        "\\eta_{\\mathrm{avg}} = \\frac{\\eta_{\\mathrm{trad}}}{1-\\mu}",
    ],
    slips: &["Equation (21b) says η(traditional) where η(average) is meant."],
    to_try: &[
        ("momentum.mu=0.99", "both forms still make the same steps, ten times as long"),
        ("momentum.drop=0.5", "a smaller cut of the rate parts the forms less"),
    ],
    settings: &[
        Setting::new("mu", "momentum μ of the net", 0.9, (0.1, 0.999)),
        Setting::new("lr", "traditional learning rate of the net", 0.01, (1e-5, 1.0)),
        Setting::count("steps", "steps of the net", 200.0, (20.0, 2000.0)),
        Setting::new("drop", "factor of the schedule that parts the forms", 0.1, (0.01, 1.0)),
    ],
    run,
};

fn sgd(lr: f64, momentum: f64, form: MomentumForm) -> Optimizer {
    Optimizer::Sgd(Sgd { lr, momentum, form, ..Sgd::default() })
}

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let mut shown = Shown::new();
    same_steps(setup, &mut shown)?;
    effective_rate(setup, &mut shown)?;
    parted_by_a_schedule(setup, &mut shown)?;
    Ok(shown)
}

/// Both forms on a net of digits.
fn same_steps(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    let (mu, lr, steps) = (setup.number("mu"), setup.number("lr"), setup.count("steps"));
    let data = data::digits()?;
    let options = nets::options(32, steps, setup.seed_for(1));
    let forms = [
        ("traditional", sgd(lr, mu, MomentumForm::Velocity)),
        ("average", sgd(lr / (1.0 - mu), mu, MomentumForm::Average)),
    ];
    let variants = forms.map(|(name, sgd)| Variant::new(name, sgd, &options));
    let trained = nets::train(setup.gpu, &data, &nets::perceptron(32, Tensor::tanh), &variants, None)?;
    let (a, b) = (trained[0].flat(), trained[1].flat());
    let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    shown.below(
        format!("relative difference of the weights after {steps} steps"),
        length(&difference) / length(&a),
        1e-5,
    );
    let curve = |i: usize| linear::by_step(&trained[i].losses());
    let panel = Panel::new(
        "Both forms on digits",
        Axis::linear("step (count)"),
        Axis::linear("loss of the batch (nats)"),
    )
    .with(Series::line("traditional", 0, curve(0)))
    .with(Series::line("average", 1, curve(1)).dashed("5 5"));
    shown.figure(
        Figure { title: "One path".into(), panels: vec![panel], ..Figure::default() },
        "Two nets from the same weights, on the same minibatches: the dashed curve lies on the other.",
    );
    Ok(())
}

/// The speed along a constant gradient, by μ.
fn effective_rate(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const STEPS: usize = 500;
    const LR: f64 = 1.0 / 1024.0;
    let course = Course { gradients: vec![vec![1.0]], start: 0.0 };
    let momenta = [0.0, 0.5, 0.9, 0.99];
    let optimizers: Vec<Optimizer> = momenta.iter().map(|mu| sgd(LR, *mu, MomentumForm::Velocity)).collect();
    let weights = course.weights_of(setup.gpu, &optimizers, STEPS)?;
    let mut panel = Panel::new(
        "A constant gradient, from rest",
        Axis::log("step (count)"),
        Axis::log("step length (learning rates)"),
    );
    for (i, (mu, weights)) in momenta.iter().zip(&weights).enumerate() {
        let speed: Vec<f64> = linear::changes(weights, 0).iter().map(|d| -d / LR).collect();
        shown.near(
            format!("effective rate at momentum {mu}, over the learning rate"),
            1.0 / (1.0 - mu),
            speed[STEPS - 1],
            0.02 / (1.0 - mu),
        );
        panel = panel.with(Series::line(format!("momentum {mu}"), i, linear::by_step(&speed)));
        panel = panel.with(Rule { name: String::new(), colour: 6, dash: "2 4", at: At::Y(1.0 / (1.0 - mu)) });
    }
    shown.figure(
        Figure { title: "The effective rate".into(), panels: vec![panel], ..Figure::default() },
        "Traditional momentum from rest along a gradient of 1. Dotted: 1/(1 − μ), which the step length nears \
         after some 1/(1 − μ) steps.",
    );
    Ok(())
}

/// Both forms along a constant gradient, where the rate drops.
fn parted_by_a_schedule(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const STEPS: usize = 200;
    const DROP_AT: usize = 100;
    const LR: f64 = 1.0 / 1024.0;
    let (mu, drop) = (0.9, setup.number("drop"));
    let course = Course { gradients: vec![vec![1.0]], start: 0.0 };
    let scheduled = |optimizer| Update {
        schedule: Some(Schedule::MultiStep(MultiStep { milestones: vec![DROP_AT as u64], gamma: drop })),
        ..Update::new(optimizer)
    };
    let updates = [
        scheduled(sgd(LR, mu, MomentumForm::Velocity)),
        scheduled(sgd(LR / (1.0 - mu), mu, MomentumForm::Average)),
    ];
    let weights = course.weights(setup.gpu, &updates, STEPS)?;
    let speeds: Vec<Vec<f64>> = weights
        .iter()
        .map(|weights| linear::changes(weights, 0).iter().map(|d| -d / LR * (1.0 - mu)).collect())
        .collect();
    let names = ["traditional", "average"];
    let mut panel = Panel::new(
        format!("The rate falls to {drop} of itself after step {DROP_AT}"),
        Axis::linear("step (count)").showing(Extent::Fixed(0.0, STEPS as f64)),
        Axis::linear("step length (share of its limit)"),
    );
    for (i, speed) in speeds.iter().enumerate() {
        panel = panel.with(Series::line(names[i], i, linear::by_step(speed)));
    }
    // The limit of the speed before the drop is 1; the ball keeps a share mu of it.
    let (kept, limit) = ([mu + (1.0 - mu) * drop, drop], 2e-3);
    for i in 0..2 {
        shown.near(
            format!("{}: length of the first step after the drop, over that before", names[i]),
            kept[i],
            speeds[i][DROP_AT] / speeds[i][DROP_AT - 1],
            limit,
        );
    }
    shown.figure(
        Figure { title: "Where a schedule parts them".into(), panels: vec![panel], ..Figure::default() },
        "The same gradient of 1. The running mean obeys the new rate at once; the ball coasts, and nears it over the next \
         1/(1 − μ) steps.",
    );
    Ok(())
}
