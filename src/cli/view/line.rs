//! A line of coloured text, cut to the width of the terminal.

use console::{measure_text_width, truncate_str};

/// A filled column of a bar, and half of one.
const FULL: char = '\u{2501}';
const HALF: char = '\u{2578}';
/// Marks the end of a line that is cut off.
const CUT: &str = "\u{2026}";

/// The style of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Dim,
    Green,
    Cyan,
    Yellow,
}

impl Style {
    /// The parameter of the escape sequence.
    fn code(self) -> Option<u8> {
        match self {
            Style::Plain => None,
            Style::Dim => Some(2),
            Style::Green => Some(32),
            Style::Yellow => Some(33),
            Style::Cyan => Some(36),
        }
    }
}

/// Pieces of text side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// Adds a piece, without the characters that move the cursor.
    pub fn with(mut self, style: Style, text: impl AsRef<str>) -> Line {
        let text: String = text.as_ref().chars().filter(|c| !c.is_control()).collect();
        self.0.push((style, text));
        self
    }

    /// Adds another line's pieces.
    pub fn and(mut self, other: Line) -> Line {
        self.0.extend(other.0);
        self
    }

    /// Width in columns.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| measure_text_width(text)).sum()
    }

    /// Adds columns until it has `width`.
    pub fn padded(self, width: usize) -> Line {
        let missing = width.saturating_sub(self.width());
        self.with(Style::Plain, " ".repeat(missing))
    }

    /// A bar of `width` columns, the share `done` of them full.
    pub fn bar(width: usize, done: f64, colour: bool) -> Line {
        let halves = (done.clamp(0.0, 1.0) * (2 * width) as f64) as usize;
        let half = if halves % 2 == 1 { HALF.to_string() } else { String::new() };
        let rest = width - halves.div_ceil(2);
        let full = FULL.to_string().repeat(halves / 2) + &half;
        // Without colours the rest of the bar is blank.
        let rest = if colour { FULL } else { ' ' }.to_string().repeat(rest);
        Line::default().with(Style::Green, full).with(Style::Dim, rest)
    }

    /// The text for a terminal of `columns`, cut to fit.
    pub fn paint(&self, columns: usize, colour: bool) -> String {
        let mut left = columns;
        let cut = self.width() > columns;
        let mut out = String::new();
        for (style, text) in &self.0 {
            let width = measure_text_width(text);
            // The last column of a line that is cut marks the cut.
            let ends = cut && width >= left;
            let text = if ends { cut_to(text, left) } else { text.clone() };
            match style.code().filter(|_| colour && !text.is_empty()) {
                Some(code) => out += &format!("\u{1b}[{code}m{text}\u{1b}[0m"),
                None => out += &text,
            }
            if ends {
                break;
            }
            left -= width;
        }
        out
    }
}

/// The text cut to `columns`. The last column marks the cut.
fn cut_to(text: &str, columns: usize) -> String {
    match columns {
        0 => String::new(),
        // `truncate_str` does not change a text that fits.
        _ => truncate_str(text, columns - 1, "").into_owned() + CUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_by_halves() {
        let bar = |width, done| Line::bar(width, done, false).paint(99, false);
        assert_eq!(bar(4, 0.0), "    ");
        assert_eq!(bar(4, 0.2), "\u{2578}   ");
        assert_eq!(bar(4, 0.5), "\u{2501}\u{2501}  ");
        assert_eq!(bar(4, 0.99), "\u{2501}\u{2501}\u{2501}\u{2578}");
        assert_eq!(bar(4, 1.0), "\u{2501}".repeat(4));
        assert_eq!(bar(4, 9.0), "\u{2501}".repeat(4));
        assert_eq!(bar(2, f64::NAN), "  ");
        assert_eq!(bar(0, 0.7), "");
        assert_eq!(
            Line::bar(2, 0.5, true).paint(99, true),
            "\u{1b}[32m\u{2501}\u{1b}[0m\u{1b}[2m\u{2501}\u{1b}[0m"
        );
    }

    #[test]
    fn what_passes_the_width_is_cut() {
        let line = Line::default().with(Style::Dim, "abc").with(Style::Plain, "def");
        assert_eq!(line.paint(6, false), "abcdef");
        assert_eq!(line.paint(5, false), "abcd\u{2026}");
        assert_eq!(line.paint(3, false), "ab\u{2026}");
        assert_eq!(line.paint(1, false), "\u{2026}");
        assert_eq!(line.paint(0, false), "");
        assert_eq!(line.paint(5, true), "\u{1b}[2mabc\u{1b}[0md\u{2026}");
        // Two columns a character: one of them does not fit.
        let wide = Line::default().with(Style::Plain, "\u{5b57}\u{5b57}\u{5b57}");
        assert_eq!((wide.width(), wide.paint(4, false)), (6, "\u{5b57}\u{2026}".into()));
        let moves = Line::default().with(Style::Plain, "a\u{1b}[2J\n\tb");
        assert_eq!(moves.paint(99, false), "a[2Jb");
    }
}
