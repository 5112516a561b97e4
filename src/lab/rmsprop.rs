//! RMSProp: steps of the size of the learning rate (28 to 34).

use super::exhibit::{About, Setting, Setup, Shown};
use super::linear::{self, Course};
use super::statistics::largest;
use crate::error::Result;
use crate::figure::{At, Axis, Extent, Figure, Panel, Rule, Series};
use crate::optim::{Optimizer, RmsProp};

pub(super) const ABOUT: About = About {
    name: "rmsprop",
    title: "RMSProp: steps of the size of the learning rate",
    lecture: "equations 28 to 34",
    statement: &[
        "RMSProp divides each gradient by the root of a running mean of its square. Whatever the size of a gradient, a step \
         has about the size of the learning rate, so the rate has a meaning: the distance that a weight moves.",
        "The running mean starts from 0 and is too small at first. Without correction the first step is 1/√(1 − \
         α) times too long: ten times at α = 0.99. PyTorch makes that step. With the correction, the step has \
         its size from the first on.",
    ],
    formulas: &[
        "\\langle g^2 \\rangle_t = \\alpha \\langle g^2 \\rangle_{t-1} + (1-\\alpha)\\, g_t^2",
        "w_{t+1} = w_t - \\eta \\frac{g_t}{\\sqrt{\\langle g^2 \\rangle_t / (1-\\alpha^t)} + \\epsilon}",
        "g \\text{ constant}: \\quad |\\Delta w| = \\eta \\text{ corrected}, \\qquad |\\Delta w| = \
         \\frac{\\eta}{\\sqrt{1-\\alpha^t}} \\text{ without}",
    ],
    slips: &[
        "Equation (29) has g² where the running mean of g² is meant. As printed, a step is η√(1 \
         − α to the power t): too short at first, where the correction was to help.",
        "Its t is right only where t counts from 1 and the mean before the first step is 0.",
        "Equations (30) to (33) add the step; a descent subtracts it.",
    ],
    to_try: &[
        ("rmsprop.alpha=0.999", "without correction, the first step is 32 times too long"),
        ("rmsprop.eps=1e-4", "ε is no longer small beside the smallest gradients: they move less"),
    ],
    settings: &[
        Setting::new("alpha", "the share α that a step keeps", 0.99, (0.1, 0.9999)),
        Setting::new("eps", "ε, added to the root", 0.0, (0.0, 1.0)),
        Setting::count("steps", "steps", 40.0, (5.0, 60.0)),
    ],
    run,
};

/// The sizes of gradients: ten powers of ten.
const SIZES: [f64; 10] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3];
/// A power of 2, so that differences of weights are the steps without further rounding.
const LR: f64 = 1.0 / 1024.0;

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let (alpha, eps, steps) = (setup.number("alpha"), setup.number("eps"), setup.count("steps"));
    let course = Course { gradients: vec![SIZES.to_vec()], start: 0.0 };
    let rule = |bias_correction| {
        Optimizer::RmsProp(RmsProp { lr: LR, alpha, eps, bias_correction, ..RmsProp::default() })
    };
    let weights = course.weights_of(setup.gpu, &[rule(true), rule(false)], steps)?;
    // The step of each gradient over the rate.
    let sizes = |weights: &[Vec<f64>], i: usize| -> Vec<f64> {
        linear::changes(weights, i).iter().map(|d| -d / LR).collect()
    };
    let mut shown = Shown::new();
    // ε is added to a root that is the gradient itself.
    let off = |i: usize| {
        let predicted = SIZES[i] / (SIZES[i] + eps);
        largest(sizes(&weights[0], i).into_iter().map(|step| (step / predicted - 1.0).abs()))
    };
    shown.below(
        "corrected: largest relative difference of a step from g/(g + ε) rates",
        largest((0..SIZES.len()).map(off)),
        1e-5,
    );
    let first = 1.0 / (1.0 - alpha).sqrt();
    for i in [5, 9] {
        let what = format!("without correction: first step over the rate, gradient {:e}", SIZES[i]);
        // ε is added to a root that is smaller than the gradient by the same factor.
        let predicted = SIZES[i] / (SIZES[i] / first + eps);
        shown.near(what, predicted, sizes(&weights[1], i)[0], 1e-4 * first);
    }
    let printed: Vec<f64> = (1..=steps).map(|t| (1.0 - alpha.powi(t as i32)).sqrt()).collect();
    let mut time = Panel::new(
        "Gradients of 0.1 at every step",
        Axis::linear("step (count)"),
        Axis::log("step length (learning rates)"),
    );
    let curves = [
        Series::both("corrected", 0, linear::by_step(&sizes(&weights[0], 5))),
        Series::both("PyTorch's, without", 1, linear::by_step(&sizes(&weights[1], 5))),
        Series::line("as (29) is printed (formula)", 3, linear::by_step(&printed)).dashed("5 4"),
    ];
    time =
        time.with_all(curves).with(Rule { name: "the rate".into(), colour: 6, dash: "2 4", at: At::Y(1.0) });
    let by_size = |t: usize| -> Vec<(f64, f64)> {
        (0..SIZES.len()).map(|i| (SIZES[i], sizes(&weights[0], i)[t - 1])).collect()
    };
    let size = Panel::new(
        "Corrected steps by the size of the gradient",
        Axis::log("gradient (loss per weight)"),
        Axis::linear("step length (learning rates)").showing(Extent::Fixed(0.0, 1.2)),
    )
    .with(Series::both("step 1", 0, by_size(1)))
    .with(Series::both(format!("step {steps}"), 2, by_size(steps)).dashed("5 4"));
    shown.figure(
        Figure {
            title: "Steps of RMSProp".into(),
            panels: vec![time, size],
            columns: Some(2),
            ..Figure::default()
        },
        "Left: with the correction each step has the length of the rate. Right: nine powers of ten of gradients make the \
         same step.",
    );
    Ok(shown)
}
