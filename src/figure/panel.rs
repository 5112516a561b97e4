//! A panel: its axes, its frame, its layers and their legend.

use std::fmt::Write;

use super::axis::{Axis, Scale};
use super::draw::{self, Frame};
use super::layer::{Heat, Layer, Series};
use super::text::{escaped, fitted, number, width};

/// Layers over one pair of axes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panel {
    /// The title.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upward.
    pub y: Axis,
    /// From the back to the front.
    pub layers: Vec<Layer>,
    /// True where one unit is as long to the right as upward.
    pub equal: bool,
}

/// A panel's place in the picture, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub left: f64,
    pub top: f64,
    pub wide: f64,
    pub high: f64,
}

const LEFT: f64 = 66.0;
/// The middle of the name of the upward axis.
const AXIS_NAME: f64 = 16.0;
/// The size of the words beside ticks, at most.
const TICK_SIZE: f64 = 13.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 52.0;
/// Room for the key of a heat map.
const HEAT_KEY: f64 = 78.0;
const LEGEND_LINE: f64 = 20.0;
const LEGEND_SIZE: f64 = 12.0;

impl Panel {
    /// A panel without layers.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Panel {
        Panel { title: title.into(), x, y, ..Panel::default() }
    }

    /// The panel with one more layer in front.
    #[must_use]
    pub fn with(mut self, layer: impl Into<Layer>) -> Panel {
        self.layers.push(layer.into());
        self
    }

    /// The panel with more layers in front.
    #[must_use]
    pub fn with_all(mut self, layers: impl IntoIterator<Item = impl Into<Layer>>) -> Panel {
        self.layers.extend(layers.into_iter().map(Into::into));
        self
    }

    /// The scales of both axes for the values of these panels.
    fn scales(&self, panels: &[&Panel]) -> (Scale, Scale) {
        let mut ends = [(f64::MAX, f64::MIN); 2];
        let logs = [self.x.log, self.y.log];
        let grow = |(low, high): &mut (f64, f64), log: bool, v: f64| {
            if v.is_finite() && (!log || v > 0.0) {
                (*low, *high) = (low.min(v), high.max(v));
            }
        };
        let [x, y] = &mut ends;
        for layer in panels.iter().flat_map(|p| &p.layers) {
            layer.values(&mut |v| grow(x, logs[0], v), &mut |v| grow(y, logs[1], v));
        }
        (self.x.scale(ends[0].0, ends[0].1), self.y.scale(ends[1].0, ends[1].1))
    }

    /// Draws the panel with the scales that hold these panels. `clip` is a name that no other panel of the page has.
    pub(super) fn draw(&self, out: &mut String, panels: &[&Panel], place: Place, clip: &str) {
        let heat = self.layers.iter().find_map(|layer| match layer {
            Layer::Heat(heat) => Some(heat),
            _ => None,
        });
        let (mut x, mut y) = self.scales(panels);
        // Long words beside the ticks push the frame to the right.
        let words = y.ticks.iter().filter(|(v, _)| y.holds(*v)).map(|(_, words)| width(words, TICK_SIZE));
        let left = place.left + LEFT.max(AXIS_NAME + 14.0 + words.fold(0.0, f64::max));
        let right = place.left + place.wide - RIGHT - heat.map_or(0.0, |_: &Heat| HEAT_KEY);
        let (top, bottom) = (place.top + TOP, place.top + place.high - BOTTOM);
        if self.equal {
            let (a, b) = ((x.high - x.low) / (right - left), (y.high - y.low) / (bottom - top));
            if a < b {
                x = x.widened(b / a);
            } else {
                y = y.widened(a / b);
            }
        }
        let frame = Frame { left, right, top, bottom, x: &x, y: &y };
        let kind = |s: &Scale| if s.log { "log" } else { "linear" };
        let _ = writeln!(
            out,
            "<g class=\"panel\" data-frame=\"{left:.1} {right:.1} {top:.1} {bottom:.1}\" data-x=\"{} {} {}\" \
             data-y=\"{} {} {}\">",
            x.low,
            x.high,
            kind(&x),
            y.low,
            y.high,
            kind(&y)
        );
        if !self.title.is_empty() {
            let title = &fitted(&self.title, 14.0, place.wide - 24.0);
            let start = left.min(place.left + 16.0 + (place.wide - 24.0 - width(title, 14.0)).max(0.0));
            let _ = writeln!(
                out,
                "<text class=\"ink\" x=\"{start:.1}\" y=\"{:.1}\" font-size=\"14\">{}</text>",
                top - 11.0,
                escaped(title)
            );
        }
        self.draw_grid(out, &frame, place.left + AXIS_NAME);
        let _ = writeln!(
            out,
            "<clipPath id=\"{clip}\"><rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>\n\
             <g clip-path=\"url(#{clip})\">",
            top - 2.0,
            right - left + 2.0,
            bottom - top + 4.0
        );
        for layer in &self.layers {
            draw::layer(out, layer, &frame);
        }
        out.push_str("</g>\n");
        let _ = writeln!(
            out,
            "<path class=\"frame\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\" stroke=\"#888\" fill=\"none\"/>"
        );
        if let Some(heat) = heat {
            draw::heat_key(out, heat, (right + 10.0, top), bottom - top);
        }
        out.push_str("</g>\n");
    }

    /// Grid lines, ticks and the names of both axes, that of the upward one at `name` from the left.
    fn draw_grid(&self, out: &mut String, frame: &Frame<'_>, name: f64) {
        let Frame { left, right, top, bottom, x, y } = *frame;
        for (value, words) in y.ticks.iter().filter(|(v, _)| y.holds(*v)) {
            let at = bottom - y.part(*value) * (bottom - top);
            let _ = writeln!(
                out,
                "<g class=\"tick-y\"><path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\" stroke=\"#e6e6e6\"/>\
                 <text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text></g>",
                left - 6.0,
                at + 4.0,
                escaped(words)
            );
        }
        // A label that would touch the one before it is left out.
        let mut free = f64::MIN;
        for (value, words) in x.ticks.iter().filter(|(v, _)| x.holds(*v)) {
            let at = left + x.part(*value) * (right - left);
            let _ = writeln!(
                out,
                "<path class=\"grid\" d=\"M{at:.1} {top:.1}V{bottom:.1}\" stroke=\"#eeeeee\"/>"
            );
            let half = width(words, TICK_SIZE) / 2.0;
            if at - half < free {
                continue;
            }
            free = at + half + 6.0;
            let _ = writeln!(
                out,
                "<text class=\"ink\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                escaped(words)
            );
        }
        let _ = writeln!(
            out,
            "<text class=\"muted axis-x\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\n\
             <text class=\"muted axis-y\" transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" \
             fill=\"#555\">{}</text>",
            (left + right) / 2.0,
            bottom + 38.0,
            escaped(&fitted(&self.x.label, TICK_SIZE, right - left + 2.0 * RIGHT)),
            name,
            (top + bottom) / 2.0,
            escaped(&fitted(&self.y.label, TICK_SIZE, bottom - top + 2.0 * TOP))
        );
    }
}

/// The first layer of each name.
pub(super) fn legend(panels: &[Panel]) -> Vec<&Layer> {
    let mut legend: Vec<&Layer> = Vec::new();
    for layer in panels.iter().flat_map(|p| &p.layers) {
        if !layer.name().is_empty() && !legend.iter().any(|l| l.name() == layer.name()) {
            legend.push(layer);
        }
    }
    legend
}

/// The places of the legend's entries: line and column of each, and the width of a column.
fn rows(legend: &[&Layer], most: f64) -> (usize, f64) {
    let each = legend.iter().map(|l| 54.0 + width(l.name(), LEGEND_SIZE)).fold(110.0, f64::max);
    (((most / each).floor() as usize).max(1), each.min(most))
}

/// The height of a legend within a width.
pub(super) fn legend_height(legend: &[&Layer], most: f64) -> f64 {
    LEGEND_LINE * legend.len().div_ceil(rows(legend, most).0) as f64
}

/// Draws a legend; the middle of its first line is at `y`.
pub(super) fn draw_legend(out: &mut String, legend: &[&Layer], (x, y): (f64, f64), most: f64) {
    let (columns, each) = rows(legend, most);
    for (i, layer) in legend.iter().enumerate() {
        let (x, y) = (x + each * (i % columns) as f64, y + LEGEND_LINE * (i / columns) as f64);
        let name = escaped(&fitted(layer.name(), LEGEND_SIZE, each - 44.0));
        let _ = writeln!(out, "<g class=\"key\" data-name=\"{}\">", escaped(layer.name()));
        draw::key(out, layer, x, y);
        let _ = writeln!(
            out,
            "<text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"{LEGEND_SIZE}\">{name}</text></g>",
            x + 36.0,
            y + 4.0
        );
    }
}

/// The panels in words and numbers, for people who do not see them.
pub(super) fn described(panels: &[Panel]) -> String {
    let mut out = String::new();
    for panel in panels {
        if !panel.title.is_empty() {
            let _ = write!(out, "{}: ", panel.title);
        }
        let _ = write!(out, "{} over {}.", panel.y.label, panel.x.label);
        for layer in &panel.layers {
            if let Layer::Series(Series { name, points, .. }) = layer
                && let (false, Some(first), Some(last)) = (name.is_empty(), points.first(), points.last())
            {
                let finite = points.iter().map(|p| p.1).filter(|v| v.is_finite());
                let (low, high) = finite.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
                let [x, y, to, end] = [first.0, first.1, last.0, last.1].map(number);
                let _ = write!(out, " {name}: from {y} at {x} to {end} at {to}");
                if low <= high {
                    let _ = write!(out, ", between {} and {}", number(low), number(high));
                }
                out.push('.');
            }
        }
        out.push(' ');
    }
    out.trim_end().to_owned()
}
