//! Adam is momentum and RMSProp together (section 4).

use super::exhibit::{About, Setting, Setup, Shown};
use super::linear::{self, Course};
use super::statistics::{Chance, largest};
use crate::error::Result;
use crate::figure::{Axis, Figure, Panel, Series};
use crate::optim::{Adam, AdamW, MomentumForm, Optimizer, RmsProp, Sgd};

pub(super) const ABOUT: About = About {
    name: "adam",
    title: "Adam: momentum and RMSProp together",
    lecture: "section 4",
    statement: &[
        "Adam takes the direction of a running mean of gradients, as momentum does, and divides it by the root of a running \
         mean of their squares, as RMSProp does; both are corrected for their bias. So it can be put together from runs of \
         both: here a run of momentum and one of RMSProp along the same gradients give the steps of a run of Adam.",
        "Weight decay that is added to the gradient is divided by the root too, so it hardly depends on its own size. AdamW \
         takes it out: each step keeps the share 1 − ηλ of the weight.",
        "After a long time without gradients, a sudden one of any size moves a weight by η(1 − \
         β₁)/√(1 − β₂).",
    ],
    formulas: &[
        "\\hat m_t = \\frac{m_t}{1-\\beta_1^t}, \\qquad \\hat v_t = \\frac{v_t}{1-\\beta_2^t}, \\qquad w_{t+1} = w_t - \
         \\eta \\frac{\\hat m_t}{\\sqrt{\\hat v_t} + \\epsilon}",
        "\\text{AdamW without gradients:} \\quad w_t = w_0 (1-\\eta\\lambda)^t",
        "\\text{an impulse after zeros:} \\quad |\\Delta w| = \\eta \\frac{1-\\beta_1}{\\sqrt{1-\\beta_2}}",
    ],
    slips: &[],
    to_try: &[
        ("adam.beta1=0", "Adam is RMSProp with the correction"),
        ("adam.lambda=0.01", "AdamW's decay follows λ; L2's under Adam hardly does"),
    ],
    settings: &[
        Setting::new("beta1", "β₁, the share that the mean keeps", 0.9, (0.0, 0.99)),
        Setting::new("beta2", "β₂, the share that the mean square keeps", 0.99, (0.5, 0.995)),
        Setting::new("lambda", "weight decay λ", 0.1, (0.0, 1.0)),
        Setting::count("steps", "steps", 40.0, (5.0, 60.0)),
    ],
    run,
};

/// A power of 2, so that differences of weights are the steps without further rounding.
const LR: f64 = 1.0 / 64.0;

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let mut shown = Shown::new();
    composed(setup, &mut shown)?;
    decay(setup, &mut shown)?;
    impulse(setup, &mut shown)?;
    Ok(shown)
}

/// Adam's steps from those of momentum and RMSProp.
fn composed(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const WEIGHTS: usize = 8;
    let (beta1, beta2, steps) = (setup.number("beta1"), setup.number("beta2"), setup.count("steps"));
    let mut chance = Chance::new(setup.seed_for(1));
    // Of both signs, and none so near to 0 that its step could not be read off the weight.
    let mut draw = || (0.5 + chance.uniform()) * if chance.uniform() < 0.4 { -1.0 } else { 1.0 };
    let gradients: Vec<Vec<f64>> =
        (0..steps).map(|_| (0..WEIGHTS).map(|_| f64::from(draw() as f32)).collect()).collect();
    let course = Course { gradients, start: 0.0 };
    let momentum = Sgd { lr: LR, momentum: beta1, form: MomentumForm::Average, ..Sgd::default() };
    let rmsprop = RmsProp { lr: LR, alpha: beta2, eps: 0.0, bias_correction: true, ..RmsProp::default() };
    let adam = Adam { lr: LR, betas: [beta1, beta2], eps: 0.0, ..Adam::default() };
    let runs = [Optimizer::Sgd(momentum), Optimizer::RmsProp(rmsprop), Optimizer::Adam(adam)];
    let weights = course.weights_of(setup.gpu, &runs, steps)?;
    let mut worst: f64 = 0.0;
    let mut curves: Vec<[Vec<f64>; 2]> = Vec::new();
    for i in 0..WEIGHTS {
        let [m, r, a] = [0, 1, 2].map(|run| linear::changes(&weights[run], i));
        let predicted: Vec<f64> = (0..steps)
            .map(|t| {
                let mean = m[t] / (1.0 - beta1.powi(t as i32 + 1));
                let root = -LR * course.gradients[t][i] / r[t];
                mean / root
            })
            .collect();
        // Steps are read off weights of a few rates, so their error is one of the rate.
        worst = largest(predicted.iter().zip(&a).map(|(p, a)| (p - a).abs() / LR).chain([worst]));
        curves.push([predicted, a]);
    }
    shown.below("Adam beside its composition: largest difference of a step, over the rate", worst, 1e-5);
    let scaled = |values: &[f64]| linear::by_step(&values.iter().map(|v| v / LR).collect::<Vec<_>>());
    let panel = Panel::new(
        "One weight of eight",
        Axis::linear("step (count)"),
        Axis::linear("step (learning rates)"),
    )
    .with(Series::line("Adam", 0, scaled(&curves[0][1])))
    .with(Series::marks("momentum and RMSProp", 1, scaled(&curves[0][0])));
    shown.figure(
        Figure { title: "Adam, put together".into(), panels: vec![panel], ..Figure::default() },
        "Random gradients. The line is the engine's Adam; the marks are computed from the steps of its momentum and its \
         RMSProp.",
    );
    Ok(())
}

/// Decay of a weight without gradients: AdamW's and that of L2 under Adam.
fn decay(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const STEPS: usize = 200;
    let (lambda, lr) = (setup.number("lambda"), 0.05);
    let betas = [setup.number("beta1"), setup.number("beta2")];
    let course = Course { gradients: vec![vec![0.0]], start: 1.0 };
    let adamw = AdamW { lr, betas, weight_decay: lambda, ..AdamW::default() };
    let adam = Adam { lr, betas, weight_decay: lambda, ..Adam::default() };
    let weights = course.weights_of(setup.gpu, &[Optimizer::AdamW(adamw), Optimizer::Adam(adam)], STEPS)?;
    let kept = |t: usize| (1.0 - lr * lambda).powi(t as i32);
    let worst = largest((0..=STEPS).map(|t| (weights[0][t][0] / kept(t) - 1.0).abs()));
    shown.below("AdamW without gradients: largest relative difference from its formula", worst, 1e-5);
    let curve = |i: usize| weights[i].iter().enumerate().map(|(t, w)| (t as f64, w[0])).collect();
    let formula = (0..=STEPS).step_by(20).map(|t| (t as f64, kept(t))).collect();
    let panel = Panel::new(
        format!("A weight without gradients, η = {lr}, λ = {lambda}"),
        Axis::linear("step (count)"),
        Axis::linear("weight (value)"),
    )
    .with(Series::line("AdamW", 0, curve(0)))
    .with(Series::marks("(1 − ηλ)^t", 2, formula))
    .with(Series::line("Adam with L2", 1, curve(1)).dashed("5 4"));
    shown.figure(
        Figure { title: "Decay".into(), panels: vec![panel], ..Figure::default() },
        "Under Adam, L2's gradient λw is divided by its own root: the weight goes down by η a step, whatever \
         λ, and then swings about 0. AdamW's decay is the one that was asked for.",
    );
    Ok(())
}

/// A gradient after a long time without.
fn impulse(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    // As many zeros as make both corrections 1 in f32.
    let (beta1, beta2) = (setup.number("beta1"), setup.number("beta2"));
    let zeros = (20.0 / (1.0 - beta1.max(beta2))).ceil() as usize;
    let after = 40;
    let sizes = [1e-3, 1.0, 1e3];
    let gradients: Vec<Vec<f64>> =
        (0..zeros + after).map(|t| sizes.map(|g| if t == zeros { g } else { 0.0 }).to_vec()).collect();
    let course = Course { gradients, start: 0.0 };
    let adam = Adam { lr: LR, betas: [beta1, beta2], eps: 1e-30, ..Adam::default() };
    let weights = &course.weights_of(setup.gpu, &[Optimizer::Adam(adam)], zeros + after)?[0];
    let predicted = (1.0 - beta1) / (1.0 - beta2).sqrt();
    for (i, size) in sizes.iter().enumerate() {
        let step = -linear::changes(weights, i)[zeros] / LR;
        shown.near(
            format!("step of an impulse of {size} after zeros, over the rate"),
            predicted,
            step,
            1e-5 * predicted,
        );
    }
    let path = |i: usize| -> Vec<(f64, f64)> {
        (0..=after).map(|t| (t as f64, -weights[zeros + t][i] / LR)).collect()
    };
    let panel = Panel::new(
        "One gradient after many zeros",
        Axis::linear("steps after the impulse (count)"),
        Axis::linear("way of the weight (learning rates)"),
    )
    .with(Series::line("gradient 0.001", 0, path(0)))
    .with(Series::line("gradient 1", 1, path(1)).dashed("8 6"))
    .with(Series::line("gradient 1000", 2, path(2)).dashed("2 6"));
    shown.figure(
        Figure { title: "An impulse".into(), panels: vec![panel], ..Figure::default() },
        "A gradient of any size moves the weight by the same way: at first η(1 − \
         β₁)/√(1 − β₂), and on while the mean decays.",
    );
    Ok(())
}
