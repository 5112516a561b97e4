//! The things that a panel shows, from the first at the back to the last in front.

/// One of them. Those of one name share a line of the legend; those without a name have none.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Points, joined or marked.
    Series(Series),
    /// The area between two curves.
    Band(Band),
    /// Bars that stand on 0.
    Bars(Bars),
    /// A line through the whole panel.
    Rule(Rule),
    /// Coloured cells.
    Heat(Heat),
    /// Lines of equal height.
    Contours(Contours),
}

/// Points of one kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// Index of the colour, and of the shape of marks.
    pub colour: usize,
    /// True where a line joins the points. A point without a place breaks it.
    pub line: bool,
    /// The lengths of dashes and gaps; empty for a solid line.
    pub dash: &'static str,
    /// True where each point is marked.
    pub marks: bool,
    /// True for a thin, pale line behind others.
    pub faint: bool,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A line through points.
    pub fn line(name: impl Into<String>, colour: usize, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.into(), colour, line: true, points, ..Series::default() }
    }

    /// Marked points.
    pub fn marks(name: impl Into<String>, colour: usize, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.into(), colour, marks: true, points, ..Series::default() }
    }

    /// A line through marked points.
    pub fn both(name: impl Into<String>, colour: usize, points: Vec<(f64, f64)>) -> Series {
        Series { marks: true, ..Series::line(name, colour, points) }
    }

    /// The same series thin and pale.
    #[must_use]
    pub fn faintly(self) -> Series {
        Series { faint: true, ..self }
    }

    /// The same series with dashes.
    #[must_use]
    pub fn dashed(self, dash: &'static str) -> Series {
        Series { dash, ..self }
    }
}

/// The area between two curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// The name in the legend.
    pub name: String,
    /// Index of the colour.
    pub colour: usize,
    /// x, the lower and the upper y.
    pub points: Vec<(f64, f64, f64)>,
}

/// Bars that stand on 0, or on the foot of a logarithmic axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The name in the legend.
    pub name: String,
    /// Index of the colour.
    pub colour: usize,
    /// The width of each, in units of x.
    pub width: f64,
    /// The middle of each, and its height.
    pub points: Vec<(f64, f64)>,
}

/// The place of a [`Rule`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Upright, at this x.
    X(f64),
    /// Level, at this y.
    Y(f64),
}

/// A line through the whole panel. An axis makes room for its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name in the legend.
    pub name: String,
    /// Index of the colour.
    pub colour: usize,
    /// The lengths of dashes and gaps; empty for a solid line.
    pub dash: &'static str,
    /// Its place.
    pub at: At,
}

/// Coloured cells between edges, with a key of colours beside the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// The edges of columns, one more than there are.
    pub x: Vec<f64>,
    /// The edges of rows, from the lowest, one more than there are.
    pub y: Vec<f64>,
    /// The values, row by row. Cells without a finite value stay empty.
    pub values: Vec<f64>,
    /// The quantity with its unit.
    pub label: String,
    /// The values at the ends of the ramp of colours.
    pub range: (f64, f64),
}

/// Lines of equal height over a grid of points.
#[derive(Debug, Clone, PartialEq)]
pub struct Contours {
    /// The name in the legend.
    pub name: String,
    /// x of the grid's columns.
    pub x: Vec<f64>,
    /// y of its rows.
    pub y: Vec<f64>,
    /// The heights, row by row.
    pub values: Vec<f64>,
    /// The heights at which lines are drawn.
    pub levels: Vec<f64>,
}

impl Contours {
    /// The heights of a function over a grid of `count` columns and rows.
    pub fn of(
        f: impl Fn(f64, f64) -> f64,
        x: (f64, f64),
        y: (f64, f64),
        count: usize,
        levels: Vec<f64>,
    ) -> Contours {
        let grid = |(low, high): (f64, f64)| {
            (0..count).map(|i| low + (high - low) * i as f64 / (count - 1) as f64).collect::<Vec<_>>()
        };
        let (x, y) = (grid(x), grid(y));
        let values = y.iter().flat_map(|&b| x.iter().map(move |&a| (a, b))).map(|(a, b)| f(a, b)).collect();
        Contours { name: "loss".into(), x, y, values, levels }
    }
}

impl Layer {
    /// The name in the legend; empty for none.
    pub fn name(&self) -> &str {
        match self {
            Layer::Series(Series { name, .. })
            | Layer::Band(Band { name, .. })
            | Layer::Bars(Bars { name, .. })
            | Layer::Rule(Rule { name, .. })
            | Layer::Contours(Contours { name, .. }) => name,
            Layer::Heat(_) => "",
        }
    }

    /// Calls `x` and `y` with the values that the axes make room for.
    pub(super) fn values(&self, x: &mut dyn FnMut(f64), y: &mut dyn FnMut(f64)) {
        match self {
            Layer::Series(series) => series.points.iter().for_each(|&(a, b)| (x(a), y(b)).0),
            Layer::Band(band) => band.points.iter().for_each(|&(a, low, high)| (x(a), y(low), y(high)).0),
            Layer::Bars(bars) => {
                for &(a, height) in &bars.points {
                    x(a - bars.width / 2.0);
                    x(a + bars.width / 2.0);
                    y(height);
                }
            }
            Layer::Rule(Rule { at: At::X(a), .. }) => x(*a),
            Layer::Rule(Rule { at: At::Y(b), .. }) => y(*b),
            Layer::Heat(heat) => (heat.x.iter().for_each(|&a| x(a)), heat.y.iter().for_each(|&b| y(b))).0,
            Layer::Contours(c) => (c.x.iter().for_each(|&a| x(a)), c.y.iter().for_each(|&b| y(b))).0,
        }
    }
}

impl From<Series> for Layer {
    fn from(series: Series) -> Layer {
        Layer::Series(series)
    }
}

impl From<Band> for Layer {
    fn from(band: Band) -> Layer {
        Layer::Band(band)
    }
}

impl From<Bars> for Layer {
    fn from(bars: Bars) -> Layer {
        Layer::Bars(bars)
    }
}

impl From<Rule> for Layer {
    fn from(rule: Rule) -> Layer {
        Layer::Rule(rule)
    }
}

impl From<Heat> for Layer {
    fn from(heat: Heat) -> Layer {
        Layer::Heat(heat)
    }
}

impl From<Contours> for Layer {
    fn from(contours: Contours) -> Layer {
        Layer::Contours(contours)
    }
}
