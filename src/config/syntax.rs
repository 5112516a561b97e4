//! The text of a config as TOML, and the error where it is none.

use toml::Table;

use crate::error::{Error, Result};

/// Characters of the line that an error shows, on either side of the fault.
const AROUND: usize = 60;
/// Characters of an error, at most.
const MOST: usize = 2000;

/// Parses a config.
///
/// # Errors
/// [`Error::Config`] with line and column.
pub(super) fn parse(text: &str) -> Result<Table> {
    text.parse()
        .map_err(|err: toml::de::Error| Error::Config(format!("not valid TOML: {}", describe(text, &err))))
}

/// An error of the config without the middle of a very long text: names, places and settings can be long too.
pub(super) fn cut(err: Error) -> Error {
    let Error::Config(text) = err else { return err };
    let chars = text.chars().count();
    if chars <= MOST {
        return Error::Config(text);
    }
    let head: String = text.chars().take(MOST / 2).collect();
    let tail: String = text.chars().skip(chars - MOST / 2).collect();
    Error::Config(format!("{head} .. {tail}"))
}

/// The parser's own text, which has the whole line; of a long line only the place of the fault.
fn describe(text: &str, err: &toml::de::Error) -> String {
    let Some(at) = err.span().map(|span| span.start).filter(|at| text.is_char_boundary(*at)) else {
        return err.to_string();
    };
    let (before, after) = text.split_at(at);
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = after.split('\n').next().unwrap_or_default();
    let column = before.chars().count();
    if column + after.chars().count() <= 2 * AROUND {
        return err.to_string();
    }
    let line = text[..at].matches('\n').count() + 1;
    let head: String = before.chars().skip(column.saturating_sub(AROUND)).collect();
    let tail: String = after.chars().take(AROUND).collect();
    format!("line {line}, column {}, near `{head}{tail}`: {}", column + 1, err.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_to_the_place_of_the_fault() {
        let deep = format!("a = 1\nlayers = {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
        let err = parse(&deep).unwrap_err().to_string();
        assert!(err.len() < 400, "{} bytes: {err}", err.len());
        for word in ["not valid TOML", "line 2, column 9", "recurs", "near `"] {
            assert!(err.contains(word), "{word}: {err}");
        }
        let short = parse("a = 1\nb = [1, 2").unwrap_err().to_string();
        assert!(short.contains("line 2") && short.contains("b = [1, 2"), "{short}");
        let wide = format!("a = \"{}\" b", "\u{e9}".repeat(500));
        let err = parse(&wide).unwrap_err().to_string();
        assert!(err.chars().count() < 400 && err.contains("line 1, column 50"), "{err}");
    }
}
