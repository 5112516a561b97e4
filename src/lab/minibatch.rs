//! The gradient of a minibatch: unbiased, and noisier the smaller it is (1 to 10).

use super::exhibit::{About, Setting, Setup, Shown};
use super::gradients::Gradients;
use super::statistics::{self, Chance, distance_squared, largest, length, log_slope, moments};
use crate::data;
use crate::error::Result;
use crate::figure::{Axis, Band, Extent, Figure, Panel, Series};

pub(super) const ABOUT: About = About {
    name: "minibatch",
    title: "The gradient of a minibatch",
    lecture: "equations 1 to 10",
    statement: &[
        "The loss is a mean over N samples, and so is its gradient. The gradient of M of them, drawn at random, has that \
         gradient as its mean: it is unbiased. Its variance is that of a single sample, divided by M. Drawn without \
         replacement it is smaller by the factor (N − M)/(N − 1), and 0 where the batch is all samples.",
        "So a batch four times as large halves the noise for four times the work.",
        "Batch norm breaks this: a sample's loss then depends on the others of its batch, and the mean of minibatch gradients \
         is no longer the gradient of the whole.",
    ],
    formulas: &[
        "L(w) = \\frac{1}{N} \\sum_{k=1}^{N} \\ell_k(w), \\qquad g_M = \\frac{1}{M} \\sum_{k \\in B} \\nabla \\ell_k(w), \
         \\qquad \\mathrm{E}\\, g_M = \\nabla L",
        "\\mathrm{Var}\\, g_M = \\frac{\\sigma^2}{M}, \\qquad \\text{without replacement } \
         \\frac{\\sigma^2}{M} \\cdot \\frac{N-M}{N-1}",
    ],
    slips: &[],
    to_try: &[
        ("minibatch.draws=100", "fewer draws: the points leave the lines"),
        ("minibatch.samples=1024", "without replacement, the variance falls later"),
    ],
    settings: &[
        Setting::count("samples", "samples N, of the digits", 256.0, (64.0, 1437.0)),
        Setting::count("draws", "minibatches of each size", 3000.0, (20.0, 5000.0)).quick(1000.0),
    ],
    run,
};

/// Gradients of many minibatches, in short.
struct Drawn {
    /// The trace of their covariance.
    variance: f64,
    /// Draws times the squared distance of their mean from the whole gradient, over the variance: about 1 where they are
    /// unbiased. A mean over parts of the draws.
    bias: f64,
    /// The length of their mean along the whole gradient, over that of the whole gradient.
    share: f64,
    /// The standard error of the share.
    error: f64,
}

/// Minibatches whose gradients are computed at once.
const AT_ONCE: usize = 50;
/// Parts of the draws whose means are compared with the whole gradient: the mean over parts, sizes and samplings is surer than
/// one of all draws.
const PARTS: usize = 4;

fn draw(
    gradients: &mut Gradients,
    whole: &[f64],
    draws: usize,
    mut rows: impl FnMut() -> Vec<usize>,
) -> Result<Drawn> {
    let batches: Vec<Vec<usize>> = (0..draws).map(|_| rows()).collect();
    let drawn = gradients.of(&batches)?;
    let variance: f64 = moments(&drawn).1.iter().sum();
    let groups: Vec<f64> = drawn
        .chunks_exact((draws / PARTS).max(1))
        .map(|drawn| drawn.len() as f64 * distance_squared(&moments(drawn).0, whole) / variance)
        .collect();
    let square = length(whole).powi(2);
    let along: Vec<f64> =
        drawn.iter().map(|g| g.iter().zip(whole).map(|(a, b)| a * b).sum::<f64>() / square).collect();
    let error = (statistics::variance(&along) / draws as f64).sqrt();
    let share = statistics::mean(&along);
    Ok(Drawn { variance, bias: statistics::mean(&groups), share, error })
}

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let (n, draws) = (setup.count("samples"), setup.count("draws"));
    let part = data::digits()?.train().select(&(0..n as u32).collect::<Vec<_>>())?;
    let mut chance = Chance::new(setup.seed_for(1));
    let init = setup.seed_for(2);
    let all: Vec<usize> = (0..n).collect();
    let whole = Gradients::new(setup.gpu, &part, (1, n), false, init)?.of(&[all])?.swap_remove(0);
    // The population's variance: of every sample alone.
    let singles: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    let mut one = Gradients::new(setup.gpu, &part, (AT_ONCE, 1), false, init)?;
    let sigma: f64 = one.of(&singles)?.iter().map(|g| distance_squared(g, &whole) / n as f64).sum();
    let sizes: Vec<usize> = (0..).map(|i| 1 << i).take_while(|m| *m <= n / 2).collect();
    let (mut replaced, mut kept, mut biases) = (Vec::new(), Vec::new(), Vec::new());
    let mut worst: f64 = 0.0;
    let factor = |m: usize| (n - m) as f64 / (n as f64 - 1.0);
    for &m in &sizes {
        let mut gradients = Gradients::new(setup.gpu, &part, (AT_ONCE, m), false, init)?;
        let with = draw(&mut gradients, &whole, draws, || (0..m).map(|_| chance.below(n)).collect())?;
        let without = draw(&mut gradients, &whole, draws, || chance.without_replacement(m, n))?;
        replaced.push((m as f64, with.variance));
        kept.push((m as f64, without.variance));
        biases.extend([with.bias, without.bias]);
        worst = largest([worst, (without.variance / (sigma / m as f64 * factor(m)) - 1.0).abs()]);
    }
    let mut shown = Shown::new();
    shown.near("slope of log variance against log M, with replacement", -1.0, log_slope(&replaced), 0.05);
    shown.below("without replacement: largest relative difference from σ²/M (N − M)/(N − 1)", worst, 0.05);
    shown.between(
        "unbiased: squared distance of the mean of a quarter of the draws from the whole gradient, over that of chance",
        1.0,
        statistics::mean(&biases),
        (0.8, 1.25),
    );
    let theory = |f: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        sizes.iter().map(|&m| (m as f64, sigma / m as f64 * f(m))).collect()
    };
    let variances = Panel::new(
        "Variance by size",
        Axis::log("size of a batch, M (samples)"),
        Axis::log("variance (trace)"),
    )
    .with(Series::line("σ²/M", 6, theory(&|_| 1.0)).dashed("5 4"))
    .with(Series::line("σ²/M (N − M)/(N − 1)", 6, theory(&factor)).dashed("2 4"))
    .with(Series::marks("with replacement", 0, replaced))
    .with(Series::marks("without replacement", 1, kept));
    let normed = batch_norm(setup, &part, n, &mut chance, &mut shown)?;
    shown.figure(
        Figure {
            title: "Gradients of minibatches".into(),
            panels: vec![variances, normed],
            columns: Some(2),
            ..Figure::default()
        },
        format!(
            "A small net of {n} digits, {draws} batches of each size. Left: the lines are theory's, with the variance of \
             single samples. Right: the mean of minibatch gradients along the whole gradient, with two standard errors. Batch norm makes it \
             too short."
        ),
    );
    Ok(shown)
}

/// The mean gradient along the whole one by size, with batch norm and without.
fn batch_norm(
    setup: &Setup<'_>,
    part: &data::Part,
    n: usize,
    chance: &mut Chance,
    shown: &mut Shown,
) -> Result<Panel> {
    const SIZES: [usize; 5] = [4, 8, 16, 32, 64];
    let draws = setup.count("draws");
    let init = setup.seed_for(2);
    let all = [(0..n).collect::<Vec<usize>>()];
    let mut panel = Panel::new(
        "The mean of minibatch gradients",
        Axis::log("size of a batch, M (samples)"),
        Axis::linear("along the whole gradient (share of it)").showing(Extent::Data),
    );
    for (i, (name, normed)) in [("without", false), ("with batch norm", true)].into_iter().enumerate() {
        let whole = Gradients::new(setup.gpu, part, (1, n), normed, init)?.of(&all)?.swap_remove(0);
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for m in SIZES.into_iter().filter(|m| *m < n) {
            let mut gradients = Gradients::new(setup.gpu, part, (AT_ONCE, m), normed, init)?;
            let Drawn { share, error, .. } =
                draw(&mut gradients, &whole, draws, || chance.without_replacement(m, n))?;
            points.push((m as f64, share));
            band.push((m as f64, share - 2.0 * error, share + 2.0 * error));
            let what =
                format!("{name}, batches of {m}: mean gradient less the whole one, in standard errors");
            if m == SIZES[0] && normed {
                shown.between(what, f64::NEG_INFINITY, (share - 1.0) / error, (f64::NEG_INFINITY, -4.0));
            } else if m == SIZES[0] {
                shown.near(what, 0.0, (share - 1.0) / error, 4.0);
            }
        }
        panel = panel.with(Band { name: String::new(), colour: i, points: band });
        panel = panel.with(Series::both(name, i, points));
    }
    Ok(panel)
}
