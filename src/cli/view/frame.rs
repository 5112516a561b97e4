//! Replaces lines on a terminal by others.

use console::measure_text_width;

/// The lines above the cursor of a terminal.
#[derive(Debug, Default)]
pub struct Frame(Vec<String>);

impl Frame {
    /// The text that replaces the present lines by these. `None` where they are equal.
    ///
    /// It is written in one piece and hides the cursor only within itself, so the terminal is intact wherever the process
    /// ends. A terminal that became narrower has wrapped its lines; `rows` counts them.
    pub fn replace(&mut self, lines: Vec<String>, columns: usize) -> Option<String> {
        if lines == self.0 {
            return None;
        }
        let mut out = String::from("\u{1b}[?25l\r");
        let up = self.rows(columns);
        if up > 0 {
            out += &format!("\u{1b}[{up}A");
        }
        for line in &lines {
            out += line;
            // After a full line the cursor is still on the last column.
            out += if measure_text_width(line) < columns { "\u{1b}[K\r\n" } else { "\r\n" };
        }
        out += "\u{1b}[J\u{1b}[?25h";
        self.0 = lines;
        Some(out)
    }

    /// Rows that the lines take now. A terminal that became narrower has wrapped them.
    fn rows(&self, columns: usize) -> usize {
        self.0.iter().map(|line| measure_text_width(line).div_ceil(columns.max(1)).max(1)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "\u{1b}[?25l\r";
    const END: &str = "\u{1b}[J\u{1b}[?25h";

    #[test]
    fn lines_take_the_place_of_lines() {
        let mut frame = Frame::default();
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let put = frame.replace(lines(&["ab", "full"]), 4).unwrap();
        assert_eq!(put, format!("{BEGIN}ab\u{1b}[K\r\nfull\r\n{END}"));
        assert_eq!(frame.replace(lines(&["ab", "full"]), 4), None, "they are there");
        let put = frame.replace(lines(&["\u{1b}[2mx\u{1b}[0m", "", "y"]), 4).unwrap();
        let x = "\u{1b}[2mx\u{1b}[0m\u{1b}[K\r\n";
        assert_eq!(put, format!("{BEGIN}\u{1b}[2A{x}\u{1b}[K\r\ny\u{1b}[K\r\n{END}"));
        assert_eq!(frame.replace(Vec::new(), 4).unwrap(), format!("{BEGIN}\u{1b}[3A{END}"));
    }

    #[test]
    fn a_terminal_that_became_narrower_has_broken_them() {
        let mut frame = Frame::default();
        frame.replace(vec!["x".repeat(80), "y".repeat(41), String::new()], 80);
        // Two rows, two, and one.
        assert_eq!(frame.replace(Vec::new(), 40).unwrap(), format!("{BEGIN}\u{1b}[5A{END}"));
    }
}
