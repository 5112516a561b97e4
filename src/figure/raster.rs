//! Figures as PNG.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::Figure;

/// Pixels of the picture for one of the figure, so that text is sharp.
const SCALE: f32 = 2.0;

impl Figure {
    /// The figure as a PNG file. Its text is drawn in a font of the system, so its bytes depend on the machine.
    ///
    /// # Errors
    /// What is missing, in words: a system without a font.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let mut options = Options::default();
        options.fontdb_mut().load_system_fonts();
        if options.fontdb.is_empty() {
            let text = "a figure as PNG needs a font of the system, and there is none; install one, as fonts-dejavu-core of \
                        Debian, or write SVG";
            return Err(text.into());
        }
        // Helvetica and Arial are seldom there: any sans-serif takes their place.
        if let Some(family) = sans_serif(&options) {
            options.fontdb_mut().set_sans_serif_family(family);
        }
        let drawn = |why: &dyn std::fmt::Display| format!("the figure cannot be drawn: {why}");
        let tree = Tree::from_str(&self.svg(), &options).map_err(|err| drawn(&err))?;
        let size = tree.size();
        let [width, height] = [size.width(), size.height()].map(|side| (side * SCALE).ceil() as u32);
        let mut pixels = Pixmap::new(width, height).ok_or_else(|| drawn(&"it has no size"))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|err| drawn(&err))
    }
}

/// The best-known sans-serif family of the system, or any.
fn sans_serif(options: &Options<'_>) -> Option<String> {
    const KNOWN: [&str; 6] = ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans", "Noto Sans", "Roboto"];
    let families: Vec<&str> =
        options.fontdb.faces().flat_map(|face| &face.families).map(|family| family.0.as_str()).collect();
    let known = KNOWN.iter().find(|name| families.contains(*name)).copied();
    known.or_else(|| families.first().copied()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Axis, Panel, Series};

    #[test]
    fn a_figure_is_drawn_twice_as_large() {
        let panel = Panel::new("p", Axis::linear("x (1)"), Axis::linear("y (1)"));
        let panel = panel.with(Series::line("line", 0, vec![(0.0, 0.0), (1.0, 1.0)]));
        let figure = Figure { title: "t".into(), panels: vec![panel], ..Figure::default() };
        match figure.png() {
            Ok(bytes) => {
                let drawn = Pixmap::decode_png(&bytes).expect("a PNG");
                let svg = figure.svg();
                assert!(svg.contains(&format!("width=\"{}\"", drawn.width() / 2)), "{}", drawn.width());
                let is_blue = |p: &resvg::tiny_skia::PremultipliedColorU8| {
                    (p.red(), p.green(), p.blue()) == (0, 0x72, 0xb2)
                };
                assert!(drawn.pixels().iter().filter(|p| is_blue(p)).count() > 500, "the line is there");
            }
            Err(err) => assert!(err.contains("font"), "{err}"),
        }
    }
}
