//! Words and numbers in figures and pages.

/// The text with the characters replaced that mean something in XML and HTML, within attributes too.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Control characters have no form in XML.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A number with at most four significant digits.
pub fn number(v: f64) -> String {
    if !v.is_finite() {
        return v.to_string();
    }
    if v != 0.0 && !(1e-4..1e6).contains(&v.abs()) {
        return scientific(v, 3);
    }
    let whole = if v == 0.0 { 0 } else { v.abs().log10().floor() as i32 };
    let text = format!("{v:.*}", (3 - whole).clamp(0, 8) as usize);
    trimmed(&text).to_owned()
}

/// `2.5e-7`, with at most so many decimals.
pub(super) fn scientific(v: f64, decimals: usize) -> String {
    let text = format!("{v:.decimals$e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => text,
    }
}

/// A decimal number without zeros at its end.
pub(super) fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// The width of a text in pixels, as a wide sans-serif font of this size draws it (DejaVu, Verdana), about.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '|' | '\'' | ' ' | '(' | ')' => 0.38,
        'm' | 'w' | 'M' | 'W' | '<' | '>' | '=' | '+' | '%' | '&' | '@' | '#' | '\u{2026}' => 0.92,
        'A'..='Z' => 0.72,
        _ => 0.62,
    };
    text.chars().map(em).sum::<f64>() * size
}

/// The text, cut with an ellipsis where it is wider than this.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width(&out, size) + 1.9 * size > most {
            break;
        }
        out.push(c);
    }
    out.trim_end().to_owned() + "\u{2026}"
}

/// The text in lines of at most this width.
pub(super) fn wrapped(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + 0.34 * size <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fitted(word, size, most)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        let words = [0.0, 0.001, 2.5, 1e6, 123.456, 0.012_345_6, -1.5e-7, 99_999.6].map(number);
        assert_eq!(words, ["0", "0.001", "2.5", "1e6", "123.5", "0.01235", "-1.5e-7", "100000"]);
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn lines_are_no_wider_than_asked() {
        let lines = wrapped("one two three four five six seven", 12.0, 80.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line, 12.0) <= 80.0), "{lines:?}");
        assert_eq!(lines.join(" "), "one two three four five six seven");
        let cut = fitted("a name that is too long", 12.0, 80.0);
        assert!(cut.ends_with('\u{2026}') && width(&cut, 12.0) <= 80.0 && cut.len() > 10, "{cut}");
        assert_eq!(fitted("short", 12.0, 80.0), "short");
        assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;\u{fffd}");
    }
}
