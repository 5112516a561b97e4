//! A CSV file as named columns of text.

use std::collections::BTreeSet;
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use crate::error::{Error, Result, suggestion};

/// What stands for a number that is not there.
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "?"];

/// A file, read whole. Cells are trimmed.
#[derive(Debug)]
pub(super) struct Raw {
    /// The file's name, for errors.
    pub name: String,
    columns: Vec<String>,
    /// The line a row begins at, and its cells.
    rows: Vec<(u64, StringRecord)>,
}

/// True where a cell stands for a number that is not there.
pub(super) fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.to_lowercase().as_str())
}

/// A cell as a finite number.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|x: &f64| x.is_finite())
}

impl Raw {
    /// Reads a file with a header.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Data`] with the line where it is malformed, or empty, or
    /// columns have no name or one name.
    pub fn read(path: &Path, delimiter: u8) -> Result<Raw> {
        let name = crate::data::file_name(path);
        let bytes = std::fs::read(path).map_err(|err| Error::io("cannot read", path, &err))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut reader = ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).from_reader(bytes);
        let malformed = |err: csv::Error| Error::Data(format!("{name}{}", fault(bytes, &err)));
        let header = reader.headers().map_err(malformed)?;
        let columns: Vec<String> = header.iter().map(str::to_owned).collect();
        let wrong = |text: String| Err(Error::Data(format!("{name}: {text}")));
        if columns.iter().all(String::is_empty) {
            return wrong("the file is empty; a line of column names is needed, and rows".into());
        }
        if let Some(at) = columns.iter().position(String::is_empty) {
            return wrong(format!("column {} of the first line has no name; give it one", at + 1));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !seen.insert(*column)) {
            return wrong(format!("two columns are named \"{twice}\"; names are unique"));
        }
        let row = |record: StringRecord| (record.position().map_or(0, |p| line(bytes, p)), record);
        let rows = reader.records().map(|record| record.map(row));
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        if rows.is_empty() {
            return wrong("there are column names and no row".into());
        }
        Ok(Raw { name, columns, rows })
    }

    /// The columns' names, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The column that `key` of the config names.
    ///
    /// # Errors
    /// [`Error::Config`] with the nearest name where there is none of that name.
    pub fn column(&self, key: &str, column: &str) -> Result<usize> {
        self.columns.iter().position(|other| other == column).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(String::as_str).collect();
            let hint = match names[..] {
                [one] => {
                    format!("its only column is \"{one}\": is the delimiter another, as delimiter = \";\"?")
                }
                _ => suggestion(column, &names),
            };
            Error::Config(format!("data.source.{key}: {} has no column \"{column}\"; {hint}", self.name))
        })
    }

    /// A cell.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        self.rows[row].1.get(column).unwrap_or("")
    }

    /// Every cell of a column.
    pub fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        (0..self.len()).map(move |row| self.cell(row, column))
    }

    /// The first cell of a column that is neither a number nor missing, or nothing where the column is numeric.
    /// A column of missing cells alone is not.
    pub fn not_a_number(&self, column: usize) -> Option<usize> {
        let wrong = |cell: &str| !is_missing(cell) && cell.parse::<f64>().is_err();
        let all_missing = || self.cells(column).all(is_missing);
        self.cells(column).position(wrong).or_else(|| all_missing().then_some(0))
    }

    /// An error of a cell, with its place.
    pub fn fault(&self, row: usize, column: usize, text: &str) -> Error {
        let line = self.rows[row].0;
        let (name, column) = (&self.name, &self.columns[column]);
        Error::Data(format!("{name}, row {} (line {line}), column \"{column}\": {text}", row + 1))
    }
}

/// The line of a record: its position may be that of empty lines before it.
fn line(bytes: &[u8], position: &csv::Position) -> u64 {
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let ends = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    position.line() + ends.filter(|b| **b == b'\n').count() as u64
}

fn fault(bytes: &[u8], err: &csv::Error) -> String {
    let line = |pos: &Option<csv::Position>| match pos {
        Some(pos) => format!(", line {}", line(bytes, pos)),
        None => String::new(),
    };
    match err.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "{}: the first line has {expected_len} cells, and this one {len}; a cell that holds the delimiter needs \
             quotes around it",
            line(pos)
        ),
        ErrorKind::Utf8 { pos, .. } => format!("{}: not UTF-8; save the file as UTF-8", line(pos)),
        _ => format!(": {err}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], delimiter: u8) -> Result<Raw> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        Raw::read(&path, delimiter)
    }

    #[test]
    fn cells_are_those_of_the_file() {
        let raw = read("\u{feff}a, b ,c\n1,\" x, y\",3\r\n\n 4 ,5,\"6\"\n".as_bytes(), b',').unwrap();
        assert_eq!(raw.columns(), ["a", "b", "c"], "no byte-order mark, no blanks");
        let cells: Vec<Vec<&str>> = (0..3).map(|column| raw.cells(column).collect()).collect();
        assert_eq!(cells, [["1", "4"], ["x, y", "5"], ["3", "6"]]);
        let raw = read(b"a\tb\n1\t2\n", b'\t').unwrap();
        assert_eq!((raw.len(), raw.cell(0, 1)), (1, "2"));
        let err = raw.fault(0, 1, "wrong").to_string();
        assert_eq!(err, "t.csv, row 1 (line 2), column \"b\": wrong");
    }

    #[test]
    fn malformed_files_are_told_with_the_line() {
        for (text, words) in [
            (&b""[..], &["t.csv", "empty", "column names"][..]),
            (b"\n\n", &["empty"]),
            (b"a,b\n", &["no row"]),
            (b"a,,c\n1,2,3\n", &["column 2", "no name"]),
            (b"a,b,a\n1,2,3\n", &["two columns", "\"a\""]),
            (b"a,b\n1,2\n3\n", &["line 3", "2 cells", "this one 1", "quotes"]),
            (b"a,b\n1,2\n\n\n3\n", &["line 5"]),
            (b"\xef\xbb\xbfa,b\n1,2\n\r\n3\n", &["line 4"]),
            (b"a,b\n1,caf\xe9\n", &["line 2", "UTF-8"]),
            (b"\xff\xfea\n1\n", &["UTF-8"]),
        ] {
            let err = read(text, b',').unwrap_err();
            assert!(matches!(err, Error::Data(_)), "{err:?}");
            for word in words {
                assert!(err.to_string().contains(word), "{word}: {err}");
            }
        }
    }

    #[test]
    fn columns_go_by_name() {
        let raw = read(b"rain,sun\n1,2\n", b',').unwrap();
        assert_eq!(raw.column("target", "sun").unwrap(), 1);
        let err = raw.column("target", "rian").unwrap_err().to_string();
        assert!(err.contains("data.source.target") && err.contains("did you mean \"rain\""), "{err}");
        let raw = read(b"rain;sun\n1;2\n", b',').unwrap();
        let err = raw.column("target", "sun").unwrap_err().to_string();
        assert!(err.contains("\"rain;sun\"") && err.contains("delimiter"), "{err}");
    }

    #[test]
    fn numbers_are_told_from_words() {
        let raw = read(b"a,b,c,d,e\n1,x,na,1,inf\n-2e3,2,,,1\n,3,?,z,2\n", b',').unwrap();
        let first: Vec<_> = (0..5).map(|column| raw.not_a_number(column)).collect();
        assert_eq!(first, [None, Some(0), Some(0), Some(2), None]);
        assert_eq!((number("1e400"), number("nan"), number("-0.5")), (None, None, Some(-0.5)));
    }
}
