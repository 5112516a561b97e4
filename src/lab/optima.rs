//! The absence of local optima.

mod alignment;
mod edge;
mod lanczos;
mod line;
mod net;
mod spectrum;
mod width;

use super::exhibit::{About, Setting, Setup, Shown};
use crate::error::Result;

pub(super) const ABOUT: About = About {
    name: "optima",
    title: "The mysterious absence of local optima",
    lecture: "on local optima",
    statement: &[
        "In one dimension descent gets stuck in the first dent. A net has thousands of weights, and for a point to be a local \
         minimum the loss must rise in every one of that many directions. Narrow nets do get stuck, each at another height. \
         Wide nets do not: from whatever start, they end about equally well.",
        "Two solutions seem to lie in different valleys: the loss on the straight line between them has a wall. But the order of \
         hidden units means nothing, so each solution has n! copies. Aligned to the first net, the copy of the second that \
         is closest has little of a wall left before it.",
        "The Hessian shows what such a place looks like. A few of its eigenvalues are large and positive, most are near 0, \
         and some are slightly negative: a valley that is nearly flat in most directions, rather than a bowl. Descent over \
         all samples even looks for steep places: the greatest eigenvalue rises until it is 2/η, beyond which a parabola \
         would throw it out, and hovers there.",
        "Much of this is observed and not proven. Why descent stays at the edge is understood in part; why solutions of wide \
         nets are joined once aligned is a conjecture. These are small nets of small images, and say nothing certain about \
         large ones.",
    ],
    formulas: &[
        "L\\left((1-\\alpha)\\, w_A + \\alpha\\, P w_B\\right), \\qquad P \\text{ a permutation of hidden units that } \
         \\text{maximises } w_A \\cdot P w_B",
        "H = \\nabla^2 L, \\qquad H v = \\nabla (v \\cdot \\nabla L), \\qquad \\lambda_{\\max}(H) \\approx \
         \\frac{2}{\\eta}",
    ],
    slips: &[],
    to_try: &[
        ("optima.line_width=8", "narrow nets keep a wall, aligned or not"),
        (
            "optima.decay=0",
            "the losses of wide nets fall on towards 0, and differ much beside that little that is left",
        ),
        (
            "optima.hessian_steps=1",
            "both spectra are nearly those of the start, and negative curvatures are no longer small",
        ),
        ("optima.edge_looks=10", "the smaller rates have not reached their edge"),
    ],
    settings: &[
        Setting::count("samples", "digits of all parts but the last", 256.0, (64.0, 1437.0)).quick(128.0),
        Setting::count("seeds", "nets of each width", 64.0, (4.0, 256.0)).quick(12.0),
        Setting::count("steps", "steps of these nets", 250.0, (20.0, 5000.0)).quick(100.0),
        Setting::new("decay", "decay of weights, there and on the line", 1e-3, (0.0, 0.1)),
        Setting::count("widest", "greatest number of hidden units there", 64.0, (2.0, 256.0)).quick(32.0),
        Setting::count("pairs", "pairs of nets whose lines are drawn", 4.0, (1.0, 32.0)).quick(3.0),
        Setting::count("line_width", "hidden units of the nets on the line", 128.0, (2.0, 512.0)).quick(64.0),
        Setting::count("line_steps", "steps of the nets on the line", 400.0, (20.0, 5000.0)).quick(200.0),
        Setting::count("hessian_width", "hidden units of the net with a spectrum", 16.0, (1.0, 64.0)),
        Setting::count("hessian_steps", "steps of that net", 300.0, (1.0, 5000.0)),
        Setting::count("probes", "random directions of a spectrum", 12.0, (1.0, 100.0)).quick(4.0),
        Setting::count("lanczos", "products with the Hessian for each direction", 80.0, (20.0, 300.0))
            .quick(60.0),
        Setting::count("edge_samples", "digits of the descent at the edge", 128.0, (16.0, 1437.0)),
        Setting::count("edge_width", "hidden units of its net", 32.0, (2.0, 128.0)),
        Setting::count("edge_every", "steps between measurements of sharpness", 50.0, (5.0, 500.0))
            .quick(75.0),
        Setting::count("edge_looks", "measurements of sharpness", 50.0, (8.0, 200.0)).quick(16.0),
    ],
    run,
};

fn run(setup: &Setup<'_>) -> Result<Shown> {
    let mut shown = Shown::new();
    width::show(setup, &mut shown)?;
    line::show(setup, &mut shown)?;
    spectrum::show(setup, &mut shown)?;
    edge::show(setup, &mut shown)?;
    Ok(shown)
}
