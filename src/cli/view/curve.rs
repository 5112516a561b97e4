//! The losses of a run as a small curve in characters.

/// Largest number of points. A long run keeps at least half of it.
const MAX_POINTS: usize = 1024;
/// The scale is logarithmic where the ratio of the largest to the smallest loss reaches this.
const LOG_FROM: f64 = 20.0;
/// The braille character without a dot. The others follow by the bits of their dots.
const BRAILLE: u32 = 0x2800;
/// The bits of a cell's dots, column by column from the top.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// The losses of a run of any length: means over intervals of steps, which grow with the run.
#[derive(Debug, Clone)]
pub struct Curve {
    means: Vec<f64>,
    /// Number of losses in a mean.
    interval: u64,
    /// Sum and count of the mean that is not complete yet.
    sum: f64,
    count: u64,
    /// The first and the last step.
    steps: Option<(u64, u64)>,
}

impl Default for Curve {
    fn default() -> Self {
        Curve { means: Vec::new(), interval: 1, sum: 0.0, count: 0, steps: None }
    }
}

impl Curve {
    /// Adds the loss of a step. A loss that is not finite is skipped, as its update was.
    pub fn push(&mut self, step: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        self.steps = Some((self.steps.map_or(step, |(first, _)| first), step));
        self.sum += loss;
        self.count += 1;
        if self.count < self.interval {
            return;
        }
        self.means.push(self.sum / self.count as f64);
        (self.sum, self.count) = (0.0, 0);
        if self.means.len() == MAX_POINTS {
            self.means = self.means.chunks_exact(2).map(|pair| pair[0] / 2.0 + pair[1] / 2.0).collect();
            self.interval *= 2;
        }
    }

    /// The first and the last step, if any.
    pub fn steps(&self) -> Option<(u64, u64)> {
        self.steps
    }

    /// The means in their order.
    pub fn points(&self) -> Vec<f64> {
        let unfinished = (self.count > 0).then(|| self.sum / self.count as f64);
        self.means.iter().copied().chain(unfinished).collect()
    }
}

/// A curve in characters.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The rows from the top, each of the requested width.
    pub lines: Vec<String>,
    /// The value of the lowest dot.
    pub low: f64,
    /// The value of the highest dot.
    pub high: f64,
    /// The scale between them is logarithmic.
    pub log: bool,
}

/// Draws finite points, the first at the left and the last at the right, in braille characters: two columns of four dots
/// each. `None` without points or space.
pub fn draw(points: &[f64], columns: usize, rows: usize) -> Option<Drawn> {
    if points.is_empty() || columns == 0 || rows == 0 {
        return None;
    }
    let values: Vec<f64> = (0..2 * columns).map(|x| at(points, x, 2 * columns)).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log = low > 0.0 && high / low >= LOG_FROM;
    let scale = |value: f64| if log { value.ln() } else { value };
    let (bottom, top) = (scale(low), scale(high));
    let mut cells = vec![0; columns * rows];
    let mut before = None;
    for (x, value) in values.iter().enumerate() {
        let height = (scale(*value) - bottom) / (top - bottom);
        // Equal values, or a range that overflows, go to the middle.
        let height = if height.is_finite() { height } else { 0.5 };
        let y = ((1.0 - height) * (4 * rows - 1) as f64).round() as usize;
        // A vertical line from the previous dot, which it excludes.
        let (from, to) = match before {
            Some(before) if before < y => (before + 1, y),
            Some(before) if before > y => (y, before - 1),
            _ => (y, y),
        };
        for y in from..=to {
            cells[y / 4 * columns + x / 2] |= DOTS[x % 2][y % 4];
        }
        before = Some(y);
    }
    let cell = |dots: &u32| char::from_u32(BRAILLE + dots).filter(|_| *dots > 0).unwrap_or(' ');
    let lines = cells.chunks_exact(columns).map(|line| line.iter().map(cell).collect()).collect();
    Some(Drawn { lines, low, high, log })
}

/// The value at column `x` of `wide`: the mean of the column's points, or interpolated between two points.
fn at(points: &[f64], x: usize, wide: usize) -> f64 {
    let n = points.len();
    if n >= wide {
        let share = &points[x * n / wide..(x + 1) * n / wide];
        return share.iter().map(|point| point / share.len() as f64).sum();
    }
    let place = x as f64 * (n - 1) as f64 / (wide - 1) as f64;
    let (left, part) = (place as usize, place.fract());
    let right = points[(left + 1).min(n - 1)];
    points[left] * (1.0 - part) + right * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let drawn = draw(&[1.0, 0.0], 2, 1).unwrap();
        assert_eq!((drawn.low, drawn.high, drawn.log), (0.0, 1.0, false));
        // One dot a column, each lower than the one before.
        assert_eq!(drawn.lines, ["\u{2811}\u{2884}"]);
        assert_eq!(draw(&[2.0], 2, 2).unwrap().lines, ["  ", "\u{2809}\u{2809}"]);
        // A jump is a line upward.
        assert_eq!(draw(&[0.0, 1.0], 1, 1).unwrap().lines, ["\u{2878}"]);
    }

    #[test]
    fn far_apart_is_logarithmic() {
        let drawn = draw(&[100.0, 1.0, 0.01], 4, 2).unwrap();
        assert!(drawn.log, "{drawn:?}");
        assert!(!draw(&[100.0, 1.0, 0.0], 4, 2).unwrap().log, "zero has no logarithm");
        assert!(!draw(&[2.0, 1.0], 4, 2).unwrap().log);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(draw(&[], 10, 4), None);
        assert_eq!(draw(&[1.0], 0, 4), None);
        assert_eq!(draw(&[1.0], 4, 0), None);
    }

    /// Every column has a dot, whatever the numbers.
    #[test]
    fn all_of_the_width_is_used() {
        for points in
            [vec![f64::MAX, f64::MIN], vec![1e-300, 1e300], vec![0.0; 5], (0..999).map(f64::from).collect()]
        {
            for (columns, rows) in [(1, 1), (7, 3), (300, 2)] {
                let drawn = draw(&points, columns, rows).unwrap();
                assert_eq!(drawn.lines.len(), rows);
                let lines: Vec<Vec<char>> = drawn.lines.iter().map(|line| line.chars().collect()).collect();
                for x in 0..columns {
                    assert!(lines.iter().any(|line| line[x] != ' '), "{points:?} {columns} {rows} {x}");
                }
                assert!(lines.iter().all(|line| line.len() == columns));
            }
        }
    }

    #[test]
    fn a_long_run_keeps_its_mean_and_its_ends() {
        let mut curve = Curve::default();
        let steps = 4 * MAX_POINTS as u64;
        (1..=steps).for_each(|step| curve.push(step, step as f64));
        curve.push(steps + 1, f64::NAN);
        let points = curve.points();
        assert!((MAX_POINTS / 2..MAX_POINTS).contains(&points.len()), "{}", points.len());
        assert_eq!(curve.steps(), Some((1, steps)));
        assert!(points.is_sorted());
        let mean = points.iter().sum::<f64>() / points.len() as f64;
        assert_eq!(mean, (steps + 1) as f64 / 2.0, "sums of whole numbers and their halves are exact");
        // An incomplete mean is a point too.
        curve.push(steps + 1, 9.0);
        assert_eq!(curve.points().last(), Some(&9.0));
        assert_eq!(Curve::default().points(), [] as [f64; 0]);
    }
}
