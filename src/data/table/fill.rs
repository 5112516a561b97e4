//! Values for missing cells.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::data::keys::{Raw, wanted, word_or_table};

/// The value for a missing cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// The mean of the training part's numbers.
    Mean,
    /// Their median: the mean of the two in the middle where there is an even number of them.
    Median,
    /// A number.
    Number(f64),
    /// A category.
    Word(String),
}

/// Values for the missing cells of a table; without a rule a missing cell is an error.
///
/// Nulls and NaN are missing. In a CSV file an empty cell, `NA`, `N/A`, `NaN`, `null` and `?` are missing too, in
/// capitals or not. In a column of words that is not filled only an empty cell is missing, and `NA` is a word.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fills {
    /// For every numeric column in no other rule: the mean or the median.
    pub numeric: Option<Fill>,
    /// By the name of the column.
    pub columns: Vec<(String, Fill)>,
}

impl Fills {
    /// The rule of a column.
    pub(super) fn rule(&self, column: &str) -> Option<&Fill> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, fill)| fill)
    }

    /// True where there is no rule.
    pub(super) fn is_empty(&self) -> bool {
        self.numeric.is_none() && self.columns.is_empty()
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fill::Mean => f.write_str("mean"),
            Fill::Median => f.write_str("median"),
            Fill::Number(number) => number.fmt(f),
            Fill::Word(word) => word.fmt(f),
        }
    }
}

impl From<&str> for Fill {
    fn from(word: &str) -> Fill {
        match word {
            "median" => Fill::Median,
            "mean" => Fill::Mean,
            other => Fill::Word(other.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Fill {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fill, D::Error> {
        wanted(deserializer, "a number, a category, \"median\" or \"mean\"", |raw| match raw {
            Raw::Text(word) => Some(Fill::from(&*word)),
            other => other.number().map(Fill::Number),
        })
    }
}

impl Serialize for Fill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Fill::Median => "median".serialize(serializer),
            Fill::Mean => "mean".serialize(serializer),
            Fill::Number(number) => number.serialize(serializer),
            Fill::Word(word) => word.serialize(serializer),
        }
    }
}

/// The rules of columns, in their order.
struct Columns(Vec<(String, Fill)>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Columns, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table by column")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    columns.push(entry);
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// A word for all numeric columns, or a table by column.
impl<'de> Deserialize<'de> for Fills {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fills, D::Error> {
        let all = |word: &str| match Fill::from(word) {
            Fill::Word(_) => None,
            fill => Some(Fills { numeric: Some(fill), columns: Vec::new() }),
        };
        let by_column = |Columns(columns)| Fills { numeric: None, columns };
        word_or_table(deserializer, all, by_column, |word| {
            let word = if word.is_empty() { "median" } else { word };
            format!(
                "\"median\" or \"mean\" for all numeric columns, or a table by column, as {{ COLUMN = \"{word}\" }},"
            )
        })
    }
}

impl Serialize for Fills {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.numeric {
            Some(fill) => fill.serialize(serializer),
            None => serializer.collect_map(self.columns.iter().map(|(name, fill)| (name, fill))),
        }
    }
}
