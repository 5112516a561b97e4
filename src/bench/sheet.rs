//! A table of results, as Markdown for a person, as JSON and CSV for programs.
//!
//! Cells hold plain SI numbers (seconds, bytes, bytes a second, shares of 1). The unit of a column sets how they are
//! printed for a person.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::units;

/// The format of a column for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Words.
    Text,
    /// A whole number, in full.
    Whole,
    /// Seconds, as µs, ms or s.
    Seconds,
    /// Bytes a second, as GB/s.
    Bandwidth,
    /// Operations a second, as GFLOP/s.
    Flops,
    /// A share of 1, as per cent.
    Share,
    /// A factor.
    Times,
    /// Bytes, as MiB.
    Bytes,
    /// A number of operations.
    Count,
    /// A number with two digits behind the point.
    Plain,
}

/// A column of a [`Sheet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in JSON and CSV.
    pub key: &'static str,
    /// Its head for a person.
    pub title: &'static str,
    /// The format of its cells.
    pub unit: Unit,
}

impl Column {
    /// A column of numbers or words.
    pub const fn new(key: &'static str, title: &'static str, unit: Unit) -> Column {
        Column { key, title, unit }
    }
}

/// The content of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number.
    Number(f64),
    /// Not measured, or without meaning here.
    None,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Cell {
        if number.is_finite() { Cell::Number(number) } else { Cell::None }
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Cell {
        Cell::Number(number as f64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Cell {
        cell.map_or(Cell::None, Into::into)
    }
}

/// A table of results.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The subject of the table.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Notes below the table.
    pub notes: Vec<String>,
}

impl Sheet {
    /// An empty one.
    pub fn new(title: impl Into<String>, columns: &[Column]) -> Sheet {
        Sheet { title: title.into(), columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// The title, a Markdown table and the notes.
    pub fn markdown(&self) -> String {
        let mut lines: Vec<Vec<String>> = vec![self.columns.iter().map(|c| c.title.to_owned()).collect()];
        let shown =
            |row: &Vec<Cell>| row.iter().zip(&self.columns).map(|(cell, c)| show(cell, c.unit)).collect();
        lines.extend(self.rows.iter().map(shown));
        let width = |c: usize| lines.iter().map(|l| l[c].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = format!("### {}\n\n", self.title);
        for (i, line) in lines.iter().enumerate() {
            for ((cell, column), width) in line.iter().zip(&self.columns).zip(&widths) {
                let pad = " ".repeat(width - cell.chars().count());
                let _ = match column.unit {
                    Unit::Text => write!(out, "| {cell}{pad} "),
                    _ => write!(out, "| {pad}{cell} "),
                };
            }
            out.push_str("|\n");
            if i == 0 {
                for (column, width) in self.columns.iter().zip(&widths) {
                    let dashes = "-".repeat(*width);
                    out.push_str(&if column.unit == Unit::Text {
                        format!("|-{dashes}-")
                    } else {
                        format!("|-{dashes}:")
                    });
                }
                out.push_str("|\n");
            }
        }
        for note in &self.notes {
            let _ = write!(out, "\n{note}\n");
        }
        out
    }

    /// The columns' keys, then a line a row.
    pub fn csv(&self) -> String {
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let cell = |cell: &Cell| match cell {
            Cell::Text(text) => quoted(text),
            Cell::Number(number) => number.to_string(),
            Cell::None => String::new(),
        };
        let mut out = self.columns.iter().map(|c| c.key).collect::<Vec<_>>().join(",");
        for row in &self.rows {
            out.push('\n');
            out.push_str(&row.iter().map(cell).collect::<Vec<_>>().join(","));
        }
        out
    }

    /// An object a row.
    pub fn json(&self) -> Value {
        let cell = |cell: &Cell| match cell {
            Cell::Text(text) => json!(text),
            Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => json!(*number as i64),
            Cell::Number(number) => json!(number),
            Cell::None => Value::Null,
        };
        let object = |row: &Vec<Cell>| -> Value {
            let pairs = self.columns.iter().zip(row).map(|(column, c)| (column.key.to_owned(), cell(c)));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        json!({
            "title": self.title,
            "rows": self.rows.iter().map(object).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

fn show(cell: &Cell, unit: Unit) -> String {
    let n = match cell {
        Cell::Text(text) => return text.clone(),
        Cell::None => return "–".into(),
        Cell::Number(n) => *n,
    };
    match unit {
        Unit::Text | Unit::Whole => format!("{n:.0}"),
        Unit::Seconds => units::duration(n),
        Unit::Bandwidth | Unit::Flops => units::three(n / 1e9),
        Unit::Share => format!("{}%", units::three(100.0 * n)),
        Unit::Times => format!("{}×", units::three(n)),
        Unit::Bytes => units::bytes(n as u64),
        Unit::Count => units::count(n),
        Unit::Plain => units::three(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let columns = [
            Column::new("name", "name", Unit::Text),
            Column::new("seconds", "time", Unit::Seconds),
            Column::new("rate", "GB/s", Unit::Bandwidth),
            Column::new("of_roof", "of roof", Unit::Share),
        ];
        let mut sheet = Sheet::new("things", &columns);
        sheet.rows.push(vec!["a, \"b\"".into(), 12.34e-6.into(), 7.654e9.into(), 0.5.into()]);
        sheet.rows.push(vec!["c".into(), 0.0456.into(), f64::NAN.into(), None::<f64>.into()]);
        sheet.notes.push("a note".into());
        sheet
    }

    #[test]
    fn markdown_is_aligned() {
        let want = "### things\n\n\
            | name   |    time | GB/s | of roof |\n\
            |--------|--------:|-----:|--------:|\n\
            | a, \"b\" | 12.3 µs | 7.65 |   50.0% |\n\
            | c      | 45.6 ms |    – |       – |\n\
            \na note\n";
        assert_eq!(sheet().markdown(), want);
    }

    #[test]
    fn csv_and_json_hold_plain_numbers() {
        let mut reader = csv::Reader::from_reader(std::io::Cursor::new(sheet().csv()));
        assert_eq!(reader.headers().unwrap(), vec!["name", "seconds", "rate", "of_roof"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((&rows[0][0], &rows[0][2], &rows[1][2]), ("a, \"b\"", "7654000000", ""));
        let json = sheet().json();
        assert_eq!(json["rows"][0]["rate"], 7_654_000_000_u64);
        assert_eq!(json["rows"][0]["seconds"], 12.34e-6);
        assert!(json["rows"][1]["of_roof"].is_null());
    }
}
