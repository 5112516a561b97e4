//! The largest rate that converges, with and without momentum (section 2).

use super::exhibit::{About, Setting, Setup, Shown};
use super::nets::{self, Trained};
use super::statistics::largest;
use crate::compile::{Batch, Objective};
use crate::error::Result;
use crate::figure::{Axis, Contours, Extent, Figure, Heat, Panel, Series};
use crate::graph::Init;
use crate::nn::Net;
use crate::optim::{MomentumForm, Optimizer, Sgd};
use crate::train::Variant;

pub(super) const ABOUT: About = About {
    name: "stability",
    title: "Rates that bounce, and what momentum does about it",
    lecture: "section 2",
    statement: &[
        "In a long valley one rate must serve two directions. A small one creeps along the valley; a large one bounces from \
         wall to wall, and beyond 2/λ of the steepest direction it flies off. Momentum adds up the steps along the \
         valley and cancels those across it.",
        "In a direction of curvature λ plain descent multiplies the distance by 1 − ηλ at each step, \
         so it converges below η = 2/λ. Momentum moves that bound: up for the ball, further up for the running \
         mean, and down for Nesterov's, which looks ahead.",
    ],
    formulas: &[
        "L(w) = \\frac{1}{2} \\sum_i \\lambda_i w_i^2, \\qquad w_{t+1} = (1-\\eta\\lambda)\\, w_t",
        "\\eta_{\\max} = \\frac{2}{\\lambda}, \\qquad \\frac{2(1+\\mu)}{\\lambda} \\text{ (ball)}, \\qquad \
         \\frac{2(1+\\mu)}{(1-\\mu)\\lambda} \\text{ (mean)}, \\qquad \\frac{2(1+\\mu)}{(1+2\\mu)\\lambda} \
         \\text{ (Nesterov)}",
    ],
    slips: &["\u{201c}Middle and left plots\u{201d} is the middle and the right one."],
    to_try: &[
        ("stability.lr=0.17", "the middle picture passes 2/λ = 0.167: it flies off"),
        ("stability.mu=0.95", "the right picture swings about the minimum"),
    ],
    settings: &[
        Setting::new("steep", "curvature across the valley; along it, it is 1", 12.0, (2.0, 100.0)),
        Setting::new("small", "rate of the left picture", 0.02, (1e-4, 1.0)),
        Setting::new("lr", "rate of the middle picture", 0.155, (1e-4, 1.0)),
        Setting::new("momentum_lr", "rate of the right picture", 0.04, (1e-4, 1.0)),
        Setting::new("mu", "momentum of the right picture", 0.75, (0.0, 0.99)),
        Setting::count("steps", "steps of the pictures", 30.0, (2.0, 200.0)),
        Setting::count("map", "nets of a map; each has 64 curvatures", 64.0, (8.0, 64.0)).quick(24.0),
    ],
    run,
};

/// The largest ηλ that converges, by μ.
type Bound = fn(f64) -> f64;

/// Curvatures of a net: directions that do not touch each other.
const DIRECTIONS: usize = 64;

/// The loss ½ Σ xᵢwᵢ²: a sample is the curvatures. Its value is not computed, since it would overflow long before a weight
/// does; what is trained has the value 0 and the gradient xᵢwᵢ.
fn valley(directions: usize, metrics: bool) -> impl Fn(&Net, &Batch) -> Objective {
    move |net, batch| {
        let w = net.parameter("w", [directions], Init::Constant(1.0));
        let gradient = batch.x().mul(&w).detach();
        let objective = Objective::new(gradient.mul(&w.sub(&w.detach())).sum_all());
        let shown = if metrics { directions } else { 0 };
        (0..shown)
            .fold(objective, |objective, i| objective.metric(format!("w{i}"), w.slice(0, i, i + 1).sum_all()))
    }
}

fn sgd(lr: f64, momentum: f64, form: MomentumForm, nesterov: bool) -> Optimizer {
    let nesterov = nesterov && momentum > 0.0;
    Optimizer::Sgd(Sgd { lr, momentum, form, nesterov, ..Sgd::default() })
}

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let mut shown = Shown::new();
    pictures(setup, &mut shown)?;
    boundaries(setup, &mut shown)?;
    map(setup, &mut shown, "the ball", false, (0.0, 4.4), |mu| 2.0 * (1.0 + mu))?;
    map(setup, &mut shown, "Nesterov", true, (0.0, 2.4), |mu| 2.0 * (1.0 + mu) / (1.0 + 2.0 * mu))?;
    Ok(shown)
}

/// The paths of descent in f64: of the same equations, apart from the engine.
fn path_of(curvatures: [f64; 2], lr: f64, mu: f64, start: [f64; 2], steps: usize) -> Vec<[f64; 2]> {
    let (mut w, mut v) = (start, [0.0; 2]);
    let mut path = vec![w];
    for _ in 0..steps {
        for i in 0..2 {
            v[i] = mu * v[i] - lr * curvatures[i] * w[i];
            w[i] += v[i];
        }
        path.push(w);
    }
    path
}

/// The lecture's three pictures.
fn pictures(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    const START: [f64; 2] = [-4.0, 1.2];
    let (steps, steep) = (setup.count("steps"), setup.number("steep"));
    let curvatures = [1.0, steep];
    let data = nets::samples("valley", &[curvatures.to_vec()], &[0.0])?;
    let rules = [
        ("SGD, a small rate", setup.number("small"), 0.0),
        ("SGD, a large rate", setup.number("lr"), 0.0),
        ("momentum", setup.number("momentum_lr"), setup.number("mu")),
    ];
    let options = nets::options(1, steps + 1, 0);
    let start = [nets::tensor("w", &[2], &START)];
    let mut figure = Figure { title: "Descent in a valley".into(), columns: Some(3), ..Figure::default() };
    for (name, lr, mu) in rules {
        let variant = Variant::new(name, sgd(lr, mu, MomentumForm::Velocity, false), &options);
        let trained = &nets::train(setup.gpu, &data, &valley(2, true), &[variant], Some(&start))?[0];
        let (x, y) = (trained.metric("w0"), trained.metric("w1"));
        let path: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
        let theory = path_of(curvatures, lr, mu, START, steps);
        let scale = largest(theory.iter().flatten().map(|w| w.abs())).max(1.0);
        let off = |i: usize| {
            let at = path.get(i).copied().unwrap_or((f64::NAN, f64::NAN));
            largest([(at.0 - theory[i][0]).abs(), (at.1 - theory[i][1]).abs()]) / scale
        };
        let worst = largest((0..=steps).map(off));
        shown.below(format!("{name}: largest distance from its recursion in f64, relative"), worst, 1e-5);
        let levels = (0..9).map(|k| 0.05 * 2.2_f64.powi(k)).collect();
        let contours = Contours::of(
            |x, y| 0.5 * (curvatures[0] * x * x + curvatures[1] * y * y),
            (-4.6, 2.0),
            (-1.9, 1.9),
            61,
            levels,
        );
        let momentum = if mu > 0.0 { format!(", μ = {mu}") } else { String::new() };
        let panel = Panel::new(
            format!("{name}, η = {lr}{momentum}"),
            Axis::linear("weight along the valley (value)").showing(Extent::Fixed(-4.6, 2.0)),
            Axis::linear("weight across the valley (value)").showing(Extent::Fixed(-1.9, 1.9)),
        )
        .with(contours)
        .with(Series::both("steps", 0, path));
        figure.panels.push(panel);
    }
    shown.figure(
        figure,
        format!(
            "{steps} steps from the same point, over lines of equal loss. Curvatures 1 and {steep}: beyond a rate of \
             {:.3} plain descent flies off.",
            2.0 / steep
        ),
    );
    Ok(())
}

/// The rate at which distances neither grow nor shrink, found between those where they do.
fn boundaries(setup: &Setup<'_>, shown: &mut Shown) -> Result<()> {
    // Distances after so many steps are compared; the faster of two modes has died out before.
    const FROM: usize = 200;
    const TO: usize = 300;
    const REACH: f64 = 0.003;
    let forms: [(&str, MomentumForm, bool, Bound); 4] = [
        ("SGD", MomentumForm::Velocity, false, |_| 2.0),
        ("the ball", MomentumForm::Velocity, false, |mu| 2.0 * (1.0 + mu)),
        ("the running mean", MomentumForm::Average, false, |mu| 2.0 * (1.0 + mu) / (1.0 - mu)),
        ("Nesterov", MomentumForm::Torch, true, |mu| 2.0 * (1.0 + mu) / (1.0 + 2.0 * mu)),
    ];
    for (name, form, nesterov, bound) in forms {
        let momenta: &[f64] = if name == "SGD" { &[0.0] } else { &[0.5, 0.9] };
        for &mu in momenta {
            let predicted = bound(mu);
            let part = |i: usize| 1.0 - REACH + 2.0 * REACH * i as f64 / (DIRECTIONS - 1) as f64;
            let curvatures: Vec<f64> = (0..DIRECTIONS).map(|i| predicted * part(i)).collect();
            let data = nets::samples("curvatures", &[curvatures], &[0.0])?;
            let start = [nets::tensor("w", &[DIRECTIONS], &[1e-10; DIRECTIONS])];
            let variants = [FROM, TO]
                .map(|steps| Variant::new(name, sgd(1.0, mu, form, nesterov), &nets::options(1, steps, 0)));
            let ends = nets::train(setup.gpu, &data, &valley(DIRECTIONS, false), &variants, Some(&start))?;
            let (a, b) = (ends[0].flat(), ends[1].flat());
            let growth: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (b / a).abs().ln()).collect();
            let measured = (1..DIRECTIONS)
                .find(|&i| growth[i - 1] < 0.0 && growth[i] >= 0.0)
                .map(|i| {
                    let t = growth[i - 1] / (growth[i - 1] - growth[i]);
                    predicted * (part(i - 1) + t * (part(i) - part(i - 1)))
                })
                .unwrap_or(f64::NAN);
            let what = if mu > 0.0 { format!("{name} at μ = {mu}") } else { name.to_owned() };
            shown.near(format!("{what}: largest ηλ that converges"), predicted, measured, 1e-3 * predicted);
        }
    }
    Ok(())
}

/// Growth of a step by ηλ and μ, with the bound of theory.
fn map(
    setup: &Setup<'_>,
    shown: &mut Shown,
    name: &str,
    nesterov: bool,
    (low, high): (f64, f64),
    bound: Bound,
) -> Result<()> {
    // Distances of the first window are compared with those of the second: a path swings, so one step says little. The
    // fastest growth leaves a number, from a start so small.
    const WINDOW: usize = 40;
    const SKIPPED: usize = 20;
    const START: f64 = 1e-20;
    let rows = setup.count("map");
    let edges: Vec<f64> =
        (0..=DIRECTIONS).map(|i| low + (high - low) * i as f64 / DIRECTIONS as f64).collect();
    let middle = |edges: &[f64], i: usize| (edges[i] + edges[i + 1]) / 2.0;
    let curvatures: Vec<f64> = (0..DIRECTIONS).map(|i| middle(&edges, i)).collect();
    let momenta: Vec<f64> = (0..=rows).map(|j| j as f64 / rows as f64).collect();
    let data = nets::samples("curvatures", &[curvatures], &[0.0])?;
    let start = [nets::tensor("w", &[DIRECTIONS], &[START; DIRECTIONS])];
    let form = if nesterov { MomentumForm::Torch } else { MomentumForm::Velocity };
    let options = nets::options(1, SKIPPED + 2 * WINDOW, 0);
    let variants: Vec<Variant> = (0..rows)
        .map(|j| Variant::new(format!("row {j}"), sgd(1.0, middle(&momenta, j), form, nesterov), &options))
        .collect();
    let trained = nets::train(setup.gpu, &data, &valley(DIRECTIONS, true), &variants, Some(&start))?;
    // Distances that vanish shrink by more than any that is shown.
    let rate = |net: &Trained, i: usize| {
        let path = net.metric(&format!("w{i}"));
        let reach = |from: usize| largest(path[from..from + WINDOW].iter().map(|w| w.abs()));
        let (first, second) = (reach(SKIPPED), reach(SKIPPED + WINDOW));
        if second < 1e-35 { -2.0 } else { (second / first).ln() / WINDOW as f64 }
    };
    let rates: Vec<f64> = trained.iter().flat_map(|net| (0..DIRECTIONS).map(move |i| rate(net, i))).collect();
    let mut worst: f64 = 0.0;
    for (j, row) in rates.chunks(DIRECTIONS).enumerate() {
        let stable = row.iter().take_while(|rate| **rate < 0.0).count() as f64;
        let predicted = (bound(middle(&momenta, j)) - low) / (high - low) * DIRECTIONS as f64;
        worst = largest([worst, (stable - predicted).abs()]);
    }
    shown.below(format!("map of {name}: cells between measured and predicted bound, at most"), worst, 1.0);
    let line: Vec<(f64, f64)> = (0..=100).map(|k| f64::from(k) / 100.0).map(|mu| (bound(mu), mu)).collect();
    let panel = Panel::new(
        format!("{} combinations: {name}", rows * DIRECTIONS),
        Axis::linear("rate times curvature, ηλ (ratio)").showing(Extent::Fixed(low, high)),
        Axis::linear("momentum μ (share kept)").showing(Extent::Fixed(0.0, 1.0)),
    )
    .with(Heat {
        x: edges,
        y: momenta,
        values: rates,
        label: "growth, log of a step".into(),
        range: (-0.6, 0.6),
    })
    .with(Series::line("bound of theory", 1, line));
    shown.figure(
        Figure { title: "Where it converges".into(), panels: vec![panel], ..Figure::default() },
        format!(
            "{rows} nets at once, each with 64 curvatures: how fast the logarithm of a distance grows. Below 0 it shrinks. \
             Every cell was trained; the line is theory's bound."
        ),
    );
    Ok(())
}
