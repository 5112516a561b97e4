//! Figures as SVG: panels of lines and points on linear or logarithmic axes.

use std::fmt::Write;

/// An axis of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The quantity with its unit.
    pub label: String,
    /// True for a logarithmic axis.
    pub log: bool,
    /// The marks with their labels; chosen by the data if empty.
    pub ticks: Vec<(f64, String)>,
}

/// Points of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name in the legend; series of one name share a line.
    pub name: String,
    /// Index of the colour.
    pub colour: usize,
    /// True where a line joins the points.
    pub line: bool,
    /// The lengths of dashes and gaps; empty for a solid line.
    pub dash: &'static str,
    /// True where each point is marked.
    pub marks: bool,
    /// The points in order of x.
    pub points: Vec<(f64, f64)>,
}

/// Series over one pair of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The title.
    pub title: String,
    /// The series.
    pub series: Vec<Series>,
}

/// Panels with the same axes and one legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The title.
    pub title: String,
    /// Below the title, smaller.
    pub subtitle: String,
    /// The axis of all panels.
    pub x: Axis,
    /// The axis of all panels.
    pub y: Axis,
    /// The panels, at least one.
    pub panels: Vec<Panel>,
}

/// Colours that differ in print and for the colour-blind (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 52.0;
const LEGEND_LINE: f64 = 20.0;

impl Figure {
    /// The figure as an SVG file.
    pub fn svg(&self) -> String {
        let columns = self.panels.len().clamp(1, 3);
        let (wide, high) = if columns == 1 { (720.0, 420.0) } else { (400.0, 280.0) };
        let rows = self.panels.len().div_ceil(columns);
        let width = columns as f64 * wide;
        let legend = self.legend();
        let each = legend.iter().map(|s| 60.0 + 7.2 * s.name.chars().count() as f64).fold(120.0, f64::max);
        let per_line = ((width - LEFT) / each).floor().max(1.0) as usize;
        let head = 64.0 + LEGEND_LINE * legend.len().div_ceil(per_line) as f64;
        let height = head + rows as f64 * high + 8.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" \
             fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let _ = writeln!(out, "<text x=\"16\" y=\"26\" font-size=\"17\">{}</text>", escaped(&self.title));
        let _ = writeln!(out, "<text x=\"16\" y=\"45\" fill=\"#666\">{}</text>", escaped(&self.subtitle));
        for (i, series) in legend.iter().enumerate() {
            let (x, y) = (16.0 + each * (i % per_line) as f64, 66.0 + LEGEND_LINE * (i / per_line) as f64);
            key(&mut out, series, x, y);
        }
        let (x_scale, y_scale) = (self.scale(&self.x, |p| p.0), self.scale(&self.y, |p| p.1));
        for (i, panel) in self.panels.iter().enumerate() {
            let (left, top) = ((i % columns) as f64 * wide, head + (i / columns) as f64 * high);
            let frame = Frame {
                left: left + LEFT,
                right: left + wide - RIGHT,
                top: top + TOP,
                bottom: top + high - BOTTOM,
            };
            self.panel(&mut out, panel, &frame, &x_scale, &y_scale);
        }
        out.push_str("</svg>\n");
        out
    }

    /// The first series of each name.
    fn legend(&self) -> Vec<&Series> {
        let mut legend: Vec<&Series> = Vec::new();
        for series in self.panels.iter().flat_map(|p| &p.series) {
            if !legend.iter().any(|s| s.name == series.name) {
                legend.push(series);
            }
        }
        legend
    }

    fn scale(&self, axis: &Axis, of: impl Fn(&(f64, f64)) -> f64) -> Scale {
        let points = self.panels.iter().flat_map(|p| &p.series).flat_map(|s| &s.points);
        let numbers = points.map(of).filter(|v| v.is_finite() && (!axis.log || *v > 0.0));
        let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let (low, high) = if low > high { (1.0, 2.0) } else { (low, high) };
        if axis.log {
            // A tenth beyond either end, and at least a decade.
            let (a, b) = (low.log10(), high.log10());
            let room = (0.06 * (b - a)).max(if b - a < 0.5 { 0.3 } else { 0.05 });
            let ticks = if axis.ticks.is_empty() { decades(a - room, b + room) } else { axis.ticks.clone() };
            return Scale { low: a - room, high: b + room, log: true, ticks };
        }
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = nice((high - low).max(1e-12) / 5.0);
        let (first, last) = ((low * 1.04 / step).floor(), (high * 1.04 / step).ceil());
        let last = last.max(first + 1.0);
        let marks = first as i64..=last as i64;
        let ticks = marks.map(|i| (i as f64 * step, number(i as f64 * step))).collect();
        Scale { low: first * step, high: last * step, log: false, ticks }
    }

    fn panel(&self, out: &mut String, panel: &Panel, frame: &Frame, xs: &Scale, ys: &Scale) {
        let Frame { left, right, top, bottom } = *frame;
        let at_x = |v: f64| left + xs.part(v) * (right - left);
        let at_y = |v: f64| bottom - ys.part(v) * (bottom - top);
        let title = escaped(&panel.title);
        let _ =
            writeln!(out, "<text x=\"{left:.1}\" y=\"{:.1}\" font-size=\"14\">{title}</text>", top - 10.0);
        for (value, words) in ys.ticks.iter().filter(|(v, _)| ys.holds(*v)) {
            let y = at_y(*value);
            let _ = writeln!(
                out,
                "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"#e4e4e4\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>",
                left - 6.0,
                y + 4.0,
                escaped(words)
            );
        }
        for (value, words) in xs.ticks.iter().filter(|(v, _)| xs.holds(*v)) {
            let x = at_x(*value);
            let _ = writeln!(
                out,
                "<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"#f0f0f0\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                escaped(words)
            );
        }
        let _ = writeln!(
            out,
            "<path d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\" stroke=\"#888\" fill=\"none\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\n\
             <text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            (left + right) / 2.0,
            bottom + 38.0,
            escaped(&self.x.label),
            left - 46.0,
            (top + bottom) / 2.0,
            escaped(&self.y.label)
        );
        for series in &panel.series {
            let points: Vec<(f64, f64)> = series
                .points
                .iter()
                .filter(|(x, y)| xs.holds(*x) && ys.holds(*y))
                .map(|&(x, y)| (at_x(x), at_y(y)))
                .collect();
            draw(out, series, &points);
        }
    }
}

/// A line of the legend.
fn key(out: &mut String, series: &Series, x: f64, y: f64) {
    let both = [(x, y), (x + 28.0, y)];
    let line = Series { marks: false, points: vec![], ..series.clone() };
    draw(out, &line, &both);
    if series.marks {
        draw(out, &Series { line: false, ..series.clone() }, &[(x + 14.0, y)]);
    }
    let _ =
        writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 36.0, y + 4.0, escaped(&series.name));
}

/// The points of a series in the picture.
fn draw(out: &mut String, series: &Series, points: &[(f64, f64)]) {
    let colour = COLOURS[series.colour % COLOURS.len()];
    if series.line && points.len() > 1 {
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let dash = if series.dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{}\"", series.dash)
        };
        let _ = writeln!(
            out,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"{dash}/>",
            path.join("L")
        );
    }
    if series.marks {
        for (x, y) in points {
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"{colour}\"/>");
        }
    }
}

struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The fraction of the axis at a value. `low` and `high` are logarithms where `log` is true.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl Scale {
    fn part(&self, value: f64) -> f64 {
        let at = if self.log { value.log10() } else { value };
        (at - self.low) / (self.high - self.low)
    }

    fn holds(&self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.part(value))
    }
}

/// Powers of ten between two logarithms; with 2 and 5 between them where there would be fewer than three.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let whole = low.floor() as i32..=high.ceil() as i32;
    let few = high.floor() - low.ceil() < 2.0;
    let within: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
    whole.flat_map(|e| within.iter().map(move |m| m * 10f64.powi(e))).map(|v| (v, number(v))).collect()
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= step * 0.999).unwrap_or(step)
}

fn number(v: f64) -> String {
    if v != 0.0 && !(1e-4..1e6).contains(&v.abs()) {
        return format!("{v:.0e}");
    }
    let text = format!("{v:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(panels: usize) -> Figure {
        let series = |name: &str, colour, points: &[(f64, f64)]| Series {
            name: name.into(),
            colour,
            line: true,
            dash: "",
            marks: true,
            points: points.to_vec(),
        };
        let panel = Panel {
            title: "a < b".into(),
            series: vec![
                series("one", 0, &[(1e3, 1.0), (1e6, 4.0)]),
                series("two", 1, &[(1e3, 2.0), (1e6, f64::NAN)]),
            ],
        };
        let axis = |label: &str, log| Axis { label: label.into(), log, ticks: vec![] };
        Figure {
            title: "t".into(),
            subtitle: "s & s".into(),
            x: axis("x", true),
            y: axis("y", false),
            panels: vec![panel; panels],
        }
    }

    #[test]
    fn every_tag_is_closed_and_text_is_escaped() {
        let text = figure(4).svg();
        for tag in ["svg", "text"] {
            let (open, close) =
                (text.matches(&format!("<{tag}")).count(), text.matches(&format!("</{tag}>")).count());
            assert_eq!(open, close, "{tag}");
        }
        assert!(text.contains("a &lt; b") && text.contains("s &amp; s") && !text.contains("NaN"), "{text}");
        // Two kinds in the legend; three points in each of four panels, for NaN has no place.
        assert_eq!(text.matches("<circle").count(), 2 + 4 * 3);
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let f = figure(1);
        let (x, y) = (f.scale(&f.x, |p| p.0), f.scale(&f.y, |p| p.1));
        // Logarithmic: the middle of 1e3 and 1e6 is their geometric mean.
        assert!((x.part(10f64.powf(4.5)) - 0.5).abs() < 1e-12);
        assert_eq!((y.part(0.0), y.high), (0.0, 5.0));
        assert_eq!(y.ticks.iter().map(|t| t.1.as_str()).collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_linear_axis_holds_zero_and_what_is_below() {
        let mut f = figure(1);
        for (low, high, want) in
            [(-4.0, 4.0, (-6.0, 6.0)), (-4.0, -1.0, (-5.0, 0.0)), (0.0, 0.0, (0.0, 2e-13))]
        {
            f.panels[0].series =
                vec![Series { points: vec![(1.0, low), (2.0, high)], ..f.panels[0].series[0].clone() }];
            let y = f.scale(&f.y, |p| p.1);
            assert_eq!((y.low, y.high), want);
            assert_eq!((y.ticks[0].0, y.ticks[y.ticks.len() - 1].0), want);
        }
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(nice(0.3), 0.5);
        assert_eq!(nice(2.1), 2.5);
        assert_eq!([0.0, 0.001, 2.5, 1e6].map(number), ["0", "0.001", "2.5", "1e6"]);
        let words: Vec<String> = decades(0.1, 3.2).into_iter().map(|t| t.1).collect();
        assert_eq!(words, ["1", "10", "100", "1000", "10000"]);
        let words: Vec<String> = decades(-0.4, 0.5).into_iter().map(|t| t.1).collect();
        assert_eq!(words, ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
    }
}
