//! Figures as SVG: panels of lines, points, bars, areas, cells and contours on linear or logarithmic axes.
//!
//! `layer` has what a panel shows, `axis` where values lie, `draw` the shapes, `contour` the lines of equal height. The same
//! figure gives the same bytes.

mod axis;
mod contour;
mod draw;
mod layer;
pub mod page;
mod panel;
#[cfg(feature = "raster")]
mod raster;
mod text;

pub use axis::{Axis, Extent};
pub use draw::COLOURS;
pub use layer::{At, Band, Bars, Contours, Heat, Layer, Rule, Series};
pub use panel::Panel;
pub use text::{escaped, number};

use std::fmt::Write;

use panel::{Place, described, legend, legend_height};

/// Panels with one legend.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figure {
    /// The title.
    pub title: String,
    /// Below the title, smaller.
    pub subtitle: String,
    /// The panels, at least one.
    pub panels: Vec<Panel>,
    /// Panels side by side; without it at most 3.
    pub columns: Option<usize>,
    /// True where all panels have the scales that hold the data of all.
    pub shared: bool,
}

/// Width and height of a panel alone, and of one of several.
const ALONE: (f64, f64) = (720.0, 420.0);
const BESIDE: (f64, f64) = (400.0, 290.0);
/// Those of a panel in a page.
const IN_PAGE: (f64, f64) = (480.0, 322.0);

impl Figure {
    /// The figure as an SVG file.
    pub fn svg(&self) -> String {
        let columns = self.columns.unwrap_or(3).min(self.panels.len()).max(1);
        let (wide, high) = if columns == 1 { ALONE } else { BESIDE };
        let rows = self.panels.len().div_ceil(columns);
        let width = columns as f64 * wide;
        let titles = text::wrapped(&self.title, 17.0, width - 32.0);
        let subtitles = text::wrapped(&self.subtitle, 12.0, width - 32.0);
        let entries = legend(&self.panels);
        let top = 8.0 + 21.0 * titles.len() as f64 + 17.0 * subtitles.len() as f64;
        let head = top + legend_height(&entries, width - 16.0) + 14.0;
        let height = head + rows as f64 * high + 8.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" font-family=\"Helvetica, Arial, sans-serif\" \
             font-size=\"12\" fill=\"#222\">\n<title>{}</title>\n<desc>{}</desc>\n\
             <rect class=\"bg\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            escaped(&self.title),
            escaped(&described(&self.panels))
        );
        for (i, line) in titles.iter().enumerate() {
            let y = 26.0 + 21.0 * i as f64;
            let _ = writeln!(
                out,
                "<text class=\"ink\" x=\"16\" y=\"{y}\" font-size=\"17\">{}</text>",
                escaped(line)
            );
        }
        for (i, line) in subtitles.iter().enumerate() {
            let y = 24.0 + 21.0 * titles.len() as f64 + 17.0 * i as f64;
            let _ = writeln!(
                out,
                "<text class=\"muted\" x=\"16\" y=\"{y}\" fill=\"#666\">{}</text>",
                escaped(line)
            );
        }
        panel::draw_legend(&mut out, &entries, (16.0, top + 16.0), width - 16.0);
        for (i, panel) in self.panels.iter().enumerate() {
            let left = (i % columns) as f64 * wide;
            let top = head + (i / columns) as f64 * high;
            panel.draw(&mut out, &self.scaled(panel), Place { left, top, wide, high }, &format!("clip{i}"));
        }
        out.push_str("</svg>\n");
        out
    }

    /// The panels for a page, each a picture with its own legend. `id` is the figure's within the page: letters, digits and
    /// hyphens.
    pub fn inline(&self, id: &str) -> String {
        let mut out = format!("<div class=\"panels\" id=\"{id}\">\n");
        for (i, panel) in self.panels.iter().enumerate() {
            let (wide, high) = IN_PAGE;
            let entries = legend(std::slice::from_ref(panel));
            let head = legend_height(&entries, wide - 8.0);
            let height = high + head;
            let name = if panel.title.is_empty() { &self.title } else { &panel.title };
            let _ = write!(
                out,
                "<svg class=\"figure\" viewBox=\"0 0 {wide:.0} {height:.0}\" role=\"img\" \
                 font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
                 <title>{}</title>\n<desc>{}</desc>\n",
                escaped(name),
                escaped(&described(std::slice::from_ref(panel)))
            );
            let place = Place { left: 0.0, top: 0.0, wide, high };
            panel.draw(&mut out, &self.scaled(panel), place, &format!("{id}-clip{i}"));
            panel::draw_legend(&mut out, &entries, (12.0, high + 6.0), wide - 8.0);
            out.push_str("</svg>\n");
        }
        out.push_str("</div>\n");
        out
    }

    /// The panels whose values the scales of a panel hold.
    fn scaled<'a>(&'a self, panel: &'a Panel) -> Vec<&'a Panel> {
        if self.shared { self.panels.iter().collect() } else { vec![panel] }
    }
}

#[cfg(test)]
mod tests;
