//! One cell of a table, whatever the file's format, as a number or a category.

use std::borrow::Cow;

/// Words for a missing number.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "?"];

/// A cell as its file has it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    not(any(feature = "arrow", test)),
    expect(dead_code, reason = "typed cells come with Arrow alone")
)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Null,
    /// Text that may mean a number, of a CSV file or of a row to predict from.
    Text(&'a str),
    /// A word, whatever it looks like: of a column of strings.
    Word(&'a str),
    /// A number; NaN is missing.
    Number(f64),
    /// A whole number.
    Integer(i128),
    /// True or false: a category that also has a number.
    Truth(bool),
}

/// A row's cells by the number of their column.
pub(super) trait Cells {
    /// The cell of a column that was asked for.
    fn cell(&self, column: usize) -> Cell<'_>;

    /// The line it begins at, where the file has lines.
    fn line(&self) -> Option<u64>;
}

impl<'a> Cell<'a> {
    /// True where it stands for a missing number.
    pub fn is_missing(self) -> bool {
        match self {
            Cell::Null => true,
            Cell::Text(text) => text.len() <= 4 && MISSING.iter().any(|word| text.eq_ignore_ascii_case(word)),
            Cell::Word(word) => word.is_empty(),
            Cell::Number(number) => number.is_nan(),
            Cell::Integer(_) | Cell::Truth(_) => false,
        }
    }

    /// True where a column with this cell is one of words.
    pub fn is_word(self) -> bool {
        match self {
            Cell::Text(text) => !self.is_missing() && text.parse::<f64>().is_err(),
            Cell::Word(_) => !self.is_missing(),
            Cell::Truth(_) => true,
            Cell::Null | Cell::Number(_) | Cell::Integer(_) => false,
        }
    }

    /// As a finite number.
    pub fn number(self) -> Option<f64> {
        let value = match self {
            Cell::Text(text) => text.parse().ok()?,
            Cell::Number(value) => value,
            Cell::Integer(value) => value as f64,
            Cell::Truth(value) => f64::from(u8::from(value)),
            Cell::Null | Cell::Word(_) => return None,
        };
        value.is_finite().then_some(value)
    }

    /// As text.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Cell::Null => "".into(),
            Cell::Text(text) | Cell::Word(text) => text.into(),
            Cell::Number(number) => number.to_string().into(),
            Cell::Integer(number) => number.to_string().into(),
            Cell::Truth(truth) => truth.to_string().into(),
        }
    }

    /// As a number that f32 can hold, `fill` where it is missing, or what is wrong with it.
    pub fn value(self, fill: Option<f64>) -> Result<f64, String> {
        if self.is_missing() {
            return fill.ok_or_else(|| {
                "the value is missing; fill it in, as fill = \"median\", or take the row or the column out".into()
            });
        }
        let Some(value) = self.number() else {
            let text = self.text();
            return Err(if self.is_word() {
                format!(
                    "\"{text}\" is not a number (decimals have a point, thousands no mark); a column of words goes \
                     into categorical"
                )
            } else {
                format!("{text} is not finite")
            });
        };
        if (value as f32).is_finite() {
            Ok(value)
        } else {
            Err(format!("{} is too large for f32", self.text()))
        }
    }

    /// As a category, `fill` where it is missing, or what is wrong with it. Without a fill only the empty word is
    /// missing, because "NA" may be a name; with a fill all words for missing values are.
    pub fn category<'b>(self, fill: Option<&'b str>) -> Result<Cow<'b, str>, String>
    where
        'a: 'b,
    {
        if let Some(fill) = fill.filter(|_| self.is_missing()) {
            return Ok(fill.into());
        }
        let text = self.text();
        if text.is_empty() || matches!(self, Cell::Number(x) if x.is_nan()) {
            let text = "the value is missing; fill it in with a category of its own, as \
                        fill = { COLUMN = \"unknown\" }, or take the row or the column out";
            return Err(text.into());
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_words_and_from_nothing() {
        for missing in ["", "NA", "N/a", "NaN", "null", "?"] {
            let cell = Cell::Text(missing);
            assert!(cell.is_missing() && !cell.is_word() && cell.number().is_none(), "{missing}");
        }
        for (cell, number, word) in [
            (Cell::Text("-2e3"), Some(-2000.0), false),
            (Cell::Text("inf"), None, false),
            (Cell::Text("1e400"), None, false),
            (Cell::Text("1,5"), None, true),
            (Cell::Word("12"), None, true),
            (Cell::Number(f64::NAN), None, false),
            (Cell::Integer(-3), Some(-3.0), false),
            (Cell::Truth(true), Some(1.0), true),
            (Cell::Null, None, false),
        ] {
            assert_eq!((cell.number(), cell.is_word()), (number, word), "{cell:?}");
        }
        // A string column's "NA" is a word, and one of a CSV file a category, unless what is missing is filled.
        assert!(!Cell::Word("NA").is_missing());
        assert_eq!(Cell::Text("NA").category(None).unwrap(), "NA");
        assert_eq!(Cell::Text("NA").category(Some("unknown")).unwrap(), "unknown");
        assert_eq!(
            (Cell::Null.value(Some(2.0)), Cell::Number(f64::NAN).value(Some(2.0))),
            (Ok(2.0), Ok(2.0))
        );
        for cell in [Cell::Null, Cell::Text(""), Cell::Word(""), Cell::Number(f64::NAN)] {
            assert!(cell.category(None).unwrap_err().contains("missing"), "{cell:?}");
        }
    }
}
