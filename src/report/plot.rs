//! Curves in characters.

/// Columns and rows of the picture without its labels.
const WIDE: usize = 70;
const HIGH: usize = 16;

/// Points drawn with the same character.
pub(super) struct Line {
    pub mark: char,
    /// Points (x, y).
    pub points: Vec<(f64, f64)>,
}

/// Lines; later ones cover earlier ones.
pub(super) struct Plot {
    /// The least and the greatest y. A point above is a `^` in the first row; one below is in the last row.
    pub y: (f64, f64),
    pub lines: Vec<Line>,
    /// x of a vertical line of `|`.
    pub rule: Option<f64>,
    /// True where x is a logarithm to base 10, so that its labels are powers of ten.
    pub x_log: bool,
}

impl Plot {
    /// The picture, with y to the left and x below it.
    pub fn draw(&self) -> String {
        let xs = self.lines.iter().flat_map(|line| &line.points).map(|p| p.0);
        let (first, last) = xs.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
        let width = (last - first).max(f64::MIN_POSITIVE);
        let column = |x: f64| ((x - first) / width * (WIDE - 1) as f64).round() as usize;
        let (low, high) = self.y;
        let row = |y: f64| (high - y) / (high - low) * (HIGH - 1) as f64;

        let mut cells = vec![[' '; WIDE]; HIGH];
        if let Some(x) = self.rule {
            cells.iter_mut().for_each(|cells| cells[column(x)] = '|');
        }
        for Line { mark, points } in &self.lines {
            for &(x, y) in points {
                let at = row(y).round();
                let mark = if at < 0.0 { '^' } else { *mark };
                cells[at.clamp(0.0, (HIGH - 1) as f64) as usize][column(x)] = mark;
            }
        }
        let mut out = String::new();
        for (i, cells) in cells.iter().enumerate() {
            let y = high - (high - low) * i as f64 / (HIGH - 1) as f64;
            let label = if i % 5 == 0 { format!("{y:.4}") } else { String::new() };
            let line: String = cells.iter().collect();
            out.push_str(format!("{label:>10} |{line}").trim_end());
            out.push('\n');
        }
        out + &if self.x_log { powers(first, last, column) } else { numbers(first, last, column) }
    }
}

/// The horizontal axis, with a `+` and a label at its ends and its middle.
fn numbers(first: f64, last: f64, column: impl Fn(f64) -> usize) -> String {
    let (mut line, mut words) = ("-".repeat(WIDE), " ".repeat(WIDE));
    let middle = (first + last) / 2.0;
    let all = if last > first { vec![first, middle, last] } else { vec![first] };
    for value in all {
        let at = column(value);
        line.replace_range(at..=at, "+");
        let word = crate::figure::number(value);
        let start = at.saturating_sub(word.len() / 2).min(WIDE - word.len().min(WIDE));
        words.replace_range(start..start + word.len(), &word);
    }
    format!("{:>10} +{line}\n{:>10}  {}\n", "", "", words.trim_end())
}

/// The horizontal axis, with a `+` and a label at each power of ten.
fn powers(first: f64, last: f64, column: impl Fn(f64) -> usize) -> String {
    let (mut line, mut words) = ("-".repeat(WIDE), " ".repeat(WIDE + 8));
    // A rounding error from a power of ten counts as one.
    let powers = (first - 1e-9).ceil() as i64..=(last + 1e-9).floor() as i64;
    let mut free = 0;
    for power in powers {
        let at = column((power as f64).clamp(first, last));
        line.replace_range(at..=at, "+");
        let word = format!("1e{power}");
        if at >= free {
            words.replace_range(at..at + word.len(), &word);
            free = at + word.len() + 2;
        }
    }
    format!("{:>10} +{line}\n{:>10}  {}\n", "", "", words.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_the_axes_say() {
        let points = vec![(-2.0, 1.0), (0.0, 0.5), (1.0, 0.0), (2.0, 9.0)];
        let plot =
            Plot { y: (0.0, 1.0), lines: vec![Line { mark: 'o', points }], rule: Some(0.0), x_log: true };
        let text = plot.draw();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), HIGH + 2);
        let at = |row: usize, column: usize| lines[row].chars().nth(12 + column);
        assert_eq!((at(0, 0), at(0, WIDE - 1)), (Some('o'), Some('^')));
        // Half way along x is column 34.5, half way down row 7.5: rounded away from zero.
        assert_eq!((at(8, 35), at(7, 35)), (Some('o'), Some('|')));
        // A point at the bottom, three quarters along: column 51.75.
        assert_eq!(at(HIGH - 1, 52), Some('o'));
        assert!(
            lines[0].starts_with("    1.0000 |") && lines[HIGH - 1].starts_with("    0.0000 |"),
            "{text}"
        );
        // Five powers of ten from 1e-2 to 1e2, each under its mark.
        for (power, column) in [("1e-2", 0), ("1e-1", 17), ("1e0", 35), ("1e1", 52), ("1e2", 69)] {
            assert_eq!(at(HIGH, column), Some('+'), "{text}");
            assert!(lines[HIGH + 1][12 + column..].starts_with(power), "{power}: {text}");
        }
        // As wide as the widest terminal line that anyone must have, and one for a last word.
        assert!(lines[..=HIGH].iter().all(|line| line.len() <= 82), "{text}");
    }

    #[test]
    fn one_point_is_a_picture_too() {
        let line = Line { mark: 'o', points: vec![(0.5, 2.0)] };
        let text = Plot { y: (1.0, 3.0), lines: vec![line], rule: None, x_log: true }.draw();
        assert_eq!(text.matches('o').count(), 1, "{text}");
    }
}
