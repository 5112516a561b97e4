//! Draws the layers of a panel.
//!
//! Each shape has its colour as an attribute, which any viewer of SVG draws, and a class (`s0` for a stroke, `f0` for an area),
//! by which a page replaces it.

use std::fmt::Write;

use super::axis::Scale;
use super::contour;
use super::layer::{At, Band, Bars, Contours, Heat, Layer, Rule, Series};
use super::text::{escaped, number};

/// Colours that differ in print and for the colour-blind (Okabe and Ito 2008), the last darker than theirs.
pub const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];

/// The ramp of heat maps: viridis (van der Walt and Smith 2015), from dark to light.
const RAMP: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Steps of colour between the ends of a heat map's ramp.
const RAMP_STEPS: f64 = 48.0;

/// A rectangle in pixels with the scales of its axes.
pub(super) struct Frame<'a> {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: &'a Scale,
    pub y: &'a Scale,
}

impl Frame<'_> {
    /// The pixels of a point; `None` where it has no place on an axis. Far outside the frame they come no further.
    fn pixels(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let (a, b) = (self.x.part(x), self.y.part(y));
        let near = |v: f64| v.clamp(-9.0, 10.0);
        let (a, b) = (near(a), near(b));
        (a.is_finite() && b.is_finite())
            .then_some((self.left + a * (self.right - self.left), self.bottom - b * (self.bottom - self.top)))
    }

    /// True where a point lies in the frame.
    fn holds(&self, (x, y): (f64, f64)) -> bool {
        self.x.holds(x) && self.y.holds(y)
    }

    fn at_x(&self, x: f64) -> f64 {
        self.left + self.x.part(x).clamp(-9.0, 10.0) * (self.right - self.left)
    }

    fn at_y(&self, y: f64) -> f64 {
        self.bottom - self.y.part(y).clamp(-9.0, 10.0) * (self.bottom - self.top)
    }
}

/// Draws a layer within a frame.
pub(super) fn layer(out: &mut String, layer: &Layer, frame: &Frame<'_>) {
    let _ = writeln!(out, "<g class=\"layer\" data-name=\"{}\">", escaped(layer.name()));
    match layer {
        Layer::Series(series) => draw_series(out, series, frame),
        Layer::Band(band) => draw_band(out, band, frame),
        Layer::Bars(bars) => draw_bars(out, bars, frame),
        Layer::Rule(rule) => {
            let (a, b) = match rule.at {
                At::X(x) => ((frame.at_x(x), frame.top), (frame.at_x(x), frame.bottom)),
                At::Y(y) => ((frame.left, frame.at_y(y)), (frame.right, frame.at_y(y))),
            };
            stroke(out, &[a, b], Pen { colour: rule.colour, dash: rule.dash, faint: false });
        }
        Layer::Heat(heat) => draw_heat(out, heat, frame),
        Layer::Contours(contours) => draw_contours(out, contours, frame),
    }
    out.push_str("</g>\n");
}

/// The sample of a layer in the legend, 28 pixels wide, its middle at `y`.
pub(super) fn key(out: &mut String, layer: &Layer, x: f64, y: f64) {
    let both = [(x, y), (x + 28.0, y)];
    match layer {
        Layer::Series(series) => {
            if series.line {
                stroke(out, &both, Pen::of(series));
            }
            if series.marks {
                mark(out, series.colour, (x + 14.0, y));
            }
        }
        Layer::Rule(Rule { colour, dash, .. }) => {
            stroke(out, &both, Pen { colour: *colour, dash, faint: false });
        }
        Layer::Band(Band { colour, .. }) => area(out, *colour, 0.25, (x, y - 6.0), (28.0, 12.0)),
        Layer::Bars(Bars { colour, .. }) => area(out, *colour, 0.75, (x + 8.0, y - 6.0), (12.0, 12.0)),
        Layer::Contours(_) => contour_path(out, &format!("M{x:.1} {y:.1}h28")),
        Layer::Heat(_) => {}
    }
}

fn draw_series(out: &mut String, series: &Series, frame: &Frame<'_>) {
    if series.line {
        let mut part: Vec<(f64, f64)> = Vec::new();
        for point in series.points.iter().map(|p| frame.pixels(*p)).chain([None]) {
            match point {
                Some(point) => part.push(point),
                None => {
                    match part[..] {
                        // A point between two gaps is a dot.
                        [(x, y)] if !series.marks => {
                            stroke(out, &[(x, y), (x + 0.1, y)], Pen { dash: "", ..Pen::of(series) });
                        }
                        [] | [_] => {}
                        _ => stroke(out, &part, Pen::of(series)),
                    }
                    part.clear();
                }
            }
        }
    }
    if series.marks {
        for point in series.points.iter().filter(|p| frame.holds(**p)) {
            if let Some(at) = frame.pixels(*point) {
                mark(out, series.colour, at);
            }
        }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy)]
struct Pen<'a> {
    colour: usize,
    dash: &'a str,
    faint: bool,
}

impl Pen<'_> {
    fn of(series: &Series) -> Pen<'_> {
        Pen { colour: series.colour, dash: series.dash, faint: series.faint }
    }
}

/// A line through these pixels. Their height has a digit more: a page's logarithmic axis spreads small values.
fn stroke(out: &mut String, points: &[(f64, f64)], pen: Pen<'_>) {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.2}")).collect();
    let dash =
        if pen.dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", pen.dash) };
    let (faint, width) = if pen.faint { (" faint", "1\" stroke-opacity=\"0.4") } else { ("", "1.8") };
    let (path, colour) = (path.join("L"), pen.colour % COLOURS.len());
    let hex = COLOURS[colour];
    let _ = writeln!(
        out,
        "<path class=\"s{colour}{faint}\" d=\"M{path}\" fill=\"none\" stroke=\"{hex}\" stroke-width=\"{width}\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\"{dash}/>"
    );
}

/// A mark in the shape of its colour.
fn mark(out: &mut String, colour: usize, (x, y): (f64, f64)) {
    let colour = colour % COLOURS.len();
    let look = format!("class=\"f{colour}\" fill=\"{}\"", COLOURS[colour]);
    let path = |d: String| format!("<path {look} d=\"M{x:.1} {y:.1}{d}\"/>");
    let text = match colour {
        1 => path("m-2.9 -2.9h5.8v5.8h-5.8z".into()),
        2 => path("m0 -4l3.6 6.4h-7.2z".into()),
        3 => path("m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z".into()),
        4 => path("m0 4l3.6 -6.4h-7.2z".into()),
        5 => path("m-1.2 -4h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8z".into()),
        6 => path("m-4 -1.7l2.3 -2.3l1.7 1.7l1.7 -1.7l2.3 2.3l-2.3 1.7l2.3 1.7l-2.3 2.3l-1.7 -1.7l-1.7 1.7l-2.3 -2.3l2.3 -1.7z".into()),
        _ => format!("<circle {look} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"/>"),
    };
    let _ = writeln!(out, "{text}");
}

/// A rectangle in a colour.
fn area(out: &mut String, colour: usize, opacity: f64, (x, y): (f64, f64), (w, h): (f64, f64)) {
    let (colour, hex) = (colour % COLOURS.len(), COLOURS[colour % COLOURS.len()]);
    let _ = writeln!(
        out,
        "<rect class=\"f{colour}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{hex}\" \
         fill-opacity=\"{opacity}\"/>"
    );
}

fn draw_band(out: &mut String, band: &Band, frame: &Frame<'_>) {
    let edge = |low: bool| {
        let points = band.points.iter().map(move |&(x, a, b)| (x, if low { a } else { b }));
        points.map(|p| frame.pixels(p))
    };
    // Both edges of a point, or neither: a gap closes the area.
    let mut part: Vec<[(f64, f64); 2]> = Vec::new();
    let colour = band.colour % COLOURS.len();
    for point in edge(true).zip(edge(false)).map(|(a, b)| Some([a?, b?])).chain([None]) {
        if let Some(point) = point {
            part.push(point);
            continue;
        }
        if part.len() > 1 {
            let there = part.iter().map(|p| p[0]);
            let path: Vec<String> =
                there.chain(part.iter().rev().map(|p| p[1])).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            let _ = writeln!(
                out,
                "<path class=\"f{colour}\" d=\"M{}z\" fill=\"{}\" fill-opacity=\"0.25\"/>",
                path.join("L"),
                COLOURS[colour]
            );
        }
        part.clear();
    }
}

fn draw_bars(out: &mut String, bars: &Bars, frame: &Frame<'_>) {
    let foot = if frame.y.log { frame.bottom } else { frame.at_y(0.0) };
    for &(x, height) in &bars.points {
        let Some((_, top)) = frame.pixels((x, height)) else { continue };
        let (a, b) = (frame.at_x(x - bars.width / 2.0), frame.at_x(x + bars.width / 2.0));
        area(out, bars.colour, 0.75, (a, top.min(foot)), ((b - a).max(0.5), (foot - top).abs()));
    }
}

/// The colour at a fraction of the ramp, in steps.
fn ramp(part: f64) -> String {
    let at = (part.clamp(0.0, 1.0) * RAMP_STEPS).round() / RAMP_STEPS * (RAMP.len() - 1) as f64;
    let low = (at as usize).min(RAMP.len() - 2);
    let mixed = |c: usize| {
        let (a, b) = (f64::from(RAMP[low][c]), f64::from(RAMP[low + 1][c]));
        (a + (at - low as f64) * (b - a)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mixed(0), mixed(1), mixed(2))
}

/// Cells of one colour that stand side by side are one rectangle.
fn draw_heat(out: &mut String, heat: &Heat, frame: &Frame<'_>) {
    let columns = heat.x.len() - 1;
    out.push_str("<g shape-rendering=\"crispEdges\">\n");
    let colour = |v: f64| v.is_finite().then(|| ramp((v - heat.range.0) / (heat.range.1 - heat.range.0)));
    for (j, row) in heat.values.chunks(columns).enumerate() {
        let colours: Vec<Option<String>> = row.iter().map(|v| colour(*v)).collect();
        let (top, bottom) = (frame.at_y(heat.y[j + 1]), frame.at_y(heat.y[j]));
        let mut start = 0;
        for cells in colours.chunk_by(|a, b| a == b) {
            let (a, b) = (frame.at_x(heat.x[start]), frame.at_x(heat.x[start + cells.len()]));
            if let Some(colour) = &cells[0] {
                // Half a pixel more: neighbours leave no gap.
                let (w, h) = (b - a + 0.5, bottom - top + 0.5);
                let _ = writeln!(
                    out,
                    "<rect x=\"{a:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{colour}\"/>"
                );
            }
            start += cells.len();
        }
    }
    out.push_str("</g>\n");
}

/// The key of a heat map's colours, from its lowest value at the bottom, beside a frame.
pub(super) fn heat_key(out: &mut String, heat: &Heat, (left, top): (f64, f64), high: f64) {
    const PARTS: usize = 24;
    for i in 0..PARTS {
        let part = high / PARTS as f64;
        let y = top + high - (i + 1) as f64 * part;
        let colour = ramp((i as f64 + 0.5) / PARTS as f64);
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"12\" height=\"{:.1}\" fill=\"{colour}\"/>",
            part + 0.5
        );
    }
    let (low, most) = heat.range;
    for (y, value) in [(top + 8.0, most), (top + high / 2.0 + 4.0, (low + most) / 2.0), (top + high, low)] {
        let _ = writeln!(
            out,
            "<text class=\"ink\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            left + 17.0,
            escaped(&number(value))
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"muted\" transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" \
         fill=\"#555\">{}</text>",
        left + 64.0,
        top + high / 2.0,
        escaped(&heat.label)
    );
}

fn contour_path(out: &mut String, path: &str) {
    let _ = writeln!(
        out,
        "<path class=\"contour\" d=\"{path}\" fill=\"none\" stroke=\"#9a9a9a\" stroke-width=\"1\"/>"
    );
}

fn draw_contours(out: &mut String, contours: &Contours, frame: &Frame<'_>) {
    for &level in &contours.levels {
        let mut path = String::new();
        for piece in contour::pieces(contours, level) {
            if let [Some((a, b)), Some((c, d))] = piece.map(|p| frame.pixels(p)) {
                let _ = write!(path, "M{a:.1} {b:.1}L{c:.1} {d:.1}");
            }
        }
        if !path.is_empty() {
            contour_path(out, &path);
        }
    }
}
