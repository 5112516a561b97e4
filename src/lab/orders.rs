//! Orders of samples: drawn anew each step, fixed, shuffled (shuffling).

use super::exhibit::{About, Setting, Setup, Shown};
use super::nets::{self, Step, Trained};
use super::statistics::{self, Chance, log_slope};
use crate::compile::{Batch, Objective};
use crate::data::{self, Dataset, Sampling};
use crate::error::Result;
use crate::figure::{Axis, Band, Figure, Panel, Series};
use crate::graph::{Init, Tensor};
use crate::nn::Net;
use crate::nn::loss;
use crate::optim::{Optimizer, Sgd};
use crate::train::Variant;

pub(super) const ABOUT: About = About {
    name: "orders",
    title: "Shuffled epochs",
    lecture: "on shuffling",
    statement: &[
        "In an epoch every sample comes once. If minibatches are drawn with replacement instead, some samples come twice and \
         others not at all, and the noise of a step is not undone by those after it. If the same minibatches come in the same \
         order in each epoch, the weights go round the same loop, off to one side of the optimum. Shuffled, they hop about it, \
         and errors of an epoch nearly cancel.",
        "So at the end of epochs the squared distance from the optimum is of the order of the rate with replacement, of its \
         square with fixed minibatches, and of its cube with shuffled ones.",
    ],
    formulas: &[
        "\\mathrm{E}\\, \\lVert w - w^* \\rVert^2 \\propto \\eta \\text{ (with replacement)}, \\qquad \\eta^2 \
         \\text{ (fixed)}, \\qquad \\eta^3 \\text{ (shuffled)}",
    ],
    slips: &[],
    to_try: &[
        ("orders.batch=16", "two steps an epoch: shuffling has less to undo"),
        ("orders.seeds=8", "the slopes become uncertain"),
    ],
    settings: &[
        Setting::count("seeds", "seeds of the order, a net each", 64.0, (4.0, 256.0)),
        Setting::count("batch", "samples of a batch, of 32", 4.0, (1.0, 16.0)),
        Setting::count("rates", "rates, each half of the one before", 5.0, (3.0, 6.0)).quick(4.0),
        Setting::count("digits_seeds", "seeds of the nets of digits", 16.0, (2.0, 64.0)).quick(4.0),
        Setting::count("digits_epochs", "epochs of the nets of digits", 20.0, (2.0, 100.0)).quick(8.0),
    ],
    run,
};

const SAMPLES: usize = 32;
const WIDTH: usize = 4;
/// The largest rate.
const RATE: f64 = 0.06;
/// Learning time, rate times steps, after which the start is forgotten; the slowest direction has a curvature of 0.44.
const FORGOTTEN: f64 = 8.0;
/// The learning time of a net. Distances are averaged over the rest of it.
const TIME: f64 = 26.0;

const ORDERS: [(&str, Sampling, f64, f64); 3] = [
    ("with replacement", Sampling::Replacement, 1.0, 0.1),
    ("fixed minibatches", Sampling::Once, 2.0, 0.2),
    ("shuffled", Sampling::Epoch, 3.0, 0.25),
];

/// Half the mean squared error of a linear model, and the squared length of its weights.
fn least_squares(net: &Net, batch: &Batch) -> Objective {
    let w = net.parameter("w", [WIDTH, 1], Init::Constant(0.0));
    let loss = loss::mse(&batch.x().matmul(&w), batch.t()).mul_scalar(0.5);
    Objective::new(loss).metric("square", w.square().sum_all())
}

fn variants(
    setup: &Setup<'_>,
    sampling: Sampling,
    lr: f64,
    (rows, steps): (usize, usize),
    seeds: usize,
) -> Vec<Variant> {
    (0..seeds as u64)
        .map(|i| {
            let mut options = nets::options(rows, steps, setup.seed_for(1));
            options.sampling = sampling;
            options.seeds.order = Some(setup.seed_for(16 + steps as u64) + i);
            Variant::new(format!("net {i}"), Optimizer::Sgd(Sgd { lr, ..Sgd::default() }), &options)
        })
        .collect()
}

/// Solves a small system of linear equations, by elimination with the largest pivot.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| a[*i][k].abs().total_cmp(&a[*j][k].abs())).unwrap_or(k);
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let f = a[i][k] / a[k][k];
            let (above, below) = a.split_at_mut(i);
            below[0].iter_mut().zip(&above[k]).for_each(|(x, y)| *x -= f * y);
            b[i] -= f * b[k];
        }
    }
    for k in (0..n).rev() {
        b[k] = (b[k] - (k + 1..n).map(|j| a[k][j] * b[j]).sum::<f64>()) / a[k][k];
    }
    b
}

fn run(setup: &Setup<'_>) -> Result<Shown> {
    nets::check_divides("orders.batch", setup.count("batch"), SAMPLES)?;
    let mut shown = Shown::new();
    let (seeds, batch) = (setup.count("seeds"), setup.count("batch"));
    // The problem is the same for every seed: its numbers decide how far the powers reach.
    let mut chance = Chance::new(7);
    let rows: Vec<Vec<f64>> =
        (0..SAMPLES).map(|_| (0..WIDTH).map(|_| f64::from(chance.normal() as f32)).collect()).collect();
    let targets: Vec<f64> =
        rows.iter().map(|x| f64::from((x.iter().sum::<f64>() + chance.normal()) as f32)).collect();
    let sum = |i: usize, j: usize| rows.iter().map(|x| x[i] * x[j]).sum::<f64>();
    let normal = (0..WIDTH).map(|i| (0..WIDTH).map(|j| sum(i, j)).collect()).collect();
    let right = (0..WIDTH).map(|i| rows.iter().zip(&targets).map(|(x, t)| x[i] * t).sum()).collect();
    let optimum = solve(normal, right);
    // Targets less those of the optimum: the optimum of the rest is 0, and a distance from it a length.
    let rest: Vec<f64> = rows
        .iter()
        .zip(&targets)
        .map(|(x, t)| t - x.iter().zip(&optimum).map(|(x, w)| x * w).sum::<f64>())
        .collect();
    let data = nets::samples("least squares", &rows, &rest)?;
    let epoch = SAMPLES / batch;
    let mut panel = Panel::new(
        "Least squares, at the end of epochs",
        Axis::log("rate η (per step)"),
        Axis::log("distance from the optimum (squared)"),
    );
    for (i, (name, sampling, slope, tolerance)) in ORDERS.into_iter().enumerate() {
        let mut points = Vec::new();
        for k in 0..setup.count("rates") {
            let lr = RATE / f64::from(1 << k);
            let steps = ((TIME / lr).ceil() as usize).next_multiple_of(epoch);
            let variants = variants(setup, sampling, lr, (batch, steps), seeds);
            let nets = nets::train(setup.gpu, &data, &least_squares, &variants, None)?;
            // The metric is that of the weights before a step.
            let ends = |net: &Trained| net.metric("square").into_iter().step_by(epoch).collect::<Vec<_>>();
            let first = (FORGOTTEN / lr / epoch as f64).ceil() as usize;
            let squares: Vec<f64> = nets.iter().flat_map(|net| ends(net).split_off(first)).collect();
            points.push((lr, statistics::mean(&squares)));
        }
        shown.near(
            format!("{name}: slope of log squared distance against log rate"),
            slope,
            log_slope(&points),
            tolerance,
        );
        panel = panel.with(Series::both(name, i, points));
    }
    let digits = digits(setup, &data::digits()?)?;
    shown.figure(
        Figure {
            title: "Orders of samples".into(),
            panels: vec![panel, digits],
            columns: Some(2),
            ..Figure::default()
        },
        format!(
            "Left: the mean over the ends of epochs of {seeds} seeds, once the start is forgotten. Right: the loss of a net of digits over the \
             training data of each epoch; bands from the least to the greatest of {} seeds.",
            setup.count("digits_seeds")
        ),
    );
    Ok(shown)
}

/// Losses of digits by epoch for the three orders.
fn digits(setup: &Setup<'_>, data: &Dataset) -> Result<Panel> {
    const ROWS: usize = 32;
    let (seeds, epochs) = (setup.count("digits_seeds"), setup.count("digits_epochs"));
    let epoch = data.train().len().div_ceil(ROWS);
    let mut panel =
        Panel::new("Digits", Axis::linear("epoch (count)"), Axis::log("loss of the epoch (nats)"));
    let step: &Step<'_> = &nets::perceptron(16, Tensor::relu);
    for (i, (name, sampling, ..)) in ORDERS.into_iter().enumerate() {
        let variants = variants(setup, sampling, 0.1, (ROWS, epoch * epochs), seeds);
        let nets = nets::train(setup.gpu, data, step, &variants, None)?;
        let losses: Vec<Vec<f64>> =
            nets.iter().map(|net| net.losses().chunks(epoch).map(statistics::mean).collect()).collect();
        let at = |e: usize| losses.iter().map(move |l| l[e]);
        let band = (0..epochs)
            .map(|e| (e as f64 + 1.0, at(e).fold(f64::MAX, f64::min), at(e).fold(f64::MIN, f64::max)))
            .collect();
        let mean = (0..epochs).map(|e| (e as f64 + 1.0, at(e).sum::<f64>() / seeds as f64)).collect();
        panel = panel
            .with(Band { name: String::new(), colour: i, points: band })
            .with(Series::line(name, i, mean));
    }
    Ok(panel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let a = vec![vec![0.0, 2.0, 1.0], vec![1.0, -1.0, 0.0], vec![3.0, 0.0, 4.0]];
        let x = [1.0, -2.0, 0.5];
        let b = a.iter().map(|row| row.iter().zip(&x).map(|(a, x)| a * x).sum()).collect();
        for (got, want) in solve(a, b).into_iter().zip(x) {
            assert!((got - want).abs() < 1e-12);
        }
    }
}
